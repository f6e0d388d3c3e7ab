/**
 * One child process that holds models, and what can go wrong with it: it hangs, it dies of a signal, it eats memory.
 *
 * Requests run one after the other. The first that fails by killing the process ends it: later ones get the same error.
 * While nothing is asked of it, the process does not keep its parent alive; it ends when its parent does.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { OrthoError } from '../core/errors.ts';
import { type Frame, FrameReader } from './frame-reader.ts';
import { defaultMemoryMb, watchMemory } from './memory.ts';
import {
  type Answer,
  type Answers,
  CHANNEL_FD,
  encodeFrame,
  type Request,
  unpackFailure,
} from './protocol.ts';
import { DEFAULT_TIMEOUT_MS, type ProcessLimits } from './session.ts';

const CHILD = fileURLToPath(new URL('./child.js', import.meta.url));

/** How much of what the child writes to stderr is kept for error messages. */
const KEPT_STDERR = 4096;

/** Children alive: killed when this process exits in an orderly way; when it does not, they notice themselves. */
const alive = new Set<ChildProcess>();

const killAll = (): void => {
  for (const child of alive) child.kill('SIGKILL');
};

/** The last line that says something: stack frames, colours and control characters are left out. */
export const lastWords = (stderr: string): string | undefined =>
  stderr
    .split('\n')
    .map((line) =>
      line
        .replace(/\u001b\[[0-9;]*m/g, '')
        .replace(/[\u0000-\u001f\u007f-\u009f]/g, '')
        .trim(),
    )
    .filter((line) => line !== '' && !/^\d+: (0x)?[0-9a-f]+ |^-+ |^#? ?$/.test(line))
    .at(-1)
    ?.slice(0, 200);

/** What is being done to which model: for error messages. */
export interface Doing {
  readonly path: string;
  /** E.g. `loading`, `running`. */
  readonly verb: string;
  /** Added to the hint of a crash. */
  readonly crashHint?: string;
  /** Time that the request itself may take on top of the limit, in ms. */
  readonly extraMs?: number;
}

interface Pending {
  readonly doing: Doing;
  settle(result: Frame | OrthoError): void;
}

export class ModelProcess {
  readonly #child: ChildProcess;
  readonly #socket: Socket;
  readonly #stderr: Socket;
  readonly #timeoutMs: number;
  readonly #signal: AbortSignal | undefined;
  readonly #memory: { stop(): void } | undefined;
  readonly #exited: Promise<void>;
  #queue: Promise<unknown> = Promise.resolve();
  #pending: Pending | undefined;
  /** Why the process is gone or about to be. */
  #end: OrthoError | undefined;
  #said = '';

  constructor(limits: ProcessLimits = {}) {
    const { timeoutMs = DEFAULT_TIMEOUT_MS, memoryMb = defaultMemoryMb(), signal } = limits;
    this.#timeoutMs = timeoutMs;
    this.#signal = signal;
    const { NODE_OPTIONS: _, ...inherited } = process.env;
    // Unless told otherwise, the runtime sends usage data from every process, and leaves a log in the temporary folder.
    const env = { ORT_DISABLE_TELEMETRY: '1', ...inherited };
    const stdio = ['ignore', 'ignore', 'pipe', 'pipe'] as const;
    const child = spawn(process.execPath, [CHILD, String(process.pid)], { stdio: [...stdio], env });
    this.#child = child;
    this.#socket = child.stdio[CHANNEL_FD] as unknown as Socket;
    if (alive.size === 0) process.on('exit', killAll);
    alive.add(child);

    const reader = new FrameReader((frame) => this.#settle(frame));
    this.#socket.on('data', (chunk: Uint8Array) => {
      try {
        reader.push(chunk);
      } catch (cause) {
        this.#kill(this.#defect(`the process answered in no known form: ${String(cause)}`));
      }
    });
    // A write to a process that just died fails here; its exit says why.
    this.#socket.on('error', () => {});
    this.#stderr = child.stderr as unknown as Socket;
    this.#stderr.on('data', (chunk: Buffer) => {
      this.#said = (this.#said + chunk.toString()).slice(-KEPT_STDERR);
    });
    this.#exited = new Promise((resolve) => {
      child.once('error', (cause) => {
        this.#finish(this.#defect(`the process cannot be started: ${cause.message}`));
        resolve();
      });
      child.once('close', (code, killer) => {
        this.#finish(this.#end ?? this.#crash(code, killer));
        resolve();
      });
    });
    this.#memory =
      memoryMb > 0 && child.pid !== undefined
        ? watchMemory(child.pid, memoryMb, (resident) => this.#kill(this.#tooMuch(resident, memoryMb)))
        : undefined;
    signal?.addEventListener('abort', this.#interrupt, { once: true });
    if (signal?.aborted) this.#interrupt();
    this.#holdParent(false);
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Asks one thing. @throws OrthoError of the child, or runtime/crashed, /timeout, /memory, internal/interrupted. */
  ask<Op extends Request['op']>(
    request: Request & { readonly op: Op },
    buffers: readonly Uint8Array[],
    doing: Doing,
  ): Promise<{ readonly header: Answers[Op]; readonly buffers: readonly Uint8Array[] }> {
    const turn = this.#queue.then(() => this.#exchange(request, buffers, doing));
    this.#queue = turn.catch(() => {});
    return turn.then(({ header, buffers: received }) => {
      const answer = header as Answer<Op>;
      if ('error' in answer) throw unpackFailure(answer.error);
      return { header: answer, buffers: received };
    });
  }

  /** Ends the process, at once, and waits until it is gone. */
  async close(): Promise<void> {
    this.#kill(new OrthoError('internal/bug', 'the model process was closed'));
    this.#holdParent(true);
    await this.#exited;
  }

  #exchange(request: Request, buffers: readonly Uint8Array[], doing: Doing): Promise<Frame> {
    return new Promise((resolve, reject) => {
      if (this.#end !== undefined) {
        reject(this.#end);
        return;
      }
      const limit = this.#timeoutMs > 0 ? this.#timeoutMs + (doing.extraMs ?? 0) : 0;
      const timer = limit > 0 ? setTimeout(() => this.#kill(this.#tooLong(limit)), limit) : undefined;
      this.#holdParent(true);
      this.#pending = {
        doing,
        settle: (result) => {
          clearTimeout(timer);
          this.#pending = undefined;
          this.#holdParent(false);
          if (result instanceof OrthoError) reject(result);
          else resolve(result);
        },
      };
      for (const part of encodeFrame(request, buffers)) this.#socket.write(part);
    });
  }

  /** Whether this process stays up for the child's sake. */
  #holdParent(isHeld: boolean): void {
    for (const handle of [this.#child, this.#socket, this.#stderr]) {
      if (isHeld) handle.ref();
      else handle.unref();
    }
  }

  #settle(frame: Frame): void {
    this.#pending?.settle(frame);
  }

  #kill(why: OrthoError): void {
    this.#end ??= why;
    this.#child.kill('SIGKILL');
  }

  #finish(why: OrthoError): void {
    this.#end ??= why;
    this.#memory?.stop();
    this.#signal?.removeEventListener('abort', this.#interrupt);
    alive.delete(this.#child);
    if (alive.size === 0) process.off('exit', killAll);
    this.#socket.destroy();
    this.#pending?.settle(why);
  }

  readonly #interrupt = (): void => this.#kill(new OrthoError('internal/interrupted', 'interrupted'));

  #error(
    code: 'runtime/crashed' | 'runtime/timeout' | 'runtime/memory',
    says: string,
    hint: string,
  ): OrthoError {
    const doing = this.#pending?.doing;
    if (doing === undefined) return new OrthoError(code, `the idle model process ${says}`, { hint });
    return new OrthoError(code, `${basename(doing.path)}: ${doing.verb} it ${says}`, {
      hint,
      at: { file: doing.path },
    });
  }

  #defect(message: string): OrthoError {
    const doing = this.#pending?.doing;
    return new OrthoError(
      'runtime/crashed',
      doing === undefined ? message : `${basename(doing.path)}: ${doing.verb} it failed: ${message}`,
      doing === undefined ? {} : { at: { file: doing.path } },
    );
  }

  #tooLong(limitMs: number): OrthoError {
    return this.#error(
      'runtime/timeout',
      `took longer than ${limitMs / 1000} s and was stopped`,
      'raise the limit with --timeout S if the model is only slow',
    );
  }

  #tooMuch(residentMb: number, limitMb: number): OrthoError {
    return this.#error(
      'runtime/memory',
      `took ${Math.round(residentMb)} MB and was stopped, the limit is ${Math.round(limitMb)} MB`,
      'raise the limit with --memory MB if the model really needs so much',
    );
  }

  #crash(code: number | null, killer: NodeJS.Signals | null): OrthoError {
    const how = killer === null ? `ended its process with code ${code}` : `killed its process (${killer})`;
    const last = lastWords(this.#said);
    const said = last === undefined ? '' : `; the runtime's last words: ${last}`;
    const outOfMemory =
      killer === 'SIGKILL' ? 'perhaps the machine ran out of memory: see --memory MB' : undefined;
    const hint =
      this.#pending?.doing.crashHint ??
      outOfMemory ??
      'the fault is in the runtime or in the model: inspect --check may name it';
    return this.#error('runtime/crashed', `${how}${said}`, hint);
  }
}
