/**
 * The processor time that the control group of this process may use: cgroup v2 (`cpu.max`) or v1 (`cpu.cfs_quota_us`).
 * Groups are nested, and the tightest quota on the way to the root counts.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What the kernel counted since the group was made; periods in which the group had to wait, and for how long. */
export interface ThrottleCounts {
  readonly periods: number;
  readonly throttledPeriods: number;
  /** Summed over the processors of the group. */
  readonly throttledMs: number;
}

export interface CpuQuota {
  /** Processors that the quota amounts to, e.g. 0.5. */
  readonly cpus: number;
  /** The quota is handed out anew after this time. */
  readonly periodMs: number;
  /** Undefined where the system does not count. */
  counts(): ThrottleCounts | undefined;
}

/** Reads a small file; undefined where there is none. */
export type ReadText = (path: string) => string | undefined;

export const readTextFile: ReadText = (path) => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
};

const ROOT = '/sys/fs/cgroup';

/** Quota and period in µs, e.g. of `cpu.max`: `50000 100000`; undefined for none (`max`, -1). */
const parseQuota = (text: string): { readonly cpus: number; readonly periodMs: number } | undefined => {
  const [quota = Number.NaN, period = Number.NaN] = text.trim().split(/\s+/).map(Number);
  const cpus = quota / period;
  return cpus > 0 && Number.isFinite(cpus) ? { cpus, periodMs: period / 1000 } : undefined;
};

/** `cpu.stat`: v2 has `throttled_usec` (µs), v1 `throttled_time` (ns). */
export const parseThrottling = (text: string): ThrottleCounts | undefined => {
  const values = new Map(
    text
      .trim()
      .split('\n')
      .map((line) => {
        const [key = '', value] = line.split(' ');
        return [key, Number(value)] as const;
      }),
  );
  const periods = values.get('nr_periods');
  const throttledPeriods = values.get('nr_throttled');
  const micros = values.get('throttled_usec');
  const nanos = values.get('throttled_time');
  if (periods === undefined || throttledPeriods === undefined) return undefined;
  return {
    periods,
    throttledPeriods,
    throttledMs: micros !== undefined ? micros / 1e3 : (nanos ?? 0) / 1e6,
  };
};

/** The folder of a group and those above it, the root last. */
const upwards = (path: string): string[] => {
  const parts = path.split('/').filter((part) => part !== '' && part !== '..');
  return [...parts.keys(), parts.length].toReversed().map((count) => parts.slice(0, count).join('/'));
};

/** `/proc/self/cgroup`: lines `ID:CONTROLLERS:PATH`; the unified hierarchy has no controllers. */
const groupFolders = (read: ReadText): { readonly folder: string; readonly isUnified: boolean }[] => {
  const lines = (read('/proc/self/cgroup') ?? '').trim().split('\n');
  const groups = lines.flatMap((line) => {
    const [, controllers = '', path = '/'] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers === '') {
      return upwards(path).flatMap((part) =>
        [ROOT, join(ROOT, 'unified')].map((root) => ({ folder: join(root, part), isUnified: true })),
      );
    }
    if (!controllers.split(',').includes('cpu')) return [];
    return upwards(path).flatMap((part) =>
      [join(ROOT, controllers), join(ROOT, 'cpu')].map((root) => ({
        folder: join(root, part),
        isUnified: false,
      })),
    );
  });
  return groups;
};

/** The tightest quota that holds this process back; null without one. */
export const readCpuQuota = (read: ReadText = readTextFile): CpuQuota | null => {
  let tightest: CpuQuota | null = null;
  for (const { folder, isUnified } of groupFolders(read)) {
    const text = isUnified
      ? read(join(folder, 'cpu.max'))
      : `${read(join(folder, 'cpu.cfs_quota_us'))} ${read(join(folder, 'cpu.cfs_period_us'))}`;
    const quota = text === undefined ? undefined : parseQuota(text);
    if (quota === undefined || (tightest !== null && tightest.cpus <= quota.cpus)) continue;
    const stat = join(folder, 'cpu.stat');
    const counts = (): ThrottleCounts | undefined => {
      const counted = read(stat);
      return counted === undefined ? undefined : parseThrottling(counted);
    };
    tightest = { ...quota, counts };
  }
  return tightest;
};
