/**
 * Which machine a number belongs to. Latencies and tuned options of one machine say nothing about another, so what is
 * stored carries a fingerprint: the kind of processor, how much of it may be used, and the runtime.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { arch, cpus, platform } from 'node:os';
import type { Environment } from './environment.ts';

export interface Fingerprint {
  /** 12 hex digits of the sha256 of the other members. */
  readonly id: string;
  /** See {@link describeProcessor}. */
  readonly processor: string;
  readonly cores: number;
  readonly cpuQuota: number | null;
  /** Operating system and architecture, e.g. `linux x64`. */
  readonly platform: string;
  readonly onnxruntime: string;
}

/**
 * The kind of processor: its name and, where the system tells them, its model numbers and a digest of its features. The
 * name alone does not tell which kernels the runtime chooses.
 */
export const describeProcessor = (): string => {
  const name = cpus()[0]?.model.trim() ?? 'unknown';
  let text: string;
  try {
    text = readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    return name;
  }
  const field = (key: string): string => new RegExp(`^${key}\\s*: (.*)$`, 'm').exec(text)?.[1] ?? '?';
  const features = createHash('sha256').update(field('flags')).digest('hex').slice(0, 8);
  return `${name}, family ${field('cpu family')}, model ${field('model')}, stepping ${field('stepping')}, features ${features}`;
};

const withId = (parts: Omit<Fingerprint, 'id'>): Fingerprint => {
  const { processor, cores, cpuQuota, platform: system, onnxruntime } = parts;
  const text = JSON.stringify([processor, cores, cpuQuota, system, onnxruntime]);
  return { id: createHash('sha256').update(text).digest('hex').slice(0, 12), ...parts };
};

/** The fingerprint of this machine. */
export const fingerprintOf = ({ cores, cpuQuota, onnxruntime }: Environment): Fingerprint =>
  withId({
    processor: describeProcessor(),
    cores,
    cpuQuota,
    platform: `${platform()} ${arch()}`,
    onnxruntime,
  });

const LABELS = {
  processor: 'processor',
  cores: 'cores',
  cpuQuota: 'processor quota',
  platform: 'platform',
  onnxruntime: 'onnxruntime-node',
} as const satisfies Record<keyof Omit<Fingerprint, 'id'>, string>;

/** What differs, in words: `cores: 8 instead of 2`. Empty when it is the same kind of machine. */
export const machineDifferences = (stored: Fingerprint, here: Fingerprint): string[] =>
  (Object.keys(LABELS) as (keyof typeof LABELS)[])
    .filter((key) => stored[key] !== here[key])
    .map((key) => `${LABELS[key]}: ${here[key] ?? 'none'} instead of ${stored[key] ?? 'none'}`);
