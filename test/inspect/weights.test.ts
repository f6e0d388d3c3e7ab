import { describe, expect, it } from 'vitest';
import { openWeights } from '../../src/formats/index.ts';
import { type InspectWeightsOptions, inspectWeights } from '../../src/inspect/weights.ts';
import { inspectWeights as schema } from '../../src/report/schemas/inspect.ts';

const inspect = (name: string, options?: InspectWeightsOptions) => {
  const file = openWeights(new URL(`../fixtures/checkpoints/${name}`, import.meta.url).pathname);
  try {
    const result = inspectWeights(file, options);
    expect(schema.parse(result.data)).toEqual(result.data);
    return result;
  } finally {
    file.close();
  }
};

describe('inspectWeights', () => {
  it('lists tensors, counts shared ones once', () => {
    const { data, findings } = inspect('tied.zip.pth');
    expect(data.tensors).toEqual([
      { name: 'emb.weight', dtype: 'float32', shape: [30, 8], bytes: 960 },
      { name: 'body.weight', dtype: 'float32', shape: [8, 8], bytes: 256 },
      { name: 'body.bias', dtype: 'float32', shape: [8], bytes: 32 },
      { name: 'head.weight', dtype: 'float32', shape: [30, 8], bytes: 960, sharedWith: 'emb.weight' },
    ]);
    expect([data.parameters, data.bytes]).toEqual([312, 1248]);
    expect([data.subnormals, data.nonFinite, data.architecture]).toEqual([null, null, null]);
    expect(data.format).toBe('torch-zip');
    expect(data.globals.map(({ name }) => name)).toContain('torch._utils._rebuild_tensor_v2');
    expect(findings).toEqual([]);
  });
  it('counts subnormal and non-finite values when asked', () => {
    const subnormal = inspect('num_bn_var_subnormal.pth', { stats: true });
    expect(subnormal.data.subnormals).toEqual({ tensors: 1, elements: 4 });
    expect(subnormal.data.nonFinite).toEqual({ tensors: 0, elements: 0 });
    expect(subnormal.findings.map(({ rule }) => rule)).toEqual(['subnormal-weights']);
    const nan = inspect('num_nan_weight.pth', { stats: true });
    expect(nan.data.nonFinite).toEqual({ tensors: 1, elements: 1 });
    expect(nan.findings).toMatchObject([{ rule: 'non-finite-weights', at: { key: 'fc.weight' } }]);
  });
  it('reports checksums with stats only', () => {
    expect(inspect('t2.align64.nocrc.pth').findings).toEqual([]);
    expect(inspect('t2.align64.nocrc.pth', { stats: true }).findings.map(({ rule }) => rule)).toEqual([
      'no-checksums',
    ]);
  });
  it('shows metadata, the state dicts, and the one that was asked for', () => {
    const { data } = inspect('t2.ema_timm.pth', { stateDict: 'state_dict_ema' });
    expect(data.stateDicts).toEqual([
      { path: 'state_dict', tensors: 9 },
      { path: 'state_dict_ema', tensors: 9 },
    ]);
    expect(data.tensors).toHaveLength(9);
    expect(inspect('t2.train_namespace.zip.pth.tar').data.metadata).toMatchObject({
      epoch: 12,
      best_acc: 0.913,
    });
  });
  it('asks for the architecture with the listed tensors', () => {
    const { data } = inspect('t2.sd.zip.pth', {
      detect: (tensors) => (tensors.has('act.weight') ? 'found' : null),
    });
    expect(data.architecture).toBe('found');
    expect(inspect('empty_dict.pth', { detect: () => 'never' }).data.architecture).toBeNull();
  });
});
