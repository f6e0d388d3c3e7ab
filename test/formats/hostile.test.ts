/** Files that try to harm: each is refused with one error that says what it is, or read rightly where harmless. */
import { readdirSync } from 'node:fs';
import { deflateRawSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { OrthoError } from '../../src/core/errors.ts';
import { openWeights } from '../../src/formats/index.ts';
import { pickStateDict } from '../../src/formats/state-dict.ts';
import { HOSTILE_FILES } from '../support/hostile-files.ts';
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
  uint32,
  zipped,
} from '../support/torch-files.ts';

const folder = new URL('../fixtures/hostile/', import.meta.url);

const errorOf = (path: string): OrthoError => {
  try {
    openWeights(path).close();
  } catch (error) {
    if (error instanceof OrthoError) return error;
    throw error;
  }
  throw new Error(`${path} was opened`);
};
const codeOf = (path: string): string => errorOf(path).code;

const STORED = HOSTILE_FILES.filter(({ madeBy }) => madeBy === undefined);

describe('stored hostile files', () => {
  it('are all expected to be something', () => {
    expect(readdirSync(folder).sort()).toEqual(STORED.map(({ file }) => file).sort());
  });
  it.each(STORED)('$file: $verdict', ({ file: name, verdict: expected }) => {
    const { pathname } = new URL(name, folder);
    if (expected === 'harmless') {
      openWeights(pathname).close();
      return;
    }
    const error = errorOf(pathname);
    expect(error.code).toBe(expected);
    expect([3, 4]).toContain(error.exitCode);
    expect(error.message).toContain(name);
    expect(error.message).not.toContain('\n');
    expect(error.hint).toBeTruthy();
  });
  it('keys named __proto__ and constructor are ordinary keys', () => {
    const { pathname } = new URL('proto_pollution_keys.pth', folder);
    const file = openWeights(pathname);
    expect([...file.stateDicts[0]!.tensors.keys()]).toEqual(['constructor', 'toString']);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    file.close();
  });
  it('a record longer than its storage is read and reported', () => {
    const file = openWeights(new URL('storage_record_long.pth', folder).pathname);
    expect(file.findings.map(({ rule }) => rule)).toEqual(['long-record']);
    expect(file.stateDicts[0]?.tensors.get('w')?.data.size).toBe(24);
    file.close();
  });
  it('nothing to convert is an error where a state dict is needed', () => {
    const file = openWeights(new URL('self_recursive_dict.pth', folder).pathname);
    expect(() => pickStateDict(file, 'x.pth')).toThrow(
      expect.objectContaining({ code: 'checkpoint/no-state-dict' }),
    );
    file.close();
  });
});

describe('work and memory', () => {
  it('100,000 nested lists are walked without recursion', () => {
    const depth = 100_000;
    openWeights(checkpointFile(ops(']'.repeat(depth), 'a'.repeat(depth - 1)))).close();
  });
  it('a million marks', () => {
    expect(codeOf(checkpointFile(Buffer.alloc(1_000_000, '(')))).toBe('file/limit');
  });
  it('more dicts than any checkpoint has', () => {
    expect(codeOf(checkpointFile(Buffer.alloc(2_000_000, '}0')))).toBe('file/limit');
  });
  it('lists that double 60 times are shown in short', () => {
    const doubled = Array.from({ length: 60 }, (_, i) => ops('(h', i, 'h', i, 'lq', i + 1));
    const file = openWeights(checkpointFile(dict({ bomb: ops(']q', 0, ...doubled) })));
    expect(JSON.stringify(file.metadata.get('bomb')).length).toBeLessThan(20_000);
    file.close();
  });
  it('modules that contain each other twice, 60 levels deep', () => {
    const module = (inner: Uint8Array, index: number) =>
      ops(
        global('net.Block'),
        ')',
        0x81,
        dict({ _parameters: ops('}'), _buffers: ops('}'), _modules: inner }),
        'bq',
        index,
      );
    let object: Uint8Array = module(ops('}'), 0);
    for (let i = 1; i <= 60; i++) {
      object = module(ops('}', str('a'), object, 's', str('b'), 'h', i - 1, 's'), i);
    }
    expect(codeOf(checkpointFile(object))).toBe('file/limit');
  });
  it('a storage that inflates a thousandfold', () => {
    const zeros = new Uint8Array(20_000_000);
    const object = dict({ w: tensor(storage('0', 5_000_000), [5_000_000], [1]) });
    const path = fileWith(deflatedZip({ 'a/data.pkl': pickled(object), 'a/data/0': zeros }));
    expect(codeOf(path)).toBe('file/limit');
  });
  it('many storages that inflate, each below the limit for one', () => {
    const zeros = new Uint8Array(15_000_000);
    const keys = Array.from({ length: 20 }, (_, i) => String(i));
    const object = dict(
      Object.fromEntries(keys.map((key) => [key, tensor(storage(key, 3_750_000), [3_750_000], [1])])),
    );
    const records = keys.map((key) => [`a/data/${key}`, zeros]);
    const path = fileWith(deflatedZip({ 'a/data.pkl': pickled(object), ...Object.fromEntries(records) }));
    expect(codeOf(path)).toBe('file/limit');
  });
  it('expanded tensors, each below the limit for one', () => {
    // The offsets differ, so that none is an alias of another.
    const entries = Array.from({ length: 5 }, (_, i) => [
      `w${i}`,
      tensor(storage('0', 8), [268_435_456], [0], i),
    ]);
    expect(
      codeOf(checkpointFile(dict(Object.fromEntries(entries)), { 0: floats(1, 2, 3, 4, 5, 6, 7, 8) })),
    ).toBe('file/limit');
  });
  it.each([
    ['opcodes', ops(Buffer.alloc(16_000_002, 'N0'), 'N')],
    ['globals', ops(...Array.from({ length: 50_001 }, (_, i) => `cm\nN${i}\n0`), 'N')],
  ])('more %s than any checkpoint has', (_, object) => {
    expect(codeOf(checkpointFile(object))).toBe('file/limit');
  });
  it('an expanded tensor of a terabyte', () => {
    const object = dict({ w: tensor(storage('0', 1), [1_000_000, 1_000_000], [0, 0]) });
    expect(codeOf(checkpointFile(object, { 0: floats(1) }))).toBe('file/limit');
  });
});

