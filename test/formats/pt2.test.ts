/** torch.export archives made by hand: views, types, layouts, and what is refused. The real ones are in programs.test.ts. */
import { describe, expect, it } from 'vitest';
import { OrthoError } from '../../src/core/errors.ts';
import { openWeights } from '../../src/formats/index.ts';
import type { WeightFile } from '../../src/formats/state-dict.ts';
import { checkpointBytes, rawZip } from '../fuzz/builders.ts';
import { call, dict, fileWith, floats, ops, storage, tensor, tuple, zipped } from '../support/torch-files.ts';

const ints = (values: readonly unknown[]): unknown[] => values.map((value) => ({ as_int: value }));
const meta = (
  sizes: readonly unknown[],
  strides: readonly unknown[],
  offset: unknown = 0,
  dtype: unknown = 7,
) => ({
  dtype,
  sizes: ints(sizes),
  strides: ints(strides),
  requires_grad: false,
  device: { type: 'cpu', index: null },
  storage_offset: { as_int: offset },
  layout: 7,
});
const payload = (path: unknown, tensorMeta: unknown, more: Record<string, unknown> = {}) => ({
  path_name: path,
  is_param: true,
  use_pickle: false,
  tensor_meta: tensorMeta,
  ...more,
});

const program = (major: unknown = 8) => ({
  schema_version: { major, minor: 99 },
  torch_version: '9.9',
  graph_module: {
    signature: { input_specs: [{ user_input: { arg: { as_int: 1 } } }], output_specs: 'none' },
  },
});
const text = (value: unknown): Buffer =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));

/** An archive of one model with these weights, and a storage `weight_0` of six floats. */
const archive = (config: unknown, more: Record<string, Uint8Array | undefined> = {}): Buffer =>
  zipped(
    Object.fromEntries(
      Object.entries({
        'm/archive_format': text('pt2'),
        'm/archive_version': text('0'),
        'm/models/model.json': text(program()),
        'm/data/weights/weight_0': floats(1, 2, 3, 4, 5, 6),
        'm/data/weights/model_weights_config.json': text(typeof config === 'string' ? config : { config }),
        ...more,
      }).filter((entry): entry is [string, Buffer] => entry[1] !== undefined),
    ),
  );

const opened = <T>(bytes: Uint8Array, use: (file: WeightFile) => T): T => {
  const file = openWeights(fileWith(bytes));
  try {
    return use(file);
  } finally {
    file.close();
  }
};
const valuesOf = ({ stateDicts }: WeightFile, path = ''): Record<string, number[]> =>
  Object.fromEntries(
    [...(stateDicts.find((dict) => dict.path === path)?.tensors ?? [])].map(([key, { data }]) => {
      const bytes = Uint8Array.from(data.read(0, data.size));
      return [key, [...new Float32Array(bytes.buffer)]];
    }),
  );
const errorOf = (bytes: Uint8Array): OrthoError => {
  try {
    openWeights(fileWith(bytes)).close();
  } catch (error) {
    if (error instanceof OrthoError) return error;
    throw error;
  }
  throw new Error('it was opened');
};

