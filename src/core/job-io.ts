/**
 * What a job may say while it works, and how it learns that nobody waits for it any more.
 * The command line shows this on stderr; a library user passes what suits, or nothing.
 */
export interface JobIo {
  /** The current step and, where known, how much of it is done (0 to 1). Shown on a terminal only. */
  progress(step: string, fraction?: number): void;
  /** A detail for those who ask for details (`-v`). */
  log(message: string): void;
  /** News that are worth a line while the work goes on: when it will end, first results. */
  say(message: string): void;
  /** Something the user should see at once; what belongs to the result is a finding of the report instead. */
  warn(message: string): void;
  /** Aborted when the user interrupts. */
  readonly signal: AbortSignal;
}

/** An io that says nothing and is never aborted. */
export const silentIo = (): JobIo => ({
  progress: () => {},
  log: () => {},
  say: () => {},
  warn: () => {},
  signal: new AbortController().signal,
});
