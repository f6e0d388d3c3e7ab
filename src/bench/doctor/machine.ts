/**
 * What the doctor sees of the machine: clocks, processors, quotas, and what other processes do meanwhile. Linux tells
 * through /proc; elsewhere the counters are undefined, and what follows from them is left undecided.
 */
import { readdirSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { timeCalibrationKernel } from '../../runtime/calibration.ts';
import { type CpuQuota, type ReadText, readCpuQuota, readTextFile } from '../cpu-quota.ts';

/** Counters of one process since it started, over all its threads. */
export interface ProcessCounters {
  readonly cpuMs: number;
  /** Time that its threads could have run but no processor was free. */
  readonly waitMs: number;
  /** Pages that had to be read from a disk. */
  readonly majorFaults: number;
  readonly swappedMb: number;
}

export interface Machine {
  /** Logical processors of the machine. */
  readonly processors: number;
  /** Those that this process may run on. */
  readonly cores: number;
  readonly quota: CpuQuota | null;
  /** The clock, in ms. */
  now(): number;
  pause(ms: number): Promise<void>;
  /** Time of a fixed piece of work, in ms: what changes there, the machine changed. */
  kernelMs(): number;
  /** Time that all processors together were not idle, stolen time included, in ms; undefined where nobody counts. */
  busyMs(): number | undefined;
  /** Processor time of this process itself, in ms. */
  ownMs(): number;
  process(pid: number): ProcessCounters | undefined;
  /** Current clock of the first processor in MHz. */
  frequencyMhz(): number | undefined;
}

/** Kernel ticks of /proc are hundredths of a second on every architecture that Node supports. */
const TICK_MS = 10;

/** `cpu  user nice system idle iowait irq softirq steal …` */
export const parseBusy = (stat: string): number | undefined => {
  const fields = /^cpu +(.*)$/m.exec(stat)?.[1]?.split(' ').map(Number);
  if (fields === undefined) return undefined;
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = fields;
  return (user + nice + system + irq + softirq + steal) * TICK_MS;
};

/** Processors in a list like `0-3,8`. */
export const countList = (list: string): number =>
  list
    .trim()
    .split(',')
    .filter((part) => part !== '')
    .reduce((sum, part) => {
      const [first = 0, last = first] = part.split('-').map(Number);
      return sum + last - first + 1;
    }, 0);

const allowedCores = (read: ReadText): number => {
  const list = /^Cpus_allowed_list:\s*(\S+)$/m.exec(read('/proc/self/status') ?? '')?.[1];
  return list === undefined ? availableParallelism() : countList(list);
};

/** Run queue times of all threads in ms, from lines of ns: `RAN WAITED SLICES`. */
const scheduled = (pid: number, read: ReadText): { readonly ranMs: number; readonly waitMs: number } => {
  let ran = 0;
  let waited = 0;
  try {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const [ranNs = 0, waitedNs = 0] =
        read(`/proc/${pid}/task/${task}/schedstat`)?.split(' ').map(Number) ?? [];
      ran += ranNs;
      waited += waitedNs;
    }
  } catch {
    // The process has ended, or the system has no such folder.
  }
  return { ranMs: ran / 1e6, waitMs: waited / 1e6 };
};

/** The name of a process may hold anything: fields are counted from behind its closing parenthesis. */
export const parseProcess = (
  stat: string,
  status: string,
): Pick<ProcessCounters, 'cpuMs' | 'majorFaults' | 'swappedMb'> | undefined => {
  const fields = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [majorFaults, user, system] = [fields[9], fields[11], fields[12]];
  if (majorFaults === undefined || user === undefined || system === undefined) return undefined;
  const swapped = Number(/^VmSwap:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
  return { majorFaults, cpuMs: (user + system) * TICK_MS, swappedMb: swapped / 1024 };
};

/** This machine. @param read how files of /proc and /sys are read. */
export const thisMachine = (read: ReadText = readTextFile): Machine => ({
  processors: cpus().length,
  cores: allowedCores(read),
  quota: readCpuQuota(read),
  now: () => performance.now(),
  pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  kernelMs: timeCalibrationKernel,
  busyMs: () => {
    const stat = read('/proc/stat');
    return stat === undefined ? undefined : parseBusy(stat);
  },
  ownMs: () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1000;
  },
  process: (pid) => {
    const stat = read(`/proc/${pid}/stat`);
    const counters = stat === undefined ? undefined : parseProcess(stat, read(`/proc/${pid}/status`) ?? '');
    if (counters === undefined) return undefined;
    const { ranMs, waitMs } = scheduled(pid, read);
    // Ticks are too coarse to see whether a thread still spins: they count only where nothing finer does.
    return { ...counters, cpuMs: ranMs > 0 ? ranMs : counters.cpuMs, waitMs };
  },
  frequencyMhz: () => {
    const khz = Number(read('/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq') ?? Number.NaN);
    return khz > 0 ? khz / 1000 : undefined;
  },
});