describe('payloads', () => {
  it('are views with strides and offsets; equal views are aliases', () => {
    const config = {
      a: payload('weight_0', meta([2, 3], [3, 1])),
      t: payload('weight_0', meta([3, 2], [1, 3])),
      part: payload('weight_0', meta([2], [2], 1)),
      tied: payload('weight_0', meta([2, 3], [3, 1])),
      scalar: payload('weight_0', meta([], [], 5)),
    };
    opened(archive(config), (file) => {
      expect(valuesOf(file)).toEqual({
        a: [1, 2, 3, 4, 5, 6],
        t: [1, 4, 2, 5, 3, 6],
        part: [2, 4],
        tied: [1, 2, 3, 4, 5, 6],
        scalar: [6],
      });
      const tensors = file.stateDicts[0]!.tensors;
      expect(tensors.get('tied')?.sharedWith).toBe('a');
      expect(tensors.get('t')?.sharedWith).toBeUndefined();
      expect(file.metadata.get('schemaVersion')).toBe('8.99');
      expect(file.metadata.has('inputs')).toBe(false);
    });
  });
  it('of every scalar type have its size', () => {
    const sizes: Record<string, number> = {
      1: 1,
      2: 1,
      3: 2,
      4: 4,
      5: 8,
      6: 2,
      7: 4,
      8: 8,
      10: 8,
      11: 16,
      12: 1,
      13: 2,
      28: 2,
      29: 1,
      30: 1,
      31: 1,
      32: 1,
      33: 1,
      34: 4,
      35: 8,
    };
    for (const [number, size] of Object.entries(sizes)) {
      const config = { w: payload('w', meta([3], [1], 0, Number(number))) };
      opened(archive(config, { 'm/data/weights/w': Buffer.alloc(3 * size) }), ({ stateDicts }) => {
        expect([number, stateDicts[0]?.tensors.get('w')?.data.size]).toEqual([number, 3 * size]);
      });
    }
  });
  it('in big-endian archives are turned', () => {
    const bytes = archive(
      { w: payload('w', meta([1], [1])) },
      { 'm/data/weights/w': Buffer.from([0x3f, 0x80, 0, 0]), 'm/byteorder': text('big') },
    );
    expect(opened(bytes, valuesOf)).toEqual({ w: [1] });
  });
  it('without values, of other types and layouts are left out by name', () => {
    const config = {
      w: payload('weight_0', meta([1], [1])),
      fake: payload('none', meta([2], [1])),
      empty: payload('none', meta([0, 4], [4, 1])),
      complexHalf: payload('weight_0', meta([1], [1], 0, 9)),
      sparse: payload('weight_0', { ...meta([1], [1]), layout: 1 }),
    };
    opened(archive(config, { 'm/data/weights/none': new Uint8Array(0) }), ({ stateDicts, findings }) => {
      expect([...stateDicts[0]!.tensors.keys()]).toEqual(['w', 'empty']);
      expect(findings.map(({ rule, at }) => [rule, at?.key])).toEqual([
        ['refused-tensor', 'fake'],
        ['refused-tensor', 'complexHalf'],
        ['refused-tensor', 'sparse'],
      ]);
    });
  });
  it('that are pickled are read as checkpoints', () => {
    const one = tensor(storage('0', 1), [1], [1]);
    const config = {
      sub: payload('weight_1', meta([1], [1]), { use_pickle: true }),
      w: payload('weight_0', meta([1], [1])),
    };
    const bytes = archive(config, { 'm/data/weights/weight_1': checkpointBytes(one, { 0: floats(9) }) });
    opened(bytes, (file) => {
      expect(Object.entries(valuesOf(file))).toEqual([
        ['sub', [9]],
        ['w', [1]],
      ]);
      expect(file.globals.map(({ name }) => name)).toContain('torch._utils._rebuild_tensor_v2');
    });
    const wrapped = call('torch._utils._rebuild_wrapper_subclass', one);
    const other = archive(config, { 'm/data/weights/weight_1': checkpointBytes(wrapped, { 0: floats(9) }) });
    opened(other, ({ stateDicts, findings }) => {
      expect([...stateDicts[0]!.tensors.keys()]).toEqual(['w']);
      expect(findings.map(({ rule, at }) => [rule, at?.key])).toEqual([['refused-tensor', 'sub']]);
    });
  });
  it('that share a pickled file read it once', () => {
    const one = tensor(storage('0', 1), [1], [1]);
    const shared = payload('weight_1', meta([1], [1]), { use_pickle: true });
    const config = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`w${i}`, shared]));
    const bytes = archive(config, { 'm/data/weights/weight_1': checkpointBytes(one, { 0: floats(9) }) });
    opened(bytes, ({ stateDicts, globals }) => {
      expect(stateDicts[0]?.tensors.size).toBe(1000);
      expect(globals.find(({ name }) => name.endsWith('_rebuild_tensor_v2'))?.calls).toBe(1);
    });
  });
  it('names are only names', () => {
    const config = '{"config": {"__proto__": P, "constructor": P, "toString": P}}'.replaceAll(
      'P',
      JSON.stringify(payload('weight_0', meta([1], [1]))),
    );
    expect(
      Object.keys(
        opened(archive(config), ({ stateDicts }) =>
          Object.fromEntries([...stateDicts[0]!.tensors.keys()].map((key) => [`key ${key}`, 1])),
        ),
      ),
    ).toEqual(['key __proto__', 'key constructor', 'key toString']);
  });
});

