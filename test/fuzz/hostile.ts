/**
 * Every known kind of hostile or odd checkpoint, made from scratch: what it is, what happens to it, and why. The tests
 * run the whole table, SECURITY.md prints it, the fuzz run damages it further.
 */
import {
  call,
  checkpointBytes,
  dict,
  floats,
  global,
  int,
  numpyArray,
  ops,
  pickled,
  rawZip,
  storage,
  str,
  tensor,
  tuple,
  uint32,
  zipped,
} from './builders.ts';
import { COSTLY_KINDS } from './hostile-costs.ts';
import { type HostileKind, kind } from './hostile-kind.ts';

const uint64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt.asUintN(64, value));
  return bytes;
};
const long1 = (...bytes: number[]): Buffer => ops(0x8a, bytes.length, ...bytes);
/** A zip checkpoint around one tensor `w` over the storage `0` of four floats. */
const around = (w: Uint8Array, records: Record<string, Uint8Array> = { 0: floats(1, 2, 3, 4) }): Buffer =>
  checkpointBytes(dict({ w }), records);
const four = storage('0', 4);
const sound = (): Buffer => around(tensor(four, [2, 2], [2, 1]));
const archived = (pickle: Uint8Array): Buffer => zipped({ 'archive/data.pkl': pickle });
const object = (type: string, state: Record<string, Uint8Array>): Buffer =>
  ops(global(type), ')', 0x81, dict(state), 'b');
const moduleOf = (extra: Record<string, Uint8Array>): Buffer =>
  object('net.Model', { _parameters: ops('}'), _buffers: ops('}'), _modules: ops('}'), ...extra });
/** `w` refers to a storage by a persistent id of these items. */
const byId = (...items: Uint8Array[]): Buffer => tensor(ops(tuple(...items), 'Q'), [1], [1]);

