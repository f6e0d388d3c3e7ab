import { expect, test } from 'vitest';
import { parseThrottling, readCpuQuota } from '../../../src/bench/cpu-quota.ts';
import { countList, parseBusy, parseProcess, thisMachine } from '../../../src/bench/doctor/machine.ts';

/** A file system of a few files. */
const reader =
  (files: Readonly<Record<string, string>>) =>
  (path: string): string | undefined =>
    files[path];

test('the quota of cgroup v2, at the process itself', () => {
  const quota = readCpuQuota(
    reader({
      '/proc/self/cgroup': '0::/\n',
      '/sys/fs/cgroup/cpu.max': '50000 100000\n',
      '/sys/fs/cgroup/cpu.stat': 'usage_usec 9\nnr_periods 40\nnr_throttled 12\nthrottled_usec 480000\n',
    }),
  );
  expect(quota).toMatchObject({ cpus: 0.5, periodMs: 100 });
  expect(quota?.counts()).toEqual({ periods: 40, throttledPeriods: 12, throttledMs: 480 });
});

test('the tightest of nested groups counts', () => {
  const quota = readCpuQuota(
    reader({
      '/proc/self/cgroup': '0::/a/b\n',
      '/sys/fs/cgroup/a/b/cpu.max': 'max 100000\n',
      '/sys/fs/cgroup/a/cpu.max': '150000 100000\n',
      '/sys/fs/cgroup/cpu.max': '400000 100000\n',
    }),
  );
  expect(quota?.cpus).toBe(1.5);
  expect(quota?.counts()).toBeUndefined();
});

test('cgroup v1, and v2 beside it', () => {
  const quota = readCpuQuota(
    reader({
      '/proc/self/cgroup': '4:cpu,cpuacct:/x\n1:memory:/x\n0::/\n',
      '/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us': '25000\n',
      '/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us': '50000\n',
      '/sys/fs/cgroup/cpu,cpuacct/x/cpu.stat': 'nr_periods 3\nnr_throttled 1\nthrottled_time 2000000\n',
    }),
  );
  expect(quota).toMatchObject({ cpus: 0.5, periodMs: 50 });
  expect(quota?.counts()).toEqual({ periods: 3, throttledPeriods: 1, throttledMs: 2 });
});

test('no quota', () => {
  expect(readCpuQuota(reader({}))).toBeNull();
  expect(
    readCpuQuota(
      reader({
        '/proc/self/cgroup': '1:cpu:/\n',
        '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
        '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
      }),
    ),
  ).toBeNull();
  expect(parseThrottling('usage_usec 12\n')).toBeUndefined();
});

test('counters of the kernel', () => {
  expect(parseBusy('cpu  100 5 20 900 50 1 2 3 0 0\ncpu0 1 1 1\n')).toBe(1310);
  expect(parseBusy('')).toBeUndefined();
  expect(countList('0-3,8\n')).toBe(5);
  expect(countList('1')).toBe(1);
  const stat = '12 (a) b) R 1 1 1 0 -1 4194304 101 0 7 0 30 12 0 0 20 0 1 0 99 3133440';
  expect(parseProcess(stat, 'VmRSS: 10 kB\nVmSwap:\t    2048 kB\n')).toEqual({
    majorFaults: 7,
    cpuMs: 420,
    swappedMb: 2,
  });
  expect(parseProcess('', '')).toBeUndefined();
});

test('this machine', () => {
  const machine = thisMachine();
  expect(machine.cores).toBeGreaterThan(0);
  expect(machine.cores).toBeLessThanOrEqual(machine.processors);
  expect(machine.kernelMs()).toBeGreaterThan(0);
  expect(machine.ownMs()).toBeGreaterThan(0);
});

test('a machine that tells nothing', () => {
  const machine = thisMachine(() => undefined);
  expect(machine.busyMs()).toBeUndefined();
  expect(machine.process(1)).toBeUndefined();
  expect(machine.frequencyMhz()).toBeUndefined();
  expect(machine.quota).toBeNull();
});