describe('calls of unknown functions', () => {
  it('refuse a checkpoint', () => {
    const error = errorOf(checkpointFile(dict({ a: call('some.package.run', str('x')) })));
    expect(error.code).toBe('checkpoint/refused-global');
    expect(error.message).toContain('some.package.run');
  });
  it('are recorded, and never happen, inside a pickled model', () => {
    const state = dict({
      _parameters: dict({ weight: tensor(storage('0', 1), [1], [1]) }),
      _buffers: ops('}'),
      _modules: ops('}'),
      activation: call('functools.partial', global('net.Activation')),
    });
    const file = openWeights(
      checkpointFile(ops(global('net.Model'), ')', 0x81, state, 'b'), { 0: floats(1) }),
    );
    expect([...file.stateDicts[0]!.tensors.keys()]).toEqual(['weight']);
    expect(file.findings.map(({ rule, level }) => [rule, level])).toEqual([['unknown-call', 'warning']]);
    file.close();
  });
  it('of the operating system refuse even a pickled model', () => {
    const state = dict({ _parameters: ops('}'), _modules: ops('}'), x: call('subprocess.run', str('true')) });
    expect(codeOf(checkpointFile(ops(global('net.Model'), ')', 0x81, state, 'b')))).toBe(
      'checkpoint/refused-global',
    );
  });
  it('classes without calls are kept as they are', () => {
    const config = ops(global('my.Config'), ')', 0x81, dict({ width: int(3) }), 'b');
    const object = dict({ config, state_dict: dict({ w: tensor(storage('0', 1), [1], [1]) }) });
    const file = openWeights(checkpointFile(object, { 0: floats(1) }));
    expect(file.metadata.get('config')).toEqual({ class: 'my.Config', width: 3 });
    expect(file.globals.map(({ name, kind }) => [name, kind])).toContainEqual(['my.Config', 'opaque']);
    file.close();
  });
});

