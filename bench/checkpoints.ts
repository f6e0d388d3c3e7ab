/**
 * Large checkpoints against the machine's own limits: copying with dd, hashing with sha256sum, a process that does
 * nothing; and against torch where Python has it (ORTHO_PYTHON names the interpreter). Everything is in the page cache,
 * and every copy ends on the disk. ORTHO_BENCH_GB=3 takes a larger file.
 */
import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Benchmark, megabytes, milliseconds, type Row, times } from './benchmark.ts';
import { writeCheckpoint } from './checkpoint-files.ts';
import { type Command, runOnce, runPaired, type Sample, withFolderAsync } from './process.ts';
import { ortho } from './tool.ts';

const python = process.env.ORTHO_PYTHON ?? 'python3';
const script = fileURLToPath(new URL('../../bench/peers/strip_prefix.py', import.meta.url));

const MEGABYTES = Number(process.env.ORTHO_BENCH_GB ?? 1) * 1000;
const SMALL_MEGABYTES = 9;
const PAIRS = 5;
const MAX_PEAK_MB = 150;
const MAX_READ = 1e6;

const has = (command: string, ...args: string[]): boolean =>
  spawnSync(command, args, { stdio: 'ignore' }).status === 0;

/** Runs a command whose output is new each time: freeing an old one is not its work. */
const writing =
  (output: string, command: Command): (() => Sample) =>
  () => {
    rmSync(output, { force: true });
    return runOnce(command);
  };

const peakRow = (what: string, peakMb: number | null): Row => ({
  what,
  against: '',
  measured: megabytes(peakMb),
  wanted: `at most ${MAX_PEAK_MB} MiB`,
  isMet: peakMb === null ? undefined : peakMb <= MAX_PEAK_MB,
});

/** How much faster or slower than dd; `wanted` is a share of its throughput. */
const copyRows = (
  name: string,
  source: string,
  output: string,
  more: readonly string[],
  wanted?: number,
): Row[] => {
  const copy = `${output}.copy`;
  const dd = writing(copy, ['dd', `if=${source}`, `of=${copy}`, 'bs=1M', 'conv=fsync']);
  const remap = writing(output, ortho('remap', source, '-o', output, '--strip-prefix', 'module.', ...more));
  const { a, b, ratio } = runPaired(dd, remap, PAIRS);
  rmSync(copy, { force: true });
  rmSync(output, { force: true });
  return [
    {
      what: `remap ${name}: ${milliseconds(b.ms)} against ${milliseconds(a.ms)}`,
      against: 'dd bs=1M conv=fsync',
      measured: `${times(ratio)} its throughput`,
      wanted: wanted === undefined ? '' : `at least ${times(wanted)}`,
      isMet: wanted === undefined ? undefined : ratio >= wanted,
    },
    peakRow(`peak memory of remap ${name}`, b.peakMb),
  ];
};

/**
 * Bytes that a process reads from a file, by the system's own account of its calls; null where strace is missing.
 */
const bytesRead = (command: Command, file: string): number | null => {
  const { status, stderr } = spawnSync('strace', ['-f', '-y', '-e', 'trace=read,pread64', ...command], {
    stdio: ['ignore', 'ignore', 'pipe'],
    maxBuffer: 1 << 28,
    encoding: 'utf8',
  });
  if (status !== 0) return null;
  return stderr
    .split('\n')
    .filter((line) => line.includes(`<${file}>`))
    .reduce((sum, line) => sum + Number(/= (\d+)$/.exec(line)?.[1] ?? 0), 0);
};