const CODE: readonly HostileKind[] = [
  ...[
    'os.system',
    'posix.system',
    'nt.system',
    'subprocess.Popen',
    'builtins.eval',
    'builtins.exec',
    '__builtin__.eval',
    'builtins.getattr',
    'builtins.__import__',
    'builtins.open',
    'runpy.run_path',
    'importlib.import_module',
    'pickle.loads',
    'shutil.rmtree',
    'socket.socket',
    'ctypes.CDLL',
    'operator.attrgetter',
    'operator.methodcaller',
    'functools.partial',
    'types.FunctionType',
    'types.CodeType',
    'torch.load',
    'torch.hub.load',
    'torch.serialization.load',
    'numpy.load',
    'webbrowser.open',
    'asyncio.run',
    'timeit.timeit',
    'pip.main',
    'bdb.Bdb',
    'code.interact',
    'marshal.loads',
  ].map((name) =>
    kind(`reduce ${name}`, 'checkpoint/refused-global', 'names a function that no weights need', () =>
      checkpointBytes(dict({ a: call(name, str('true')) })),
    ),
  ),
  kind('stack_global eval', 'checkpoint/refused-global', 'the same by STACK_GLOBAL', () =>
    checkpointBytes(dict({ a: ops(str('builtins'), str('eval'), 0x93, tuple(str('1')), 'R') })),
  ),
  kind(
    'dotted name',
    'checkpoint/refused-global',
    'reaches a function through the attributes of a class',
    () =>
      checkpointBytes(
        dict({ a: ops(str('torch'), str('serialization.os.system'), 0x93, tuple(str('1')), 'R') }),
      ),
  ),
  kind('more attributes than a name has', 'checkpoint/refused-global', 'hides what it leads to', () =>
    checkpointBytes(dict({ a: ops(str('torch'), str('a.'.repeat(40).concat('b')), 0x93) })),
  ),
  kind('attribute of a loader', 'checkpoint/refused-global', 'getattr leads to what may not be named', () =>
    checkpointBytes(
      moduleOf({ f: call('builtins.getattr', global('numpy.core.multiarray'), str('fromfile')) }),
    ),
  ),
  kind('partial of a command', 'checkpoint/refused-global', 'a pickled module hides a command', () =>
    checkpointBytes(moduleOf({ f: call('functools.partial', global('os.system'), str('true')) })),
  ),
  kind(
    'partial in a whole model',
    'harmless',
    'models keep layers with fixed arguments; nothing calls it',
    () => checkpointBytes(moduleOf({ norm: call('functools.partial', global('torch.nn.LayerNorm')) })),
  ),
  kind('command behind _rebuild_from_type_v2', 'checkpoint/refused-global', 'calls what it is given', () =>
    checkpointBytes(
      dict({
        a: call(
          'torch._tensor._rebuild_from_type_v2',
          global('os.system'),
          ops('N'),
          tuple(str('true')),
          ops('}'),
        ),
      }),
    ),
  ),
  kind('defaultdict of a command', 'checkpoint/refused-global', 'calls it for missing keys', () =>
    checkpointBytes(dict({ a: call('collections.defaultdict', global('os.system')) })),
  ),
  kind(
    '_reconstructor of a command',
    'checkpoint/refused-global',
    'makes an object of what it is given',
    () =>
      checkpointBytes(dict({ a: call('copyreg._reconstructor', global('os.system'), ops('N'), ops('N')) })),
  ),
  kind('text under another codec', 'checkpoint/invalid', 'bytes that Python would read as others', () =>
    checkpointBytes(dict({ a: call('_codecs.encode', str('abc'), str('rot13')) })),
  ),
  kind('inst opcode', 'checkpoint/refused-global', 'calls by INST', () =>
    checkpointBytes(dict({ a: ops('(', str('true'), 'ios\nsystem\n') })),
  ),
  kind('obj opcode', 'checkpoint/refused-global', 'calls by OBJ', () =>
    checkpointBytes(dict({ a: ops('(', global('os.system'), str('true'), 'o') })),
  ),
  kind('newobj_ex', 'checkpoint/refused-global', 'makes an object with keywords', () =>
    checkpointBytes(dict({ a: ops(global('subprocess.Popen'), ')', dict({ args: str('true') }), 0x92) })),
  ),
  kind('unknown function', 'checkpoint/refused-global', 'calls a function that is not on the list', () =>
    checkpointBytes(dict({ a: call('some.package.run', str('x')) })),
  ),
  kind('command in a whole model', 'checkpoint/refused-global', 'a pickled module hides a command', () =>
    checkpointBytes(moduleOf({ hook: call('os.system', str('true')) })),
  ),
  kind('extension registry', 'checkpoint/refused-global', 'EXT1 names a class by a number', () =>
    checkpointBytes(dict({ a: ops(0x82, 1) })),
  ),
  kind('textual persistent id', 'checkpoint/refused-global', 'PERSID: PyTorch never writes it', () =>
    checkpointBytes(dict({ a: ops('P0\n') })),
  ),
  kind('out-of-band buffer', 'checkpoint/refused-global', 'NEXT_BUFFER: the bytes are not in the file', () =>
    checkpointBytes(dict({ a: ops(0x97) })),
  ),
  kind(
    'forbidden name as a storage class',
    'checkpoint/refused-global',
    'os.system where a class belongs',
    () => around(byId(str('storage'), global('os.system'), str('0'), str('cpu'), int(4))),
  ),
  kind('class without a call', 'harmless', 'a name is only a name', () =>
    checkpointBytes(dict({ config: object('my.Config', { width: int(3) }), w: tensor(four, [4], [1]) }), {
      0: floats(1, 2, 3, 4),
    }),
  ),
];

