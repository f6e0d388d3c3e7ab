import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { remap } from '../../src/convert/remap.ts';
import { readMapping } from '../../src/jobs/mapping-file.ts';
import { contentOf, counting } from '../support/mapping.ts';
import { fileWith } from '../support/torch-files.ts';

const read = (content: unknown) => () =>
  readMapping(fileWith(typeof content === 'string' ? content : JSON.stringify(content)));
const rules = (...list: unknown[]) => ({ rules: list });

describe('a mapping file', () => {
  it('of the documentation works, and backwards', () => {
    const mapping = readMapping(new URL('../fixtures/remap/fuse-qkv.mapping.json', import.meta.url).pathname);
    const layer = (i: number) => `bert.encoder.layer.${i}.attention`;
    const parts = ['query', 'key', 'value'].flatMap((name) =>
      [0, 1].flatMap((i) => [
        [`${layer(i)}.self.${name}.weight`, counting([2, 3], i)] as const,
        [`${layer(i)}.self.${name}.bias`, counting([2], i + 9)] as const,
      ]),
    );
    const tensors = new Map([...parts, [`${layer(0)}.output.dense.weight`, counting([2, 3])]]);
    const there = remap({ path: '', tensors }, { rules: mapping });
    expect([...there.tensors].map(([key, { dims }]) => [key, dims])).toEqual([
      ['blocks.0.attn.qkv.weight', [6, 3]],
      ['blocks.0.attn.qkv.bias', [6]],
      ['blocks.1.attn.qkv.weight', [6, 3]],
      ['blocks.1.attn.qkv.bias', [6]],
      ['blocks.0.attn.proj.weight', [3, 2]],
    ]);
    const back = remap({ path: '', tensors: there.tensors }, { rules: mapping, invert: true });
    const sorted = (of: typeof tensors | typeof back.tensors) =>
      contentOf(new Map([...of].sort(([a], [b]) => (a < b ? -1 : 1))));
    expect(sorted(back.tensors)).toEqual(sorted(tensors));
  });
  it.each<[string, unknown, string]>([
    ['no JSON', '{"rules": [', 'not JSON'],
    ['no rules', {}, 'rules: '],
    ['no rule', rules(), 'rules: '],
    [
      'a field at the top',
      { ...rules({ op: 'drop', globs: ['a'] }), rule: 1 },
      'the top level: Unrecognized key: "rule"',
    ],
    [
      'an unknown op',
      rules({ op: 'rotate', keys: 'a' }),
      'rules[0].op: "op" must be one of table, prefix, rename',
    ],
    ['no op', rules({ keys: 'a' }), 'rules[0].op: "op" must be one of'],
    ['no object', rules(3), 'rules[0]: '],
    [
      'an unknown field',
      rules({ op: 'prefix', from: 'a', to: 'b', form: 'c' }),
      'rules[0]: Unrecognized key: "form"',
    ],
    [
      'a wrong type',
      rules({ op: 'drop', globs: ['a'] }, { op: 'squeeze', keys: 'a', dim: 'x' }),
      'rules[1].dim: ',
    ],
    ['a wrong element', rules({ op: 'permute', keys: 'a', order: [0, 1.5] }), 'rules[0].order[1]: '],
    [
      'a bad pattern',
      rules({ op: 'rename', keys: 'a(', to: 'b' }),
      'rules[0].keys: this ( is not closed (character 2)',
    ],
    [
      'a bad pattern in a list',
      rules({ op: 'concat', keys: ['a', '['], to: 'b' }),
      'rules[0].keys[1]: this [ is not closed',
    ],
    [
      'a bad template',
      rules({ op: 'chunk', keys: 'a', to: ['b', '$1'] }),
      'rules[0].to[1]: the pattern has no group 1',
    ],
    ['a long pattern', rules({ op: 'rename', keys: 'a'.repeat(1001), to: 'b' }), 'rules[0].keys: '],
  ])('with %s is refused by its place', (_, content, message) => {
    expect(read(content)).toThrow(
      expect.objectContaining({ code: 'config/invalid', message: expect.stringContaining(message) }),
    );
  });
  it('names several faults at once, and where the schema is', () => {
    const faults = rules({ op: 'prefix', from: 1, to: 'b' }, { op: 'scale', keys: 'a' });
    expect(read(faults)).toThrow(/rules\[0\]\.from: .*; rules\[1\]\.factor: /);
    expect(read(faults)).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('remap-mapping.schema.json') }),
    );
  });
  it('that is too large is not read', () => {
    expect(read(' '.repeat(4_000_001))).toThrow(expect.objectContaining({ code: 'file/limit' }));
  });
  it('that is not there', () => {
    expect(() => readMapping('/no/such.json')).toThrow(expect.objectContaining({ code: 'file/not-found' }));
  });
  it('does not touch prototypes', () => {
    const table = readMapping(fileWith('{"rules":[{"op":"table","keys":{"__proto__":"x","a":"b"}}]}'))[0];
    expect(({} as Record<string, unknown>).x).toBeUndefined();
    expect(table).toMatchObject({ op: 'table', keys: { a: 'b' } });
  });
});

it('the example says which schema it follows', () => {
  const text = readFileSync(new URL('../fixtures/remap/fuse-qkv.mapping.json', import.meta.url), 'utf8');
  expect(text).toContain('"$schema": "../../../schemas/remap-mapping.schema.json"');
});
