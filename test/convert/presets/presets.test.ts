import { describe, expect, it } from 'vitest';
import { type PresetName, presets } from '../../../src/convert/presets/index.ts';
import { remap } from '../../../src/convert/remap.ts';
import { tensorArray, toFloat32 } from '../../../src/core/tensor.ts';
import { openWeights } from '../../../src/formats/index.ts';
import type { WeightTensor } from '../../../src/formats/state-dict.ts';
import { contentOf, counting, mapped, valuesOf } from '../../support/mapping.ts';

const fixture = (name: string): string => new URL(`../../fixtures/${name}`, import.meta.url).pathname;

const with_ = (preset: PresetName, keys: readonly string[]): Record<string, string> => {
  const tensors = new Map(keys.map((key, i) => [key, counting([1], i)]));
  const result = remap({ path: '', tensors }, { presets: [preset] });
  return Object.fromEntries([...result.tensors].map(([key, tensor]) => [key, keys[toFloat32(tensor)[0]!]!]));
};

const opened = (name: string, run: (tensors: ReadonlyMap<string, WeightTensor>) => void): void => {
  const file = openWeights(fixture(name));
  try {
    run(file.stateDicts[0]!.tensors);
  } finally {
    file.close();
  }
};

describe('presets', () => {
  it('are listed under their names', () => {
    expect(Object.entries(presets).map(([key, { name }]) => [key, name])).toEqual(
      Object.keys(presets).map((key) => [key, key]),
    );
  });
  it('leave alone what they are not for', () => {
    const keys = ['conv.weight', 'bn.running_mean', 'fc.bias'];
    for (const name of Object.keys(presets) as PresetName[]) {
      const result = mapped(Object.fromEntries(keys.map((key) => [key, counting([2, 2])])), [], {
        presets: [name],
      });
      expect([...result.tensors.keys()]).toEqual(keys);
      expect(result.unused).toEqual([`--preset ${name}`]);
    }
  });
  it.each<[PresetName, readonly string[], readonly string[]]>([
    [
      'dataparallel',
      ['module.a', 'module.module.b', 'module.', 'a.module.b'],
      ['a', 'module.b', 'module.', 'a.module.b'],
    ],
    [
      'torch-compile',
      ['_orig_mod.a', 'b._orig_mod.c', '_orig_mod._orig_mod.d', 'x_orig_mod.e', 'f._orig_mod'],
      ['a', 'b.c', 'd', 'x_orig_mod.e', 'f._orig_mod'],
    ],
    [
      'ddp+compile',
      ['module._orig_mod.a', '_orig_mod.module.b', 'module.c._orig_mod.d', 'e.module.f'],
      ['a', 'b', 'c.d', 'e.module.f'],
    ],
    ['lightning', ['model.a', 'model.net.b', 'loss.c'], ['a', 'net.b', 'loss.c']],
    ['lightning', ['net.a', 'criterion.weight'], ['a', 'criterion.weight']],
    ['lightning', ['_forward_module.model.a', '_forward_module.model.b'], ['a', 'b']],
  ])('%s', (preset, keys, after) => {
    expect(with_(preset, keys)).toEqual(Object.fromEntries(after.map((key, i) => [key, keys[i]])));
  });
  it('names that would meet are a collision', () => {
    expect(() => with_('torch-compile', ['a._orig_mod.w', 'a.w'])).toThrow(
      expect.objectContaining({ code: 'weights/key-collision' }),
    );
  });
});

describe('ema', () => {
  it('takes the averaged keys and drops the others', () => {
    opened('remap/t2.model_ema_prefix.pth', (tensors) => {
      const result = remap({ path: '', tensors }, { presets: ['ema'] });
      const averaged = [...tensors].filter(([key]) => key.startsWith('model_ema.'));
      expect(contentOf(result.tensors)).toEqual(
        contentOf(
          new Map(
            averaged.map(([key, { dtype, dims, data }]) => [
              key.slice('model_ema.'.length),
              { dtype, dims, data },
            ]),
          ),
        ),
      );
      expect(result.dropped).toEqual([...tensors.keys()].filter((key) => key.startsWith('model.')));
    });
  });
  it('AveragedModel, ema-pytorch, and LitEma without dots', () => {
    expect(with_('ema', ['n_averaged', 'module.a.w', 'module.b'])).toEqual({
      'a.w': 'module.a.w',
      b: 'module.b',
    });
    expect(with_('ema', ['online_model.a.w', 'ema_model.a.w', 'initted', 'step'])).toEqual({
      'a.w': 'ema_model.a.w',
    });
    const keys = [
      'model.a.b.weight',
      'model.c.bias',
      'model_ema.decay',
      'model_ema.num_updates',
      'model_ema.abweight',
      'model_ema.cbias',
    ];
    expect(with_('ema', keys)).toEqual({ 'a.b.weight': 'model_ema.abweight', 'c.bias': 'model_ema.cbias' });
  });
});

