/** What counts as a state dict, over hand-made pickles. */
import { describe, expect, it } from 'vitest';
import { OrthoError } from '../../src/core/errors.ts';
import { tensorBytes } from '../../src/core/tensor.ts';
import { openWeights } from '../../src/formats/index.ts';
import type { WeightFile } from '../../src/formats/state-dict.ts';
import {
  call,
  checkpointFile,
  dict,
  fileWith,
  floats,
  global,
  int,
  ops,
  pickled,
  storage,
  str,
  tensor,
  tuple,
} from '../support/torch-files.ts';

const bytes = { 0: floats(1, 2), 1: floats(3) };
/** Two elements, and one. */
const w = tensor(storage('0', 2), [2], [1]);
const scalar = tensor(storage('1', 1), [], []);
const list = (...items: Uint8Array[]): Buffer => ops('](', ...items, 'e');
const object = (type: string, state: Uint8Array): Buffer => ops(global(type), ')', 0x81, state, 'b');
/** A dict with any keys. */
const anyDict = (...entries: Uint8Array[]): Buffer => ops('}(', ...entries, 'u');

const using = <T>(value: Uint8Array, use: (file: WeightFile) => T): T => {
  const file = openWeights(checkpointFile(value, bytes));
  try {
    return use(file);
  } finally {
    file.close();
  }
};
/** `path: keys` of every state dict, best first. */
const dictsOf = (value: Uint8Array): string[] =>
  using(value, ({ stateDicts }) =>
    stateDicts.map(({ path, tensors }) => `${path}: ${[...tensors.keys()].join(' ')}`),
  );
const codeOf = (value: Uint8Array): string => {
  try {
    using(value, () => {});
  } catch (error) {
    if (error instanceof OrthoError) return error.code;
    throw error;
  }
  return 'opens';
};
const rulesOf = (value: Uint8Array): string[] =>
  using(value, ({ findings }) => findings.map(({ rule }) => rule));

describe('where state dicts are found', () => {
  it.each<[string, Uint8Array, string[]]>([
    ['at the top', dict({ w }), [': w']],
    [
      'under a usual name, before others',
      dict({ other: dict({ w }), model: dict({ a: w }) }),
      ['model: a', 'other: w'],
    ],
    ['in a dict of state dicts', dict({ gen: dict({ w }), disc: dict({ w }) }), ['gen: w', 'disc: w']],
    ['in a tuple', tuple(dict({ w }), int(3)), ['0: w']],
    [
      'in a list in a dict',
      dict({ models: list(dict({ a: w }), dict({ b: w })) }),
      ['models.0: a', 'models.1: b'],
    ],
    ['in a list of tensors', list(w, scalar), [': 0 1']],
    ['in a list of numbers and a tensor', list(int(1), int(2), scalar), [': 2']],
    [
      'in an attribute of an unknown object',
      object('my.Trainer', dict({ model: dict({ w }) })),
      ['model: w'],
    ],
    [
      'in a configuration object that holds a dict',
      dict({ cfg: object('omegaconf.dictconfig.DictConfig', dict({ _content: dict({ w }) })) }),
      ['cfg._content: w'],
    ],
    [
      'with the optimizer beside it',
      dict({
        model: dict({ w }),
        optimizer: dict({ state: anyDict(int(0), dict({ m: w })), param_groups: list() }),
      }),
      ['model: w'],
    ],
    [
      'in a dict of modules',
      dict({
        G: object('net.G', dict({ _parameters: dict({ w }), _modules: ops('}') })),
        D: object('net.D', dict({ _parameters: dict({ v: w }), _modules: ops('}') })),
      }),
      ['G: w', 'D: v'],
    ],
    ['averaged ones last but lists', dict({ ema: dict({ w }), net: dict({ w }) }), ['net: w', 'ema: w']],
  ])('%s', (_, value, expected) => {
    expect(dictsOf(value)).toEqual(expected);
  });
  it('lists of averaged parameters come after all others', () => {
    const ema = dict({ decay: int(1), num_updates: int(2), shadow_params: list(w, w, w) });
    expect(dictsOf(dict({ ema, my_net: dict({ w }) }))).toEqual(['my_net: w', 'ema.shadow_params: 0 1 2']);
    using(dict({ ema, my_net: dict({ w }) }), ({ metadata }) => {
      expect(metadata.get('ema')).toMatchObject({ shadow_params: 'list of 3 tensors' });
    });
  });
  it('lists of numbers are none', () => {
    expect(dictsOf(dict({ net: dict({ w }), losses: list(scalar, scalar) }))).toEqual(['net: w']);
  });
  it('tensors beside a state dict are listed last, numbers are metadata', () => {
    const value = dict({ net: dict({ a: w }), mean: w, std: w, best_acc: scalar });
    expect(dictsOf(value)).toEqual(['net: a', ': mean std']);
    using(value, ({ metadata }) => expect(metadata.get('best_acc')).toBe(3));
  });
  it('an unknown object that is the whole file gives its attributes as metadata', () => {
    using(object('my.Trainer', dict({ model: dict({ w }), epoch: int(7) })), ({ metadata }) => {
      expect([...metadata]).toEqual([['epoch', 7]]);
    });
  });
  it('what lies below sixteen levels is said not to have been looked at', () => {
    let value: Uint8Array = dict({ w });
    for (let i = 0; i < 17; i++) value = dict({ a: value });
    expect(dictsOf(value)).toEqual([]);
    expect(rulesOf(value)).toEqual(['no-tensors', 'nested-too-deep']);
  });
});

