/**
 * Does the doctor name the cause that was planted, and only that? Run by hand, on a machine with nothing else to do:
 *
 *   npm run build && npm run demo && node dist/bench/doctor-truth.js [TRIALS] [CASE...]
 *
 * Every trial is the command as a user types it. What other processes do at the same time is not planted: where the
 * doctor names them it is said apart.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { castToFloat16 } from '../src/convert/finish.ts';
import { float32Tensor, toFloat32 } from '../src/core/tensor.ts';
import { loadModel } from '../src/ir/load.ts';
import type { Model } from '../src/ir/model.ts';
import { modelToProto } from '../src/ir/to-proto.ts';
import { encodeModel } from '../src/proto/encode.ts';
import type { DoctorData } from '../src/report/schemas/doctor.ts';

const repository = fileURLToPath(new URL('../../', import.meta.url));
const CLI = join(repository, 'dist/cli/main.js');
const NET = join(repository, 'models/optimized/mobilenetv2-embedder/onnx/model.onnx');
const QUANTIZED = join(repository, 'models/optimized/mobilenetv2-embedder/onnx/model_quantized.onnx');
const LANDMARKS = join(repository, 'models/optimized/landmarks-gdconv/onnx/model.onnx');
const CHECKPOINT = join(repository, 'models/raw/mtcnn-rnet.pth.tar');

/** Causes that nobody plants here: what else the machine does. */
const MACHINE = ['other-processes', 'frequency-drift', 'memory-swapping'];

/** Every so many output channels of a convolution become subnormal. */
const CHANNELS = 8;
/** Every weight becomes subnormal, and products with them too: zeros in their place leave nothing subnormal. */
const TINY = 1e-40;

const folder = mkdtempSync(join(tmpdir(), 'ortho-doctor-truth-'));

/** The network with an edit, as a file. */
const edited = (name: string, edit: (model: Model) => void): string => {
  const model = loadModel(NET);
  edit(model);
  const path = join(folder, name);
  const parts = encodeModel(modelToProto(model)).map((part) =>
    part instanceof Uint8Array ? part : part.read(0, part.size),
  );
  writeFileSync(path, Buffer.concat(parts));
  model.close();
  return path;
};

const withSubnormals = ({ graph }: Model): void => {
  for (const value of graph.initializers) {
    const tensor = value.constant;
    const [outputs = 0, ...rest] = tensor?.dims ?? [];
    if (tensor?.dtype !== 'float32' || rest.length !== 3) continue;
    const values = toFloat32(tensor).slice();
    const size = rest.reduce((product, dim) => product * dim, 1);
    for (let channel = 0; channel < outputs; channel += CHANNELS)
      for (let i = 0; i < size; i++) values[channel * size + i]! *= TINY;
    graph.setInitializer(value, float32Tensor(tensor.dims, values));
  }
};

interface Case {
  readonly name: string;
  /** The planted cause; none for a healthy model. */
  readonly planted: readonly string[];
  readonly words: readonly string[];
  /** Processors that the command may use. */
  readonly quota?: number;
}

const cases = (): readonly Case[] => [
  { name: 'healthy', planted: [], words: [NET] },
  { name: 'healthy-pair', planted: [], words: [NET, LANDMARKS, '--spinning', 'stop'] },
  { name: 'subnormals', planted: ['subnormal-weights'], words: [edited('subnormal.onnx', withSubnormals)] },
  { name: 'threads', planted: ['thread-oversubscription'], words: [NET, '--threads', '4'] },
  { name: 'spinning', planted: ['spinning-contention'], words: [NET, LANDMARKS] },
  { name: 'quota', planted: ['cpu-quota'], words: [NET], quota: 0.5 },
  { name: 'keys', planted: ['weights-not-loaded'], words: [CHECKPOINT, '--no-strip-prefix'] },
  {
    name: 'float16',
    planted: ['float16-on-cpu'],
    words: [edited('half.onnx', ({ graph }) => castToFloat16(graph))],
  },
  { name: 'quantized', planted: ['quantized-below-extended'], words: [QUANTIZED, '--level', 'basic'] },
];

/** Roots of control groups for processor time, with how a quota of a period of 100 ms is written there. */
const GROUPS: readonly { readonly root: string; readonly files: (cpus: number) => Record<string, string> }[] =
  [
    {
      root: '/sys/fs/cgroup/cpu',
      files: (cpus) => ({ 'cpu.cfs_period_us': '100000', 'cpu.cfs_quota_us': String(cpus * 100_000) }),
    },
    { root: '/sys/fs/cgroup', files: (cpus) => ({ 'cpu.max': `${cpus * 100_000} 100000` }) },
  ];

/** A control group of its own for a command; undefined where none can be made. */
const makeGroup = (cpus: number): string | undefined => {
  for (const { root, files } of GROUPS) {
    const path = join(root, `ortho-doctor-truth-${process.pid}`);
    try {
      mkdirSync(path);
    } catch {
      continue;
    }
    try {
      for (const [file, text] of Object.entries(files(cpus))) writeFileSync(join(path, file), text);
      return path;
    } catch {
      rmdirSync(path);
    }
  }
  return undefined;
};

const run = (words: readonly string[], group: string | undefined): DoctorData => {
  const command = [process.execPath, CLI, 'doctor', ...words, '--json', '-q'];
  const join = group === undefined ? '' : 'echo $$ > "$GROUP/cgroup.procs" && ';
  const { stdout, stderr, status } = spawnSync('sh', ['-c', `${join}exec "$@"`, 'sh', ...command], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    env: { ...process.env, GROUP: group ?? '' },
  });
  if (status !== 0) throw new Error(`exit ${status}: ${stderr}`);
  return JSON.parse(stdout).data;
};

const describe = ({ causes }: DoctorData): string =>
  causes
    .map(({ cause, factor }) => `${cause}${factor === null ? '' : ` ×${factor.toFixed(2)}`}`)
    .join(', ') || 'nothing';

const trial = ({ name, planted, words, quota }: Case): boolean | undefined => {
  const group = quota === undefined ? undefined : makeGroup(quota);
  if (quota !== undefined && group === undefined) {
    console.log(`${name}: left out, no control group can be made here`);
    return undefined;
  }
  try {
    const began = performance.now();
    const data = run(words, group);
    const seconds = (performance.now() - began) / 1000;
    const found = data.causes.map(({ cause }) => cause).filter((cause) => !MACHINE.includes(cause));
    const isRight = found.toSorted().join() === planted.toSorted().join();
    const unsure = data.undecided.filter(({ why }) => why.includes('too wide')).map(({ cause }) => cause);
    console.log(
      `${name}: ${isRight ? 'right' : 'WRONG'}: ${describe(data)}; unsure of ${unsure.join(', ') || 'nothing'}; ${seconds.toFixed(1)} s`,
    );
    return isRight;
  } finally {
    if (group !== undefined) rmdirSync(group);
  }
};

const [trials = '1', ...only] = process.argv.slice(2);
try {
  const wanted = cases().filter(({ name }) => only.length === 0 || only.includes(name));
  const results = Array.from({ length: Number(trials) }, () => wanted.map(trial)).flat();
  const judged = results.filter((one) => one !== undefined);
  console.log(`${judged.filter((one) => one).length} of ${judged.length} right`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
