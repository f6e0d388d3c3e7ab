/** Mapping files, presets, dry runs and automatic matching through the job and the command. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type RemapJobOptions, remapFile } from '../../src/jobs/remap.ts';
import { ortho } from '../support/cli.ts';
import { tempFolder } from '../support/torch-files.ts';

const fixture = (name: string): string => new URL(`../fixtures/${name}`, import.meta.url).pathname;
const T2 = fixture('checkpoints/t2.sd.zip.pth');

let folder: string;
beforeAll(() => {
  folder = tempFolder();
});
let count = 0;
const fresh = (name = 'out.safetensors'): string => {
  const inner = join(folder, String(count++));
  mkdirSync(inner);
  return join(inner, name);
};
const mappingOf = (...rules: unknown[]): string => {
  const path = fresh('mapping.json');
  writeFileSync(path, JSON.stringify({ rules }));
  return path;
};
const run = async (options: Omit<RemapJobOptions, 'source'> & { source?: string }) => {
  const output = options.output ?? fresh();
  return { output, report: await remapFile({ source: T2, ...options, output }) };
};

const ROUND = [
  { op: 'prefix', from: '', to: 'net.' },
  { op: 'transpose', keys: 'net\\.fc\\.weight' },
  { op: 'permute', keys: '.*', rank: 4, order: [2, 3, 1, 0] },
  { op: 'concat', keys: ['net\\.bn1\\.weight', 'net\\.bn1\\.bias'], to: 'net.bn1.affine', sizes: 'equal' },
];

describe('a mapping', () => {
  it.each(['out.safetensors', 'out.pth', 'out.npz'])(
    'is applied, and undone byte for byte: %s',
    async (name) => {
      const plain = await run({ output: fresh(name) });
      const mapping = mappingOf(...ROUND);
      const there = await run({ output: fresh(name), mapping });
      expect(there.report.data.transformed.map(({ rule, from, to }) => [rule, from, to])).toEqual(
        expect.arrayContaining([
          ['rules[3] (concat)', ['bn1.weight', 'bn1.bias'], ['net.bn1.affine']],
          ['rules[1] (transpose)', ['fc.weight'], ['net.fc.weight']],
          ['rules[2] (permute)', ['conv1.weight'], ['net.conv1.weight']],
        ]),
      );
      const back = await run({ source: there.output, output: fresh(name), mapping, invert: true });
      expect(back.report.ok).toBe(true);
      expect(readFileSync(back.output).equals(readFileSync(plain.output))).toBe(true);
    },
  );
  it('gives the same bytes twice', async () => {
    const mapping = mappingOf(...ROUND);
    const [one, two] = [await run({ mapping }), await run({ mapping })];
    expect(readFileSync(one.output).equals(readFileSync(two.output))).toBe(true);
  });
  it('rules that fit nothing are a warning', async () => {
    const { report } = await run({
      mapping: mappingOf({ op: 'rename', keys: 'no', to: 'x' }),
      presets: ['ema'],
    });
    expect(report.findings).toMatchObject([
      { level: 'warning', rule: 'unused-rule', message: 'no key fits "--preset ema", "rules[0] (rename)"' },
    ]);
  });
  it('casts are reported where they overflow', async () => {
    const { report } = await run({
      mapping: mappingOf(
        { op: 'scale', keys: 'fc\\.bias', factor: 1e30 },
        { op: 'cast', keys: 'fc\\.bias', dtype: 'float16' },
      ),
    });
    expect(report.findings).toMatchObject([
      { level: 'warning', rule: 'cast-overflow', at: { key: 'fc.bias' } },
    ]);
  });
  it('leaves nothing behind where it fails', async () => {
    const output = fresh();
    const mapping = mappingOf({ op: 'concat', keys: ['fc\\.weight', 'fc\\.gone'], to: 'x' });
    await expect(remapFile({ source: T2, output, mapping })).rejects.toMatchObject({
      code: 'weights/missing-key',
      message: 'rules[0] (concat): there is "fc.weight", but no "fc.gone"',
    });
    await expect(
      remapFile({ source: T2, output, mapping: mappingOf({ op: 'drop', globs: ['fc.*'] }), invert: true }),
    ).rejects.toMatchObject({ code: 'config/invalid' });
    await expect(
      remapFile({ source: T2, output, mapping: mappingOf({ op: 'drop', globs: ['*'] }) }),
    ).rejects.toMatchObject({
      code: 'checkpoint/no-state-dict',
    });
    expect(existsSync(output)).toBe(false);
  });
  it('is an input: the output never replaces it', async () => {
    const mapping = mappingOf(...ROUND).replace('mapping.json', 'mapping.pth');
    writeFileSync(mapping, JSON.stringify({ rules: ROUND }));
    await expect(remapFile({ source: T2, output: mapping, mapping, force: true })).rejects.toMatchObject({
      code: 'usage/conflict',
    });
  });
});

describe('presets', () => {
  it('choose the state dict that they are about', async () => {
    const source = fixture('checkpoints/t2.ema_timm.pth');
    const ema = await run({ source, presets: ['ema'] });
    const asked = await run({ source, stateDict: 'state_dict_ema' });
    expect(readFileSync(ema.output).equals(readFileSync(asked.output))).toBe(true);
    expect(ema.report.findings.map(({ rule }) => rule)).not.toContain('unused-rule');
    const other = await run({ source, presets: ['ema'], stateDict: 'state_dict' });
    expect(other.report.findings.map(({ rule }) => rule)).toContain('unused-rule');
  });
  it.each([
    ['t2.dp_compiled.pth', 'ddp+compile'],
    ['t2.lightning.ckpt', 'lightning'],
  ] as const)('%s becomes the plain network with %s', async (name, preset) => {
    const { report } = await run({ source: fixture(`checkpoints/${name}`), presets: [preset], against: T2 });
    expect(report.data.against).toEqual({ matched: 9, missing: [], unexpected: [], shapeMismatch: [] });
  });
});

describe('a dry run', () => {
  it('does everything but the write, with an output or without', async () => {
    const output = fresh();
    for (const options of [{ output }, {}]) {
      const report = await remapFile({ source: T2, ...options, select: ['fc.*'], dryRun: true });
      expect(report.data).toMatchObject({
        keys: 2,
        dryRun: true,
        output: null,
        tensors: [
          { name: 'fc.weight', dtype: 'float32', shape: [7, 24] },
          { name: 'fc.bias', dtype: 'float32', shape: [7] },
        ],
      });
    }
    expect(readdirSync(join(output, '..'))).toEqual([]);
  });
  it('says what would fail', async () => {
    const report = await remapFile({ source: T2, against: T2, drop: ['fc.bias'], dryRun: true });
    expect([report.ok, report.data.against?.missing]).toEqual([false, ['fc.bias']]);
    const output = fresh();
    writeFileSync(output, '');
    await expect(remapFile({ source: T2, output, dryRun: true })).rejects.toMatchObject({
      code: 'usage/output-exists',
    });
  });
});

describe('what is written', () => {
  it('is in the report', async () => {
    const { output, report } = await run({});
    expect(report.data).toMatchObject({
      output: { format: 'safetensors', files: [output] },
      dryRun: false,
      tensors: null,
    });
    expect(report.data.output?.bytes).toBe(readFileSync(output).length);
  });
});

describe('--auto', () => {
  const unique = (): string => fresh('unique.safetensors');
  it('finds the names of the target', async () => {
    const target = unique();
    await remapFile({ source: T2, output: target, select: ['conv1.weight', 'fc.weight', 'fc.bias'] });
    const renamed = unique();
    const rename = [
      { from: 'conv1.weight', to: 'stem.kernel' },
      { from: 'fc.', to: 'out.' },
    ];
    await remapFile({ source: target, output: renamed, rename });
    const { output, report } = await run({ source: renamed, against: target, auto: true });
    expect(report.ok).toBe(true);
    expect(report.data.auto).toMatchObject({
      score: 1,
      ambiguous: [],
      unmatchedSource: [],
      unmatchedTarget: [],
    });
    expect(report.data.renamed).toContainEqual({ from: 'stem.kernel', to: 'conv1.weight' });
    expect(readFileSync(output).equals(readFileSync(target))).toBe(true);
  });
  it('writes nothing where the target has other shapes', async () => {
    const { output, report } = await run({ against: 'onet', auto: true });
    expect([report.ok, existsSync(output)]).toEqual([false, false]);
    expect(report.data.auto?.unmatchedTarget.length).toBeGreaterThan(0);
  });
});

describe('options that need or exclude each other', () => {
  it.each<[string, Partial<RemapJobOptions>, string]>([
    ['--invert alone', { invert: true }, 'usage/conflict'],
    ['--auto alone', { auto: true }, 'usage/conflict'],
    ['a mapping and rules', { mapping: 'm.json', rules: [] }, 'usage/conflict'],
    ['no output', { output: undefined }, 'usage/option'],
    ['no such mapping', { mapping: '/no/such.json' }, 'file/not-found'],
  ])('%s', async (_, options, code) => {
    await expect(remapFile({ source: T2, output: fresh(), ...options })).rejects.toMatchObject({ code });
  });
});

describe('the command', () => {
  const remap = (...words: string[]) => ortho(['remap', ...words]);
  it('applies a mapping and a preset, and says what it did', () => {
    const output = fresh();
    const mapping = mappingOf({ op: 'transpose', keys: 'fc\\.weight' });
    const source = fixture('checkpoints/t2.lightning.ckpt');
    const { status, stdout } = remap(
      source,
      '--preset',
      'lightning',
      '--mapping',
      mapping,
      '-o',
      output,
      '--json',
    );
    expect(status).toBe(0);
    expect(JSON.parse(stdout).data).toMatchObject({
      keys: 9,
      transformed: [{ rule: 'rules[0] (transpose)', from: ['model.fc.weight'], to: ['fc.weight'] }],
      output: { format: 'safetensors', files: [output] },
    });
    const text = remap(T2, '--mapping', mapping, '--dry-run');
    expect([text.status, text.stdout]).toEqual([0, expect.stringContaining('24, 7')]);
  });
  it.each<[string, string[], number, string]>([
    ['no output', [T2], 2, '-o, --output OUT is missing'],
    ['--invert without a mapping', [T2, '-o', 'x.pth', '--invert'], 2, '--mapping FILE.json'],
    ['--auto without a target', [T2, '-o', 'x.pth', '--auto'], 2, '--against FILE'],
    ['an unknown preset', [T2, '-o', 'x.pth', '--preset', 'lightening'], 2, 'did you mean lightning?'],
  ])('%s', (_, words, code, message) => {
    const { status, stderr } = remap(...words);
    expect(status).toBe(code);
    expect(stderr).toContain(message);
  });
  it('a mapping with a fault ends with 2 and its place, one without an inverse too', () => {
    const fault = remap(T2, '-o', fresh(), '--mapping', mappingOf({ op: 'rename', keys: '(', to: 'x' }));
    expect([fault.status, fault.stderr]).toEqual([
      2,
      expect.stringContaining('rules[0].keys: this ( is not closed'),
    ]);
    const drop = remap(
      T2,
      '-o',
      fresh(),
      '--invert',
      '--mapping',
      mappingOf({ op: 'drop', globs: ['fc.*'] }),
    );
    expect([drop.status, drop.stderr]).toEqual([
      2,
      expect.stringContaining('rules[0] (drop) has no inverse'),
    ]);
  });
});