describe('constants and layouts', () => {
  it('constants are a state dict; objects of classes are named and not opened', () => {
    const constants = {
      c: payload('tensor_0', meta([1], [1])),
      object: { path_name: 'custom_obj_0', is_param: false, use_pickle: true, tensor_meta: null },
      value: { path_name: 'opaque_obj_0', is_param: false, use_pickle: true, tensor_meta: null },
    };
    const bytes = archive(
      {},
      {
        'm/data/constants/model_constants_config.json': text({ config: constants }),
        'm/data/constants/tensor_0': floats(3),
        'm/data/constants/custom_obj_0': text('no zip'),
        'm/data/constants/opaque_obj_0': Buffer.from('cos\nsystem\n.'),
      },
    );
    opened(bytes, (file) => {
      expect(file.stateDicts.map(({ path }) => path)).toEqual(['constants']);
      expect(valuesOf(file, 'constants')).toEqual({ c: [3] });
      expect(file.findings.map(({ rule, level, at }) => [rule, level, at?.key])).toEqual([
        ['skipped-object', 'note', 'object'],
        ['skipped-object', 'note', 'value'],
      ]);
    });
  });
  const weights = checkpointBytes(dict({ w: tensor(storage('0', 1), [1], [1]) }), { 0: floats(7) });
  const transitional = (bytes: Uint8Array, more: Record<string, Uint8Array> = {}): Buffer =>
    archive(
      {},
      {
        'm/data/weights/model_weights_config.json': undefined,
        'm/data/weights/model.pt': bytes,
        ...more,
      },
    );
  it('a checkpoint stands for the configs', () => {
    const constants = checkpointBytes(dict({}), {});
    const bytes = transitional(weights, { 'm/data/constants/model.pt': constants });
    opened(bytes, (file) => {
      expect(file.stateDicts.map(({ path }) => path)).toEqual(['']);
      expect(valuesOf(file)).toEqual({ w: [7] });
      expect(file.findings).toEqual([]);
    });
  });
  it('the oldest archives have no root folder, and checkpoints called .json', () => {
    const bytes = zipped({
      version: text('5.1'),
      'serialized_exported_program.json': text(program()),
      'serialized_state_dict.json': weights,
      'serialized_constants.json': new Uint8Array(0),
    });
    opened(bytes, (file) => {
      expect(valuesOf(file)).toEqual({ w: [7] });
      expect(file.metadata.get('version')).toBe('5.1');
    });
  });
  it('a compiled package without tensors says so', () => {
    const bytes = zipped({ 'm/archive_format': text('pt2'), 'm/data/aotinductor/model/a.so': text('ELF') });
    expect(opened(bytes, ({ findings }) => findings.map(({ rule }) => rule))).toEqual(['no-tensors']);
  });
  it('a very long program is left alone', () => {
    const long = text(`{"pad": "${'x'.repeat(16 * 1024 * 1024)}"}`);
    const bytes = archive({ w: payload('weight_0', meta([1], [1])) }, { 'm/models/model.json': long });
    opened(bytes, (file) => {
      expect(valuesOf(file)).toEqual({ w: [1] });
      expect(file.findings.map(({ rule }) => rule)).toEqual(['long-program']);
    });
  });
  it.each<[string, Uint8Array, string, string]>([
    [
      'a pickle that runs code',
      checkpointBytes(call('os.system', ops('N'))),
      'os.system',
      'checkpoint/refused-global',
    ],
    [
      'a pickle that calls a stranger',
      checkpointBytes(dict({ w: call('net.make') })),
      'net.make',
      'checkpoint/refused-global',
    ],
    [
      'bytes that are no checkpoint',
      text('no zip, but long enough to be one'),
      'model.pt',
      'checkpoint/invalid',
    ],
    ['a checkpoint cut off', weights.subarray(0, weights.length - 30), 'model.pt', 'checkpoint/invalid'],
  ])('in place of a checkpoint: %s', (_, bytes, words, code) => {
    const error = errorOf(transitional(bytes));
    expect(error.code).toBe(code);
    expect(error.message).toContain(words);
    expect(error.message).toContain('m/data/weights/model.pt');
  });
});

