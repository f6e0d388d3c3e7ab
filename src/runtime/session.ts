/**
 * What it means to run a model: sessions, their inputs and outputs, their options. Nothing here knows a runtime.
 */
import type { DType } from '../core/dtype.ts';
import type { Tensor } from '../core/tensor.ts';

/** Dimensions as a runtime tells them: a number, a symbolic name, or null for an anonymous unknown one. */
export type SpecShape = readonly (number | string | null)[];

/** An input or output of a session. */
export interface TensorSpec {
  readonly name: string;
  /** False for sequences, maps and optionals, which cannot be fed or fetched. */
  readonly isTensor: boolean;
  /** Undefined where `isTensor` is false. */
  readonly dtype: DType | undefined;
  /**
   * Undefined where `isTensor` is false. ONNX Runtime gives `[]` for a scalar *and* for an unknown rank:
   * only the model itself (`graph.input`) tells the two apart.
   */
  readonly shape: SpecShape | undefined;
}

/** How far the runtime rewrites the graph when it loads a model (ONNX Runtime's names). */
export const LEVELS = ['disabled', 'basic', 'extended', 'layout', 'all'] as const;
export type Level = (typeof LEVELS)[number];

/**
 * What idle threads of a session do: `default` leaves it to the runtime (they spin for a while, which slows down
 * every other session on the machine), `off` never spins, `stop` spins during a run and stops when it ends.
 */
export const SPINNING = ['default', 'off', 'stop'] as const;
export type Spinning = (typeof SPINNING)[number];

export interface SessionOptions {
  /** Default: `all`, the runtime's own default. */
  readonly level?: Level;
  /** Threads inside one operator; default: one for each core, the runtime's choice. */
  readonly threads?: number;
  readonly spinning?: Spinning;
  /** False gives memory back after each run instead of keeping an arena. */
  readonly arena?: boolean;
  /** False plans memory anew in each run; matters only where shapes stay the same. */
  readonly memPattern?: boolean;
  /** Run independent branches at the same time (slower for most models). */
  readonly parallel?: boolean;
  /** Branches that run at the same time, where `parallel`; default: one for each core, the runtime's choice. */
  readonly interOpThreads?: number;
  /** Rewrites of the runtime to leave out, by its own names, e.g. `NchwcTransformer`. */
  readonly disabledOptimizers?: readonly string[];
  /** False keeps weights as they are in the file: faster to load, often slower to run, other last bits. */
  readonly prepacking?: boolean;
  readonly deterministic?: boolean;
  /** Configuration entries of the runtime, by full key; unknown keys are refused. */
  readonly extra?: Readonly<Record<string, string>>;
}

/** Limits on the process that runs a model. */
export interface ProcessLimits {
  /** Longest time for one request (load, run) in ms; 0 = none. Default: {@link DEFAULT_TIMEOUT_MS}. */
  readonly timeoutMs?: number;
  /** Most resident memory in MB (2^20 bytes); 0 = none. Default: 80 % of the machine's or container's memory. */
  readonly memoryMb?: number;
  /** Aborting kills the process; what is under way is rejected with `internal/interrupted`. */
  readonly signal?: AbortSignal;
}

export const DEFAULT_TIMEOUT_MS = 120_000;

/** A loaded model. */
export interface Session {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /**
   * Runs the model once.
   * @param feeds one tensor for each input, by name.
   * @param wanted the outputs to fetch; default: all that are tensors.
   * @throws OrthoError `usage/option` for wrong names, `runtime/failed` when the runtime refuses, and from an
   *   isolated session also `runtime/crashed`, `runtime/timeout`, `runtime/memory`.
   */
  run(feeds: ReadonlyMap<string, Tensor>, wanted?: readonly string[]): Promise<Map<string, Tensor>>;
  /** Gives everything back. Further runs fail; closing twice is fine. */
  close(): Promise<void>;
}

/**
 * A process that holds sessions. It starts at once, so that it gets ready while something else is done; a crash or a
 * limit ends it with every session in it.
 */
export interface SessionProcess {
  /** @throws OrthoError as `Session.run` does. */
  open(modelPath: string, options?: SessionOptions): Promise<Session>;
  /** Ends the process and every session in it. */
  close(): Promise<void>;
}

/** A way to run models. */
export interface Runtime {
  readonly name: string;
  readonly summary: string;
  /** True, or why not. */
  available(): Promise<true | string>;
  /** Loads a model in a process of its own. @throws OrthoError as `Session.run` does. */
  open(modelPath: string, options: SessionOptions & ProcessLimits): Promise<Session>;
  /** Starts a process for several sessions, one after the other or together. */
  start(limits: ProcessLimits): SessionProcess;
}