const PICKLES: readonly HostileKind[] = [
  kind('empty pickle', 'checkpoint/invalid', 'ends before STOP', () => archived(new Uint8Array(0))),
  kind('no STOP', 'checkpoint/invalid', 'ends before STOP', () => archived(ops(0x80, 2, '}'))),
  kind('STOP on an empty stack', 'checkpoint/invalid', 'no object', () => archived(ops(0x80, 2, '.'))),
  kind('values left over', 'checkpoint/invalid', 'more than one object', () => archived(ops(0x80, 2, '}}.'))),
  kind('bytes after STOP', 'checkpoint/invalid', 'hides data behind the pickle', () =>
    archived(ops(0x80, 2, '}.', 'more')),
  ),
  kind('protocol 9', 'checkpoint/invalid', 'no such protocol', () => archived(ops(0x80, 9, '}.'))),
  kind('unknown opcode', 'checkpoint/invalid', 'no such opcode', () => archived(ops(0x80, 2, 0xff, '.'))),
  kind('stack underflow', 'checkpoint/invalid', 'takes what is not there', () =>
    archived(ops(0x80, 2, 'R.')),
  ),
  kind('below a mark', 'checkpoint/invalid', 'takes what lies under a mark', () =>
    archived(ops(0x80, 2, '}(0', 'R.')),
  ),
  kind('memo never stored', 'checkpoint/invalid', 'refers to nothing', () =>
    archived(ops(0x80, 2, 'h', 9, '.')),
  ),
  kind('memo index 2^32-1', 'harmless', 'the memo is a sparse map', () =>
    archived(ops(0x80, 2, '}r', uint32(0xffffffff), '.')),
  ),
  kind('string of 2^63 bytes', 'checkpoint/invalid', 'a length beyond the file', () =>
    archived(ops(0x80, 4, 0x8d, uint64(1n << 63n), 'abc.')),
  ),
  kind('string of 4 GB', 'checkpoint/invalid', 'a length beyond the file', () =>
    archived(ops(0x80, 2, 'X', uint32(0xffffffff), 'abc.')),
  ),
  kind('bytes of 2^62', 'checkpoint/invalid', 'a length beyond the file', () =>
    archived(ops(0x80, 4, 0x8e, uint64(1n << 62n), 'abc.')),
  ),
  kind('bytearray of 2^62', 'checkpoint/invalid', 'a length beyond the file', () =>
    archived(ops(0x80, 5, 0x96, uint64(1n << 62n), 'abc.')),
  ),
  kind('integer of 2 GB', 'checkpoint/invalid', 'a length beyond any integer', () =>
    archived(ops(0x80, 2, 0x8b, uint32(0x7fffffff), 'abc.')),
  ),
  kind('integer of negative length', 'checkpoint/invalid', 'a negative length', () =>
    archived(ops(0x80, 2, 0x8b, uint32(0xffffffff), '.')),
  ),
  kind('integer of 255 bytes', 'harmless', 'large, and only a number', () =>
    checkpointBytes(dict({ seed: long1(...Array<number>(255).fill(7)), w: tensor(four, [4], [1]) }), {
      0: floats(1, 2, 3, 4),
    }),
  ),
  kind('frame longer than the file', 'checkpoint/invalid', 'a length beyond the file', () =>
    archived(ops(0x80, 4, 0x95, uint64(1n << 40n), '}.')),
  ),
  kind('bad UTF-8', 'checkpoint/invalid', 'a key that is no text', () =>
    archived(ops(0x80, 2, 'X', uint32(2), 0xc3, 0x28, '.')),
  ),
  kind('lone surrogate', 'checkpoint/invalid', 'a key that is no text', () =>
    archived(ops(0x80, 2, 'X', uint32(3), 0xed, 0xa0, 0x80, '.')),
  ),
  kind('global name of 5,000 letters', 'checkpoint/invalid', 'a name beyond the limit', () =>
    archived(ops(0x80, 2, `c${'a'.repeat(5000)}\nb\n.`)),
  ),
  kind('a million marks', 'file/limit', 'more nesting than any writer makes', () =>
    archived(Buffer.concat([ops(0x80, 2), Buffer.alloc(1_000_000, '(')])),
  ),
  kind('two million dicts', 'file/limit', 'objects that eat memory', () =>
    archived(Buffer.concat([ops(0x80, 2), Buffer.alloc(4_000_000, '}0')])),
  ),
  kind('100,000 nested lists', 'harmless', 'walked without recursion', () =>
    archived(ops(0x80, 2, ']'.repeat(100_000), 'a'.repeat(99_999), '.')),
  ),
  kind('list that holds itself', 'harmless', 'every container is visited once', () =>
    archived(ops(0x80, 2, ']q', 0, 'h', 0, 'a.')),
  ),
  kind('dict that holds itself', 'harmless', 'every container is visited once', () =>
    archived(ops(0x80, 2, '}q', 0, str('me'), 'h', 0, 's.')),
  ),
  kind('lists that double 60 times', 'harmless', 'shared references are not followed twice', () =>
    archived(
      ops(
        ...[0x80, 2, ']q', 0, '0'],
        ...Array.from({ length: 60 }, (_, i) => ops('(h', i, 'h', i, 'lq', i + 1, '0')),
        ...['h', 60, '.'],
      ),
    ),
  ),
  kind('keys __proto__ and constructor', 'harmless', 'foreign keys live in maps', () =>
    checkpointBytes(
      dict({ ['__proto__']: tensor(four, [4], [1]), constructor: tensor(four, [2, 2], [2, 1]) }),
      {
        0: floats(1, 2, 3, 4),
      },
    ),
  ),
  kind('items set on a string', 'checkpoint/invalid', 'no dict', () =>
    archived(ops(0x80, 2, str('x'), str('a'), str('b'), 's.')),
  ),
  kind('items appended to a tensor', 'checkpoint/invalid', 'no list', () =>
    around(ops(tensor(four, [4], [1]), int(1), 'a')),
  ),
  kind('state for a number', 'checkpoint/invalid', 'takes no state', () =>
    archived(ops(0x80, 2, int(1), '}b.')),
  ),
  kind('call of a string', 'checkpoint/refused-global', 'no function', () =>
    archived(ops(0x80, 2, str('x'), ')R.')),
  ),
];

