/**
 * The allow-list of PyTorch pickles: what each known global means as data.
 */
import { castTensor, isFloatDType } from '../core/cast.ts';
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
import { makeQuantized } from './torch-quantized.ts';
import { makeSparse } from './torch-sparse.ts';
import {
  ConvertedTensor,
  type ElementKind,
  makeTensor,
  RefusedTensor,
  STORAGE_KINDS,
  TensorRecord,
  TORCH_DTYPES,
  tensorFromRecord,
  UNTYPED,
} from './torch-tensor.ts';

export type Call = (args: readonly PickleValue[], machine: PickleMachine) => PickleValue;

const dictFrom =
  (kind: PickleDict['kind'], source: number): Call =>
  (args, machine) => {
    // The call itself is charged already.
    machine.charge(72);
    const dict = new PickleDict(kind);
    const from = args[source];
    if (from instanceof PickleDict) {
      machine.charge(64 * from.entries.size);
      for (const [key, value] of from.entries) dict.entries.set(key, value);
    } else if (Array.isArray(from)) {
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

const flagsOf = (metadata: PickleValue | undefined): { conjugated: boolean; negated: boolean } => {
  const flag = (name: string) => metadata instanceof PickleDict && metadata.entries.get(name) === true;
  return { conjugated: flag('conj'), negated: flag('neg') };
};
const invalidOf =
  (machine: PickleMachine) =>
  (message: string): Error =>
    machine.invalid(message);
const dtypeNameOf = (type: PickleValue | undefined): string =>
  type instanceof PickleGlobal && type.module === 'torch' ? type.name : textOf(type);

const tensorV2: Call = ([storage = null, offset = null, size = null, stride = null, , , metadata], machine) =>
  makeTensor({ storage, offset, size, stride, ...flagsOf(metadata) }, invalidOf(machine));
const tensorV3: Call = (
  [storage = null, offset = null, size = null, stride = null, , , type, metadata],
  machine,
) => {
  const name = dtypeNameOf(type);
  const dtype = TORCH_DTYPES.get(name);
  if (dtype === undefined) {
    return new RefusedTensor(`a tensor of torch.${name}`, 'save it as another dtype in Python');
  }
  return makeTensor({ storage, offset, size, stride, dtype, ...flagsOf(metadata) }, invalidOf(machine));
};

/** `(tensor or array, dtype, device, requires_grad)`: the dtype may be another than that of the data. */
const deviceTensor: Call = ([data, type], machine) => {
  const name = dtypeNameOf(type);
  const dtype = TORCH_DTYPES.get(name);
  const given = data instanceof TensorRecord ? data : data instanceof NumpyArray ? data.tensor : undefined;
  if (given === undefined) return firstArgument([data ?? null], machine);
  if (dtype === given.dtype) return data as TensorRecord | NumpyArray;
  const { dims } = given;
  if (dtype === undefined || !isFloatDType(dtype) || !isFloatDType(given.dtype)) {
    return new RefusedTensor(
      `a tensor of ${given.dtype} that becomes torch.${name}`,
      'move it to the CPU first',
    );
  }
  const open = () => (given instanceof TensorRecord ? tensorFromRecord(given) : given);
  return new ConvertedTensor(
    { what: `device tensor (torch.${name})`, form: dtype, dtype, dims },
    () => castTensor(open(), dtype).data,
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

/** Bytes as Python 3 pickles them for Python 2. */
const latin1Bytes: Call = ([text, codec = 'utf-8'], machine) => {
  if (typeof text !== 'string') throw machine.invalid('_codecs.encode of something that is no string');
  if (typeof codec !== 'string' || !/^(latin[-_]?1|iso[-_]?8859[-_]1)$/i.test(codec)) {
    throw machine.invalid(`_codecs.encode to ${JSON.stringify(textOf(codec))}, not latin1`);
  }
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
  if (encoding !== undefined) return latin1Bytes([value, encoding], machine);
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
/** Parts of a path: more than file systems allow. */
const MAX_PATH_PARTS = 256;
const PATH_CLASSES = ['Path', 'PosixPath', 'PurePath', 'PurePosixPath', 'WindowsPath', 'PureWindowsPath'];
const PATH_CALLS: [string, Call][] = ['pathlib', 'pathlib._local'].flatMap((module) =>
  PATH_CLASSES.map((name): [string, Call] => [
    `${module}.${name}`,
    (args, machine) => {
      if (args.length > MAX_PATH_PARTS) throw machine.invalid(`a path of ${args.length} parts`);
      return args.map(textOf).join('/').replace(/^\/+/, '/');
    },
  ]),
);
/** Values whose class and arguments say all. */
const INERT: readonly (readonly [module: string, names: string])[] = [
  ['argparse', 'Namespace'],
  ['datetime', 'datetime date time timedelta timezone'],
  ['decimal', 'Decimal'],
  ['fractions', 'Fraction'],
  ['uuid', 'UUID SafeUUID'],
  ['types', 'SimpleNamespace'],
  ['re', '_compile'],
  ['torch', 'Generator'],
  ['torch._C', 'Generator'],
  ['numpy.random._pickle', '__randomstate_ctor __generator_ctor __bit_generator_ctor'],
  ['numpy.random.bit_generator', '__pyx_unpickle_SeedSequence SeedSequence'],
  ['numpy.random._mt19937', 'MT19937'],
  ['numpy.random._pcg64', 'PCG64'],
];
const INERT_CALLS: [string, Call][] = INERT.flatMap(([module, names]) =>
  names.split(' ').map((name): [string, Call] => [`${module}.${name}`, inert(module, name)]),
);

const PARTS_HINT = 'save its parts as tensors of their own';
const LAZY_HINT = 'run the model once, so that its lazy modules get their weights, and save it again';

/** DTensor, torchao's and other subclasses that hold their values in attributes of their own. */
const wrapperSubclass: Call = ([type]) =>
  new RefusedTensor(
    `a tensor subclass${type instanceof PickleGlobal ? ` (${textOf(type)})` : ''}`,
    'save plain tensors (tensor.full_tensor() or tensor.dequantize())',
  );

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
  ['torch._utils._rebuild_device_tensor_from_numpy', deviceTensor],
  ['torch._utils._rebuild_device_tensor_from_cpu_tensor', deviceTensor],
  ['torch._utils._rebuild_xla_tensor', deviceTensor],
  ['torch._utils._rebuild_qtensor', (args, m) => makeQuantized(args, invalidOf(m))],
  ['torch._utils._rebuild_sparse_tensor', (args, m) => makeSparse(args, invalidOf(m))],
  ['torch._utils._rebuild_sparse_csr_tensor', (args, m) => makeSparse(args, invalidOf(m))],
  ['torch._utils._rebuild_nested_tensor', refusing('a nested tensor', PARTS_HINT)],
  ['torch.nested._internal.nested_tensor._rebuild_njt', refusing('a nested tensor', PARTS_HINT)],
  [
    'torch._utils._rebuild_meta_tensor_no_storage',
    refusing('a meta tensor, which has a shape but no values', 'save the model with its weights loaded'),
  ],
  ['torch.nn.parameter.UninitializedParameter', refusing('a parameter without values', LAZY_HINT)],
  ['torch.nn.parameter.UninitializedBuffer', refusing('a buffer without values', LAZY_HINT)],
  ['torch._utils._rebuild_wrapper_subclass', wrapperSubclass],
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
  ['collections.deque', ([from], m) => (from === undefined ? [] : [...itemsOf(from, m)])],
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

/** `(function, type, arguments, state)`: the same call, for a tensor subclass or a tensor with attributes. */
export const REBUILD_FROM_TYPE: ReadonlySet<string> = new Set(
  ['_tensor', 'tensor'].flatMap((module) => [
    `torch.${module}._rebuild_from_type`,
    `torch.${module}._rebuild_from_type_v2`,
  ]),
);
/** Layouts, quantization schemes, memory formats, and dtypes that are no dtypes of ours. */
const OTHER_NAMES: readonly string[] = [
  'strided sparse_coo sparse_csr sparse_csc sparse_bsr sparse_bsc',
  'per_tensor_affine per_channel_affine per_channel_affine_float_qparams per_tensor_symmetric per_channel_symmetric',
  'contiguous_format preserve_format channels_last channels_last_3d',
  'qint8 quint8 qint32 quint4x2 quint2x4 bits8 bits16 bits1x8 bits2x4 bits4x2 complex32 chalf float4_e2m1fn_x2',
  'uint1 uint2 uint3 uint4 uint5 uint6 uint7 int1 int2 int3 int4 int5 int6 int7',
];

/** Classes and constants that are known to be data although nothing calls them (dtypes, base classes, defaults). */
const NAMES: ReadonlySet<string> = new Set([
  ...['torch.Tensor', 'torch._tensor.Tensor', 'numpy.ndarray', 'torch._C._TensorBase'],
  ...REBUILD_FROM_TYPE,
  ...OTHER_NAMES.flatMap((names) => names.split(' ').map((name) => `torch.${name}`)),
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
