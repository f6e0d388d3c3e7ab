/**
 * Small files that would cost a lot: memory, time, or a report nobody can read. Each is refused before it does, or read
 * at its price.
 */
import {
  call,
  dict,
  floats,
  get,
  global,
  int,
  ops,
  pickled,
  put,
  rawZip,
  storage,
  str,
  tensor,
  tuple,
  uint32,
} from './builders.ts';
import { type HostileKind, kind } from './hostile-kind.ts';

const FOUR = floats(1, 2, 3, 4);
const w = tensor(storage('0', 4), [4], [1]);

/** A checkpoint whose pickle is deflated, so that it is small whatever it holds. */
const packed = (object: Uint8Array, records: Readonly<Record<string, Uint8Array>> = { 0: FOUR }): Buffer =>
  rawZip([
    { name: 'archive/data.pkl', bytes: pickled(object), method: 8 },
    ...Object.entries(records).map(([key, bytes]) => ({ name: `archive/data/${key}`, bytes })),
  ]);
const times = (count: number, bytes: Uint8Array): Buffer =>
  Buffer.alloc(count * bytes.length, bytes as Buffer);
/** Integers from 0 on, each with the value that the memo has under 0. */
const numbered = (count: number): Buffer => {
  const bytes = Buffer.alloc(count * 7, ops('J', uint32(0), 'h', 0));
  for (let i = 0; i < count; i++) bytes.writeUInt32LE(i, i * 7 + 1);
  return ops('}(', bytes, 'u');
};
const moduleOf = (parameters: Uint8Array, modules: Uint8Array): Buffer =>
  ops(
    global('net.Model'),
    ')',
    0x81,
    dict({ _parameters: parameters, _buffers: ops('}'), _modules: modules }),
    'b',
  );

const PICKLES: readonly HostileKind[] = [
  kind('a dict that is copied 2,000 times', 'file/limit', 'copies cost what they hold', () =>
    packed(
      ops(
        ...['N', put(0), '0', numbered(50_000), put(1), '0'],
        ...[global('collections.OrderedDict'), put(2), '0', get(1), 0x85, put(3), '0'],
        times(2000, ops(get(2), get(3), 'R0')),
        w,
      ),
    ),
  ),
  kind('tensor rebuilt 100,000 times over', 'checkpoint/invalid', 'no tensor is nested like this', () =>
    packed(
      ops(
        ...[global('torch._tensor._rebuild_from_type_v2'), put(1), '0'],
        ...[global('collections.OrderedDict'), 'N)', 0x87],
        times(100_000, ops(put(2), '0', get(1), 'N', get(2), 0x87)),
        ...[put(3), '0', get(1), get(3), 'R'],
      ),
    ),
  ),
  kind('path of 900,000 parts', 'checkpoint/invalid', 'no file system has such a path', () =>
    packed(
      dict({
        a: ops(
          ...[str('a'.repeat(200)), put(1), '0', global('pathlib.Path')],
          ...['(', times(900_000, get(1)), 't', 'R'],
        ),
      }),
    ),
  ),
  kind('array of 20,000 dimensions', 'checkpoint/invalid', 'NumPy stops at 64', () =>
    packed(
      dict({
        a: ops(
          call('numpy.core.multiarray._reconstruct'),
          tuple(
            int(1),
            ops('(', times(20_000, ops('K', 1)), 't'),
            call('numpy.dtype', str('f4')),
            ops(0x89),
            ops('C', 4, 'aaaa'),
          ),
          'b',
        ),
      }),
    ),
  ),
  kind('type name of three million letters', 'checkpoint/invalid', 'no type is called so', () =>
    packed(dict({ a: call('numpy.dtype', str('Z'.repeat(3_000_000))) })),
  ),
  kind('900,000 dicts in a kilobyte', 'file/limit', 'memory follows from the size of the file', () =>
    packed(dict({ w, a: ops('](', times(900_000, ops('}')), 'e') })),
  ),
  kind('900,000 lists of one item', 'file/limit', 'memory follows from the size of the file', () =>
    packed(dict({ w, a: ops('(', times(900_000, ops(']Na')), 'l') })),
  ),
  kind('900,000 names of one tensor', 'file/limit', 'no model has as many tensors', () =>
    packed(ops(w, put(0), '0', numbered(900_000))),
  ),
  kind('parameters that 1,500 modules share', 'file/limit', 'no model has as many tensors', () =>
    packed(
      ops(
        ...[w, put(0), '0', numbered(1000), put(2), '0'],
        moduleOf(
          ops('}'),
          ops('}(', ...Array.from({ length: 1500 }, (_, i) => ops(int(i), moduleOf(get(2), ops('}')))), 'u'),
        ),
      ),
    ),
  ),
  kind('key of five million letters', 'file/limit', 'a report is to be read', () =>
    packed(dict({ ['k'.repeat(5_000_000)]: w })),
  ),
  kind('pickle that inflates a thousandfold', 'file/limit', 'a bomb: no writer packs pickles so well', () =>
    packed(ops('](', times(9_000_000, ops('K', 1)), 'e')),
  ),
];

const EXPANDED = 2 ** 27;
const expanded = (key: string, type: string, size: readonly number[]): Buffer =>
  tensor(storage(key, 1, `torch.${type}`), size, Array<number>(size.length).fill(0));
const EIGHT = Buffer.alloc(8);