describe('storages', () => {
  const one = (data: Uint8Array) => dict({ w: tensor(data, [1], [1]) });
  it.each<[string, Uint8Array, Record<string, Uint8Array>]>([
    ['a record that is missing', one(storage('7', 1)), {}],
    ['a record that is too short', one(storage('0', 2)), { 0: floats(1) }],
    ['a negative count', one(storage('0', -1)), { 0: floats(1) }],
    [
      'half an element',
      one(
        ops(
          tuple(
            str('storage'),
            global('torch.FloatStorage'),
            str('0'),
            str('cpu'),
            ops('G', 0x3f, 0xe0, 0, 0, 0, 0, 0, 0),
          ),
          'Q',
        ),
      ),
      { 0: floats(1) },
    ],
    [
      'an identifier of seven parts',
      one(
        ops(
          tuple(str('storage'), global('torch.FloatStorage'), str('0'), str('cpu'), int(1), int(0), int(0)),
          'Q',
        ),
      ),
      { 0: floats(1) },
    ],
    ['a class that is none', one(storage('0', 1, 'torch.Tensor')), { 0: floats(1) }],
    ['a key with a slash', one(storage('../data.pkl', 1)), { 0: floats(1) }],
    [
      'a rank of 65',
      dict({ w: tensor(storage('0', 1), Array(65).fill(1), Array(65).fill(1)) }),
      { 0: floats(1) },
    ],
    ['sizes without strides', dict({ w: tensor(storage('0', 1), [1], []) }), { 0: floats(1) }],
    ['a tensor of a string', dict({ w: tensor(str('0'), [1], [1]) }), {}],
  ])('%s', (_, object, records) => {
    expect(codeOf(checkpointFile(object, records))).toBe('checkpoint/invalid');
  });
  it('byteorder that is neither', () => {
    const path = fileWith(zipped({ 'a/data.pkl': pickled(ops('}')), 'a/byteorder': Buffer.from('middle') }));
    expect(codeOf(path)).toBe('checkpoint/invalid');
  });
  it('two roots', () => {
    expect(codeOf(fileWith(zipped({ 'a/data.pkl': pickled(ops('}')), 'b/version': floats(1) })))).toBe(
      'checkpoint/invalid',
    );
  });
});

describe('legacy containers', () => {
  const magic = ops(0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.');
  const legacy = (littleEndian: boolean, keys: Uint8Array, ...rest: Uint8Array[]) => {
    const object = dict({
      w: tensor(
        ops(tuple(str('storage'), global('torch.FloatStorage'), str('5'), str('cpu'), int(2), ops('N')), 'Q'),
        [2],
        [1],
      ),
    });
    const info = dict({ little_endian: ops(littleEndian ? 0x88 : 0x89) });
    return fileWith(ops(magic, pickled(int(1001)), pickled(info), pickled(object), pickled(keys), ...rest));
  };
  const listed = ops('](', str('5'), 'e');
  const counted = ops(uint32(2), uint32(0));
  it('a sound one opens', () => {
    const file = openWeights(legacy(true, listed, counted, floats(1, 2)));
    expect([...file.stateDicts[0]!.tensors.get('w')!.data.read(0, 8)]).toEqual([...floats(1, 2)]);
    file.close();
  });
  it('bytes after the last storage are reported', () => {
    const file = openWeights(legacy(true, listed, counted, floats(1, 2, 3)));
    expect(file.findings.map(({ rule }) => rule)).toEqual(['trailing-bytes']);
    file.close();
  });
  it('from a big-endian machine is unsupported, not misread', () => {
    expect(codeOf(legacy(false, listed, counted, floats(1, 2)))).toBe('checkpoint/unsupported');
  });
  it.each<[string, Uint8Array, Uint8Array[]]>([
    ['ends in its data', listed, [counted, floats(1)]],
    ['ends before a count', listed, [ops(2, 0)]],
    ['another count than the tensors', listed, [ops(uint32(3), uint32(0)), floats(1, 2, 3)]],
    ['a storage that is not listed', ops(']'), []],
    [
      'a storage listed twice',
      ops('](', str('5'), str('5'), 'e'),
      [counted, floats(1, 2), counted, floats(1, 2)],
    ],
    ['a storage that nothing uses', ops('](', str('9'), 'e'), [counted, floats(1, 2)]],
  ])('%s', (_, keys, rest) => {
    expect(codeOf(legacy(true, keys, ...rest))).toBe('checkpoint/invalid');
  });
});

/** A deflated zip, written by hand for small tests. */
const deflatedZip = (entries: Record<string, Uint8Array>): Buffer => {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const [name, bytes] of Object.entries(entries)) {
    const data = deflateRawSync(bytes);
    const header = (signature: number, size: number) => {
      const record = Buffer.alloc(size);
      record.writeUInt32LE(signature, 0);
      const shift = size === 46 ? 2 : 0;
      record.writeUInt16LE(8, 8 + shift);
      record.writeUInt32LE(data.length, 18 + shift);
      record.writeUInt32LE(bytes.length, 22 + shift);
      record.writeUInt16LE(name.length, 26 + shift);
      if (size === 46) record.writeUInt32LE(at, 42);
      return Buffer.concat([record, Buffer.from(name)]);
    };
    directory.push(header(0x02014b50, 46));
    const local = header(0x04034b50, 30);
    parts.push(local, data);
    at += local.length + data.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(directory.length, 8);
  end.writeUInt16LE(directory.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, central, end]);
};
