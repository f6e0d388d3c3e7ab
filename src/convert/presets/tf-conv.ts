/**
 * TensorFlow's and Keras's layout and names -> PyTorch's: `block/conv/kernel:0` of (height, width, in, out) becomes
 * `block.conv.weight` of (out, in, height, width); dense kernels are transposed; gamma, beta, moving_mean and
 * moving_variance become weight, bias, running_mean and running_var. A `depthwise_kernel` (height, width, channels,
 * multiplier) becomes (channels · multiplier, 1, height, width); beside a `pointwise_kernel` both get a level of their
 * own. Not told apart: Keras 3 calls the kernel of DepthwiseConv2D `kernel` too. Recurrent kernels stay as they are.
 */
import type { Tensor } from '../../core/tensor.ts';
import type { Rule } from '../mapping/rule.ts';
import { type Preset, tableRule } from './preset.ts';

const NAMES = new Map([
  ['kernel', 'weight'],
  ['embeddings', 'weight'],
  ['gamma', 'weight'],
  ['beta', 'bias'],
  ['moving_mean', 'running_mean'],
  ['moving_variance', 'running_var'],
]);

const kernel = (name: string): string => `(|.*[/.])${name}(:0|)`;
const CHANNELS_LAST_TO_FIRST = new Map([
  [2, [1, 0]],
  [3, [2, 1, 0]],
  [4, [3, 2, 0, 1]],
  [5, [4, 3, 0, 1, 2]],
]);

const isTensorFlow = (key: string): boolean =>
  /(^|[/.])(kernel|depthwise_kernel|pointwise_kernel|embeddings|gamma|beta|moving_mean|moving_variance)(:0)?$/.test(
    key,
  );

const newKey = (key: string, tensors: ReadonlyMap<string, Tensor>): string => {
  const suffix = key.endsWith(':0') ? ':0' : '';
  const bare = key.slice(0, key.length - suffix.length);
  const at = Math.max(bare.lastIndexOf('/'), bare.lastIndexOf('.')) + 1;
  const layer = bare.slice(0, at);
  const name = bare.slice(at);
  const isSeparable = tensors.has(`${layer}pointwise_kernel${suffix}`);
  const path = layer.replaceAll('/', '.');
  if (name === 'depthwise_kernel') return `${path}${isSeparable ? 'depthwise.' : ''}weight`;
  if (name === 'pointwise_kernel') return `${path}pointwise.weight`;
  if (name === 'bias' && isSeparable) return `${path}pointwise.bias`;
  return path + (NAMES.get(name) ?? name);
};

/** Only ranks that are there: a rule that fits no key would be reported. */
const layoutRules = (tensors: ReadonlyMap<string, Tensor>): Rule[] =>
  ['kernel', 'pointwise_kernel'].flatMap((name) => {
    const end = new RegExp(`(^|[/.])${name}(:0)?$`);
    const ranks = new Set([...tensors].flatMap(([key, { dims }]) => (end.test(key) ? [dims.length] : [])));
    return [...CHANNELS_LAST_TO_FIRST].flatMap(([rank, order]): Rule[] =>
      ranks.has(rank) ? [{ op: 'permute', keys: kernel(name), rank, order }] : [],
    );
  });

export const tfConv: Preset = {
  name: 'tf-conv',
  summary: 'TensorFlow and Keras names and layout: kernels HWIO -> OIHW, dense kernels transposed',
  rules: (tensors) => {
    const keys = [...tensors.keys()];
    if (!keys.some(isTensorFlow)) return [];
    const depthwise = keys.some(
      (key) => /(^|[/.])depthwise_kernel(:0)?$/.test(key) && tensors.get(key)?.dims.length === 4,
    );
    return [
      ...layoutRules(tensors),
      ...(depthwise
        ? ([
            { op: 'permute', keys: kernel('depthwise_kernel'), rank: 4, order: [2, 3, 0, 1] },
            { op: 'reshape', keys: kernel('depthwise_kernel'), rank: 4, shape: [-1, 1, null, null] },
          ] as const)
        : []),
      ...tableRule(keys, (key) => newKey(key, tensors)),
    ];
  },
};
