/** Stderr of a command: progress, logs, warnings, errors. */
import { styleText } from 'node:util';
import type { OrthoError } from '../core/errors.ts';
import type { JobIo } from '../core/job-io.ts';
import { printable } from '../core/printable.ts';

export interface TerminalOptions {
  readonly quiet: boolean;
  readonly verbose: boolean;
  /** False after `--no-color`. */
  readonly color: boolean;
}

const CLEAR_LINE = '\r\u001b[2K';

/** At most ten updates of the progress line in a second. */
const PROGRESS_INTERVAL_MS = 100;

/** NO_COLOR (any non-empty value) wins over FORCE_COLOR, which wins over "is it a terminal". */
export const hasColor = (stream: NodeJS.WriteStream, wanted: boolean): boolean => {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  if (!wanted || (NO_COLOR !== undefined && NO_COLOR !== '')) return false;
  if (FORCE_COLOR !== undefined) return FORCE_COLOR !== '0' && FORCE_COLOR !== 'false';
  return stream.isTTY === true && TERM !== 'dumb';
};

const progressLine = (step: string, fraction: number | undefined): string => {
  const text = printable(step).slice(0, Math.max(20, (process.stderr.columns ?? 80) - 8));
  return fraction === undefined ? text : `${String(Math.round(fraction * 100)).padStart(3)} % ${text}`;
};

/** Stderr as a job's io. */
export class Terminal implements JobIo {
  readonly signal: AbortSignal;
  readonly #options: TerminalOptions;
  readonly #hasProgress: boolean;
  readonly #color: boolean;
  #shownAt = 0;
  #isShown = false;

  constructor(options: TerminalOptions, signal: AbortSignal) {
    this.#options = options;
    this.signal = signal;
    this.#hasProgress = process.stderr.isTTY === true && !options.quiet && process.env.TERM !== 'dumb';
    this.#color = hasColor(process.stderr, options.color);
    // Nobody reads stderr any more: that must not end the work.
    process.stderr.on('error', () => {});
  }

  progress(step: string, fraction?: number): void {
    const now = Date.now();
    if (!this.#hasProgress || now - this.#shownAt < PROGRESS_INTERVAL_MS) return;
    this.#shownAt = now;
    this.#isShown = true;
    process.stderr.write(`${CLEAR_LINE}${progressLine(step, fraction)}`);
  }

  log(message: string): void {
    if (this.#options.verbose) this.#line(printable(message));
  }

  say(message: string): void {
    if (!this.#options.quiet) this.#line(printable(message));
  }

  warn(message: string): void {
    if (!this.#options.quiet) this.#line(`${this.#paint('yellow', 'warning')}: ${printable(message)}`);
  }

  /** `ortho: <code>: message`, the hint, and the stack where it is a defect of ortho. */
  error(error: OrthoError): void {
    this.#line(`${this.#paint('red', 'ortho')}: ${error.code}: ${printable(error.message)}`);
    if (error.hint !== undefined) this.#line(`Hint: ${printable(error.hint)}`);
    if (error.code === 'internal/bug') {
      const { stack } = error.cause instanceof Error ? error.cause : error;
      this.#line(
        `${(stack ?? '').split('\n').map(printable).join('\n')}\nThis is a bug in ortho: please report it.`,
      );
      return;
    }
    for (let cause = error.cause; cause instanceof Error; cause = cause.cause) {
      this.log(`caused by ${cause.name}: ${cause.message}`);
    }
  }

  /** Removes the progress line. */
  clear(): void {
    if (this.#isShown) process.stderr.write(CLEAR_LINE);
    this.#isShown = false;
  }

  #line(text: string): void {
    this.clear();
    process.stderr.write(`${text}\n`);
  }

  #paint(style: 'red' | 'yellow', text: string): string {
    return this.#color ? styleText(style, text, { validateStream: false }) : text;
  }
}