describe('keys', () => {
  it('integers become text', () => {
    expect(dictsOf(anyDict(int(0), w, int(-1), w, ops(0x8a, 9, ...[0, 0, 0, 0, 0, 0, 0, 0, 1]), w))).toEqual([
      ': 0 -1 18446744073709551616',
    ]);
  });
  it('that would be the same text are refused', () => {
    expect(codeOf(anyDict(int(0), w, str('0'), w))).toBe('checkpoint/unsupported');
    expect(codeOf(dict({ a: tuple(w, w), 'a.1': w }))).toBe('checkpoint/unsupported');
  });
  it('of other kinds make no state dict', () => {
    expect(dictsOf(anyDict(tuple(int(1)), w, tuple(int(2)), w))).toEqual([]);
  });
  it('of modules are not cut', () => {
    const name = 'x'.repeat(300);
    const model = object(
      'net.M',
      dict({ _parameters: dict({ [`${name}1`]: w, [`${name}2`]: w }), _modules: ops('}') }),
    );
    expect(dictsOf(model)).toEqual([`: ${name}1 ${name}2`]);
  });
});

describe('entries that are no tensors', () => {
  it('tuples and lists of tensors are listed by their places', () => {
    const packed = tuple(w, scalar, ops('N'));
    expect(dictsOf(dict({ 'fc._packed': packed, scale: scalar, more: list(w, int(1)) }))).toEqual([
      ': fc._packed.0 fc._packed.1 scale more.0',
    ]);
  });
  it('objects that hold tensors are refused by name', () => {
    using(dict({ net: dict({ w, x: object('my.Sharded', dict({ part: w })), v: w }) }), (file) => {
      const [found] = file.stateDicts;
      expect([...found!.tensors.keys()]).toEqual(['w', 'v']);
      expect(found?.refused?.get('x')?.what).toContain('my.Sharded');
      expect(file.findings.map(({ rule, at }) => [rule, at?.key])).toEqual([['refused-tensor', 'x']]);
    });
  });
  it('others are named in a note, or shown as metadata of the outermost dict', () => {
    expect(rulesOf(dict({ net: dict({ w, v: w, _extra_state: str('abc') }) }))).toEqual([
      'no-tensor-entries',
    ]);
    using(dict({ w, v: w, version: int(2) }), ({ findings, metadata }) => {
      expect(findings).toEqual([]);
      expect([...metadata]).toEqual([['version', 2]]);
    });
  });
  it('a graph that is shared a million times is searched once', () => {
    const doubled = Array.from({ length: 60 }, (_, i) => ops('0(h', i, 'h', i, 'lq', i + 1));
    const bomb = ops(']q', 0, ...doubled);
    const entries = Array.from({ length: 30 }, (_, i) => [`x${i}`, i === 0 ? bomb : ops('h', 60)]);
    const tensors = Array.from({ length: 40 }, (_, i) => [`w${i}`, w]);
    expect(rulesOf(dict({ net: dict(Object.fromEntries([...entries, ...tensors])) }))).toEqual([
      'no-tensor-entries',
    ]);
  });
});

