/** What the pickles of a checkpoint name, strictly and described. */
import { describe, expect, it } from 'vitest';
import { OrthoError } from '../../src/core/errors.ts';
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

const w = tensor(storage('0', 1), [1], [1]);
const bytes = { 0: floats(1) };

const described = <T>(path: string, use: (file: WeightFile) => T): T => {
  const file = openWeights(path, { describe: true });
  try {
    return use(file);
  } finally {
    file.close();
  }
};
const strictly = (path: string): string => {
  try {
    openWeights(path).close();
    return 'opens';
  } catch (error) {
    if (error instanceof OrthoError) return error.code;
    throw error;
  }
};
const globalsOf = (path: string) => described(path, ({ globals }) => globals);
const errorsOf = (path: string) =>
  described(path, ({ findings }) =>
    findings.filter(({ level }) => level === 'error').map(({ rule }) => rule),
  );

/** A pickled module with one attribute. */
const moduleWith = (attribute: Uint8Array): Buffer =>
  ops(
    ...[global('net.Model'), ')', 0x81],
    ...[dict({ _parameters: dict({ w }), _modules: ops('}'), attribute }), 'b'],
  );

describe('globals', () => {
  it('are listed by name, with their kind and the number of their calls', () => {
    const config = ops(global('my.Config'), ')', 0x81);
    const path = checkpointFile(dict({ a: dict({ w }), config, again: config }), bytes);
    expect(globalsOf(path)).toEqual([
      { name: 'collections.OrderedDict', kind: 'data', calls: 1 },
      { name: 'my.Config', kind: 'opaque', calls: 2 },
      { name: 'torch.FloatStorage', kind: 'data', calls: 0 },
      { name: 'torch._utils._rebuild_tensor_v2', kind: 'data', calls: 1 },
    ]);
    expect(strictly(path)).toBe('opens');
  });
  it('that are dangerous say where they are first named', () => {
    const bad = ops(call('os.system', str('true')), '0', call('os.system', str('false')));
    const path = checkpointFile(dict({ bad, net: dict({ w }) }), bytes);
    const [found] = globalsOf(path).filter(({ kind }) => kind === 'dangerous');
    // PROTO, EMPTY_DICT, MARK and the key come before it.
    const byte = 2 + 1 + 1 + str('bad').length;
    expect(found).toEqual({
      name: 'os.system',
      kind: 'dangerous',
      calls: 2,
      first: { pickle: `${path}: data.pkl`, byte },
    });
    expect(strictly(path)).toBe('checkpoint/refused-global');
  });
  it('described: what can be shown is shown beside what is refused', () => {
    const path = checkpointFile(
      dict({ bad: call('os.system', str('true')), net: dict({ w }), n: int(3) }),
      bytes,
    );
    described(path, ({ stateDicts, metadata, findings }) => {
      expect(stateDicts.map(({ path: at, tensors }) => [at, [...tensors.keys()]])).toEqual([['net', ['w']]]);
      expect(metadata.get('n')).toBe(3);
      expect(metadata.get('bad')).toEqual({ class: 'os.system', args: ['true'] });
      expect(findings.map(({ level, rule }) => [level, rule])).toEqual([
        ['error', 'checkpoint/refused-global'],
      ]);
      expect(findings[0]?.message).toContain('"os.system"');
    });
  });
  it('described: a damaged file that tries to run code is still described', () => {
    const path = checkpointFile(ops(call('posix.system', str('true')), 'h', 9));
    expect(errorsOf(path)).toEqual(['checkpoint/refused-global', 'checkpoint/invalid']);
    const damaged = checkpointFile(ops(call('my.function'), 'h', 9));
    expect(() => openWeights(damaged, { describe: true })).toThrow(
      expect.objectContaining({ code: 'checkpoint/invalid' }),
    );
  });
  it('described: unknown calls are errors where there is no pickled model, and warnings where there is', () => {
    const path = checkpointFile(dict({ w, made: call('my.function') }), bytes);
    expect(strictly(path)).toBe('checkpoint/refused-global');
    expect(errorsOf(path)).toEqual(['checkpoint/refused-global']);
    const model = checkpointFile(moduleWith(call('my.function')), bytes);
    expect(strictly(model)).toBe('opens');
    expect(errorsOf(model)).toEqual([]);
  });
  it.each([
    ['a textual persistent id', ops('P0\n')],
    ['the extension registry', ops(0x82, 7)],
    ['the extension registry, four bytes', ops(0x84, 'abcd')],
    ['an out-of-band buffer', ops(0x97)],
    ['a call of a result', ops(call('my.function'), ')', 'R')],
  ])('%s refuses the file, and can be described', (_, value) => {
    const path = checkpointFile(dict({ x: value, net: dict({ w }) }), bytes);
    expect(strictly(path)).toBe('checkpoint/refused-global');
    expect(errorsOf(path)).toContain('checkpoint/refused-global');
    described(path, ({ stateDicts }) => expect(stateDicts.map(({ path: at }) => at)).toEqual(['net']));
  });
  it('that hide invisible letters are written out in messages', () => {
    const path = checkpointFile(ops(str('o\u200bs'), str('system'), 0x93));
    described(path, ({ findings }) => {
      const error = findings.find(({ level }) => level === 'error');
      expect(error?.message).toContain('o\\u{200b}s.system');
    });
  });
  it('where only the place of the dot makes the danger, both are seen', () => {
    const both = ops(str('torch.hub_x'), str('y'), 0x93, '0', str('torch'), str('hub_x.y'), 0x93, '0');
    const path = checkpointFile(
      ops(both, str('a.os'), str('system'), 0x93, '0', str('a'), str('os.system'), 0x93),
    );
    expect(globalsOf(path).map(({ name, kind }) => [name, kind])).toEqual([
      ['a.os.system', 'dangerous'],
      ['torch.hub_x.y', 'opaque'],
    ]);
  });
  it('of the system info of a legacy file are found as well', () => {
    const magic = ops(0x80, 2, 0x8a, 10, '\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19', '.');
    const path = fileWith(
      ops(magic, pickled(ops('M', 0xe9, 3)), pickled(call('os.system', str('true'))), pickled(ops('}'))),
    );
    expect(strictly(path)).toBe('checkpoint/refused-global');
    expect(globalsOf(path)).toMatchObject([
      { name: 'os.system', kind: 'dangerous', calls: 1, first: { pickle: `${path}: system info` } },
    ]);
  });
});

