import { describe, expect, it } from 'vitest';
import { compareKeys } from '../../src/convert/compare-keys.ts';
import { type CauseTarget, likelyCauses } from '../../src/convert/likely-causes.ts';
import type { WeightTensor } from '../../src/formats/state-dict.ts';
import { counting } from '../support/mapping.ts';
import { keysOf } from './key-lists.ts';

type Tensors = ReadonlyMap<string, WeightTensor>;

const renamed = (tensors: Tensors, newName: (key: string) => string): Tensors =>
  new Map([...tensors].map(([key, { dtype, dims, data }]) => [newName(key), { dtype, dims, data }]));

const targetOf = (tensors: Tensors): CauseTarget => {
  const expected = [...tensors].map(([name, { dims, dtype }]) => ({ name, shape: dims, dtype }));
  return {
    label: 'other.pth',
    expected,
    isArchitecture: false,
    compare: (own) => compareKeys(own, expected),
  };
};

const causes = (source: Tensors, wanted: Tensors): [string, string][] => {
  const target = targetOf(wanted);
  return likelyCauses(source, target, target.compare(source)).map(({ message, hint }) => [message, hint]);
};

const resnet = keysOf('resnet18');

describe('what was done to the keys', () => {
  it.each<[string, (key: string) => string, string]>([
    ['a wrapper', (key) => `net.${key}`, '--strip-prefix net.'],
    ['two wrappers', (key) => `a.b.${key}`, '--strip-prefix a.b.'],
    ['DataParallel', (key) => `module.${key}`, '--strip-prefix module.'],
    ['torch.compile of the whole', (key) => `_orig_mod.${key}`, '--preset torch-compile'],
    ['DDP and torch.compile', (key) => `module._orig_mod.${key}`, '--preset ddp+compile'],
    [
      'torch.compile of a part',
      (key) => key.replace('layer1.', 'layer1._orig_mod.'),
      '--preset torch-compile',
    ],
    ['another name of one module', (key) => key.replace(/^layer1\./, 'stage1.'), '--rename layer1.=stage1.'],
  ])('%s', (_, newName, hint) => {
    const source = hint.startsWith('--rename') ? resnet : renamed(resnet, newName);
    const wanted = hint.startsWith('--rename') ? renamed(resnet, newName) : resnet;
    expect(causes(source, wanted)).toEqual([[`with ${hint} all 122 keys match`, hint]]);
  });
  it('a level that the target has more', () => {
    const [[message, hint] = []] = causes(
      resnet,
      renamed(resnet, (key) => `model.${key}`),
    );
    expect([message, hint]).toEqual(['with --add-prefix model. all 122 keys match', '--add-prefix model.']);
  });
  it('several things at once', () => {
    const source = renamed(resnet, (key) => `model.${key.replace('layer2.', 'layer2._orig_mod.')}`);
    const [[, hint] = []] = causes(source, resnet);
    expect(hint).toBe('--preset torch-compile --strip-prefix model.');
  });
  it('what stays is counted', () => {
    const source = new Map([...renamed(resnet, (key) => `module.${key}`), ['step', counting([])]]);
    expect(causes(source, resnet)).toEqual([
      ['with --strip-prefix module. 122 keys match (1 unexpected)', '--strip-prefix module.'],
    ]);
  });
  it('weight normalisation', () => {
    const source = new Map([
      ['a.weight_g', counting([4, 1, 1])],
      ['a.weight_v', counting([4, 3, 2])],
      ['a.bias', counting([4])],
    ]);
    const wanted = new Map([
      ['a.weight', counting([4, 3, 2])],
      ['a.bias', counting([4])],
    ]);
    expect(causes(source, wanted)[0]?.[1]).toBe('--preset weight-norm');
  });
});

describe('other causes', () => {
  it('only counters are missing', () => {
    const source = new Map([...resnet].filter(([key]) => !key.endsWith('num_batches_tracked')));
    const [[message, hint] = [], ...others] = causes(source, resnet);
    expect(message).toContain('only the 20 counters of batch norms');
    expect(hint).toContain('strict=False');
    expect(others).toEqual([]);
  });
  it('gamma and beta', () => {
    const isNorm = (key: string): boolean => /bn\d|downsample\.1/.test(key);
    const source = renamed(resnet, (key) =>
      isNorm(key) ? key.replace(/weight$/, 'gamma').replace(/bias$/, 'beta') : key,
    );
    expect(causes(source, resnet)[0]?.[1]).toBe('--preset tf-conv');
  });
  it('a rule that no option undoes: --auto', () => {
    const source = renamed(resnet, (key) => key.replace(/layer(\d)\.(\d)/, 's$2.l$1').replace('conv', 'c'));
    const [[message, hint] = []] = causes(source, resnet);
    expect(hint).toContain('--auto');
    expect(message).toContain('122 of 122 keys');
  });
  it('another architecture, also behind a prefix', () => {
    const gdconv = keysOf('gdconv');
    expect(causes(gdconv, resnet)[0]).toEqual([
      'the file belongs to another architecture: gdconv explains 100 % of its keys, other.pth 0 %',
      '--against gdconv',
    ]);
    expect(
      causes(
        renamed(gdconv, (key) => `module.${key}`),
        resnet,
      )[0]?.[1],
    ).toBe('--strip-prefix module. --against gdconv');
  });
  it('nothing to say when everything fits, or when nothing helps', () => {
    expect(causes(resnet, resnet)).toEqual([]);
    expect(causes(new Map([['x', counting([3])]]), new Map([['y', counting([4])]]))).toEqual([]);
  });
});
