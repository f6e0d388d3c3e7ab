/** How busy all processors of the machine are, whoever keeps them so: the counters of /proc/stat, or Node's elsewhere. */
import { openSync, readSync } from 'node:fs';
import { cpus } from 'node:os';

/** Counters since the machine started, summed over its processors, in ms. */
export interface MachineLoad {
  /** Time not idle, without what was stolen. */
  readonly busyMs: number;
  /** Time that this virtual machine could have run but its host ran something else. */
  readonly stolenMs: number;
}

/** Ticks of /proc are hundredths of a second on every architecture that Node supports. */
const TICK_MS = 10;

/** From `cpu  user nice system idle iowait irq softirq steal …`; guests are part of user. */
export const parseProcStat = (stat: string): MachineLoad | undefined => {
  const fields = /^cpu +(\d[\d ]*)$/m.exec(stat)?.[1]?.split(' ').map(Number);
  if (fields === undefined) return undefined;
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = fields;
  return { busyMs: (user + nice + system + irq + softirq) * TICK_MS, stolenMs: steal * TICK_MS };
};

/** The first line is at most so long: ten counters of 64 bits. */
const FIRST_LINE = 256;

let file: number | undefined;

const readFirstLine = (): string => {
  file ??= openSync('/proc/stat', 'r');
  const bytes = Buffer.alloc(FIRST_LINE);
  const got = readSync(file, bytes, 0, FIRST_LINE, 0);
  return bytes.toString('latin1', 0, got);
};

/** Undefined where the system does not tell. Takes some 10 µs on Linux. */
export const readMachineLoad = (): MachineLoad | undefined => {
  if (process.platform === 'linux') {
    try {
      return parseProcStat(readFirstLine());
    } catch {
      return undefined;
    }
  }
  let busyMs = 0;
  for (const { times } of cpus()) busyMs += times.user + times.nice + times.sys + times.irq;
  return { busyMs, stolenMs: 0 };
};
