/**
 * Transforms that compute: a factor, and fused weight normalisation. In float32 as PyTorch does (halves are widened,
 * and rounded to nearest even at the end), in float64 for float64; integers and 8-bit floats are refused.
 *
 * Weight normalisation (Salimans and Kingma 2016, as torch.nn.utils.weight_norm stores it): w = v · (g / ‖v‖₂), the
 * norm over all dimensions but the one that g has. The squares are summed in float64, so the norm is the correctly
 * rounded one; PyTorch sums in float32 in an order that depends on the CPU, and is within a few units in the last
 * place of it. As in PyTorch, a v of zeros gives NaN.
 */
import {
  type CastTally,
  castTensor,
  decodeFloats,
  encodeFloats,
  type FloatDType,
  isFloatDType,
} from '../../core/cast.ts';
import { ConvertedSource } from '../../core/derived-source.ts';
import { byteLengthOf, dtypeInfo } from '../../core/dtype.ts';
import { type ByteSource, checkRange } from '../../core/source.ts';
import { elementCount, type Tensor } from '../../core/tensor.ts';
import { TransformError } from './layout.ts';

const CHUNK = 1 << 20;

const floatType = ({ dtype }: Tensor): FloatDType => {
  if (!isFloatDType(dtype))
    throw new TransformError(`there is no arithmetic for ${dtype}`, 'dtype/unsupported');
  return dtype;
};

/** Floats as another float type; integers and booleans as they are. @throws TransformError for floats of 8 and fewer bits */
export const cast = (tensor: Tensor, to: FloatDType, tally: CastTally): Tensor => {
  if (dtypeInfo(tensor.dtype).kind !== 'float') return tensor;
  if (!isFloatDType(tensor.dtype)) {
    throw new TransformError(`${tensor.dtype} cannot be cast to ${to}`, 'dtype/unsupported');
  }
  return castTensor(tensor, to, tally);
};

/** Every element times `factor`, which is first rounded to float32 unless the tensor is float64. @throws TransformError */
export const scale = (tensor: Tensor, factor: number, tally: CastTally): Tensor => {
  const dtype = floatType(tensor);
  const unit = byteLengthOf(dtype, 1);
  const data = new ConvertedSource(tensor.data, unit, unit, (input, output) => {
    const values = decodeFloats(dtype, input);
    const by = values instanceof Float64Array ? factor : Math.fround(factor);
    // The product of two float32 is exact in float64, so storing it rounds once.
    for (let i = 0; i < values.length; i++) values[i] = values[i]! * by;
    tally.overflowed += encodeFloats(dtype, values, output);
  });
  return { dtype, dims: tensor.dims, data };
};

/** Elements of v grouped by the index of the dimension that g has: `inner` in a row, `count` indices, over and over. */
interface Groups {
  readonly count: number;
  readonly inner: number;
}

/** @throws TransformError where g is not all ones but for one dimension of v */
const groupsOf = (g: Tensor, v: Tensor): Groups => {
  const shapes = `g [${g.dims.join(', ')}] does not fit v [${v.dims.join(', ')}]`;
  const total = elementCount(v.dims);
  if (elementCount(g.dims) === 1 && g.dims.length === 0) return { count: 1, inner: Math.max(total, 1) };
  if (g.dims.length !== v.dims.length) throw new TransformError(shapes);
  const axes = g.dims.flatMap((dim, axis) => (dim === 1 ? [] : [axis]));
  const axis = axes[0] ?? v.dims.indexOf(1);
  if (axes.length > 1 || axis < 0 || g.dims[axis] !== v.dims[axis]) throw new TransformError(shapes);
  return { count: v.dims[axis]!, inner: elementCount(v.dims.slice(axis + 1)) };
};

class WeightNormSource implements ByteSource {
  readonly size: number;
  readonly #g: Tensor;
  readonly #v: Tensor;
  readonly #dtype: FloatDType;
  readonly #groups: Groups;
  readonly #unit: number;
  /** g / ‖v‖ */
  #factors: Float32Array | Float64Array | undefined;

  constructor(g: Tensor, v: Tensor, dtype: FloatDType, groups: Groups) {
    this.#g = g;
    this.#v = v;
    this.#dtype = dtype;
    this.#groups = groups;
    this.#unit = byteLengthOf(dtype, 1);
    this.size = v.data.size;
  }

  get path(): string | undefined {
    return this.#v.data.path;
  }

  /** The elements [first, last) of a source as numbers, in memory of their own. */
  #values({ data }: Tensor, first: number, last: number): Float32Array | Float64Array {
    const bytes = new Uint8Array((last - first) * this.#unit);
    data.readInto(bytes, first * this.#unit);
    return decodeFloats(this.#dtype, bytes);
  }

  /** Calls `visit` with the group and the range of each stretch of elements [first, last) that have one group. */
  #stretches(first: number, last: number, visit: (group: number, from: number, to: number) => void): void {
    const { count, inner } = this.#groups;
    for (let at = first; at < last; ) {
      const end = Math.min(last, (Math.floor(at / inner) + 1) * inner);
      visit(Math.floor(at / inner) % count, at - first, end - first);
      at = end;
    }
  }

  #readFactors(): Float32Array | Float64Array {
    const { count } = this.#groups;
    const sums = new Float64Array(count);
    const total = this.size / this.#unit;
    const step = CHUNK / this.#unit;
    for (let first = 0; first < total; first += step) {
      const last = Math.min(total, first + step);
      const values = this.#values(this.#v, first, last);
      this.#stretches(first, last, (group, from, to) => {
        let sum = 0;
        for (let i = from; i < to; i++) sum += values[i]! * values[i]!;
        sums[group]! += sum;
      });
    }
    const g = this.#values(this.#g, 0, count);
    const factors = g instanceof Float64Array ? new Float64Array(count) : new Float32Array(count);
    const isDouble = factors instanceof Float64Array;
    for (let i = 0; i < count; i++) {
      const norm = Math.sqrt(sums[i]!);
      factors[i] = g[i]! / (isDouble ? norm : Math.fround(norm));
    }
    return factors;
  }

  read(offset: number, length: number): Uint8Array {
    checkRange(this, offset, length);
    this.#factors ??= this.#readFactors();
    const factors = this.#factors;
    const first = Math.floor(offset / this.#unit);
    const last = Math.ceil((offset + length) / this.#unit);
    const values = this.#values(this.#v, first, last);
    this.#stretches(first, last, (group, from, to) => {
      const factor = factors[group]!;
      for (let i = from; i < to; i++) values[i] = values[i]! * factor;
    });
    const output = new Uint8Array((last - first) * this.#unit);
    encodeFloats(this.#dtype, values, output);
    const start = offset - first * this.#unit;
    return output.subarray(start, start + length);
  }

  readInto(target: Uint8Array, offset: number): void {
    target.set(this.read(offset, target.length));
  }
}

/** The weight that g and v stand for, of their type and the shape of v. @throws TransformError where they do not fit */
export const weightNorm = (g: Tensor, v: Tensor): Tensor => {
  const dtype = floatType(v);
  if (g.dtype !== dtype) throw new TransformError(`g is ${g.dtype}, v is ${dtype}`, 'dtype/unsupported');
  return { dtype, dims: v.dims, data: new WeightNormSource(g, v, dtype, groupsOf(g, v)) };
};
