/** The machine that a measurement was made on: without it a latency says nothing. */
import { readFileSync } from 'node:fs';
import { arch, availableParallelism, cpus, loadavg, platform, release } from 'node:os';
import { machineMemoryMb } from '../runtime/memory.ts';

export interface Environment {
  readonly cpu: string;
  /** Logical processors that this process may use. */
  readonly cores: number;
  /** Processors that the container's quota allows; null without a quota. */
  readonly cpuQuota: number | null;
  readonly memoryMb: number;
  readonly platform: string;
  readonly node: string;
  readonly onnxruntime: string;
  /** Runnable processes, mean of the last minute, when the measurement began; null where the system does not tell. */
  readonly loadAverage: number | null;
  readonly [key: string]: string | number | null;
}

/** Processors that `cpu.max` of cgroup v2 (`200000 100000`) allows; null for no quota. */
export const parseCpuMax = (text: string): number | null => {
  const [quota, period] = text.trim().split(/\s+/).map(Number);
  const cpusAllowed = quota! / period!;
  return cpusAllowed > 0 && Number.isFinite(cpusAllowed) ? cpusAllowed : null;
};

const readOr = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
};

const cpuQuota = (): number | null => {
  const v2 = readOr('/sys/fs/cgroup/cpu.max');
  if (v2 !== undefined) return parseCpuMax(v2);
  const quota = readOr('/sys/fs/cgroup/cpu/cpu.cfs_quota_us');
  const period = readOr('/sys/fs/cgroup/cpu/cpu.cfs_period_us');
  return quota !== undefined && period !== undefined ? parseCpuMax(`${quota} ${period}`) : null;
};

/** @param onnxruntime version of the runtime. */
export const readEnvironment = (onnxruntime: string): Environment => ({
  cpu: cpus()[0]?.model.trim() ?? arch(),
  cores: availableParallelism(),
  cpuQuota: cpuQuota(),
  memoryMb: Math.round(machineMemoryMb()),
  platform: `${platform()} ${release()} ${arch()}`,
  node: process.versions.node,
  onnxruntime,
  loadAverage: platform() === 'win32' ? null : Math.round(loadavg()[0]! * 100) / 100,
});

/** True when other work keeps more than half of the processors busy: timings then measure that work too. */
export const isBusy = ({ loadAverage, cores, cpuQuota: quota }: Environment): boolean =>
  loadAverage !== null && loadAverage > Math.min(cores, quota ?? cores) / 2;