describe('tensors of other kinds', () => {
  const meta = call('torch._utils._rebuild_meta_tensor_no_storage', global('torch.float32'), tuple(int(2)));
  const layout = (name: string) => call('torch.serialization._get_layout', str(`torch.${name}`));
  const size = (...dims: number[]) => call('torch.Size', tuple(...dims.map(int)));
  it.each<[string, Uint8Array, string]>([
    ['a meta tensor', meta, 'meta tensor'],
    ['a nested tensor', call('torch._utils._rebuild_nested_tensor', w, w, w, w), 'nested tensor'],
    [
      'a subclass',
      call(
        'torch._tensor._rebuild_from_type_v2',
        ...[global('torch._utils._rebuild_wrapper_subclass'), global('torch.distributed.tensor.DTensor')],
        ...[tuple(global('torch.distributed.tensor.DTensor')), dict({})],
      ),
      'torch.distributed.tensor.DTensor',
    ],
    ['a lazy parameter', call('torch.nn.parameter.UninitializedParameter', ops(0x88)), 'without values'],
    [
      'a sparse tensor of another layout',
      call('torch._utils._rebuild_sparse_tensor', layout('_mkldnn'), tuple()),
      '_mkldnn',
    ],
    [
      'a sparse tensor over a meta tensor',
      call('torch._utils._rebuild_sparse_tensor', layout('sparse_coo'), tuple(meta, w, size(2))),
      'meta tensor',
    ],
    [
      'a sparse tensor that is a terabyte when dense',
      call(
        'torch._utils._rebuild_sparse_tensor',
        layout('sparse_coo'),
        tuple(
          tensor(storage('2', 2, 'torch.LongStorage'), [2, 1], [1, 1]),
          tensor(storage('1', 1), [1], [1]),
          size(1_000_000, 1_000_000),
        ),
      ),
      'when dense',
    ],
    [
      'a quantized tensor of another scheme',
      call(
        'torch._utils._rebuild_qtensor',
        ...[storage('3', 2, 'torch.QInt8Storage'), int(0), tuple(int(2)), tuple(int(1))],
        tuple(global('torch.per_tensor_symmetric'), int(1), int(0)),
      ),
      'per_tensor_symmetric',
    ],
    ['a bare quantized storage', storage('3', 2, 'torch.QInt8Storage'), 'QInt8Storage'],
  ])('%s is refused with a reason', (_, value, what) => {
    const path = checkpointFile(dict({ odd: value, w }), {
      ...bytes,
      2: new Uint8Array(16),
      3: new Uint8Array(2),
    });
    const file = openWeights(path);
    expect([...file.stateDicts[0]!.tensors.keys()]).toEqual(['w']);
    const reason = file.stateDicts[0]?.refused?.get('odd');
    expect(reason?.what).toContain(what);
    expect(reason?.hint).toBeTruthy();
    expect(file.findings.map(({ rule }) => rule)).toContain('refused-tensor');
    file.close();
  });
  it.each(['complex32', 'float4_e2m1fn_x2', 'uint4', 'int7', 'bits8', 'quint8'])(
    'torch.%s is named',
    (name) => {
      const odd = call(
        'torch._utils._rebuild_tensor_v3',
        ...[storage('0', 8, 'torch.storage.UntypedStorage'), int(0), tuple(int(2)), tuple(int(1)), ops(0x89)],
        ...[call('collections.OrderedDict'), global(`torch.${name}`)],
      );
      using(dict({ odd }), ({ stateDicts: [found] }) => {
        expect(found?.refused?.get('odd')?.what).toBe(`a tensor of torch.${name}`);
      });
    },
  );
  it('many refused tensors end in a summary', () => {
    const many = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`m${i}`, meta]));
    using(dict(many), ({ findings, stateDicts }) => {
      expect(stateDicts[0]?.refused?.size).toBe(30);
      const refused = findings.filter(({ rule }) => rule === 'refused-tensor');
      expect(refused).toHaveLength(21);
      expect(refused.at(-1)?.message).toMatch(/^10 more tensors/);
    });
  });
  it('booleans are 0 or 1 whatever byte the file has', () => {
    const mask = tensor(storage('2', 4, 'torch.BoolStorage'), [4], [1]);
    const file = openWeights(checkpointFile(dict({ mask }), { 2: ops(0, 1, 2, 255) }));
    expect([...tensorBytes(file.stateDicts[0]!.tensors.get('mask')!)]).toEqual([0, 1, 1, 1]);
    file.close();
  });
  it.each<[string, string, number[], number[]]>([
    ['int16', 'torch.ShortStorage', [1, 0, 0, 0x80, 0, 1], [0xff, 0xff, 0, 0x80, 0, 0xff]],
    ['uint8', 'torch.ByteStorage', [0, 1, 255], [0, 255, 1]],
  ])('the negative bit of %s is two’s complement', (_, kind, given, expected) => {
    const count = kind === 'torch.ShortStorage' ? 3 : 3;
    const value = tensor(storage('2', count, kind), [count], [1], 0, dict({ neg: ops(0x88) }));
    const file = openWeights(checkpointFile(dict({ value }), { 2: ops(...given) }));
    expect([...tensorBytes(file.stateDicts[0]!.tensors.get('value')!)]).toEqual(expected);
    file.close();
  });
  it('a negated boolean is refused', () => {
    const value = tensor(storage('2', 1, 'torch.BoolStorage'), [1], [1], 0, dict({ neg: ops(0x88) }));
    const file = openWeights(checkpointFile(dict({ value }), { 2: ops(1) }));
    expect(file.stateDicts[0]?.refused?.has('value')).toBe(true);
    file.close();
  });
  it('a device tensor takes the type that it is to have', () => {
    const args = [global('torch.bfloat16'), str('xla:0'), ops(0x89)];
    using(dict({ w: call('torch._utils._rebuild_device_tensor_from_cpu_tensor', w, ...args) }), (file) => {
      const found = file.stateDicts[0]!.tensors.get('w')!;
      expect(found.dtype).toBe('bfloat16');
      expect([...tensorBytes(found)]).toEqual([0x80, 0x3f, 0, 0x40]);
      expect(file.findings.map(({ rule }) => rule)).toEqual(['converted-tensor']);
    });
  });
});

