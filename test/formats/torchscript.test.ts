/** TorchScript archives made by hand: classes, attributes, and what is refused. The real ones are in programs.test.ts. */
import { describe, expect, it } from 'vitest';
import { OrthoError } from '../../src/core/errors.ts';
import { openWeights } from '../../src/formats/index.ts';
import type { WeightFile } from '../../src/formats/state-dict.ts';
import {
  call,
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
  zipped,
} from '../support/torch-files.ts';

const object = (type: string, state: Record<string, Uint8Array>): Buffer =>
  ops(global(type), ')', 0x81, dict(state), 'b');
const one = (key: string): Buffer => tensor(storage(key, 1), [1], [1]);
const source = (name: string, parameters: string, buffers: string, base = '(Module)'): string =>
  `class ${name}${base}:\n  __parameters__ = [${parameters}]\n  __buffers__ = [${buffers}]\n  w : Tensor\n` +
  '  def forward(self, x: Tensor) -> Tensor:\n    __parameters__ = ["fake", ]\n    return x\n';

/** An archive of this module, with one float under each of the storage keys. */
const archive = (
  module: Uint8Array,
  more: Record<string, Uint8Array | string> = {},
  keys: readonly string[] = ['0', '1', '2'],
): Buffer =>
  zipped({
    'm/data.pkl': pickled(module),
    ...Object.fromEntries(keys.map((key, i) => [`m/data/${key}`, floats(i)])),
    'm/constants.pkl': pickled(tuple()),
    ...Object.fromEntries(Object.entries(more).map(([name, data]) => [`m/${name}`, Buffer.from(data)])),
  });

const opened = <T>(bytes: Uint8Array, use: (file: WeightFile) => T): T => {
  const file = openWeights(fileWith(bytes));
  try {
    return use(file);
  } finally {
    file.close();
  }
};
const keysOf = ({ stateDicts }: WeightFile): Record<string, string[]> =>
  Object.fromEntries(stateDicts.map(({ path, tensors }) => [path, [...tensors.keys()]]));

const errorOf = (bytes: Uint8Array): OrthoError => {
  try {
    openWeights(fileWith(bytes)).close();
  } catch (error) {
    if (error instanceof OrthoError) return error;
    throw error;
  }
  throw new Error('it was opened');
};

describe('which tensors are weights', () => {
  const module = object('__torch__.net.Net', { b: one('0'), w: one('1'), other: one('2') });
  it('those that the class declares, parameters before buffers', () => {
    const code = { 'code/__torch__/net.py': source('Net', '"w", ', '"b", ') };
    expect(opened(archive(module, code), keysOf)).toEqual({ '': ['w', 'b'], attributes: ['other'] });
  });
  it('all, where the source is missing, has other classes, or is too long', () => {
    const all = { '': ['b', 'w', 'other'] };
    expect(opened(archive(module), keysOf)).toEqual(all);
    expect(
      opened(archive(module, { 'code/__torch__/net.py': source('Network', '"w"', '') }), keysOf),
    ).toEqual(all);
    const long = source('Net', '"w"', '').padEnd(1024 * 1024 + 1);
    expect(opened(archive(module, { 'code/__torch__/net.py': long }), keysOf)).toEqual(all);
  });
  it('none of a class that is no module', () => {
    const code = { 'code/__torch__/net.py': source('Net', '', '', '') };
    expect(opened(archive(module, code), keysOf)).toEqual({ attributes: ['b', 'w', 'other'] });
  });
  it('tensors inside of lists and dicts are attributes', () => {
    const list = call('torch.jit._pickle.build_tensorlist', ops('](', one('0'), one('1'), 'e'));
    const tagged = call(
      'torch.jit._pickle.restore_type_tag',
      dict({ 'a b': one('2') }),
      str('Dict[str, Tensor]'),
    );
    const held = object('__torch__.net.Net', { list, tagged, numbers: ops('](', int(1), int(2), 'e') });
    opened(archive(held), (file) => {
      expect(keysOf(file)).toEqual({ attributes: ['list.0', 'list.1', 'tagged.a b'] });
      expect(file.metadata.get('attributes')).toEqual({ numbers: [1, 2] });
    });
  });
  it('foreign names are only names', () => {
    const proto = ops(global('__torch__.net.Net'), ')', 0x81, '}(', str('__proto__'), one('0'), 'u', 'b');
    expect(opened(archive(proto), keysOf)).toEqual({ '': ['__proto__'] });
    const inherited = object('__torch__.net.Net', { constructor: one('1'), toString: one('0') });
    expect(opened(archive(inherited), keysOf)).toEqual({ '': ['constructor', 'toString'] });
  });
  it('a module within itself is visited once', () => {
    const cyclic = ops(
      global('__torch__.net.Net'),
      ')',
      0x81,
      ...['q', 0],
      '}(',
      str('w'),
      one('0'),
      str('me'),
      ...['h', 0],
      'ub',
    );
    expect(opened(archive(cyclic), keysOf)).toEqual({ '': ['w'] });
  });
  it('big-endian storages are turned', () => {
    const bytes = archive(object('__torch__.net.Net', { w: one('0') }), { byteorder: 'big' }, []);
    const withData = zipped({
      'm/data.pkl': pickled(object('__torch__.net.Net', { w: one('0') })),
      'm/data/0': Buffer.from([0x3f, 0x80, 0, 0]),
      'm/constants.pkl': pickled(tuple()),
      'm/byteorder': Buffer.from('big'),
    });
    expect(errorOf(bytes).message).toContain('no "m/data/0"');
    opened(withData, ({ stateDicts: [state] }) => {
      expect(Buffer.from(state!.tensors.get('w')!.data.read(0, 4))).toEqual(floats(1));
    });
  });
});