describe('functions that bind', () => {
  const object = ops(global('my.Net'), ')', 0x81);
  const getattr = (target: Uint8Array, name: string) => call('builtins.getattr', target, str(name));
  it.each([
    ['a method of an object', getattr(object, 'forward_fuse')],
    ['a method of a class', getattr(global('my.Net'), 'forward')],
    ['a class with arguments', call('functools.partial', global('torch.nn.modules.normalization.LayerNorm'))],
  ])('%s, in a pickled model', (_, value) => {
    const path = checkpointFile(moduleWith(value), bytes);
    expect(strictly(path)).toBe('opens');
    expect(globalsOf(path).filter(({ kind }) => kind === 'dangerous')).toEqual([]);
  });
  it.each([
    ['a gateway', getattr(object, 'system')],
    ['a dunder', getattr(global('my.Net'), '__globals__')],
    ['a private name', getattr(object, '_os')],
    ['a name that is computed', call('builtins.getattr', object, call('my.name'))],
    ['of a result', getattr(getattr(object, 'a'), 'b')],
    ['of a dangerous global', getattr(global('os.path'), 'join')],
    ['a bound danger', call('functools.partial', global('os.system'))],
    ['a bound text', call('functools.partial', str('x'))],
  ])('refuse the file: %s', (_, value) => {
    const path = checkpointFile(moduleWith(value), bytes);
    expect(strictly(path)).toBe('checkpoint/refused-global');
    expect(globalsOf(path).some(({ kind }) => kind === 'dangerous')).toBe(true);
  });
  it('outside a model they are unknown calls', () => {
    expect(strictly(checkpointFile(dict({ w, f: getattr(object, 'forward') }), bytes))).toBe(
      'checkpoint/refused-global',
    );
  });
});

describe('a tuple of a global', () => {
  it('names nothing', () => {
    expect(globalsOf(checkpointFile(tuple(str('os'), str('system'))))).toEqual([]);
  });
});