describe('sparse tensors', () => {
  const longs = (...values: number[]) => Buffer.from(BigInt64Array.from(values, BigInt).buffer);
  const sparse = (layout: string, ...data: Uint8Array[]) =>
    call(
      'torch._utils._rebuild_sparse_tensor',
      ...[call('torch.serialization._get_layout', str(`torch.${layout}`)), tuple(...data)],
    );
  const index = (key: string, ...dims: number[]) => {
    const strides = dims.map((_, axis) => dims.slice(axis + 1).reduce((product, dim) => product * dim, 1));
    const count = dims.reduce((product, dim) => product * dim, 1);
    return tensor(storage(key, count, 'torch.LongStorage'), dims, strides);
  };
  const size = (...dims: number[]) => call('torch.Size', tuple(...dims.map(int)));
  const open = (value: Uint8Array, storages: Record<string, Uint8Array>) => {
    const file = openWeights(checkpointFile(dict({ s: value }), { ...bytes, ...storages }));
    return file.stateDicts[0]!.tensors.get('s')!;
  };
  it.each([[5], [-1]])('an index outside the tensor is an error when the values are read (%i)', (at) => {
    const coo = open(sparse('sparse_coo', index('2', 1, 2), w, size(5)), { 2: longs(0, at) });
    expect(coo.dims).toEqual([5]);
    expect(() => tensorBytes(coo)).toThrow(expect.objectContaining({ code: 'checkpoint/invalid' }));
  });
  it.each([
    ['begin late', [1, 1, 2]],
    ['end early', [0, 1, 1]],
    ['go back', [0, 2, 1]],
    ['go beyond', [0, 3, 2]],
  ])('rows that %s are errors', (_, rows) => {
    const csr = open(sparse('sparse_csr', index('2', 3), index('3', 2), w, size(2, 4)), {
      2: longs(...rows),
      3: longs(0, 3),
    });
    expect(() => tensorBytes(csr)).toThrow(expect.objectContaining({ code: 'checkpoint/invalid' }));
  });
  it.each<[string, Uint8Array]>([
    ['values that do not fit the indices', sparse('sparse_coo', index('2', 1, 3), w, size(5))],
    [
      'more axes than the size has',
      sparse('sparse_coo', index('2', 3, 1), tensor(storage('1', 1), [1], [1]), size(5)),
    ],
    ['float indices', sparse('sparse_coo', tensor(storage('0', 2), [1, 2], [2, 1]), w, size(5))],
    ['no values', sparse('sparse_coo', index('2', 1, 3), size(5))],
    ['a negative size', sparse('sparse_coo', index('2', 1, 2), w, tuple(int(-5)))],
    ['rows that do not fit the size', sparse('sparse_csr', index('2', 3), index('4', 2), w, size(3, 3))],
    ['one axis', sparse('sparse_csr', index('2', 3), index('4', 2), w, size(3))],
    [
      'blocks that do not fill it',
      sparse(
        'sparse_bsr',
        index('2', 3),
        index('4', 1),
        tensor(storage('0', 2), [1, 2, 1], [2, 1, 1]),
        size(3, 3),
      ),
    ],
  ])('%s are invalid', (_, value) => {
    const path = checkpointFile(dict({ s: value }), { ...bytes, 2: longs(0, 0, 0), 4: longs(0, 0) });
    expect(() => openWeights(path)).toThrow(expect.objectContaining({ code: 'checkpoint/invalid' }));
  });
  it('is read in windows that hold a part of it', () => {
    const side = 3000;
    const coo = open(sparse('sparse_coo', index('2', 2, 2), w, size(side, side)), {
      2: longs(0, side - 1, 7, side - 1),
    });
    const last = (side * side - 1) * 4;
    expect([...coo.data.read(28, 4)]).toEqual([...floats(1)]);
    expect([...coo.data.read(last, 4)]).toEqual([...floats(2)]);
    // Across the border of two windows of 16 MiB.
    expect([...coo.data.read(16 * 1024 * 1024 - 4, 8)]).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
    expect([...coo.data.read(28, 4)]).toEqual([...floats(1)]);
  });
});

