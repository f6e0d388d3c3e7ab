import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tensorBytes } from '../../src/core/tensor.ts';
import { openWeights } from '../../src/formats/index.ts';
import type { RemapJobOptions } from '../../src/jobs/remap.ts';
import { remapFile } from '../../src/jobs/remap.ts';
import { ortho } from '../support/cli.ts';
import { tempFolder } from '../support/torch-files.ts';

const stored = (name: string): string => new URL(`../fixtures/checkpoints/${name}`, import.meta.url).pathname;
const contentOf = (path: string): Record<string, [string, readonly number[], string]> => {
  const file = openWeights(path);
  const content = [...file.stateDicts[0]!.tensors].map(([key, tensor]) => [
    key,
    [tensor.dtype, tensor.dims, Buffer.from(tensorBytes(tensor)).toString('hex')],
  ]);
  file.close();
  return Object.fromEntries(content);
};
const run = (options: Omit<RemapJobOptions, 'output'> & { name?: string }) => {
  const output = join(tempFolder(), options.name ?? 'out.safetensors');
  return remapFile({ ...options, output }).then((report) => ({ report, output }));
};

describe('remap', () => {
  it.each(['out.safetensors', 'out.pth', 'out.pth.tar', 'out.npz'])(
    'writes %s with the same tensors',
    async (name) => {
      const source = stored('t2.train_namespace.zip.pth.tar');
      const { report, output } = await run({ source, name });
      expect(report.ok).toBe(true);
      expect(report.data).toMatchObject({ keys: 9, renamed: [], dropped: [], aliases: [], against: null });
      expect(report.data.transformed).toEqual([]);
      expect(contentOf(output)).toEqual(contentOf(source));
    },
  );
  it('the same input gives the same bytes', async () => {
    for (const name of ['a.safetensors', 'a.pth', 'a.npz']) {
      const [one, two] = [
        await run({ source: stored('t2.sd.zip.pth'), name }),
        await run({ source: stored('t2.sd.legacy.pth'), name }),
      ];
      expect(readFileSync(one.output).equals(readFileSync(two.output))).toBe(true);
    }
  });
  it('takes the state dict that is asked for, and says which others there are', async () => {
    const source = stored('t2.ema_timm.pth');
    const best = await run({ source });
    const ema = await run({ source, stateDict: 'state_dict_ema' });
    expect(contentOf(best.output)).not.toEqual(contentOf(ema.output));
    expect(best.report.findings.map(({ rule }) => rule)).toContain('other-state-dicts');
    await expect(run({ source, stateDict: 'state_dict_em' })).rejects.toMatchObject({
      code: 'checkpoint/no-state-dict',
      hint: expect.stringContaining('"state_dict_ema"'),
    });
  });
  it('casts, and warns where values overflow', async () => {
    const { report, output } = await run({
      source: stored('dtypes_layouts.zip.pth'),
      dtype: 'float16',
      drop: ['c*'],
    });
    const types = new Set(Object.values(contentOf(output)).map(([dtype]) => dtype));
    expect([...types].sort()).toEqual(['bool', 'float16', 'int16', 'int32', 'int64', 'int8', 'uint8']);
    expect(report.data.aliases).toEqual([{ key: 'shared_b', sharedWith: 'shared_a' }]);
  });
  it('warns about rules that fit no key', async () => {
    const { report } = await run({ source: stored('t2.sd.zip.pth'), stripPrefix: ['module.'] });
    expect(report.findings).toMatchObject([{ level: 'warning', rule: 'unused-rule' }]);
  });
});

