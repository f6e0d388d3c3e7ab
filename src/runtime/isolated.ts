/**
 * Models in a process of their own: whatever a model does to the runtime (hang, abort, eat memory) is an OrthoError here.
 *
 * Start to first output takes about 60 ms more than an empty `node`. Models go by path: half the peak memory, and the
 * bytes are never copied between processes; feeds and outputs are.
 */
import { resolve } from 'node:path';
import { OrthoError } from '../core/errors.ts';
import type { Tensor } from '../core/tensor.ts';
import { ModelProcess } from './model-process.ts';
import {
  type LoopFacts,
  type LoopOrder,
  type ProfileOrder,
  packTensors,
  type RestFacts,
  unpackTensors,
} from './protocol.ts';
import type { ProcessLimits, Session, SessionOptions, TensorSpec } from './session.ts';

/** A session in a {@link SessionHost}. */
export interface HostedSession extends Session {
  readonly path: string;
  /** Time that loading took inside the process, in ms. */
  readonly loadMs: number;
  /** Sets the feeds that `SessionHost.time` uses. */
  prepare(feeds: ReadonlyMap<string, Tensor>): Promise<void>;
}

/** See {@link LoopOrder}. */
export type TimedLoop = LoopOrder;

/** A timed loop with what else was seen. */
export interface TimedBlock extends LoopFacts {
  /** As {@link SessionHost.time} returns them. */
  readonly times: Float64Array[];
}

interface Entry {
  readonly id: number;
  readonly path: string;
  readonly outputs: readonly TensorSpec[];
}

const INT4_HINT = 'ONNX Runtime aborts when a 4-bit output is fetched: Cast it to int8 inside the graph';

const crashHintOf = (
  outputs: readonly TensorSpec[],
  wanted: readonly string[] | undefined,
): string | undefined =>
  outputs.some(
    ({ name, dtype }) => (dtype === 'int4' || dtype === 'uint4') && (wanted?.includes(name) ?? true),
  )
    ? INT4_HINT
    : undefined;

/** One child process with any number of sessions in it, which run one at a time. */
export class SessionHost {
  readonly #process: ModelProcess;
  readonly #entries = new Map<HostedSession, Entry>();

  constructor(limits: ProcessLimits = {}) {
    this.#process = new ModelProcess(limits);
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** The version of the runtime. @throws OrthoError runtime/missing-package. */
  async version(): Promise<string> {
    const doing = { path: 'onnxruntime-node', verb: 'loading' };
    return (await this.#process.ask({ op: 'hello' }, [], doing)).header.version;
  }

  /**
   * Loads a model. Sessions that live together should not spin (`spinning: 'stop'`): idle threads of one slow down the
   * others by a factor of two and more.
   */
  async open(modelPath: string, options: SessionOptions = {}): Promise<HostedSession> {
    const path = resolve(modelPath);
    const request = { op: 'open', path, options: onlySessionOptions(options) } as const;
    const { header } = await this.#process.ask(request, [], { path, verb: 'loading' });
    const { inputs, outputs, loadMs, session: id } = header;
    const session: HostedSession = {
      path,
      inputs,
      outputs,
      loadMs,
      run: (feeds, wanted) => this.#run(id, path, outputs, feeds, wanted),
      prepare: async (feeds) => {
        const { headers, buffers } = packTensors(feeds);
        await this.#process.ask({ op: 'prepare', session: id, feeds: headers }, buffers, {
          path,
          verb: 'feeding',
        });
      },
      close: async () => {
        if (!this.#entries.delete(session)) return;
        await this.#process.ask({ op: 'close', session: id }, [], { path, verb: 'closing' });
      },
    };
    this.#entries.set(session, { id, path, outputs });
    return session;
  }

  /**
   * Times sessions inside the process: nothing but `run` lies between the two readings of the clock.
   * Each session must have been prepared.
   * @returns for each session the run times in ms, in the order they were taken; all of the same length, so that
   *   entry i of all sessions belongs to one round.
   */
  async time(sessions: readonly HostedSession[], loop: TimedLoop): Promise<Float64Array[]> {
    return (await this.timeBlock(sessions, loop)).times;
  }

  /** As `time`, and tells what else was seen meanwhile. */
  async timeBlock(sessions: readonly HostedSession[], loop: TimedLoop): Promise<TimedBlock> {
    const entries = sessions.map((session) => this.#entryOf(session));
    const request = { op: 'time', sessions: entries.map(({ id }) => id), ...loop } as const;
    const crashHint = crashHintOf(
      entries.flatMap(({ outputs }) => outputs),
      undefined,
    );
    const { header, buffers } = await this.#process.ask(request, [], {
      path: entries.map(({ path }) => path).join(' + '),
      verb: 'timing',
      extraMs: loop.maxMs,
      ...(crashHint && { crashHint }),
    });
    const { wallMs, cpuMs, kernelMs, machine } = header;
    const times = buffers.map(
      (bytes) => new Float64Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength / 8),
    );
    return { times, wallMs, cpuMs, kernelMs, machine };
  }

  /** Runs a prepared session once and then nothing for `ms`: what it costs beside its runs. */
  async rest(session: HostedSession, ms: number): Promise<RestFacts> {
    const { id, path } = this.#entryOf(session);
    const request = { op: 'rest', session: id, ms } as const;
    return (await this.#process.ask(request, [], { path, verb: 'timing', extraMs: ms })).header;
  }

  /** See {@link saveOptimizedModel}. */
  async saveOptimized(input: string, output: string, options: SessionOptions): Promise<{ ms: number }> {
    const request = {
      op: 'save',
      input: resolve(input),
      output: resolve(output),
      options: onlySessionOptions(options),
    } as const;
    const doing = { path: request.input, verb: 'optimising' };
    return (await this.#process.ask(request, [], doing)).header;
  }

  /**
   * Runs a model under the runtime's profiler, in a session that lives only for this.
   * @returns the file of the profile (Chrome trace events), and how often the model ran.
   */
  async profile(
    modelPath: string,
    feeds: ReadonlyMap<string, Tensor>,
    order: ProfileOrder,
    options: SessionOptions = {},
  ): Promise<{ readonly file: string; readonly runs: number }> {
    const path = resolve(modelPath);
    const { headers, buffers } = packTensors(feeds);
    const request = {
      op: 'profile',
      path,
      options: onlySessionOptions(options),
      feeds: headers,
      ...order,
    } as const;
    const doing = { path, verb: 'profiling', extraMs: order.maxMs };
    return (await this.#process.ask(request, buffers, doing)).header;
  }

  /** Ends the process and every session in it. */
  async close(): Promise<void> {
    this.#entries.clear();
    await this.#process.close();
  }

  #entryOf(session: HostedSession): Entry {
    const entry = this.#entries.get(session);
    if (entry === undefined)
      throw new OrthoError('internal/bug', `${session.path}: not a session of this host`);
    return entry;
  }

  async #run(
    id: number,
    path: string,
    outputs: readonly TensorSpec[],
    feeds: ReadonlyMap<string, Tensor>,
    wanted: readonly string[] | undefined,
  ): Promise<Map<string, Tensor>> {
    const { headers, buffers } = packTensors(feeds);
    const request = { op: 'run', session: id, feeds: headers, ...(wanted && { wanted }) } as const;
    const crashHint = crashHintOf(outputs, wanted);
    const doing = { path, verb: 'running', ...(crashHint && { crashHint }) };
    const answer = await this.#process.ask(request, buffers, doing);
    return unpackTensors(answer.header.outputs, answer.buffers);
  }
}