describe('quantized tensors', () => {
  const quantized = (parameters: Uint8Array, kind = 'torch.QInt8Storage', offset = 0) =>
    call(
      'torch._utils._rebuild_qtensor',
      ...[storage('2', 4, kind), int(offset), tuple(int(2), int(2)), tuple(int(2), int(1)), parameters],
    );
  const perChannel = (axis: number, ...scales: number[]) =>
    tuple(
      global('torch.per_channel_affine'),
      list(...scales.map(int)),
      list(...scales.map(() => int(0))),
      int(axis),
    );
  const open = (value: Uint8Array) =>
    openWeights(checkpointFile(dict({ q: value }), { 2: ops(1, 2, 3, 254) }));
  it('scales and zero points may be lists, as old files have them', () => {
    const file = open(quantized(perChannel(1, 2, 10)));
    const bytes = tensorBytes(file.stateDicts[0]!.tensors.get('q')!);
    expect([...new Float32Array(bytes.slice().buffer)]).toEqual([2, 20, 6, -20]);
    file.close();
  });
  it.each<[string, Uint8Array]>([
    ['an axis that is none', quantized(perChannel(2, 1, 1))],
    ['too few scales', quantized(perChannel(0, 1))],
    ['no scale', quantized(tuple(global('torch.per_tensor_affine')))],
    ['a storage that is not quantized', quantized(perChannel(0, 1, 1), 'torch.CharStorage')],
    ['values outside the storage', quantized(perChannel(0, 1, 1), 'torch.QInt8Storage', 1)],
  ])('%s is invalid', (_, value) => {
    expect(() => open(value)).toThrow(expect.objectContaining({ code: 'checkpoint/invalid' }));
  });
  it('a view of a packed tensor is refused', () => {
    const file = open(quantized(perChannel(0, 1, 1), 'torch.QUInt4x2Storage', 1));
    expect(file.stateDicts[0]?.refused?.get('q')?.what).toContain('packed');
    file.close();
  });
});

