/**
 * The allow-list of PyTorch pickles: what each known global means as data.
 */
import type { PickleMachine } from './pickle.ts';
import { fillNumpyArray, NumpyArray, numpyDType, numpyScalar } from './pickle-numpy.ts';
import {
  PickleDict,
  PickleGlobal,
  PickleObject,
  PickleSet,
  PickleTuple,
  type PickleValue,
  textOf,
} from './pickle-values.ts';
import {
  type ElementKind,
  makeTensor,
  RefusedTensor,
  STORAGE_KINDS,
  TORCH_DTYPES,
  UNTYPED,
} from './torch-tensor.ts';

export type Call = (args: readonly PickleValue[], machine: PickleMachine) => PickleValue;

const dictFrom =
  (kind: PickleDict['kind'], source: number): Call =>
  (args, machine) => {
    const dict = new PickleDict(kind);
    const from = args[source];
    if (from instanceof PickleDict) for (const [key, value] of from.entries) dict.entries.set(key, value);
    else if (Array.isArray(from)) {
      for (const pair of from as PickleValue[]) {
        const items =
          pair instanceof PickleTuple ? pair.items : Array.isArray(pair) ? (pair as PickleValue[]) : [];
        machine.setItems(dict, items.slice(0, 2));
      }
    } else if (from !== undefined)
      throw machine.invalid(`a ${kind} made from something that is no list of pairs`);
    return dict;
  };

const setFrom: Call = ([from], machine) => {
  const set = new PickleSet();
  if (from !== undefined) machine.append(set, itemsOf(from, machine));
  return set;
};
/** What is in a list, charged as if it were copied: the same list may be asked for again and again. */
const itemsOf = (value: PickleValue, machine: PickleMachine): readonly PickleValue[] => {
  const items = value instanceof PickleTuple || value instanceof PickleSet ? value.items : value;
  if (!Array.isArray(items)) throw machine.invalid('items from something that is no list');
  machine.charge(8 * items.length);
  return items as readonly PickleValue[];
};

const tensorV2: Call = (
  [storage = null, offset = null, size = null, stride = null, , , metadata],
  machine,
) => {
  const flag = (name: string) => metadata instanceof PickleDict && metadata.entries.get(name) === true;
  return makeTensor(
    { storage, offset, size, stride, conjugated: flag('conj'), negated: flag('neg') },
    (message) => machine.invalid(message),
  );
};
const tensorV3: Call = (
  [storage = null, offset = null, size = null, stride = null, , , type, metadata],
  machine,
) => {
  const name = type instanceof PickleGlobal && type.module === 'torch' ? type.name : textOf(type);
  const dtype = TORCH_DTYPES.get(name);
  if (dtype === undefined)
    return new RefusedTensor(`a tensor of torch.${name}`, 'save it as another dtype in Python');
  const flag = (key: string) => metadata instanceof PickleDict && metadata.entries.get(key) === true;
  return makeTensor(
    { storage, offset, size, stride, dtype, conjugated: flag('conj'), negated: flag('neg') },
    (message) => machine.invalid(message),
  );
};
const firstArgument: Call = ([value], machine) => {
  if (value === undefined) throw machine.invalid('a parameter without a tensor');
  return value;
};
const refusing =
  (what: string, hint: string): Call =>
  () =>
    new RefusedTensor(what, hint);

const latin1Bytes: Call = ([text], machine) => {
  if (typeof text !== 'string') throw machine.invalid('_codecs.encode of something that is no string');
  machine.charge(text.length);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 255) throw machine.invalid('_codecs.encode of a letter beyond Latin-1');
    bytes[i] = code;
  }
  return bytes;
};
const bytesFrom: Call = ([value, encoding], machine) => {
  if (value === undefined) return new Uint8Array(0);
  if (value instanceof Uint8Array) return value;
  if (encoding !== undefined) return latin1Bytes([value], machine);
  const items = itemsOf(value, machine);
  machine.charge(items.length);
  return Uint8Array.from(items, (item) => (typeof item === 'number' ? item : 0));
};