describe('against', () => {
  it('another file: matched', async () => {
    const { report, output } = await run({
      source: stored('t2.dp_compiled.pth'),
      against: stored('t2.sd.zip.pth'),
      stripPrefix: ['module.', '_orig_mod.'],
    });
    expect(report.data.against).toEqual({ matched: 9, missing: [], unexpected: [], shapeMismatch: [] });
    expect([report.ok, existsSync(output)]).toEqual([true, true]);
  });
  it('another file: not matched, nothing is written, near names are named', async () => {
    const { report, output } = await run({
      source: stored('t2.dp_compiled.pth'),
      against: stored('t2.sd.zip.pth'),
    });
    expect(report.ok).toBe(false);
    expect(report.data.against?.matched).toBe(0);
    expect(report.findings.filter(({ level }) => level === 'error').map(({ rule }) => rule)).toEqual([
      'weights/nothing-matched',
      'weights/missing-key',
      'weights/unexpected-key',
    ]);
    expect(
      report.findings.some(({ message }) => message.includes('nearest: "module._orig_mod.conv1.weight"')),
    ).toBe(true);
    expect(existsSync(output)).toBe(false);
  });
  it('an architecture by name, and no such thing', async () => {
    const { report } = await run({ source: stored('t2.sd.zip.pth'), against: 'onet' });
    expect(report.ok).toBe(false);
    expect(report.data.against?.missing).toContain('dense5.weight');
    await expect(run({ source: stored('t2.sd.zip.pth'), against: 'onett' })).rejects.toMatchObject({
      code: 'usage/unknown-name',
      hint: expect.stringContaining('onet'),
    });
  });
});

describe('what cannot be done leaves nothing behind', () => {
  it.each<[string, Omit<RemapJobOptions, 'output'> & { name?: string }, string]>([
    ['no tensors', { source: stored('empty_dict.pth') }, 'checkpoint/no-state-dict'],
    [
      'nothing selected',
      { source: stored('t2.sd.zip.pth'), select: ['nothing.*'] },
      'checkpoint/no-state-dict',
    ],
    ['an unknown extension', { source: stored('t2.sd.zip.pth'), name: 'out.onnx' }, 'usage/option'],
    ['a type NumPy lacks', { source: stored('dtypes_new.zip.pth'), name: 'out.npz' }, 'dtype/unsupported'],
    ['a type safetensors lacks', { source: stored('dtypes_layouts.zip.pth') }, 'dtype/unsupported'],
    ['no such file', { source: '/no/such.pth' }, 'file/not-found'],
  ])('%s', async (_, options, code) => {
    const folder = tempFolder();
    const output = join(folder, options.name ?? 'out.safetensors');
    await expect(remapFile({ ...options, output })).rejects.toMatchObject({ code });
    expect(readdirSync(folder)).toEqual([]);
  });
  it('an output that exists, or that is the input', async () => {
    const folder = tempFolder();
    const output = join(folder, 'out.pth');
    writeFileSync(output, 'old');
    const source = stored('t2.sd.zip.pth');
    await expect(remapFile({ source, output })).rejects.toMatchObject({ code: 'usage/output-exists' });
    expect(readFileSync(output, 'utf8')).toBe('old');
    await remapFile({ source, output, force: true });
    expect(Object.keys(contentOf(output))).toHaveLength(9);
    await expect(remapFile({ source: output, output, force: true })).rejects.toMatchObject({
      code: 'usage/conflict',
    });
  });
});

describe('the command', () => {
  it('remaps and reports', () => {
    const output = join(tempFolder(), 'out.safetensors');
    const words = [
      'remap',
      stored('t2.dp_compiled.pth'),
      '-o',
      output,
      '--strip-prefix',
      'module.',
      '--strip-prefix',
      '_orig_mod.',
    ];
    const { status, stdout, stderr } = ortho([...words, '--rename', 'fc.=head.', '--json']);
    expect([status, stderr]).toEqual([0, '']);
    const report = JSON.parse(stdout);
    expect(report.schema).toBe('remap@1');
    expect(report.data.renamed).toContainEqual({ from: 'module._orig_mod.fc.weight', to: 'head.weight' });
    expect(Object.keys(contentOf(output))).toContain('head.bias');
  });
  it('exits 1 when the keys do not match, 2, 3 and 4 for bad input', () => {
    const output = join(tempFolder(), 'out.pth');
    const exit = (...words: string[]) => ortho(['remap', ...words, '-o', output]).status;
    expect(exit(stored('t2.sd.zip.pth'), '--against', stored('tied.zip.pth'))).toBe(1);
    expect(exit(stored('t2.sd.zip.pth'), '--dtype', 'float12')).toBe(2);
    expect(exit(stored('../hostile/reduce_os_system.pth'))).toBe(3);
    expect(existsSync(output)).toBe(false);
  });
});