describe('protocol 1', () => {
  it('writes integers and truth values as text', () => {
    const object = dict({
      w,
      yes: ops('I01\n'),
      no: ops('I00\n'),
      n: ops('I-12\n'),
      big: ops('L99999999999999999999L\n'),
    });
    using(object, ({ metadata }) => {
      expect(Object.fromEntries(metadata)).toEqual({
        yes: true,
        no: false,
        n: -12,
        big: '99999999999999999999',
      });
    });
    expect(codeOf(dict({ w, x: ops('I1x\n') }))).toBe('checkpoint/invalid');
    expect(codeOf(dict({ w, x: ops(`L${'9'.repeat(3000)}L\n`) }))).toBe('checkpoint/invalid');
  });
  it('begins a legacy file with the digits of its magic number', () => {
    const info = dict({ little_endian: ops('I01\n') });
    const count = Buffer.alloc(8);
    count.writeBigInt64LE(2n);
    const object = dict({ w: tensor(storage('77', 2), [2], [1]) });
    const path = fileWith(
      ops(
        ...['L119547037146038801333356L\n.', 'M', 0xe9, 3, '.', info, '.', object, '.', list(str('77')), '.'],
        ...[count, floats(5, 6)],
      ),
    );
    const file = openWeights(path);
    expect(file.format).toBe('torch-legacy');
    expect([...tensorBytes(file.stateDicts[0]!.tensors.get('w')!)]).toEqual([...floats(5, 6)]);
    file.close();
  });
});

describe('views of legacy storages', () => {
  const legacy = (object: Uint8Array) => {
    const magic = ops(0x8a, 10, '\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19');
    const count = Buffer.alloc(8);
    count.writeBigInt64LE(4n);
    const parts = [magic, ops('M', 0xe9, 3), dict({ little_endian: ops(0x88) }), object, list(str('77'))];
    return fileWith(Buffer.concat([...parts.map((part) => pickled(part)), count, floats(5, 6, 7, 8)]));
  };
  const view = (key: string, offset: Uint8Array, elements: number) =>
    ops(
      tuple(
        ...[str('storage'), global('torch.FloatStorage'), str('77'), str('cpu'), int(4)],
        tuple(str(key), offset, int(elements)),
      ),
      'Q',
    );
  const one = (data: Uint8Array) => tensor(data, [1], [1]);
  it('show a part of the storage', () => {
    const file = openWeights(legacy(dict({ a: one(view('1', int(1), 2)), b: one(view('2', int(3), 1)) })));
    const { tensors } = file.stateDicts[0]!;
    expect([...tensorBytes(tensors.get('a')!), ...tensorBytes(tensors.get('b')!)]).toEqual([...floats(6, 8)]);
    file.close();
  });
  it.each<[string, Uint8Array[]]>([
    ['leaves the storage', [view('1', int(3), 2)]],
    ['begins in the middle of an element', [view('1', ops('G', 0x3f, 0xe0, 0, 0, 0, 0, 0, 0), 1)]],
    ['has the key of another', [view('1', int(0), 1), view('1', int(0), 2)]],
  ])('one that %s is invalid', (_, views) => {
    const object = dict(Object.fromEntries(views.map((each, i) => [`w${i}`, one(each)])));
    expect(() => openWeights(legacy(object))).toThrow(
      expect.objectContaining({ code: 'checkpoint/invalid' }),
    );
  });
});