const TENSORS: readonly HostileKind[] = [
  kind('expanded scales of a quantized tensor', 'checkpoint/invalid', 'a vector made from nothing', () =>
    packed(
      dict({
        w: call(
          'torch._utils._rebuild_qtensor',
          storage('0', 16, 'torch.QUInt8Storage'),
          int(0),
          tuple(int(EXPANDED)),
          tuple(int(0)),
          tuple(
            global('torch.per_channel_affine'),
            expanded('1', 'DoubleStorage', [EXPANDED]),
            expanded('2', 'LongStorage', [EXPANDED]),
            int(0),
          ),
          ops(0x89),
          ops('}'),
        ),
      }),
      { 0: FOUR, 1: EIGHT, 2: EIGHT },
    ),
  ),
  kind('expanded indices of a sparse tensor', 'checkpoint/invalid', 'entries made from nothing', () =>
    packed(
      dict({
        w: call(
          'torch._utils._rebuild_sparse_tensor',
          call('torch.serialization._get_layout', str('torch.sparse_coo')),
          tuple(
            expanded('1', 'LongStorage', [1, EXPANDED - 1]),
            expanded('0', 'FloatStorage', [EXPANDED - 1]),
            tuple(int(1000)),
          ),
        ),
      }),
      { 0: floats(1), 1: EIGHT },
    ),
  ),
];

const script = (object: Uint8Array, code: Uint8Array): Buffer =>
  rawZip([
    { name: 'net/data.pkl', bytes: pickled(object) },
    { name: 'net/constants.pkl', bytes: pickled(ops(')')) },
    { name: 'net/code/__torch__.py', bytes: code, method: 8 },
    { name: 'net/data/0', bytes: FOUR },
  ]);
const scriptModule = (members: Record<string, Uint8Array>): Buffer =>
  ops(global('__torch__.Net'), ')', 0x81, dict(members), 'b');
const npyOf = (shape: string, bytes: Uint8Array): Buffer => {
  const header = Buffer.from(`{'descr': '<f4', 'fortran_order': False, 'shape': (${shape}), }\n`);
  const length = Buffer.alloc(2);
  length.writeUInt16LE(header.length);
  return ops('\x93NUMPY\x01\0', length, header, bytes);
};
const safetensorsOf = (header: string): Buffer => {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return ops(length, header);
};
const tensorMeta = {
  dtype: 7,
  sizes: [{ as_int: 4 }],
  strides: [{ as_int: 1 }],
  storage_offset: { as_int: 0 },
  layout: 7,
};
const exported = (config: Record<string, unknown>, payloads: Record<string, Uint8Array>): Buffer =>
  rawZip(
    Object.entries({
      archive_format: Buffer.from('pt2'),
      archive_version: Buffer.from('0'),
      'data/weights/model_weights_config.json': Buffer.from(JSON.stringify({ config })),
      ...Object.fromEntries(Object.entries(payloads).map(([name, bytes]) => [`data/weights/${name}`, bytes])),
    }).map(([name, bytes]) => ({ name: `net/${name}`, bytes, method: 8 })),
  );

const FORMATS: readonly HostileKind[] = [
  kind('TorchScript: half a million quotes', 'harmless', 'source is scanned once, never matched', () =>
    script(
      scriptModule({ w }),
      Buffer.from(`class Net(Module):\n  __parameters__ = [${'\\"'.repeat(500_000)}]\n`),
    ),
  ),
  kind('TorchScript: modules that double 18 times', 'file/limit', 'more parts than any module has', () => {
    const doubled = Array.from({ length: 18 }, (_, i) =>
      ops(scriptModule({ a: get(i), b: get(i) }), put(i + 1), '0'),
    );
    return script(ops(scriptModule({ w }), put(0), '0', ...doubled, get(18)), Buffer.alloc(0));
  }),
  kind('npz: array that inflates to 80 MB', 'file/limit', 'a bomb', () =>
    rawZip([{ name: 'x.npy', bytes: npyOf('20000000,', Buffer.alloc(80_000_000)), method: 8 }]),
  ),
  kind('npy: 20,000 dimensions', 'numpy/invalid', 'NumPy stops at 64', () =>
    npyOf('1,'.repeat(20_000), floats(1)),
  ),
  kind('safetensors: name of five million letters', 'safetensors/invalid', 'a report is to be read', () =>
    safetensorsOf(`{"${'n'.repeat(5_000_000)}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`),
  ),
  kind('safetensors: 160,000 tensors', 'file/limit', 'no model has as many tensors', () =>
    safetensorsOf(
      `{${Array.from({ length: 160_000 }, (_, i) => `"${i}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`).join(',')}}`,
    ),
  ),
  kind('torch.export: 5,000 names of one storage', 'harmless', 'aliases are kept as such', () =>
    exported(
      Object.fromEntries(
        Array.from({ length: 5000 }, (_, i) => [`k${i}`, { path_name: 'weight_0', tensor_meta: tensorMeta }]),
      ),
      { weight_0: FOUR },
    ),
  ),
  kind('torch.export: checkpoints of 500,000 dicts', 'file/limit', 'all of them share one limit', () =>
    exported(
      { k: { path_name: 'weight_0', use_pickle: true, tensor_meta: tensorMeta } },
      { weight_0: packed(ops('](', times(500_000, ops('}')), 'e'), {}) },
    ),
  ),
];

export const COSTLY_KINDS: readonly HostileKind[] = [...PICKLES, ...TENSORS, ...FORMATS];