describe('weight-norm', () => {
  const near = (actual: ArrayLike<number>, expected: ArrayLike<number>, step: number): void => {
    expect(actual.length).toBe(expected.length);
    for (let i = 0; i < expected.length; i++) {
      expect(Math.abs(actual[i]! - expected[i]!)).toBeLessThanOrEqual(step * Math.abs(expected[i]!));
    }
  };
  it.each(['remap/tcnwn.wn_old_gv.legacy.pth', 'remap/tcnwn.wn_parametrized.legacy.pth'])(
    '%s, as PyTorch fuses it',
    (name) => {
      opened('remap/weight-norm.safetensors', (golden) =>
        opened(name, (tensors) => {
          const result = remap({ path: '', tensors }, { presets: ['weight-norm'] });
          expect(result.transformed.map(({ to }) => to)).toEqual([
            ['c1.weight'],
            ['c2.weight'],
            ['fc.weight'],
          ]);
          expect([...result.tensors.keys()].filter((key) => /_[gv]$|original/.test(key))).toEqual([]);
          expect(result.tensors.size).toBe(tensors.size - 3);
          for (const key of ['c1.weight', 'c2.weight', 'fc.weight']) {
            const expected = golden.get(`checkpoint.${key}`)!;
            expect(result.tensors.get(key)!.dims).toEqual(expected.dims);
            near(toFloat32(result.tensors.get(key)!), toFloat32(expected), 3 * 2 ** -23);
          }
        }),
      );
    },
  );
  it.each<[string, number]>([
    ['float32', 3 * 2 ** -23],
    ['float64', 8 * 2 ** -52],
    ['float16', 2 * 2 ** -10],
    ['bfloat16', 2 * 2 ** -7],
  ])('%s, along every dimension', (dtype, step) => {
    opened('remap/weight-norm.safetensors', (golden) => {
      const given = [...golden].filter(([key]) => key.startsWith(dtype));
      const result = remap({ path: '', tensors: new Map(given) }, { presets: ['weight-norm'] });
      for (const name of ['first', 'middle', 'last', 'all']) {
        const fused = result.tensors.get(`${dtype}.${name}.weight`)!;
        const expected = golden.get(`${dtype}.${name}.expected`)!;
        expect([fused.dtype, fused.dims]).toEqual([dtype, expected.dims]);
        if (dtype === 'float64') {
          const [a, b] = [fused, expected].map((one) =>
            tensorArray(one as typeof one & { dtype: 'float64' }),
          );
          near(a!, b!, step);
        } else near(toFloat32(fused), toFloat32(expected), step);
      }
    });
  });
  it('other parameters, and only pairs', () => {
    const keys = [
      'rnn.weight_hh_l0_g',
      'rnn.weight_hh_l0_v',
      'a.weight_g',
      'b.weight_v',
      'c.bag_g',
      'c.bag_v',
    ];
    const dict = Object.fromEntries(keys.map((key) => [key, counting([1, 1], 2)]));
    const { 'a.weight_g': _, 'b.weight_v': __, ...pairs } = dict;
    expect([...mapped(pairs, [], { presets: ['weight-norm'] }).tensors.keys()]).toEqual([
      'rnn.weight_hh_l0',
      'c.bag_g',
      'c.bag_v',
    ]);
    expect([...mapped(dict, [], { presets: ['weight-norm'] }).tensors.keys()]).toHaveLength(5);
  });
});

describe('tf-conv', () => {
  it('names and layout become those of PyTorch', () => {
    const dict = {
      'block/conv/kernel:0': counting([1, 2, 3, 4]),
      'block/conv/bias:0': counting([4]),
      'block/bn/gamma:0': counting([4]),
      'block/bn/beta:0': counting([4]),
      'block/bn/moving_mean:0': counting([4]),
      'block/bn/moving_variance:0': counting([4]),
      'dense/kernel:0': counting([2, 3]),
      'time/kernel:0': counting([3, 1, 2]),
      'words/embeddings:0': counting([2, 2]),
    };
    const after = valuesOf(mapped(dict, [], { presets: ['tf-conv'] }));
    expect(Object.fromEntries(Object.entries(after).map(([key, [dims]]) => [key, dims]))).toEqual({
      'block.conv.weight': [4, 3, 1, 2],
      'block.conv.bias': [4],
      'block.bn.weight': [4],
      'block.bn.bias': [4],
      'block.bn.running_mean': [4],
      'block.bn.running_var': [4],
      'dense.weight': [3, 2],
      'time.weight': [2, 1, 3],
      'words.weight': [2, 2],
    });
    expect(after['dense.weight']![1]).toEqual([0, 3, 1, 4, 2, 5]);
    // Element (o, i, y, x) is (y, x, i, o) there: o + 4·i + 12·x.
    expect(after['block.conv.weight']![1].slice(0, 6)).toEqual([0, 12, 4, 16, 8, 20]);
  });
  it('depthwise and separable convolutions', () => {
    const dict = {
      'a/depthwise_kernel': counting([1, 2, 3, 2]),
      'b/depthwise_kernel': counting([1, 1, 2, 1]),
      'b/pointwise_kernel': counting([1, 1, 2, 3]),
      'b/bias': counting([3]),
    };
    const result = mapped(dict, [], { presets: ['tf-conv'] });
    expect([...result.tensors].map(([key, { dims }]) => [key, dims])).toEqual([
      ['a.weight', [6, 1, 1, 2]],
      ['b.depthwise.weight', [2, 1, 1, 1]],
      ['b.pointwise.weight', [3, 2, 1, 1]],
      ['b.pointwise.bias', [3]],
    ]);
    // Channel c with multiplier m is output 2·c + m; element (0, x, c, m) is 6·x + 2·c + m.
    expect([...toFloat32(result.tensors.get('a.weight')!)]).toEqual([0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11]);
    expect(result.unused).toEqual([]);
  });
});
