/**
 * The file of `--save-baseline`: what was measured of some models, on which machine, with which options.
 *
 * Numbers of another machine, runtime or option are never compared. Outputs are kept where they are small, so that
 * parity can be checked without the model.
 */
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import * as z from 'zod';
import type { Environment } from '../bench/environment.ts';
import { fingerprintOf, machineDifferences } from '../bench/fingerprint.ts';
import { OrthoError } from '../core/errors.ts';
import { FileSource } from '../core/source.ts';
import { count, type Frozen, valueInfo } from '../report/schemas/common.ts';
import { configPlace } from './config-json.ts';

const machine = z.object({
  /** Digest of what follows up to the runtime's version. */
  id: z.string(),
  processor: z.string(),
  cores: z.number(),
  cpuQuota: z.number().nullable(),
  platform: z.string(),
  onnxruntime: z.string(),
  /** Release of the operating system's kernel. */
  kernel: z.string(),
  node: z.string(),
  /** Frequency governor of the processor; null where the system does not tell. */
  governor: z.string().nullable(),
});

const session = z.object({ level: z.string(), threads: z.number().nullable(), spinning: z.string() });

const interval = z.tuple([z.number(), z.number()]);

const storedModel = z.object({
  name: z.string(),
  /** Relative to the folder of this file. */
  file: z.string(),
  sha256: z.string(),
  inputs: z.array(valueInfo),
  /** Digest of what it was fed. */
  feedsSha256: z.string(),
  /** Alone, in ms. */
  summary: z.object({ n: count, p50: z.number(), mad: z.number(), ci95: interval }),
  /** Fresh processes: medians of the model in ms, and of the ratio to the yardstick, pair by pair. */
  sessions: z
    .array(z.object({ ms: z.number().positive(), ratio: z.number().positive(), pairs: count }))
    .min(2),
  /** What it answered; null where that was too large to keep. */
  outputs: z.array(valueInfo.extend({ base64: z.base64() })).nullable(),
});

export const baselineFile = z.object({
  schema: z.literal('bench-baseline@1'),
  tool: z.literal('ortho'),
  version: z.string(),
  machine,
  session,
  /** Digest of the model that the others were measured against. */
  yardstick: z.string(),
  models: z.array(storedModel).min(1),
});

export type BaselineFile = Frozen<z.infer<typeof baselineFile>>;
export type StoredModel = BaselineFile['models'][number];
export type Machine = BaselineFile['machine'];

/** No baseline comes near this; what is larger is another file. */
const MOST_BYTES = 64 << 20;

/** @throws OrthoError file/not-found, file/limit, baseline/invalid naming every fault by its place in the file */
export const readBaselineFile = (path: string): BaselineFile => {
  const source = new FileSource(path);
  try {
    if (source.size > MOST_BYTES) {
      throw new OrthoError('file/limit', `${path}: ${source.size} bytes, more than any stored baseline has`, {
        at: { file: path },
      });
    }
    const invalid = (why: string): OrthoError =>
      new OrthoError('baseline/invalid', `${path}: ${why}`, {
        at: { file: path },
        hint: 'it should be a file that --save-baseline wrote; schemas/bench-baseline.schema.json describes it',
      });
    let content: unknown;
    try {
      content = JSON.parse(new TextDecoder().decode(source.read(0, source.size)));
    } catch (cause) {
      throw invalid(`not JSON: ${(cause as Error).message}`);
    }
    const result = baselineFile.safeParse(content);
    if (result.success) return result.data;
    const faults = result.error.issues.map((issue) => `${configPlace(issue.path)}: ${issue.message}`);
    throw invalid(faults.slice(0, 5).join('; '));
  } finally {
    source.close();
  }
};

const governorOf = (): string | null => {
  try {
    return readFileSync('/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor', 'utf8').trim();
  } catch {
    return null;
  }
};

/** The machine that this process runs on. */
export const machineOf = (environment: Environment): Machine => ({
  ...fingerprintOf(environment),
  kernel: release(),
  node: environment.node,
  governor: governorOf(),
});

const differences = <T extends object>(stored: T, here: T, keys: readonly (keyof T & string)[]): string[] =>
  keys
    .filter((key) => stored[key] !== here[key])
    .map((key) => `${key}: ${here[key] ?? 'none'} instead of ${stored[key] ?? 'none'}`);

/** Why stored numbers say nothing here, in words; empty where they do. */
export const baselineDifferences = (
  stored: BaselineFile,
  here: Pick<BaselineFile, 'machine' | 'session' | 'yardstick'>,
): string[] => [
  ...machineDifferences(stored.machine, here.machine),
  ...differences(stored.machine, here.machine, ['kernel', 'node', 'governor']),
  ...differences(stored.session, here.session, ['level', 'threads', 'spinning']),
  ...(stored.yardstick === here.yardstick ? [] : ['another version of ortho measures against another model']),
];
