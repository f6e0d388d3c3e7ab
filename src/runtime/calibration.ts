/**
 * A fixed piece of work that shows how fast the machine is right now: what changes in its time, the machine changed.
 *
 * About 1 ms of a dependent chain of integer hashing (the finaliser of MurmurHash3, Appleby) that reads and writes a
 * table of 128 KiB: neither the clock rate nor a cache that somebody else fills goes unnoticed.
 */

const TABLE = 1 << 15;
const STEPS = 150_000;
/** Rounds after which the engine has compiled the loop. */
const WARM_UP_ROUNDS = 10;

let table: Int32Array | undefined;

const round = (cells: Int32Array): number => {
  let hash = 1;
  for (let i = 0; i < STEPS; i++) {
    hash = Math.imul(hash ^ cells[(hash >>> 7) & (TABLE - 1)]!, 0x85ebca6b);
    hash ^= hash >>> 13;
    cells[i & (TABLE - 1)] = hash;
  }
  return hash;
};

/** Runs the kernel once and gives its time in ms. The first call also warms it up. */
export const timeCalibrationKernel = (): number => {
  if (table === undefined) {
    table = new Int32Array(TABLE);
    for (let i = 0; i < WARM_UP_ROUNDS; i++) round(table);
  }
  const before = performance.now();
  round(table);
  return performance.now() - before;
};