const inspectRows = (source: string): Row[] => {
  const inspect = ortho('inspect', source);
  const { a, b, ratio } = runPaired(
    () => runOnce(inspect),
    () => runOnce([process.execPath, '-e', '0']),
    15,
  );
  const read = bytesRead(inspect, source);
  return [
    {
      what: `inspect: ${milliseconds(a.ms)}, ${megabytes(a.peakMb)} (node -e 0: ${milliseconds(b.ms)})`,
      against: 'node -e 0',
      measured: times(ratio),
      wanted: `at most ${times(3)}`,
      isMet: ratio <= 3,
    },
    {
      what: 'bytes that inspect reads',
      against: 'the file',
      measured: read === null ? 'unknown (no strace)' : `${(read / 1e3).toFixed(0)} kB`,
      wanted: 'under 1 MB',
      isMet: read === null ? undefined : read < MAX_READ,
    },
  ];
};

const statsRows = (source: string): Row[] => {
  const hashes: readonly (readonly [Command, boolean])[] = [
    [['sha256sum', source], true],
    // With the processor's own instructions, which not every sha256sum uses.
    [['openssl', 'dgst', '-sha256', source], false],
  ];
  return hashes
    .filter(([[program]]) => has(program, '--version') || has(program, 'version'))
    .flatMap(([hash, isPromised]) => {
      const { a, b, ratio } = runPaired(
        () => runOnce(hash),
        () => runOnce(ortho('inspect', source, '--stats')),
        PAIRS,
      );
      return [
        {
          what: `inspect --stats: ${milliseconds(b.ms)} against ${milliseconds(a.ms)}`,
          against: hash.slice(0, -1).join(' '),
          measured: `${times(ratio)} its speed`,
          wanted: isPromised ? `at least ${times(0.5)}` : '',
          isMet: isPromised ? ratio >= 0.5 : undefined,
        },
        peakRow('peak memory of inspect --stats', b.peakMb),
      ];
    });
};

const torchRows = (source: string, folder: string, megabyteCount: number): Row[] => {
  const what = `remap to .pth, ${megabyteCount} MB`;
  const against = 'torch.load, strip, torch.save';
  if (!has(python, '-c', 'import torch')) {
    return [{ what, against, measured: `no torch in ${python}`, wanted: '' }];
  }
  const [ours, theirs] = [`${folder}/ours.pth`, `${folder}/theirs.pth`];
  const { a, b, ratio } = runPaired(
    writing(theirs, [python, script, source, theirs, 'module.']),
    writing(ours, ortho('remap', source, '-o', ours, '--strip-prefix', 'module.')),
    3,
  );
  for (const path of [ours, theirs]) rmSync(path, { force: true });
  const shown = ({ ms, peakMb }: Sample): string => `${milliseconds(ms)}, ${megabytes(peakMb)}`;
  return [
    {
      what: `${what}: ${shown(b)} against ${shown(a)}`,
      against,
      measured: `${times(ratio)} faster`,
      wanted: '',
    },
  ];
};

export const checkpoints: Benchmark = {
  summary: `a checkpoint of ${MEGABYTES / 1000} GB: copied, looked at, measured`,
  run: () =>
    withFolderAsync(async (folder) => {
      const [large, small] = [`${folder}/large.pth`, `${folder}/small.pth`];
      await writeCheckpoint(large, MEGABYTES);
      await writeCheckpoint(small, SMALL_MEGABYTES);
      const mapping = `${folder}/transpose.json`;
      writeFileSync(
        mapping,
        JSON.stringify({ rules: [{ op: 'transpose', keys: '.*\\.(attention|mlp)\\.weight' }] }),
      );
      return [
        ...copyRows('to .safetensors', large, `${folder}/out.safetensors`, [], 0.7),
        ...copyRows('to .pth', large, `${folder}/out.pth`, []),
        ...copyRows('to .npz', large, `${folder}/out.npz`, []),
        ...copyRows('--dtype float16', large, `${folder}/half.safetensors`, ['--dtype', 'float16']),
        ...copyRows('with all matrices transposed', large, `${folder}/t.safetensors`, ['--mapping', mapping]),
        ...inspectRows(large),
        ...statsRows(large),
        ...torchRows(large, folder, MEGABYTES),
        ...torchRows(small, folder, SMALL_MEGABYTES),
      ];
    }),
};
