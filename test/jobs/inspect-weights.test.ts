/** inspect of weights as a job and as a command: views, values, verdicts, exit codes. */
import fs, {
  closeSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { inspectFile } from '../../src/jobs/inspect.ts';
import { envelope } from '../../src/report/schemas/envelope.ts';
import { inspectWeights as schema } from '../../src/report/schemas/inspect.ts';
import { ortho } from '../support/cli.ts';

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'ortho-inspect-weights-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A safetensors file of float32 tensors; without values, `bytes` of a hole. */
const safetensors = (name: string, tensors: Readonly<Record<string, readonly number[]>>): string => {
  let at = 0;
  const header = Object.entries(tensors).map(([key, values]) => {
    const begin = at;
    at += values.length * 4;
    return [key, { dtype: 'F32', shape: [values.length], data_offsets: [begin, at] }] as const;
  });
  const json = Buffer.from(JSON.stringify(Object.fromEntries(header)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(
    path,
    Buffer.concat([
      length,
      json,
      ...Object.values(tensors).map((v) => Buffer.from(Float32Array.from(v).buffer)),
    ]),
  );
  return path;
};

const values = safetensors('values.safetensors', {
  'block.0.weight': [1, 2, 3, 4],
  'block.1.weight': [-3, 0, 0, 3],
  'head.bias': [5, Number.NaN, Number.NEGATIVE_INFINITY, 1e-40],
  'head.gain': [7],
});

/** The data of a report that `--json` printed, held against the schema. */
const dataOf = (stdout: string) => {
  const report: unknown = JSON.parse(stdout);
  return envelope('inspect', schema).parse(report).data;
};

describe('values', () => {
  it('are measured', async () => {
    const { data, findings } = await inspectFile(values, { stats: true, histogram: true });
    const tensors = schema
      .parse(data)
      .tensors.map(({ name, stats, histogram }) => ({ name, stats, histogram }));
    expect(tensors[0]).toEqual({
      name: 'block.0.weight',
      stats: {
        min: 1,
        max: 4,
        mean: 2.5,
        std: Math.sqrt(1.25),
        norm: Math.sqrt(30),
        zeros: 0,
        subnormals: 0,
        nans: 0,
        infinities: 0,
      },
      histogram: {
        min: 1,
        max: 4,
        counts: Array.from({ length: 32 }, (_, i) => ([0, 10, 21, 31].includes(i) ? 1 : 0)),
      },
    });
    expect(tensors[1]?.stats).toMatchObject({ min: -3, max: 3, mean: 0, std: Math.sqrt(4.5), zeros: 2 });
    expect(tensors[2]?.stats).toMatchObject({ max: 5, zeros: 0, subnormals: 1, nans: 1, infinities: 1 });
    expect(tensors[3]?.stats).toMatchObject({ min: 7, max: 7, mean: 7, std: 0, norm: 7 });
    expect(data).toMatchObject({
      subnormals: { tensors: 1, elements: 1 },
      nonFinite: { tensors: 1, elements: 2 },
    });
    expect(findings.map(({ rule }) => rule)).toEqual(['non-finite-weights', 'subnormal-weights']);
  });

  it('are counted where they were selected', () => {
    const { status, stdout } = ortho(['inspect', values, '--keys', 'block.*', '--stats', '--json']);
    expect(status).toBe(0);
    const data = dataOf(stdout);
    expect(data).toMatchObject({
      selection: { keys: ['block.*'], of: 4 },
      nonFinite: { tensors: 0, elements: 0 },
    });
    expect(data.tensors.map(({ name, stats }) => [name, stats?.max])).toEqual([
      ['block.0.weight', 4],
      ['block.1.weight', 3],
    ]);
  });

  it('are drawn', () => {
    const { status, stdout } = ortho(['inspect', values, '--keys', '*', '--histogram']);
    expect(status).toBe(0);
    expect(stdout).toContain('|█         █          █         █|');
    expect(stdout).toMatch(
      /^ {2}tensor +dtype +shape +bytes +min +max +mean +std +norm +zeros +subnormal +non-finite +min to max$/m,
    );
    const md = ortho(['inspect', values, '--keys', 'block.0.*', '--histogram', '--format', 'md']).stdout;
    expect(md).toContain('█         █          █         █');
  });
});

describe('keys', () => {
  it('that nobody has are a usage error', () => {
    const { status, stderr } = ortho(['inspect', values, '--keys', 'block.*', '--keys', 'haed.*']);
    expect(status).toBe(2);
    expect(stderr).toMatch(/^ortho: usage\/option: --keys: no tensor is called "haed\.\*"\n/);
  });

  it('and the other views of weights mean nothing for a model', () => {
    const model = fixture('onnx/tiny.default.onnx');
    for (const words of [['--keys', '*'], ['--depth', '2'], ['--histogram'], ['--globals']]) {
      const { status, stderr } = ortho(['inspect', model, ...words]);
      expect(status).toBe(2);
      expect(stderr).toContain(`usage/conflict: ${model}: a model, and ${words[0]} is for files of weights`);
    }
    expect(ortho(['inspect', model, '--depth', '-1']).status).toBe(2);
  });
});

describe('modules', () => {
  const many = safetensors(
    'many.safetensors',
    Object.fromEntries([
      ...Array.from({ length: 12 }, (_, i) => [`net.layers.${i}.conv.weight`, [1, 2]]),
      ...Array.from({ length: 12 }, (_, i) => [`net.layers.${i}.norm.bias`, [1]]),
      ['net.evil\u001b[31m.weight', [1]],
    ]),
  );

  it('are a tree in place of a long list, unless that is asked for', () => {
    const { stdout } = ortho(['inspect', many]);
    expect(stdout).toMatch(/^ {4}layers\.\{0-11\} ×12 +24 +36 +144 B$/m);
    expect(stdout).toMatch(/^ {6}conv ×12 +12 +24 +96 B {2}weight \[2\]$/m);
    expect(stdout).toMatch(/^ {4}evil\\x1b\[31m +1 +1 +4 B {2}weight \[1\]$/m);
    expect(stdout).not.toContain('net.layers.0.conv.weight');
    expect(stdout).not.toContain('\u001b');
    const all = ortho(['inspect', many, '-v']).stdout;
    expect(all).toContain('layers.{0-11} ×12');
    expect(all).toContain('net.layers.11.norm.bias');
  });

  it('end at a depth', () => {
    const { stdout } = ortho(['inspect', many, '--depth', '1']);
    expect(stdout).toContain('layers.{0-11} ×12');
    expect(stdout).not.toContain('conv ×12');
    const data = dataOf(ortho(['inspect', many, '--depth', '1', '--json']).stdout);
    expect(data.modules.map(({ path }) => path)).toEqual(['net', 'net.layers.{0-11}', 'net.evil\u001b[31m']);
    expect(data.depth).toBe(1);
    expect(data.tensors).toHaveLength(25);
  });
});

describe('globals', () => {
  it.each([
    ['plain data', fixture('checkpoints/t2.sd.zip.pth'), 0, 'safe'],
    ['no pickles', values, 0, 'safe'],
    ['a pickled module', fixture('checkpoints/t2.wholemodel.zip.pth'), 0, 'opaque'],
    ['a shell command', fixture('hostile/reduce_os_system.pth'), 3, 'dangerous'],
    ['code in a text', fixture('hostile/stack_global_eval.pth'), 3, 'dangerous'],
    ['a program in the header', fixture('hostile/legacy_os_system_in_sysinfo.pth'), 3, 'dangerous'],
    ['an object without a name', fixture('hostile/ext_registry.pth'), 3, 'dangerous'],
  ])('of %s', (_, path, status, verdict) => {
    const outcome = ortho(['inspect', '--globals', '--json', path]);
    expect(outcome.status).toBe(status);
    const data = dataOf(outcome.stdout);
    expect(data.verdict).toBe(verdict);
    expect(data.autopsy?.effects).toHaveLength(data.globals.length);
  });

  it('says where and what', () => {
    const path = fixture('hostile/reduce_os_system.pth');
    const { stdout } = ortho(['inspect', '--globals', path]);
    expect(stdout).toMatch(
      /^ {2}os\.system +dangerous +1 +data\.pkl, byte 2 +runs a shell command or program$/m,
    );
    expect(stdout).toMatch(/^ {2}verdict +dangerous$/m);
    // Looking at it is no failure by itself.
    const plain = ortho(['inspect', path]);
    expect(plain.status).toBe(0);
    expect(plain.stdout).toMatch(/^ {2}safety +dangerous: "os\.system"/m);
    expect(ortho(['inspect', '--check', path]).status).toBe(3);
    const whole = ortho(['inspect', '--globals', fixture('checkpoints/t2.wholemodel.zip.pth')]).stdout;
    expect(whole).toContain('warning opaque-globals: 7 globals');
    expect(whole).toMatch(
      /torch\.nn\.modules\.linear\.Linear +opaque +1 +imports torch\.nn\.modules\.linear and calls Linear$/m,
    );
  });
});

describe('the file', () => {
  it('is neither hashed nor read when it is large', async () => {
    const path = join(folder, 'large.safetensors');
    const json = JSON.stringify({ w: { dtype: 'F32', shape: [1 << 26], data_offsets: [0, 1 << 28] } });
    const head = Buffer.alloc(8);
    head.writeBigUInt64LE(BigInt(json.length));
    writeFileSync(path, Buffer.concat([head, Buffer.from(json)]));
    const fd = openSync(path, 'r+');
    ftruncateSync(fd, head.length + json.length + (1 << 28));
    closeSync(fd);
    const { readSync } = fs;
    let read = 0;
    fs.readSync = ((...words: Parameters<typeof readSync>) => {
      const got = readSync(...words);
      read += got;
      return got;
    }) as typeof readSync;
    syncBuiltinESMExports();
    try {
      const { data, subject } = await inspectFile(path);
      expect(subject).toMatchObject({ sha256: null, bytes: head.length + json.length + (1 << 28) });
      expect(data).toMatchObject({ parameters: 1 << 26, bytes: 1 << 28, subnormals: null, nonFinite: null });
    } finally {
      fs.readSync = readSync;
      syncBuiltinESMExports();
    }
    expect(read).toBeGreaterThan(json.length);
    expect(read).toBeLessThan(10_000);
  });

  it('may be a folder or an index of shards', async () => {
    safetensors('sharded/a.safetensors', { 'x.0.w': [1, 2], 'x.1.w': [3, 4] });
    safetensors('sharded/b.safetensors', { 'y.w': [5] });
    const index = join(folder, 'sharded/model.safetensors.index.json');
    const weights = { 'x.0.w': 'a.safetensors', 'x.1.w': 'a.safetensors', 'y.w': 'b.safetensors' };
    writeFileSync(index, JSON.stringify({ metadata: { total_size: 20 }, weight_map: weights }));
    for (const path of [index, join(folder, 'sharded')]) {
      const { data, subject } = await inspectFile(path, { stats: true });
      expect(data).toMatchObject({ format: 'safetensors', bytes: 20, parameters: 5 });
      expect(schema.parse(data).tensors.map(({ stats }) => stats?.max)).toEqual([2, 4, 5]);
      expect(subject.file).toBe(path);
    }
  });

  it('has a long list of metadata cut, unless all is asked for', () => {
    const path = fixture('checkpoints/training_ckpt.legacy.pth');
    const lines = (...words: string[]): string[] => {
      const { stdout } = ortho(['inspect', path, ...words]);
      return stdout.slice(stdout.indexOf('metadata\n'), stdout.indexOf('modules\n')).trimEnd().split('\n');
    };
    const short = lines();
    expect(short).toHaveLength(25);
    expect(short.at(-1)).toMatch(/^ {2}… and \d+ more +-v shows them$/);
    expect(short).toContainEqual(expect.stringMatching(/^ {2}args\.arch +tiny$/));
    expect(lines('-v').length).toBeGreaterThan(40);
  });

  it('says how near it is to a known network', () => {
    const ten = new Array<number>(10).fill(1);
    const near = safetensors('near.safetensors', {
      'net.conv1.bias': ten,
      'net.prelu1.weight': ten,
      'net.x': [2],
    });
    const data = dataOf(ortho(['inspect', near, '--json']).stdout);
    expect(data.architecture).toBeNull();
    expect(data.architectureMatch).toMatchObject({
      name: 'pnet',
      prefix: 'net.',
      matched: 2,
      unexpected: ['x'],
    });
    expect(data.architectureMatch?.missing).toContain('conv4_1.weight');
    expect(data.architectureMatch?.score).toBeLessThan(0.7);
  });
});