/** Limits and other members of a larger options object stay out of the request. */
const onlySessionOptions = (options: SessionOptions): SessionOptions => {
  const { level, threads, spinning, arena, memPattern, parallel, interOpThreads } = options;
  const { disabledOptimizers, prepacking, deterministic, extra } = options;
  return {
    ...(level !== undefined && { level }),
    ...(threads !== undefined && { threads }),
    ...(spinning !== undefined && { spinning }),
    ...(arena !== undefined && { arena }),
    ...(memPattern !== undefined && { memPattern }),
    ...(parallel !== undefined && { parallel }),
    ...(interOpThreads !== undefined && { interOpThreads }),
    ...(disabledOptimizers !== undefined && { disabledOptimizers }),
    ...(prepacking !== undefined && { prepacking }),
    ...(deterministic !== undefined && { deterministic }),
    ...(extra !== undefined && { extra }),
  };
};

/**
 * Loads one model in a process of its own; closing the session ends the process.
 * @throws OrthoError runtime/failed (and what else the runtime's refusal means), runtime/crashed, runtime/timeout,
 *   runtime/memory, each naming the model.
 */
export const openIsolatedSession = async (
  modelPath: string,
  options: SessionOptions & ProcessLimits = {},
): Promise<Session> => {
  const host = new SessionHost(options);
  try {
    const { inputs, outputs, run } = await host.open(modelPath, options);
    return { inputs, outputs, run, close: () => host.close() };
  } catch (error) {
    await host.close();
    throw error;
  }
};

/**
 * Lets the runtime optimise a model and save what it made of it, in a process of its own.
 *
 * `disabled` and `basic` save standard ONNX; `extended` adds operators of com.microsoft; `layout` and `all` save
 * what is right on this kind of CPU only. The runtime also adds imports of all the domains it knows.
 * A failure leaves no output that was not there before.
 * @param options `level` defaults to `basic`.
 * @returns the time that loading, optimising and writing took, in ms.
 */
export const saveOptimizedModel = async (
  inputPath: string,
  outputPath: string,
  options: SessionOptions & ProcessLimits = {},
): Promise<{ ms: number }> => {
  const host = new SessionHost(options);
  try {
    return await host.saveOptimized(inputPath, outputPath, { level: 'basic', ...options });
  } finally {
    await host.close();
  }
};