describe('what is refused', () => {
  const w = (path: unknown, tensorMeta: unknown, more: Record<string, unknown> = {}) => ({
    w: payload(path, tensorMeta, more),
  });
  const good = meta([1], [1]);
  it.each<[string, unknown, string, string]>([
    ['a path that leaves the folder', w('../models/model.json', good), 'path_name', 'checkpoint/invalid'],
    ['the folder itself', w('..', good), 'path_name', 'checkpoint/invalid'],
    ['a path that is no text', w(3, good), 'path_name is 3', 'checkpoint/invalid'],
    ['a file that is missing', w('weight_1', good), 'has no "m/data/weights/weight_1"', 'checkpoint/invalid'],
    [
      'a pickled file that is missing',
      w('weight_1', good, { use_pickle: true }),
      'has no',
      'checkpoint/invalid',
    ],
    ['no tensor_meta', w('weight_0', null), 'no layout', 'checkpoint/invalid'],
    ['no dtype', w('weight_0', { ...good, dtype: '7' }), 'no dtype', 'checkpoint/invalid'],
    [
      'sizes that are no list',
      w('weight_0', { ...good, sizes: 3 }),
      'sizes are no list',
      'checkpoint/invalid',
    ],
    [
      'a symbolic size',
      w('weight_0', { ...good, sizes: [{ as_expr: { expr_str: 's0' } }] }),
      'as_expr',
      'checkpoint/invalid',
    ],
    ['a size of 1.5', w('weight_0', meta([1.5], [1])), 'sizes hold', 'checkpoint/invalid'],
    ['a negative size', w('weight_0', meta([-1], [1])), 'size', 'checkpoint/invalid'],
    ['a negative stride', w('weight_0', meta([2], [-1], 1)), 'stride', 'checkpoint/invalid'],
    [
      'fewer strides than sizes',
      w('weight_0', meta([2, 3], [1])),
      '2 dimensions and 1 strides',
      'checkpoint/invalid',
    ],
    [
      'a hundred dimensions',
      w('weight_0', meta(Array(100).fill(1), Array(100).fill(1))),
      '100 dimensions',
      'checkpoint/invalid',
    ],
    [
      'an offset beyond the storage',
      w('weight_0', meta([1], [1], 6)),
      'leaves its storage',
      'checkpoint/invalid',
    ],
    ['a negative offset', w('weight_0', meta([1], [1], -1)), 'offset -1', 'checkpoint/invalid'],
    [
      'no offset at all',
      w('weight_0', { ...good, storage_offset: undefined }),
      'hold missing',
      'checkpoint/invalid',
    ],
    ['no offset', w('weight_0', { ...good, storage_offset: null }), 'storage_offset', 'checkpoint/invalid'],
    ['a size beyond the storage', w('weight_0', meta([7], [1])), 'leaves its storage', 'checkpoint/invalid'],
    ['a size of 2^52', w('weight_0', meta([2 ** 52], [0])), '', 'checkpoint/invalid'],
    ['an expanded size of 2 GB', w('weight_0', meta([2 ** 29], [0])), 'pretends', 'file/limit'],
    [
      'one storage of two types',
      { ...w('weight_0', good), x: payload('weight_0', meta([1], [1], 0, 5)) },
      'elsewhere',
      'checkpoint/invalid',
    ],
    [
      'a storage of half an element',
      w('weight_0', meta([1], [1], 0, 11)),
      'no multiple of 16',
      'checkpoint/invalid',
    ],
    ['a payload that is none', { w: 3 }, 'path_name', 'checkpoint/invalid'],
    ['a config that is a list', [], 'no object', 'checkpoint/invalid'],
    ['a config that is no JSON', '{"config": ', 'no valid JSON', 'checkpoint/invalid'],
    ['a config with a key twice', '{"config": {"a": 1, "a": 2}}', '"a" twice', 'checkpoint/invalid'],
    ['a config nested without end', '['.repeat(100_000), 'nests 100000 levels', 'checkpoint/invalid'],
    ['a config of a million lists', `[${'[],'.repeat(1_000_000)}[]]`, 'values', 'file/limit'],
  ])('%s', (_, config, words, code) => {
    const error = errorOf(archive(config));
    expect(error.message).toContain(words);
    expect(error.code).toBe(code);
    expect(error.message).toContain('model_weights_config.json');
  });
  const sound = { w: payload('weight_0', good) };
  it.each<[string, Record<string, Uint8Array | undefined>, string, string]>([
    [
      'another schema',
      { 'm/models/model.json': text(program(9)) },
      'schema version 9',
      'checkpoint/unsupported',
    ],
    ['no schema', { 'm/models/model.json': text('[]') }, 'schema version missing', 'checkpoint/unsupported'],
    ['another archive format', { 'm/archive_format': text('pt3') }, '"pt3"', 'checkpoint/unsupported'],
    ['another archive version', { 'm/archive_version': text('1') }, '"1"', 'checkpoint/unsupported'],
    [
      'a model without weights',
      { 'm/models/b.json': text(program()) },
      'weights of the model "b"',
      'checkpoint/invalid',
    ],
    ['two root folders', { 'n/x': text('') }, '2 root folders', 'checkpoint/invalid'],
    ['an unknown byte order', { 'm/byteorder': text('middle') }, 'byteorder', 'checkpoint/invalid'],
    [
      'a thousand models',
      Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [`m/models/${i}.json`, text('')])),
      '1002 models',
      'file/limit',
    ],
  ])('%s', (_, more, words, code) => {
    const error = errorOf(archive(sound, more));
    expect(error.message).toContain(words);
    expect(error.code).toBe(code);
    expect(error.hint).toBeTruthy();
  });
  it('small files that inflate to long descriptions', () => {
    const long = text(`{"config": {}, "pad": "${'x'.repeat(15_000_000)}"}`);
    const entries = ['a', 'b', 'c'].map((name) => ({
      name: `m/data/weights/${name}_weights_config.json`,
      bytes: long,
      method: 8,
    }));
    const error = errorOf(rawZip([{ name: 'm/archive_format', bytes: text('pt2') }, ...entries]));
    expect([error.code, error.message]).toEqual([
      'file/limit',
      expect.stringContaining('bytes of JSON and pickles'),
    ]);
  });
  it('an old archive without its state dict', () => {
    const bytes = zipped({ version: text('8.2'), 'serialized_exported_program.json': text(program()) });
    expect(errorOf(bytes).message).toContain('serialized_state_dict.pt');
  });
  it('checksums of payloads are checked when asked for', () => {
    const bytes = archive({ w: payload('weight_0', meta([1], [1])) });
    const at = bytes.indexOf(floats(1, 2, 3));
    bytes[at]! ^= 1;
    opened(bytes, (file) => {
      expect(file.checkIntegrity?.().map(({ rule }) => rule)).toEqual(['checksum-mismatch']);
    });
  });
  it('checksums of descriptions are checked at once', () => {
    const bytes = archive({ w: payload('weight_0', meta([1], [1])) });
    const at = bytes.indexOf('"layout":7');
    bytes[at + 1] = 0x4c;
    expect(errorOf(bytes).message).toContain('checksum');
  });
  it('tuples in place of dicts hold no state dict', () => {
    const bytes = archive(sound, { 'm/data/constants/model.pt': checkpointBytes(tuple()) });
    expect(opened(bytes, ({ stateDicts }) => stateDicts.map(({ path }) => path))).toEqual(['']);
  });
});