const TENSORS: readonly HostileKind[] = [
  kind('persistent id that is no tuple', 'checkpoint/invalid', 'names no storage', () =>
    around(ops(int(0), 'Q')),
  ),
  kind('persistent id of another kind', 'checkpoint/invalid', 'names no storage', () =>
    around(byId(str('tensor'), global('torch.FloatStorage'), str('0'), str('cpu'), int(4))),
  ),
  kind('short persistent id', 'checkpoint/invalid', 'names no storage', () => around(byId(str('storage')))),
  kind('storage class that is none', 'checkpoint/invalid', 'unknown element type', () =>
    around(byId(str('storage'), global('torch.Tensor'), str('0'), str('cpu'), int(4))),
  ),
  kind('storage key ../data.pkl', 'checkpoint/invalid', 'leaves the folder of the records', () =>
    around(tensor(storage('../data.pkl', 4), [1], [1])),
  ),
  kind('storage under two dtypes', 'checkpoint/invalid', 'one of the two is a lie', () =>
    checkpointBytes(
      dict({ a: tensor(four, [4], [1]), b: tensor(storage('0', 4, 'torch.IntStorage'), [4], [1]) }),
      { 0: floats(1, 2, 3, 4) },
    ),
  ),
  kind('record that is missing', 'checkpoint/invalid', 'no bytes to read', () =>
    around(tensor(storage('7', 4), [1], [1])),
  ),
  kind('record shorter than its storage', 'checkpoint/invalid', 'torch shows uninitialised memory', () =>
    around(tensor(storage('0', 8), [8], [1])),
  ),
  kind('record longer than its storage', 'harmless', 'read, with a warning', () =>
    around(tensor(storage('0', 2), [2], [1])),
  ),
  kind('negative element count', 'checkpoint/invalid', 'no such size', () =>
    around(tensor(storage('0', -1), [1], [1])),
  ),
  kind('2^62 elements', 'checkpoint/invalid', 'a size beyond the file', () =>
    around(
      byId(
        str('storage'),
        global('torch.FloatStorage'),
        str('0'),
        str('cpu'),
        long1(0, 0, 0, 0, 0, 0, 0, 64),
      ),
    ),
  ),
  kind('negative offset', 'checkpoint/invalid', 'begins before its storage', () =>
    around(tensor(four, [1], [1], -1)),
  ),
  kind('offset past the end', 'checkpoint/invalid', 'leaves its storage', () =>
    around(tensor(four, [1], [1], 4)),
  ),
  kind('size past the end', 'checkpoint/invalid', 'leaves its storage', () => around(tensor(four, [5], [1]))),
  kind('stride past the end', 'checkpoint/invalid', 'leaves its storage', () =>
    around(tensor(four, [2], [4])),
  ),
  kind('negative stride', 'checkpoint/invalid', 'PyTorch has none', () => around(tensor(four, [2], [-1], 3))),
  kind('negative size', 'checkpoint/invalid', 'no such size', () => around(tensor(four, [-1], [1]))),
  kind('sizes whose product overflows', 'checkpoint/invalid', 'leaves its storage', () =>
    around(tensor(four, [0x7fffffff, 0x7fffffff, 0x7fffffff], [1, 1, 1])),
  ),
  kind('expanded to a terabyte', 'file/limit', 'stride 0 makes bytes from nothing', () =>
    around(tensor(four, [1_000_000, 1_000_000], [0, 0])),
  ),
  kind('65 dimensions', 'checkpoint/invalid', 'PyTorch stops at 64', () =>
    around(tensor(four, Array<number>(65).fill(1), Array<number>(65).fill(1))),
  ),
  kind('dtype wider than its storage', 'checkpoint/invalid', 'leaves its storage', () =>
    around(
      call(
        'torch._utils._rebuild_tensor_v3',
        four,
        int(0),
        tuple(int(4)),
        tuple(int(1)),
        ops(0x89),
        ops('}'),
        global('torch.float64'),
      ),
    ),
  ),
  kind('array shorter than its shape', 'checkpoint/invalid', 'half of its values are missing', () =>
    checkpointBytes(dict({ a: numpyArray([3], Buffer.alloc(4)) })),
  ),
  kind('array of negative size', 'checkpoint/invalid', 'no such size', () =>
    checkpointBytes(dict({ a: numpyArray([-1], Buffer.alloc(4)) })),
  ),
  kind('sizes without strides', 'checkpoint/invalid', 'half a geometry', () => around(tensor(four, [4], []))),
  kind('tensor over a string', 'checkpoint/invalid', 'no storage', () => around(tensor(str('0'), [1], [1]))),
  kind('tensor without arguments', 'checkpoint/invalid', 'no storage', () =>
    around(call('torch._utils._rebuild_tensor_v2')),
  ),
];

