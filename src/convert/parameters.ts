/**
 * The state dict as an architecture sees it: every parameter it asks for is looked up, checked and recorded, so that
 * all faults are known at the end instead of the first one only.
 *
 * A module that is registered twice has two keys for each tensor. An alias maps the second name to the first. When a
 * file gives them different values, the alias wins, as in torch, where the module registered last is loaded last.
 */
import { dtypeInfo } from '../core/dtype.ts';
import { type Tensor, tensorBytes, toFloat32 } from '../core/tensor.ts';
import type { WeightTensor } from '../formats/state-dict.ts';
import { computedTensor } from './computed-source.ts';
import { formatShape } from './shapes.ts';

/** Keys under `from` mean the tensors under `to`. */
export interface KeyAlias {
  readonly from: string;
  readonly to: string;
}

/** A key the architecture asked for. */
export interface ParameterRequest {
  readonly shape: readonly number[];
  /** False for keys that a checkpoint may lack because inference never reads them. */
  readonly needed: boolean;
  /** The value torch gives this parameter before training; undefined when that is random. */
  readonly initial: number | undefined;
}

/** A key whose tensor cannot be the parameter that is asked for. */
export interface KeyMismatch {
  readonly key: string;
  readonly expected: string;
  readonly found: string;
}

/** A key of the file with its tensor. */
interface Entry {
  readonly key: string;
  readonly tensor: WeightTensor;
}

const asFloat32 = (tensor: Tensor): Tensor =>
  tensor.dtype === 'float32'
    ? tensor
    : computedTensor('float32', tensor.dims, () => {
        const values = toFloat32(tensor);
        return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      });

const describe = (tensor: Tensor): string => `${tensor.dtype} ${formatShape(tensor.dims)}`;

export class Parameters {
  /** Keys of the file by canonical key: the canonical one first, then its aliases in the order of the alias table. */
  readonly #entries = new Map<string, Entry[]>();
  readonly #requests = new Map<string, ParameterRequest>();
  readonly #aliases: readonly KeyAlias[];

  constructor(tensors: ReadonlyMap<string, WeightTensor>, aliases: readonly KeyAlias[] = []) {
    this.#aliases = aliases;
    const rank = ({ key }: Entry) => aliases.findIndex(({ from }) => key.startsWith(from));
    for (const [key, tensor] of tensors) {
      const canonical = this.canonicalKey(key);
      const entries = this.#entries.get(canonical);
      if (entries === undefined) this.#entries.set(canonical, [{ key, tensor }]);
      else {
        entries.push({ key, tensor });
        entries.sort((a, b) => rank(a) - rank(b));
      }
    }
  }

  /** The name under which the architecture asks for this key of the file. */
  canonicalKey(key: string): string {
    const alias = this.#aliases.find(({ from }) => key.startsWith(from));
    return alias === undefined ? key : alias.to + key.slice(alias.from.length);
  }

  get requests(): ReadonlyMap<string, ParameterRequest> {
    return this.#requests;
  }

  /** Canonical keys of the file with the names it gives them, in file order. */
  get given(): ReadonlyMap<string, readonly Entry[]> {
    return this.#entries;
  }

  /** The tensor that torch would end up with for a canonical key. */
  find(canonical: string): Tensor | undefined {
    return this.#entries.get(canonical)?.at(-1)?.tensor;
  }

  /** Dimension `axis` of a parameter in the file, for architectures whose widths vary; undefined when it is absent. */
  sizeOf(key: string, axis: number): number | undefined {
    return this.find(key)?.dims[axis];
  }

  /**
   * The float32 tensor of a parameter. Where the file has none, or one of another shape, a stand-in of the right
   * shape comes back (the initial value, or zeros), and `mismatches` and `requests` tell.
   */
  take(key: string, shape: readonly number[], initial?: number): Tensor {
    this.#requests.set(key, { shape, needed: true, initial });
    const tensor = this.find(key);
    if (tensor !== undefined && this.#fits(tensor, shape)) return asFloat32(tensor);
    return computedTensor('float32', shape, (size) => {
      const values = new Float32Array(size / 4);
      if (initial !== undefined) values.fill(initial);
      return new Uint8Array(values.buffer);
    });
  }

  /** Records a key that belongs to the module and that inference never reads (num_batches_tracked). */
  skip(key: string, shape: readonly number[]): void {
    this.#requests.set(key, { shape, needed: false, initial: 0 });
  }

  /** What is wrong with a tensor of the file as the parameter `canonical`; undefined when it fits. */
  mismatchOf(canonical: string, entry: Entry): KeyMismatch | undefined {
    const request = this.#requests.get(canonical);
    if (request === undefined || !request.needed || this.#fits(entry.tensor, request.shape)) return undefined;
    return { key: entry.key, expected: formatShape(request.shape), found: describe(entry.tensor) };
  }

  /** Canonical keys whose names in the file hold different values. */
  conflictingAliases(): string[] {
    const conflicts: string[] = [];
    for (const [canonical, entries] of this.#entries) {
      const [first, ...others] = entries;
      if (first !== undefined && others.some((other) => !hasSameContent(first, other)))
        conflicts.push(canonical);
    }
    return conflicts;
  }

  #fits(tensor: Tensor, shape: readonly number[]): boolean {
    return (
      dtypeInfo(tensor.dtype).kind === 'float' &&
      tensor.dims.length === shape.length &&
      shape.every((dim, i) => dim === tensor.dims[i])
    );
  }
}

/** Views of one storage are told by their names; only other tensors are read. */
const hasSameContent = (a: Entry, b: Entry): boolean =>
  a.key === b.tensor.sharedWith ||
  b.key === a.tensor.sharedWith ||
  (a.tensor.sharedWith !== undefined && a.tensor.sharedWith === b.tensor.sharedWith) ||
  (describe(a.tensor) === describe(b.tensor) &&
    Buffer.compare(tensorBytes(a.tensor), tensorBytes(b.tensor)) === 0);
