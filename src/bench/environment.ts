/** The machine that a measurement was made on: without it a latency says nothing. */
import { arch, availableParallelism, cpus, loadavg, platform, release } from 'node:os';
import { machineMemoryMb } from '../runtime/memory.ts';
import { readCpuQuota } from './cpu-quota.ts';

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

/** @param onnxruntime version of the runtime. */
export const readEnvironment = (onnxruntime: string): Environment => ({
  cpu: cpus()[0]?.model.trim() ?? arch(),
  cores: availableParallelism(),
  cpuQuota: readCpuQuota()?.cpus ?? null,
  memoryMb: Math.round(machineMemoryMb()),
  platform: `${platform()} ${release()} ${arch()}`,
  node: process.versions.node,
  onnxruntime,
  loadAverage: platform() === 'win32' ? null : Math.round(loadavg()[0]! * 100) / 100,
});

/** True when other work keeps more than half of the processors busy: timings then measure that work too. */
export const isBusy = ({ loadAverage, cores, cpuQuota: quota }: Environment): boolean =>
  loadAverage !== null && loadAverage > Math.min(cores, quota ?? cores) / 2;