const entry = (name: string, bytes: Uint8Array) => ({ name, bytes });
const soundPickle = pickled(dict({ w: tensor(four, [4], [1]) }));
const soundEntries = [
  entry('archive/data.pkl', soundPickle),
  entry('archive/data/0', floats(1, 2, 3, 4)),
] as const;

const ARCHIVES: readonly HostileKind[] = [
  kind('written field by field', 'harmless', 'the sound archive that the others damage', () =>
    rawZip(soundEntries),
  ),
  kind('cut in half', 'checkpoint/invalid', 'the directory at the end is gone', () =>
    sound().subarray(0, sound().length >> 1),
  ),
  kind('entry ../evil', 'checkpoint/invalid', 'a name that leaves the folder', () =>
    rawZip([...soundEntries, entry('../evil', floats(1))]),
  ),
  kind('entry /etc/evil', 'checkpoint/invalid', 'an absolute name', () =>
    rawZip([...soundEntries, entry('/etc/evil', floats(1))]),
  ),
  kind('two entries data.pkl', 'checkpoint/invalid', 'two readers would see two files', () =>
    rawZip([...soundEntries, entry('archive/data.pkl', pickled(ops('}')))]),
  ),
  kind('two roots', 'checkpoint/invalid', 'two files in one', () =>
    rawZip([...soundEntries, entry('other/version', floats(1))]),
  ),
  kind('no data.pkl', 'checkpoint/invalid', 'nothing to read', () =>
    rawZip([entry('archive/data/0', floats(1))]),
  ),
  kind('directory lies about the size', 'checkpoint/invalid', 'torch reads past the end and crashes', () =>
    rawZip([soundEntries[0], { ...soundEntries[1], size: 1 << 20, compressedSize: 1 << 20 }]),
  ),
  kind('headers name two entries', 'checkpoint/invalid', 'two readers would see two files', () =>
    rawZip([{ ...soundEntries[0], localName: 'archive/DATA.pkl' }, soundEntries[1]]),
  ),
  kind('headers state two sizes', 'checkpoint/invalid', 'two readers would see two files', () =>
    rawZip([soundEntries[0], { ...soundEntries[1], localSize: 8 }]),
  ),
  kind('entries that overlap', 'checkpoint/invalid', 'one byte, two meanings', () =>
    rawZip([
      ...soundEntries,
      {
        ...entry('archive/data.pkl', soundPickle),
        name: 'archive/data/1',
        localName: 'archive/data.pkl',
        offset: 0,
      },
    ]),
  ),
  kind('entry beyond the file', 'checkpoint/invalid', 'no bytes there', () =>
    rawZip([soundEntries[0], { ...soundEntries[1], offset: 1 << 24 }]),
  ),
  kind('60,000 entries claimed', 'checkpoint/invalid', 'more than the directory holds', () =>
    rawZip(soundEntries, { count: 60_000 }),
  ),
  kind('directory of 4 GB claimed', 'checkpoint/invalid', 'longer than the file', () =>
    rawZip(soundEntries, { directorySize: 0xfffffffe }),
  ),
  kind('two archives, one behind the other', 'checkpoint/invalid', 'two readers would see two files', () =>
    Buffer.concat([sound(), sound()]),
  ),
  kind('bytes before the directory', 'checkpoint/invalid', 'bytes that no entry owns', () => {
    const archive = sound();
    const at = archive.length - 22;
    return Buffer.concat([archive.subarray(0, at), Buffer.alloc(100), archive.subarray(at)]);
  }),
  kind('second disk', 'checkpoint/invalid', 'a part of the archive is elsewhere', () =>
    rawZip(soundEntries, { disk: 1 }),
  ),
  kind('entry that reaches into the directory', 'checkpoint/invalid', 'one byte, two meanings', () =>
    rawZip([soundEntries[0], { ...soundEntries[1], size: 40, localSize: 40, compressedSize: 40 }]),
  ),
  kind('entry name of 60,000 letters', 'checkpoint/invalid', 'no writer names its records like this', () =>
    rawZip([...soundEntries, entry(`archive/${'a'.repeat(60_000)}`, floats(1))]),
  ),
  kind('encrypted entry', 'checkpoint/unsupported', 'cannot be read', () =>
    rawZip([{ ...soundEntries[0], flags: 1, compressedSize: soundPickle.length + 12 }, soundEntries[1]]),
  ),
  kind('compression 99', 'checkpoint/unsupported', 'cannot be read', () =>
    rawZip([{ ...soundEntries[0], method: 99 }, soundEntries[1]]),
  ),
  kind('wrong checksum of data.pkl', 'checkpoint/invalid', 'damaged after it was written', () =>
    rawZip([{ ...soundEntries[0], crc: 7 }, soundEntries[1]]),
  ),
  kind(
    'storage that inflates a thousandfold',
    'file/limit',
    'a bomb: PyTorch never deflates storages',
    () => {
      const zeros = new Uint8Array(20_000_000);
      const pickle = pickled(dict({ w: tensor(storage('0', 5_000_000), [5_000_000], [1]) }));
      return rawZip([entry('archive/data.pkl', pickle), { ...entry('archive/data/0', zeros), method: 8 }]);
    },
  ),
  kind('pickle that inflates to 100 MB', 'file/limit', 'a bomb', () =>
    rawZip([{ ...entry('archive/data.pkl', Buffer.alloc(100_000_000, '0')), method: 8 }]),
  ),
  kind('deflated beyond what deflate can do', 'file/limit', 'a lie in the directory', () =>
    rawZip([{ ...soundEntries[0], method: 8, size: 0x7ffffffe, localSize: 0x7ffffffe }, soundEntries[1]]),
  ),
  kind('byteorder "middle"', 'checkpoint/invalid', 'neither order', () =>
    zipped({
      'archive/data.pkl': soundPickle,
      'archive/byteorder': Buffer.from('middle'),
      'archive/data/0': floats(1, 2, 3, 4),
    }),
  ),
];

