import { describe, expect, it } from 'vitest';
import { openWeights } from '../../src/formats/index.ts';
import { type InspectWeightsOptions, inspectWeights, readWeightValues } from '../../src/inspect/weights.ts';
import { inspectWeights as schema } from '../../src/report/schemas/inspect.ts';

const inspect = async (name: string, options: InspectWeightsOptions = {}) => {
  const file = openWeights(new URL(`../fixtures/checkpoints/${name}`, import.meta.url).pathname);
  try {
    const result = inspectWeights(file, options, await readWeightValues(file, options));
    expect(schema.parse(result.data)).toEqual(result.data);
    return result;
  } finally {
    file.close();
  }
};

describe('inspectWeights', () => {
  it('lists tensors, counts shared ones once', async () => {
    const { data, findings } = await inspect('tied.zip.pth');
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
  it('counts subnormal and non-finite values when asked', async () => {
    const subnormal = await inspect('num_bn_var_subnormal.pth', { stats: true });
    expect(subnormal.data.subnormals).toEqual({ tensors: 1, elements: 4 });
    expect(subnormal.data.nonFinite).toEqual({ tensors: 0, elements: 0 });
    expect(subnormal.findings.map(({ rule }) => rule)).toEqual(['subnormal-weights']);
    const nan = await inspect('num_nan_weight.pth', { stats: true });
    expect(nan.data.nonFinite).toEqual({ tensors: 1, elements: 1 });
    expect(nan.findings).toMatchObject([{ rule: 'non-finite-weights', at: { key: 'fc.weight' } }]);
  });
  it('reports missing checksums at once, and what the records hold with stats', async () => {
    const rules = async (options?: { stats: boolean }) =>
      (await inspect('t2.skip_data.pth', options)).findings.map(({ rule }) => rule);
    expect(await rules()).toEqual(['no-checksums']);
    expect(await rules({ stats: true })).toEqual(['no-checksums', 'no-data']);
  });
  it('shows metadata, the state dicts, and the one that was asked for', async () => {
    const { data } = await inspect('t2.ema_timm.pth', { stateDict: 'state_dict_ema' });
    expect(data.stateDicts).toEqual([
      { path: 'state_dict', tensors: 9 },
      { path: 'state_dict_ema', tensors: 9 },
    ]);
    expect(data.tensors).toHaveLength(9);
    expect((await inspect('t2.train_namespace.zip.pth.tar')).data.metadata).toMatchObject({
      epoch: 12,
      best_acc: 0.913,
    });
  });
  it('asks for the architecture with the listed tensors', async () => {
    const match = { name: 'found', score: 0.5, matched: 1, missing: [], unexpected: ['x'], mismatched: [] };
    const ask = (isRecognised: boolean) => (tensors: ReadonlyMap<string, unknown>) =>
      tensors.has('act.weight') ? { match, isRecognised } : undefined;
    const { data } = await inspect('t2.sd.zip.pth', { detect: ask(true) });
    expect([data.architecture, data.architectureMatch]).toEqual(['found', match]);
    const poor = await inspect('t2.sd.zip.pth', { detect: ask(false) });
    expect([poor.data.architecture, poor.data.architectureMatch]).toEqual([null, match]);
    const none = await inspect('tied.zip.pth', { detect: ask(true) });
    expect([none.data.architecture, none.data.architectureMatch]).toEqual([null, null]);
    const empty = await inspect('empty_dict.pth', { detect: () => ({ match, isRecognised: true }) });
    expect([empty.data.architectureMatch, empty.data.stateDict, empty.data.modules]).toEqual([
      null,
      null,
      [],
    ]);
  });

  it('says which state dict it took and why, and what the tensors are made of', async () => {
    const { data } = await inspect('t2.ema_timm.pth');
    expect(data.stateDict).toEqual({
      path: 'state_dict',
      why: 'ordinary weights come before averaged ones',
    });
    const ema = await inspect('t2.ema_timm.pth', { stateDict: 'state_dict_ema' });
    expect(ema.data.stateDict).toEqual({ path: 'state_dict_ema', why: 'asked for' });
    expect(data.dtypes).toEqual({
      float32: { tensors: 8, parameters: 367, bytes: 1468 },
      int64: { tensors: 1, parameters: 1, bytes: 8 },
    });
  });

  it('lists the tensors that globs select, and sums up all', async () => {
    const { data } = await inspect('tied.zip.pth', { keys: ['*.bias', 'head.*'] });
    expect(data.tensors.map(({ name }) => name)).toEqual(['body.bias', 'head.weight']);
    expect(data.selection).toEqual({ keys: ['*.bias', 'head.*'], of: 4 });
    expect([data.parameters, data.bytes, data.modules[0]?.tensors]).toEqual([312, 1248, 4]);
    await expect(inspect('tied.zip.pth', { keys: ['*.bias', 'head.wieght'] })).rejects.toMatchObject({
      code: 'usage/option',
      hint: expect.stringContaining('nearest: "head.weight"'),
    });
  });

  it('measures what is selected, shared tensors once', async () => {
    const { data } = await inspect('tied.zip.pth', { keys: ['*.weight'], stats: true });
    const [emb, , head] = data.tensors;
    expect(emb?.stats).toBeDefined();
    expect(head).toMatchObject({ name: 'head.weight', sharedWith: 'emb.weight', stats: emb?.stats });
    expect(emb).not.toHaveProperty('histogram');
    const alone = await inspect('tied.zip.pth', { keys: ['head.weight'], stats: true });
    expect(alone.data.tensors[0]?.stats).toEqual(emb?.stats);
  });

  it('makes histograms over the range of the values', async () => {
    const { data } = await inspect('num_nan_weight.pth', { histogram: true });
    for (const { shape, stats, histogram } of data.tensors) {
      const elements = shape.reduce<number>((product, dim) => product * Number(dim), 1);
      expect(histogram?.min).toBe(stats?.min);
      expect(histogram?.max).toBe(stats?.max);
      expect(histogram?.counts).toHaveLength(32);
      const special = (stats?.nans ?? 0) + (stats?.infinities ?? 0);
      expect(histogram?.counts.reduce((sum, each) => sum + each, 0)).toBe(elements - special);
    }
  });

  it('reads no value and no record unless asked', async () => {
    const file = openWeights(new URL('../fixtures/checkpoints/t2.sd.zip.pth', import.meta.url).pathname);
    const tensors = new Map(
      [...file.stateDicts[0]!.tensors].map(([key, tensor]) => {
        const refuse = (): never => {
          throw new Error(`${key} was read`);
        };
        const data = { size: tensor.data.size, path: undefined, read: refuse, readInto: refuse };
        return [key, { ...tensor, data }];
      }),
    );
    const checkIntegrity = (): never => {
      throw new Error('records were read');
    };
    const sealed = { ...file, stateDicts: [{ path: '', tensors }], checkIntegrity };
    const options = { keys: ['fc.*'], globals: true, depth: 2 };
    const { data } = inspectWeights(sealed, options, await readWeightValues(sealed, options));
    expect(data.tensors.map(({ name }) => name)).toEqual(['fc.weight', 'fc.bias']);
    await expect(readWeightValues(sealed, { ...options, stats: true })).rejects.toThrow('fc.weight was read');
    await expect(readWeightValues(sealed, { check: true })).rejects.toThrow('conv1.weight was read');
    file.close();
  });

  it('ends when it is interrupted', async () => {
    const file = openWeights(new URL('../fixtures/checkpoints/t2.sd.zip.pth', import.meta.url).pathname);
    const controller = new AbortController();
    const seen: string[] = [];
    const io = {
      progress: (step: string): void => {
        seen.push(step);
        const until = Date.now() + 60;
        while (Date.now() < until);
        controller.abort(new Error('enough'));
      },
      log: () => {},
      warn: () => {},
      signal: controller.signal,
    };
    await expect(readWeightValues(file, { stats: true, io })).rejects.toThrow('enough');
    expect(seen).toEqual(['reading conv1.weight']);
    file.close();
  });

  it('lists globals with a verdict, and what they do when asked', async () => {
    const { data } = await inspect('t2.wholemodel.zip.pth');
    expect(data.verdict).toBe('opaque');
    expect(data).not.toHaveProperty('autopsy');
    const { data: opened, findings } = await inspect('t2.wholemodel.zip.pth', { globals: true });
    expect(opened.autopsy?.effects.map(({ name }) => name).sort()).toEqual(
      opened.globals.map(({ name }) => name),
    );
    expect(findings.map(({ rule }) => rule)).toContain('opaque-globals');
  });
});
