/** Bytes that are made when first read: zeros for weights that are not there, casts of those that are. */
import { byteLengthOf, type DType } from '../core/dtype.ts';
import { type ByteSource, BytesSource } from '../core/source.ts';
import { elementCount, type Tensor } from '../core/tensor.ts';

class ComputedSource implements ByteSource {
  readonly size: number;
  readonly path = undefined;
  readonly #compute: () => Uint8Array;
  #bytes: BytesSource | undefined;

  constructor(size: number, compute: () => Uint8Array) {
    this.size = size;
    this.#compute = compute;
  }

  #source(): BytesSource {
    this.#bytes ??= new BytesSource(this.#compute());
    return this.#bytes;
  }

  read(offset: number, length: number): Uint8Array {
    return this.#source().read(offset, length);
  }

  readInto(target: Uint8Array, offset: number): void {
    this.#source().readInto(target, offset);
  }
}

/** A tensor whose bytes `compute` gives, once, when they are first read. */
export const computedTensor = (
  dtype: DType,
  dims: readonly number[],
  compute: (size: number) => Uint8Array,
): Tensor => {
  const size = byteLengthOf(dtype, elementCount(dims));
  return { dtype, dims, data: new ComputedSource(size, () => compute(size)) };
};
