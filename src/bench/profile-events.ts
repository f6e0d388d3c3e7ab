/**
 * Reads what ONNX Runtime's profiler writes: Chrome trace events, one record each, times in whole microseconds.
 *
 * Names of nodes are written as they are, quotes and line breaks included, so the file as a whole need not be JSON: it is
 * read record by record, the fixed head by its form and the arguments as JSON. A run ends with its `model_run` record.
 * The record of a node comes when its kernel ends, so those of a subgraph stand before the If, Loop or Scan that
 * holds it: the time of a kernel itself is its duration less that of the kernels that lie within it on its thread.
 */
import { type DType, dtypeFromText } from '../core/dtype.ts';
import type { ByteSource } from '../core/source.ts';

/** A tensor that a kernel read or wrote. */
export interface KernelTensor {
  readonly dtype: DType | undefined;
  readonly dims: readonly number[];
}

/** One run of one kernel. */
export interface KernelEvent {
  readonly name: string;
  readonly op: string;
  readonly provider: string;
  /** Index of the node in the graph as the runtime rewrote it. */
  readonly index: number;
  /** How many subgraphs it lies in. */
  readonly depth: number;
  /** With the kernels of its subgraphs; microseconds. */
  readonly totalUs: number;
  /** Without them. */
  readonly selfUs: number;
  /** Constants are missing where the runtime repacked them. */
  readonly inputs: readonly KernelTensor[];
  readonly outputs: readonly KernelTensor[];
  /** Bytes of inputs that are no constants, of constants that were not repacked, and of outputs. */
  readonly activationBytes: number;
  readonly parameterBytes: number;
  readonly outputBytes: number;
}

export interface ProfiledRun {
  /** From the call of the model to its outputs, in microseconds. */
  readonly us: number;
  /** In the order in which they ended. */
  readonly kernels: readonly KernelEvent[];
}

export interface ProfileRecords {
  readonly runs: readonly ProfiledRun[];
  /** Records that could not be read. */
  readonly unreadable: number;
}

const HEAD = /^\{"cat" : "(\w+)","pid" :-?\d+,"tid" :(-?\d+),"dur" :(\d+),"ts" :(\d+),"ph" : "X","name" :"/;
const ARGS = '","args" : ';
const KERNEL = '_kernel_time';

/** Bytes that are read at once. */
const CHUNK = 1 << 20;

/** Kernels that are kept (loops make many): runs beyond them are left out, the first whole one never. */
const MOST_KERNELS = 300_000;

/** Kernels that end within this many microseconds after the node around them still lie in it: times are rounded. */
const ROUNDING_US = 1;

/** Operators whose kernels hold those of others. */
const CONTROL_FLOW: ReadonlySet<string> = new Set(['If', 'Loop', 'Scan', 'SequenceMap']);

/** The records of a profile: lines, and the lines after them that begin no record. */
function* recordsOf(source: ByteSource): Generator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  let record = '';
  for (let at = 0; at < source.size; at += CHUNK) {
    const length = Math.min(CHUNK, source.size - at);
    const lines = (
      rest + decoder.decode(source.read(at, length), { stream: at + length < source.size })
    ).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (HEAD.test(line)) {
        if (record !== '') yield record;
        record = line;
      } else if (record !== '' && line !== ']') {
        record += `\n${line}`;
      }
    }
  }
  if (record !== '') yield record;
}

const sizeOf = (value: unknown): number => {
  const size = Number(value);
  return Number.isSafeInteger(size) && size >= 0 ? size : 0;
};

const isDim = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

const tensorsOf = (value: unknown): KernelTensor[] => {
  if (!Array.isArray(value)) return [];
  return value.flatMap((entry: unknown): KernelTensor[] => {
    const [type, dims] = Object.entries(entry ?? {})[0] ?? [];
    return type !== undefined && Array.isArray(dims) && dims.every(isDim)
      ? [{ dtype: dtypeFromText(type), dims }]
      : [];
  });
};

interface RawRecord {
  readonly category: string;
  readonly thread: string;
  readonly us: number;
  readonly start: number;
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
}

const readRecord = (record: string): RawRecord | undefined => {
  const head = HEAD.exec(record);
  const end = record.lastIndexOf(ARGS);
  if (head === null || end < head[0].length) return undefined;
  const [, category, thread, us, start] = head;
  try {
    const args: unknown = JSON.parse(record.slice(end + ARGS.length).replace(/\},?\s*$/, ''));
    if (typeof args !== 'object' || args === null) return undefined;
    return {
      category: category!,
      thread: thread!,
      us: Number(us),
      start: Number(start),
      name: record.slice(head[0].length, end),
      args: args as Record<string, unknown>,
    };
  } catch {
    return undefined;
  }
};

interface OpenKernel {
  readonly raw: RawRecord;
  readonly children: OpenKernel[];
}

/** Hangs the kernels that lie within this one, the last of their thread, below it. */
const nest = (raw: RawRecord, siblings: OpenKernel[]): void => {
  const end = raw.start + raw.us + ROUNDING_US;
  let first = siblings.length;
  if (CONTROL_FLOW.has(String(raw.args.op_name))) {
    while (first > 0) {
      const { start, us } = siblings[first - 1]!.raw;
      if (start < raw.start || start + us > end) break;
      first--;
    }
  }
  siblings.push({ raw, children: siblings.splice(first) });
};

const flatten = (kernels: readonly OpenKernel[]): KernelEvent[] => {
  const events: KernelEvent[] = [];
  const pending = kernels.map((kernel) => ({ kernel, depth: 0 }));
  // The list grows while it is walked.
  for (const { kernel, depth } of pending) {
    const { raw, children } = kernel;
    const { args } = raw;
    events.push({
      name: raw.name.slice(0, -KERNEL.length),
      op: String(args.op_name ?? ''),
      provider: String(args.provider ?? ''),
      index: sizeOf(args.node_index),
      depth,
      totalUs: raw.us,
      selfUs: Math.max(0, raw.us - children.reduce((sum, child) => sum + child.raw.us, 0)),
      inputs: tensorsOf(args.input_type_shape),
      outputs: tensorsOf(args.output_type_shape),
      activationBytes: sizeOf(args.activation_size),
      parameterBytes: sizeOf(args.parameter_size),
      outputBytes: sizeOf(args.output_size),
    });
    for (const child of children) pending.push({ kernel: child, depth: depth + 1 });
  }
  return events;
};

/** @param source the file that `SessionHost.profile` names. */
export const readProfile = (source: ByteSource): ProfileRecords => {
  const runs: ProfiledRun[] = [];
  let unreadable = 0;
  let kept = 0;
  let threads = new Map<string, OpenKernel[]>();
  for (const record of recordsOf(source)) {
    const raw = readRecord(record);
    if (raw === undefined) {
      unreadable++;
    } else if (raw.category === 'Node' && raw.name.endsWith(KERNEL)) {
      const siblings = threads.get(raw.thread) ?? [];
      threads.set(raw.thread, siblings);
      nest(raw, siblings);
    } else if (raw.name === 'model_run') {
      const kernels = flatten([...threads.values()].flat());
      kept += kernels.length;
      if (kept > MOST_KERNELS && runs.length > 0) break;
      runs.push({ us: raw.us, kernels });
      threads = new Map();
    }
  }
  return { runs, unreadable };
};
