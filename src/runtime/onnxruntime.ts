/**
 * onnxruntime-node in this very process: for the isolated child, and for models that ortho made itself.
 *
 * `create` and `run` are synchronous native calls: they block the event loop for their whole time, a hung one cannot be
 * stopped and some valid models kill the process. Anything from outside goes through isolated.ts.
 */
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { OrthoError } from '../core/errors.ts';
import { nearestNames } from '../core/nearest.ts';
import type { Tensor } from '../core/tensor.ts';
import { classifyFailure } from './failures.ts';
import { type OrtFiles, toOrtOptions } from './options.ts';
import { dtypeOfOrt, fromOrtTensor, type OrtTensorClass, toOrtTensor } from './ort-tensors.ts';
import type { Session, SessionOptions, TensorSpec } from './session.ts';

/** The module, loaded when first needed. @throws OrthoError runtime/missing-package. */
export const loadOnnxRuntime = async (): Promise<typeof import('onnxruntime-node')> => {
  try {
    return await import('onnxruntime-node');
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw new OrthoError('runtime/missing-package', `onnxruntime-node cannot be loaded: ${why}`, {
      hint: 'npm install onnxruntime-node (with ONNXRUNTIME_NODE_INSTALL=skip it needs no download of its own)',
      cause,
    });
  }
};

const specOf = (metadata: InferenceSession.ValueMetadata): TensorSpec =>
  metadata.isTensor
    ? {
        name: metadata.name,
        isTensor: true,
        dtype: dtypeOfOrt(metadata.type),
        shape: metadata.shape.map((dim) => (dim === '' ? null : dim)),
      }
    : { name: metadata.name, isTensor: false, dtype: undefined, shape: undefined };

const checkNames = (what: string, given: Iterable<string>, known: readonly TensorSpec[]): void => {
  const names = new Set(known.map(({ name }) => name));
  for (const name of given) {
    if (names.has(name)) continue;
    const near = nearestNames(name, names, 1)[0] ?? [...names][0];
    throw new OrthoError('usage/option', `the model has no ${what} "${name}"`, {
      hint: near === undefined ? `it has no ${what}s` : `did you mean "${near}"?`,
      at: { value: name },
    });
  }
};

/** A session in this process. */
export class OnnxRuntimeSession implements Session {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly #path: string;
  readonly #session: InferenceSession;
  readonly #Tensor: OrtTensorClass;
  #closed = false;

  constructor(path: string, session: InferenceSession, Tensor: OrtTensorClass) {
    this.inputs = session.inputMetadata.map(specOf);
    this.outputs = session.outputMetadata.map(specOf);
    this.#path = path;
    this.#session = session;
    this.#Tensor = Tensor;
  }

  /** A function that runs the model once with these feeds, for loops that time nothing else. */
  prepare(
    feeds: ReadonlyMap<string, Tensor>,
    wanted?: readonly string[],
  ): () => Promise<Awaited<ReturnType<InferenceSession['run']>>> {
    checkNames('input', feeds.keys(), this.inputs);
    if (wanted !== undefined) checkNames('output', wanted, this.outputs);
    const missing = this.inputs.find(({ name }) => !feeds.has(name));
    if (missing !== undefined) {
      throw new OrthoError('usage/option', `input "${missing.name}" of the model is not fed`, {
        at: { value: missing.name },
      });
    }
    // No prototype: an input may be called "__proto__".
    const native: Record<string, OrtTensor> = Object.create(null);
    for (const [name, tensor] of feeds) native[name] = toOrtTensor(this.#Tensor, name, tensor);
    const names = [...(wanted ?? this.#fetchable())];
    return async () => {
      if (this.#closed) throw new OrthoError('internal/bug', `${this.#path}: run after close`);
      try {
        return await this.#session.run(native, names);
      } catch (cause) {
        throw classifyFailure(cause, this.#path, 'run');
      }
    };
  }

  async run(feeds: ReadonlyMap<string, Tensor>, wanted?: readonly string[]): Promise<Map<string, Tensor>> {
    const results = await this.prepare(feeds, wanted)();
    const outputs = new Map<string, Tensor>();
    for (const name of wanted ?? this.#fetchable()) {
      const tensor = Object.hasOwn(results, name) ? results[name] : undefined;
      if (tensor === undefined) {
        throw new OrthoError('runtime/failed', `${this.#path}: ONNX Runtime gave no output "${name}"`, {
          at: { file: this.#path, value: name },
        });
      }
      outputs.set(name, fromOrtTensor(tensor));
    }
    return outputs;
  }

  #fetchable(): string[] {
    const names = this.outputs.filter(({ isTensor }) => isTensor).map(({ name }) => name);
    if (names.length > 0 || this.outputs.length === 0) return names;
    throw new OrthoError('dtype/unsupported', `${this.#path}: none of its outputs is a tensor`, {
      hint: 'sequences, maps and optionals cannot be fetched from ONNX Runtime',
      at: { file: this.#path },
    });
  }

  /** Writes the profile of a session that was opened with a `profilePrefix`; later runs are not in it. */
  endProfiling(): void {
    this.#session.endProfiling();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#session.release();
  }
}

/**
 * Loads a model from a file into this process.
 * @param files what the runtime should also write.
 */
export const openInProcess = async (
  path: string,
  options: SessionOptions,
  files: OrtFiles = {},
): Promise<OnnxRuntimeSession> => {
  const native = toOrtOptions(options, files);
  const { InferenceSession, Tensor } = await loadOnnxRuntime();
  let session: InferenceSession;
  try {
    session = await InferenceSession.create(path, native);
  } catch (cause) {
    throw classifyFailure(cause, path, files.optimized === undefined ? 'load' : 'load or save');
  }
  return new OnnxRuntimeSession(path, session, Tensor);
};