const numpyFromBuffer: Call = ([bytes, type, shape, order], machine) => {
  const array = new NumpyArray();
  fillNumpyArray(array, shape, type, order === 'F', bytes, (message) => machine.invalid(message));
  return array;
};

/** Protocol 0 and 1 objects: `_reconstructor(class, base, base state)`, then BUILD. */
const reconstructed: Call = ([type], machine) => {
  if (!(type instanceof PickleGlobal)) throw machine.invalid('an object without a class');
  return new PickleObject(type, []);
};

/** Kept as its name and arguments: plain values of Python's library. */
const inert = (module: string, name: string): Call => {
  const type = new PickleGlobal(module, name);
  return (args) => new PickleObject(type, args);
};

const NUMPY_CALLS: [string, Call][] = ['numpy.core', 'numpy._core'].flatMap((core): [string, Call][] => [
  [
    `${core}.multiarray.scalar`,
    ([type, bytes], m) => numpyScalar(type, bytes, (message) => m.invalid(message)),
  ],
  [`${core}.multiarray._reconstruct`, () => new NumpyArray()],
  [`${core}.numeric._frombuffer`, numpyFromBuffer],
]);
const BUILTIN_CALLS: [string, Call][] = ['builtins', '__builtin__'].flatMap((module): [string, Call][] => [
  [`${module}.set`, setFrom],
  [`${module}.frozenset`, setFrom],
  [`${module}.list`, ([from], m) => (from === undefined ? [] : [...itemsOf(from, m)])],
  [`${module}.tuple`, ([from], m) => new PickleTuple(from === undefined ? [] : itemsOf(from, m))],
  [`${module}.dict`, dictFrom('dict', 0)],
  [`${module}.bytearray`, bytesFrom],
  [`${module}.bytes`, bytesFrom],
  [`${module}.complex`, inert(module, 'complex')],
  [`${module}.slice`, inert(module, 'slice')],
  [`${module}.range`, inert(module, 'range')],
]);
/** TorchScript's typed lists, and values whose static type is written beside them. */
const SCRIPT_CALLS: [string, Call][] = [
  ...['intlist', 'tensorlist', 'doublelist', 'boollist'].map((name): [string, Call] => [
    `torch.jit._pickle.build_${name}`,
    ([from = null], m) => [...itemsOf(from, m)],
  ]),
  ['torch.jit._pickle.restore_type_tag', ([value = null]) => value],
];
const PATH_CLASSES = ['Path', 'PosixPath', 'PurePath', 'PurePosixPath', 'WindowsPath', 'PureWindowsPath'];
const PATH_CALLS: [string, Call][] = ['pathlib', 'pathlib._local'].flatMap((module) =>
  PATH_CLASSES.map((name): [string, Call] => [
    `${module}.${name}`,
    (args) => args.map(textOf).join('/').replace(/^\/+/, '/'),
  ]),
);
const INERT_CALLS: [string, Call][] = ['datetime', 'date', 'time', 'timedelta', 'timezone'].map((name) => [
  `datetime.${name}`,
  inert('datetime', name),
]);

const SPARSE_HINT = 'store it dense (tensor.to_dense()) in Python';
const QUANTIZED_HINT = 'dequantize it in Python before saving';