describe('constants', () => {
  it('have storages of their own folder, and names by their place', () => {
    const bytes = zipped({
      'm/data.pkl': pickled(object('__torch__.net.Net', {})),
      'm/constants.pkl': pickled(tuple(one('0'), int(3), one('1'))),
      'm/constants/0': floats(4),
      'm/constants/1': floats(5),
    });
    opened(bytes, (file) => {
      expect(keysOf(file)).toEqual({ constants: ['CONSTANTS.c0', 'CONSTANTS.c2'] });
      expect(file.metadata.get('frozen')).toBe(true);
    });
  });
});

describe('what is refused', () => {
  const module = object('__torch__.net.Net', { w: one('0') });
  const wide = (levels: number): Buffer => {
    // Each level holds the level below twice: 2^levels paths to the innermost tensor.
    let value = ops(global('__torch__.net.Net'), ')', 0x81, '}(', str('w'), one('0'), 'ub', 'q', 0);
    for (let i = 1; i < levels; i++) {
      value = ops(value, '0', global('__torch__.net.Net'), ')', 0x81, '}(');
      value = ops(value, str('a'), 'h', i - 1, str('b'), 'h', i - 1, 'ub', 'q', i);
    }
    return value;
  };
  it.each<[string, Uint8Array, string, string]>([
    ['a call of something foreign', archive(call('net.make')), 'net.make', 'checkpoint/refused-global'],
    [
      'a dangerous name among the constants',
      archive(module, { 'constants.pkl': pickled(global('os.system')) }),
      'os.system',
      'checkpoint/refused-global',
    ],
    ['a module that is none', archive(int(3)), 'holds no module', 'checkpoint/invalid'],
    [
      'an argument without a tuple, but for enumerations',
      archive(ops(global('torch.Size'), int(3), 'R')),
      'no tuple',
      'checkpoint/invalid',
    ],
    ['a storage that is missing', archive(module, {}, []), 'no "m/data/0"', 'checkpoint/invalid'],
    [
      'a storage too short',
      archive(object('__torch__.net.Net', { w: tensor(storage('0', 2), [2], [1]) })),
      'needs 8',
      'checkpoint/invalid',
    ],
    [
      'an archive of before 1.4',
      zipped({ 'm/model.json': Buffer.from('{}'), 'm/code/net.py': Buffer.from('') }),
      'without m/data.pkl',
      'checkpoint/unsupported',
    ],
    ['an unknown byte order', archive(module, { byteorder: 'middle' }), 'byteorder', 'checkpoint/invalid'],
    ['modules that share parts without end', archive(wide(40)), 'too many parts', 'file/limit'],
  ])('%s', (_, bytes, words, code) => {
    const error = errorOf(bytes);
    expect(error.code).toBe(code);
    expect(error.message).toContain(words);
  });
  it('an enumeration keeps its value', () => {
    const bytes = archive(
      object('__torch__.net.Net', { w: one('0'), color: ops(global('__torch__.net.Color'), int(2), 'R') }),
    );
    opened(bytes, ({ metadata, findings }) => {
      expect(metadata.get('attributes')).toMatchObject({
        color: { class: '__torch__.net.Color', args: [2] },
      });
      expect(findings).toEqual([]);
    });
  });
});
