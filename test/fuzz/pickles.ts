/** Damage that is still a pickle: opcodes inserted, removed and exchanged, and programs made of nothing but opcodes. */
import type { Rng } from '../../src/core/rng.ts';
import { type Mutation, mutate } from './mutations.ts';

const GLOBALS = [
  'collections\nOrderedDict',
  'collections\nCounter',
  'collections\ndefaultdict',
  'torch._utils\n_rebuild_tensor_v2',
  'torch._utils\n_rebuild_tensor_v3',
  'torch._utils\n_rebuild_parameter',
  'torch._utils\n_rebuild_sparse_tensor',
  'torch._utils\n_rebuild_qtensor',
  'torch._tensor\n_rebuild_from_type_v2',
  'torch\nFloatStorage',
  'torch.storage\nUntypedStorage',
  'torch\nfloat32',
  'torch\nSize',
  'torch\ndevice',
  'numpy.core.multiarray\n_reconstruct',
  'numpy.core.multiarray\nscalar',
  'numpy\ndtype',
  'numpy\nndarray',
  '_codecs\nencode',
  'builtins\nset',
  'builtins\nbytearray',
  'builtins\nslice',
  'copyreg\n_reconstructor',
  'argparse\nNamespace',
  'pathlib\nPosixPath',
  'datetime\ndatetime',
  'os\nsystem',
  'builtins\neval',
  'my.model\nNet',
  '__proto__\nconstructor',
];
const STRINGS = [
  'storage',
  'module',
  '0',
  'cpu',
  'state_dict',
  '_modules',
  '_parameters',
  '_buffers',
  '__proto__',
  '',
];

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
};

/** An integer that is small, or at an edge. */
const count = (rng: Rng): number =>
  rng.next() < 0.8 ? rng.integer(6) : [255, 65535, 0x7fffffff, 0xffffffff, 1_000_000][rng.integer(5)]!;

type Opcode = (rng: Rng) => Uint8Array;
const plain =
  (text: string): Opcode =>
  () =>
    Buffer.from(text, 'latin1');

/** Every opcode that the machine knows, with arguments, and those it must refuse. */
const OPCODES: readonly Opcode[] = [
  ...'.(NQRabdeloqrstu0123)}]\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x92\x93\x94'.split('').map(plain),
  (rng) => Buffer.concat([Buffer.from('J'), uint32(count(rng))]),
  (rng) => Buffer.from([0x4b, rng.integer(256)]),
  (rng) => Buffer.from([0x68, rng.integer(8)]),
  (rng) => Buffer.from([0x71, rng.integer(8)]),
  (rng) => Buffer.concat([Buffer.from('j'), uint32(count(rng))]),
  (rng) => Buffer.concat([Buffer.from('r'), uint32(count(rng))]),
  (rng) => Buffer.from(`c${GLOBALS[rng.integer(GLOBALS.length)]}\n`, 'latin1'),
  (rng) => Buffer.from(`i${GLOBALS[rng.integer(GLOBALS.length)]}\n`, 'latin1'),
  (rng) => {
    const text = Buffer.from(STRINGS[rng.integer(STRINGS.length)]!);
    return Buffer.concat([Buffer.from('X'), uint32(rng.next() < 0.9 ? text.length : count(rng)), text]);
  },
  (rng) => {
    const text = Buffer.from(STRINGS[rng.integer(STRINGS.length)]!);
    return Buffer.concat([Buffer.from([0x8c, text.length]), text]);
  },
  (rng) => Buffer.from([0x8a, rng.integer(10), ...Array.from({ length: 8 }, () => rng.integer(256))]),
  (rng) => Buffer.concat([Buffer.from('B'), uint32(count(rng)), Buffer.alloc(rng.integer(8))]),
  (rng) =>
    Buffer.concat([Buffer.from([0x8d]), uint32(count(rng)), uint32(rng.integer(2)), Buffer.from('abc')]),
  (rng) => Buffer.concat([Buffer.from([0x96]), uint32(count(rng)), uint32(rng.integer(2))]),
  (rng) => Buffer.from([0x47, ...Array.from({ length: 8 }, () => rng.integer(256))]),
  () => Buffer.from([0x82, 1]),
  () => Buffer.from('P0\n'),
  () => Buffer.from("S'a'\nI01\nF1.5\nL5L\n"),
];

const someOpcodes = (rng: Rng, most: number): Uint8Array =>
  Buffer.concat(
    Array.from({ length: 1 + rng.integer(most) }, () => OPCODES[rng.integer(OPCODES.length)]!(rng)),
  );

/** Gives one of the integers (BININT, BININT1, BININT2) another value: offsets, sizes, strides, counts. */
const changeInteger: Mutation = (bytes, rng) => {
  const places = [...bytes.keys()].filter((at) => [0x4a, 0x4b, 0x4d].includes(bytes[at]!));
  const at = places[rng.integer(places.length)];
  if (at === undefined) return bytes;
  const width = { 74: 5, 75: 2, 77: 3 }[bytes[at]!]!;
  return Buffer.concat([
    bytes.subarray(0, at),
    Buffer.from('J'),
    uint32(rng.next() < 0.5 ? count(rng) : rng.integer(200)),
    bytes.subarray(at + width),
  ]);
};

/** Changes a number, puts opcodes somewhere, cuts some, replaces all, or damages the bytes. */
export const mutatePickle: Mutation = (bytes, rng, other) => {
  const action = rng.next();
  if (action < 0.3) return changeInteger(bytes, rng, other);
  if (action < 0.55) {
    const at = rng.integer(bytes.length + 1);
    const skipped = rng.next() < 0.5 ? 0 : rng.integer(20);
    return Buffer.concat([bytes.subarray(0, at), someOpcodes(rng, 6), bytes.subarray(at + skipped)]);
  }
  if (action < 0.6) return Buffer.concat([Buffer.from([0x80, 2]), someOpcodes(rng, 200), Buffer.from('.')]);
  return mutate(bytes, rng, other);
};