/** By qualified name: what a call of a known global gives. */
export const CALLS: ReadonlyMap<string, Call> = new Map<string, Call>([
  ['collections.OrderedDict', dictFrom('OrderedDict', 0)],
  ['collections.Counter', dictFrom('Counter', 0)],
  ['collections.defaultdict', dictFrom('defaultdict', 1)],
  ['torch._utils._rebuild_tensor', tensorV2],
  ['torch._utils._rebuild_tensor_v2', tensorV2],
  ['torch._utils._rebuild_tensor_v3', tensorV3],
  ['torch._utils._rebuild_parameter', firstArgument],
  ['torch._utils._rebuild_parameter_with_state', firstArgument],
  ['torch.nn.parameter.Parameter', firstArgument],
  ['torch.nn.parameter.Buffer', firstArgument],
  ['torch._utils._rebuild_device_tensor_from_numpy', firstArgument],
  ['torch._utils._rebuild_device_tensor_from_cpu_tensor', firstArgument],
  ['torch._utils._rebuild_xla_tensor', firstArgument],
  ['torch._utils._rebuild_qtensor', refusing('a quantized tensor', QUANTIZED_HINT)],
  ['torch._utils._rebuild_sparse_tensor', refusing('a sparse tensor', SPARSE_HINT)],
  ['torch._utils._rebuild_sparse_csr_tensor', refusing('a sparse tensor', SPARSE_HINT)],
  [
    'torch._utils._rebuild_nested_tensor',
    refusing('a nested tensor', 'save its parts as tensors of their own'),
  ],
  [
    'torch._utils._rebuild_meta_tensor_no_storage',
    refusing('a meta tensor, which has a shape but no values', 'save the model with its weights loaded'),
  ],
  [
    'torch._utils._rebuild_wrapper_subclass',
    refusing('a tensor subclass', 'save plain tensors (tensor.full_tensor() or tensor.dequantize())'),
  ],
  ['torch.serialization._get_layout', ([name]) => (typeof name === 'string' ? name : 'torch.strided')],
  ['torch.Size', ([from], m) => new PickleTuple(from === undefined ? [] : itemsOf(from, m))],
  [
    'torch.device',
    (args) =>
      args
        .slice(0, 2)
        .filter((part) => part !== null)
        .map(textOf)
        .join(':'),
  ],
  ['_codecs.encode', latin1Bytes],
  ['argparse.Namespace', inert('argparse', 'Namespace')],
  ['copyreg._reconstructor', reconstructed],
  ['copy_reg._reconstructor', reconstructed],
  ['numpy.dtype', ([name], m) => numpyDType(name, (message) => m.invalid(message))],
  ...NUMPY_CALLS,
  ...BUILTIN_CALLS,
  ...PATH_CALLS,
  ...SCRIPT_CALLS,
  ...INERT_CALLS,
]);

/** The element kind that a storage class of a persistent id names, or undefined. */
export const storageKindOf = (type: PickleValue | undefined): ElementKind | undefined => {
  if (!(type instanceof PickleGlobal)) return undefined;
  if (/^torch(\.storage)?$/.test(type.module) && /^_?UntypedStorage$/.test(type.name)) return UNTYPED;
  return /^torch(\.cuda)?$/.test(type.module) ? STORAGE_KINDS.get(type.name) : undefined;
};

/** Classes and constants that are known to be data although nothing calls them (dtypes, base classes, defaults). */
const NAMES: ReadonlySet<string> = new Set([
  ...['torch.Tensor', 'torch._tensor.Tensor', 'torch._tensor._rebuild_from_type_v2', 'numpy.ndarray'],
  ...['strided', 'sparse_coo', 'sparse_csr', 'sparse_csc', 'sparse_bsr', 'sparse_bsc'].map(
    (x) => `torch.${x}`,
  ),
  ...['per_tensor_affine', 'per_channel_affine', 'per_channel_affine_float_qparams'].map((x) => `torch.${x}`),
  ...['per_tensor_symmetric', 'per_channel_symmetric'].map((x) => `torch.${x}`),
  ...[...TORCH_DTYPES.keys()].map((name) => `torch.${name}`),
  // Tensor classes before PyTorch 0.4, e.g. torch.cuda.FloatTensor.
  ...[...STORAGE_KINDS.keys()].flatMap((name) =>
    ['torch', 'torch.cuda'].map((module) => `${module}.${name.replace('Storage', 'Tensor')}`),
  ),
  ...['builtins', '__builtin__'].flatMap((module) =>
    ['object', 'int', 'long', 'float', 'str', 'unicode', 'bool'].map((name) => `${module}.${name}`),
  ),
]);

/** Whether the meaning of a global as data is known. */
export const isDataGlobal = (value: PickleGlobal): boolean =>
  CALLS.has(value.qualified) || NAMES.has(value.qualified) || storageKindOf(value) !== undefined;