const MAGIC = ops(0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.');
const legacyStorage = (view: Uint8Array = ops('N')): Buffer =>
  ops(tuple(str('storage'), global('torch.FloatStorage'), str('5'), str('cpu'), int(2), view), 'Q');
const legacy = (
  parts: {
    readonly protocol?: number;
    readonly info?: Uint8Array;
    readonly object?: Uint8Array;
    readonly keys?: Uint8Array;
    readonly data?: Uint8Array;
  } = {},
): Buffer =>
  ops(
    MAGIC,
    pickled(int(parts.protocol ?? 1001)),
    pickled(parts.info ?? dict({ little_endian: ops(0x88) })),
    pickled(parts.object ?? dict({ w: tensor(legacyStorage(), [2], [1]) })),
    pickled(parts.keys ?? ops('](', str('5'), 'e')),
    parts.data ?? ops(uint32(2), uint32(0), floats(1, 2)),
  );

const LEGACY: readonly HostileKind[] = [
  kind('legacy container', 'harmless', 'the sound file that the others damage', () => legacy()),
  kind('legacy: command in the system info', 'checkpoint/refused-global', 'each of its pickles is one', () =>
    legacy({ info: call('os.system', str('true')) }),
  ),
  kind('legacy: command in the list of keys', 'checkpoint/refused-global', 'each of its pickles is one', () =>
    legacy({ keys: call('os.system', str('true')) }),
  ),
  kind('legacy: another protocol', 'checkpoint/unsupported', 'no such layout', () =>
    legacy({ protocol: 1002 }),
  ),
  kind('legacy: says big-endian', 'checkpoint/unsupported', 'its writer contradicts itself', () =>
    legacy({ info: dict({ little_endian: ops(0x89) }) }),
  ),
  kind('legacy: ends in its data', 'checkpoint/invalid', 'cut off', () =>
    legacy({ data: ops(uint32(2), uint32(0), floats(1)) }),
  ),
  kind('legacy: another count than the tensors', 'checkpoint/invalid', 'one of the two is a lie', () =>
    legacy({ data: ops(uint32(3), uint32(0), floats(1, 2, 3)) }),
  ),
  kind('legacy: count of 2^63', 'checkpoint/invalid', 'longer than the file', () =>
    legacy({ data: ops(uint64(1n << 63n), floats(1, 2)) }),
  ),
  kind('legacy: storage not listed', 'checkpoint/invalid', 'no bytes for it', () =>
    legacy({ keys: ops(']') }),
  ),
  kind('legacy: storage listed twice', 'checkpoint/invalid', 'two contents for one key', () =>
    legacy({
      keys: ops('](', str('5'), str('5'), 'e'),
      data: ops(uint32(2), uint32(0), floats(1, 2), uint32(2), uint32(0), floats(3, 4)),
    }),
  ),
  kind('legacy: view beyond its storage', 'checkpoint/invalid', 'leaves its storage', () =>
    legacy({ object: dict({ w: tensor(legacyStorage(tuple(str('6'), int(1), int(2))), [2], [1]) }) }),
  ),
];

const STRANGERS: readonly HostileKind[] = [
  kind('empty file', 'file/unknown-format', 'nothing in it', () => new Uint8Array(0)),
  kind('Git LFS pointer', 'file/unknown-format', 'not the file itself', () =>
    Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n'),
  ),
  kind('HTML page', 'file/unknown-format', 'a login or an error page', () =>
    Buffer.from('<!DOCTYPE html><p>403'),
  ),
  kind('gzip file', 'file/unknown-format', 'to be unpacked first', () => ops(0x1f, 0x8b, 8, 0)),
  kind('bare pickle', 'checkpoint/unsupported', 'no container, so no storages', () =>
    pickled(dict({ a: int(1) })),
  ),
  kind('container of PyTorch 1.0-preview', 'checkpoint/unsupported', 'PyTorch refuses it too', () =>
    Buffer.from('PYTORCH1'.padEnd(64, '\0')),
  ),
  kind('noise', 'file/unknown-format', 'none of the known signatures', () =>
    Uint8Array.from({ length: 4096 }, (_, i) => (i * 167 + 13) % 251),
  ),
];

export type { HostileKind } from './hostile-kind.ts';

export const HOSTILE_KINDS: readonly HostileKind[] = [
  ...CODE,
  ...PICKLES,
  ...TENSORS,
  ...ARCHIVES,
  ...LEGACY,
  ...STRANGERS,
  ...COSTLY_KINDS,
];
