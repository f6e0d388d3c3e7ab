/**
 * The feature extractor of MobileNetV2 at width 1.0 (Sandler et al. 2018, table 2), [N, 3, H, W] → [N, 1280, H/32, W/32].
 *
 * Two layouts of keys are in use for the same network:
 * - `nested`, torchvision: `conv.0.0 conv.0.1 conv.1.0 conv.1.1 conv.2 conv.3`;
 * - `flat`, the earlier public implementation: `conv.0 conv.1 conv.3 conv.4 conv.6 conv.7`.
 */
import type { Value } from '../../ir/value.ts';
import type { Nn } from '../nn.ts';

export type MobileNetV2Layout = 'nested' | 'flat';

/** Expansion t, output channels c, repeats n, first stride s. */
const STAGES = [
  { t: 1, c: 16, n: 1, s: 1 },
  { t: 6, c: 24, n: 2, s: 2 },
  { t: 6, c: 32, n: 3, s: 2 },
  { t: 6, c: 64, n: 4, s: 2 },
  { t: 6, c: 96, n: 3, s: 1 },
  { t: 6, c: 160, n: 3, s: 2 },
  { t: 6, c: 320, n: 1, s: 1 },
] as const;

/** Keys of the convolutions and batch norms of a block, in order: [expand,] depthwise, project. */
const KEYS = {
  nested: { expanded: ['0.0 0.1', '1.0 1.1', '2 3'], plain: ['0.0 0.1', '1 2'] },
  flat: { expanded: ['0 1', '3 4', '6 7'], plain: ['0 1', '3 4'] },
} as const;

interface InvertedResidual {
  readonly input: number;
  readonly output: number;
  readonly stride: number;
  readonly expansion: number;
}

const invertedResidual = (nn: Nn, x: Value, block: InvertedResidual, layout: MobileNetV2Layout): Value => {
  const { input, output, stride, expansion } = block;
  const hidden = input * expansion;
  const conv = nn.scope('conv');
  const keys = KEYS[layout][expansion === 1 ? 'plain' : 'expanded'].map((pair) => pair.split(' '));
  let y = x;
  if (expansion !== 1) {
    const [conv1 = '', bn1 = ''] = keys.shift() ?? [];
    y = conv.relu6(
      conv.batchNorm2d(conv.conv2d(y, conv1, { out: hidden, kernel: 1, bias: false }), bn1),
      after(bn1),
    );
  }
  const [depthwise = '', bn2 = ''] = keys.shift() ?? [];
  y = conv.conv2d(y, depthwise, { out: hidden, kernel: 3, stride, padding: 1, groups: hidden, bias: false });
  y = conv.relu6(conv.batchNorm2d(y, bn2), after(bn2));
  const [project = '', bn3 = ''] = keys.shift() ?? [];
  y = conv.batchNorm2d(conv.conv2d(y, project, { out: output, kernel: 1, bias: false }), bn3);
  return stride === 1 && input === output ? nn.add(x, y) : y;
};

/** The key of the module that follows in a Sequential: `0.1` → `0.2`. */
const after = (key: string): string => key.replace(/\d+$/, (digits) => String(Number(digits) + 1));

/** `features` of the module: call it with the scope of that name. */
export const mobileNetV2Features = (nn: Nn, image: Value, layout: MobileNetV2Layout): Value => {
  let x = nn.conv2d(image, '0.0', { out: 32, kernel: 3, stride: 2, padding: 1, bias: false });
  x = nn.relu6(nn.batchNorm2d(x, '0.1'), '0.2');
  let input = 32;
  let index = 1;
  for (const { t, c, n, s } of STAGES) {
    for (let repeat = 0; repeat < n; repeat++) {
      const block = { input, output: c, stride: repeat === 0 ? s : 1, expansion: t };
      x = invertedResidual(nn.scope(String(index++)), x, block, layout);
      input = c;
    }
  }
  const last = nn.scope(String(index));
  x = last.conv2d(x, '0', { out: 1280, kernel: 1, bias: false });
  return last.relu6(last.batchNorm2d(x, '1'), '2');
};
