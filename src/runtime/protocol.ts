/**
 * What ortho and its model process say to each other, over one socket (file descriptor 3 of the child).
 *
 * A frame is: header length (u32, little endian), header (JSON), then the buffers whose sizes `header.sizes` lists.
 * Tensors travel as raw bytes, never through JSON. The parent asks, the child answers, one at a time, in order.
 */
import type { DType } from '../core/dtype.ts';
import { type ErrorCode, OrthoError, type Place } from '../core/errors.ts';
import { BytesSource } from '../core/source.ts';
import { type Tensor, tensorBytes } from '../core/tensor.ts';
import type { SessionOptions, TensorSpec } from './session.ts';

/** The descriptor of the socket in the child. */
export const CHANNEL_FD = 3;

/** Longest header that is believed (metadata of the largest models stays far below). */
export const MAX_HEADER = 256 << 20;

/** A tensor without its bytes; `lengths` are those of the strings of a string tensor. */
export interface TensorHeader {
  readonly name: string;
  readonly dtype: DType;
  readonly dims: readonly number[];
  readonly lengths?: readonly number[];
}

/** How a timed loop visits its sessions in each round. */
export type VisitOrder = 'fixed' | 'shuffled';

/** A timed loop: every round visits each session once, in the given order or in a random one. */
export interface LoopOrder {
  /** Rounds that are made however long they take. */
  readonly leastRounds: number;
  readonly mostRounds: number;
  /** After this time no round beyond `leastRounds` begins. */
  readonly maxMs: number;
  readonly order: VisitOrder;
  readonly seed: number;
  /** Whether the calibration kernel runs first, and the load of the machine is read. */
  readonly calibrate?: boolean;
}

/** What a timed loop tells beside its samples. */
export interface LoopFacts {
  readonly wallMs: number;
  /** Processor time of the process meanwhile, all threads. */
  readonly cpuMs: number;
  /** Time of the calibration kernel right before; null when it was not asked for. */
  readonly kernelMs: number | null;
  /** What all processors of the machine did meanwhile; null when not asked for, or where nobody counts. */
  readonly machine: {
    readonly processors: number;
    readonly busyMs: number;
    readonly stolenMs: number;
  } | null;
}

/** What a session costs beside its runs. */
export interface RestFacts {
  /** Processor time that went by while nothing ran, and for how long that was. */
  readonly idleCpuMs: number;
  readonly idleWallMs: number;
  /** Resident memory of the process before its first model, at its highest, and after runs, in MB (2^20 bytes). */
  readonly baseMb: number;
  readonly peakMb: number;
  readonly steadyMb: number;
  /** Time in which the feeds become inputs of the runtime. */
  readonly feedMs: number;
}

export type Request =
  | { readonly op: 'hello' }
  | { readonly op: 'open'; readonly path: string; readonly options: SessionOptions }
  | {
      readonly op: 'run';
      readonly session: number;
      readonly feeds: readonly TensorHeader[];
      readonly wanted?: readonly string[];
    }
  | { readonly op: 'prepare'; readonly session: number; readonly feeds: readonly TensorHeader[] }
  | ({ readonly op: 'time'; readonly sessions: readonly number[] } & LoopOrder)
  | { readonly op: 'rest'; readonly session: number; readonly ms: number }
  | { readonly op: 'close'; readonly session: number }
  | ({
      readonly op: 'profile';
      readonly path: string;
      readonly options: SessionOptions;
      readonly feeds: readonly TensorHeader[];
    } & ProfileOrder)
  | {
      readonly op: 'save';
      readonly input: string;
      readonly output: string;
      readonly options: SessionOptions;
    };

/** Runs under the runtime's own profiler, and where its files go. */
export interface ProfileOrder {
  /** An empty folder for the profile. */
  readonly folder: string;
  /** Where to save what the runtime made of the model; not saved without it. */
  readonly optimized?: string;
  /** Runs that are made however long they take. */
  readonly leastRuns: number;
  readonly mostRuns: number;
  /** After this time no run beyond `leastRuns` begins. */
  readonly maxMs: number;
}

export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string;
  readonly at: Place;
}

/** The answers, by request; times in ms. `error` instead of the rest when the request failed. */
export interface Answers {
  readonly hello: { readonly version: string };
  readonly open: {
    readonly session: number;
    readonly inputs: readonly TensorSpec[];
    readonly outputs: readonly TensorSpec[];
    readonly loadMs: number;
  };
  readonly run: { readonly outputs: readonly TensorHeader[] };
  readonly prepare: Record<never, never>;
  /** Buffers: one Float64Array of run times for each session asked for. */
  readonly time: LoopFacts;
  readonly rest: RestFacts;
  readonly close: Record<never, never>;
  readonly save: { readonly ms: number };
  /** `file` is the profile. */
  readonly profile: { readonly file: string; readonly runs: number };
}

export type Answer<Op extends Request['op']> = Answers[Op] | { readonly error: Failure };

/** Header and buffers of a frame, ready to be written one after the other. */
export const encodeFrame = (header: object, buffers: readonly Uint8Array[]): Uint8Array[] => {
  const json = Buffer.from(JSON.stringify({ ...header, sizes: buffers.map(({ byteLength }) => byteLength) }));
  const start = Buffer.allocUnsafe(4 + json.length);
  start.writeUInt32LE(json.length);
  json.copy(start, 4);
  return [start, ...buffers];
};

/** Header and bytes of named tensors. */
export const packTensors = (
  tensors: ReadonlyMap<string, Tensor>,
): { headers: TensorHeader[]; buffers: Uint8Array[] } => {
  const headers: TensorHeader[] = [];
  const buffers: Uint8Array[] = [];
  for (const [name, tensor] of tensors) {
    const { dtype, dims, strings } = tensor;
    if (strings === undefined) {
      headers.push({ name, dtype, dims });
      buffers.push(tensorBytes(tensor));
    } else {
      headers.push({ name, dtype, dims, lengths: strings.map(({ length }) => length) });
      buffers.push(Buffer.concat(strings));
    }
  }
  return { headers, buffers };
};

export const unpackTensors = (
  headers: readonly TensorHeader[],
  buffers: readonly Uint8Array[],
): Map<string, Tensor> => {
  const tensors = new Map<string, Tensor>();
  headers.forEach(({ name, dtype, dims, lengths }, index) => {
    const bytes = buffers[index]!;
    if (lengths === undefined) {
      tensors.set(name, { dtype, dims, data: new BytesSource(bytes) });
      return;
    }
    let at = 0;
    const strings = lengths.map((length) => {
      const string = bytes.subarray(at, at + length);
      at += length;
      return string;
    });
    tensors.set(name, { dtype, dims, data: new BytesSource(new Uint8Array(0)), strings });
  });
  return tensors;
};

/** An error as it crosses the socket. What is no OrthoError is a defect of ortho. */
export const packFailure = (error: unknown): Failure =>
  error instanceof OrthoError
    ? {
        code: error.code,
        message: error.message,
        at: error.at,
        ...(error.hint === undefined ? {} : { hint: error.hint }),
      }
    : {
        code: 'internal/bug',
        message: error instanceof Error ? (error.stack ?? error.message) : String(error),
        at: {},
      };

export const unpackFailure = ({ code, message, hint, at }: Failure): OrthoError =>
  new OrthoError(code, message, { at, ...(hint === undefined ? {} : { hint }) });
