/**
 * How much memory a process holds, and how much it may: for limits on processes that run models.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';

/** Share of the machine's memory that a model may take when nobody says otherwise. */
const DEFAULT_SHARE = 0.8;

const MEBIBYTE = 2 ** 20;

/** The memory of this machine, or of the container where that is less, in MB. */
export const machineMemoryMb = (): number => {
  const constrained = process.constrainedMemory();
  const total = totalmem();
  return (constrained > 0 && constrained < total ? constrained : total) / MEBIBYTE;
};

/** The default memory limit in MB. */
export const defaultMemoryMb = (): number => Math.floor(machineMemoryMb() * DEFAULT_SHARE);

/** Resident memory in MB from the text of /proc/PID/status; undefined for a process that has none any more. */
export const parseStatus = (status: string): number | undefined => {
  const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
  return kibibytes === undefined ? undefined : Number(kibibytes) / 1024;
};

const readPs = (pid: number): Promise<number | undefined> =>
  new Promise((resolve) => {
    execFile('ps', ['-o', 'rss=', '-p', String(pid)], (error, stdout) => {
      const kibibytes = Number(stdout.trim());
      resolve(error === null && kibibytes > 0 ? kibibytes / 1024 : undefined);
    });
  });

/** Resident memory of a process in MB; undefined when it is gone or the system does not tell. */
export const residentMb = async (pid: number): Promise<number | undefined> => {
  if (process.platform !== 'linux') return readPs(pid);
  try {
    return parseStatus(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return undefined;
  }
};

/** Time between two looks, in ms: reading /proc costs 0.05 ms, `ps` is a process of its own. */
const POLL_MS = process.platform === 'linux' ? 50 : 500;

/**
 * Watches a process until `stop` is called.
 * @param exceeded called once with the resident MB when they pass `limitMb`.
 */
export const watchMemory = (
  pid: number,
  limitMb: number,
  exceeded: (residentMb: number) => void,
): { stop(): void } => {
  let isBusy = false;
  const timer = setInterval(async () => {
    if (isBusy) return;
    isBusy = true;
    const resident = await residentMb(pid);
    isBusy = false;
    if (resident !== undefined && resident > limitMb) {
      clearInterval(timer);
      exceeded(resident);
    }
  }, POLL_MS);
  timer.unref();
  return { stop: () => clearInterval(timer) };
};
