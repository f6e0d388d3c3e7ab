/**
 * Resampling. Resize with scales: floor(size · scale) (with tf_crop_and_resize: floor(size · (end − start) · scale));
 * with sizes: as given, or, for the policies not_larger and not_smaller, round(size · s) with one scale s for all
 * resized axes, the smallest or largest of sizes / size. Source: the ONNX operator document of Resize-19.
 */
import type { Dim, Shape } from '../../ir/type.ts';
import { type Call, toDim } from './call.ts';
import { isKnown, unknownDims } from './dims.ts';
import type { Rule, RuleTable } from './types.ts';

/** The elements of an input, or undefined; a missing or empty input counts as absent. */
const elementsOf = (call: Call, index: number): readonly Dim[] | undefined => {
  if (!call.has(index) || call.shape(index)?.[0] === 0) return undefined;
  return call.known(index)?.elements.map(toDim) ?? call.knownDims(index);
};

/** Factors: whatever is not a number is unknown. */
const numbersOf = (call: Call, index: number): readonly (number | null)[] | undefined =>
  elementsOf(call, index)?.map((dim) => (isKnown(dim) ? dim : null));

const scaled = (dim: Dim, scale: number | null | undefined): Dim => {
  if (scale === 1) return dim;
  return isKnown(dim) && typeof scale === 'number' ? Math.floor(dim * scale) : null;
};

const checkScales = (call: Call, scales: readonly (number | null)[], count: number): void => {
  if (scales.length !== count) {
    call.fail('rank-mismatch', `scales has ${scales.length} entries, expected ${count}`);
  }
  for (const scale of scales) {
    if (scale !== null && !(scale > 0)) call.fail('attribute-range', `scale ${scale} is not positive`);
  }
};

const bySizes = (call: Call, shape: Shape, axes: readonly number[], sizes: readonly Dim[]): Dim[] => {
  if (sizes.length !== axes.length) {
    call.fail('rank-mismatch', `sizes has ${sizes.length} entries, expected ${axes.length}`);
  }
  const dims: Dim[] = [...shape];
  const policy = call.string('keep_aspect_ratio_policy') ?? 'stretch';
  if (policy === 'stretch') {
    axes.forEach((axis, i) => {
      const size = sizes[i] ?? null;
      if (isKnown(size) && size < 0) call.fail('attribute-range', `size ${size} is negative`);
      dims[axis] = size;
    });
    return dims;
  }
  const ratios = axes.map((axis, i) => {
    const [size, dim] = [sizes[i], dims[axis]];
    return isKnown(dim) && isKnown(size) ? size / dim : null;
  });
  const known = ratios.every((ratio) => ratio !== null) ? ratios : undefined;
  const scale = known && (policy === 'not_larger' ? Math.min(...known) : Math.max(...known));
  for (const axis of axes) {
    const dim = dims[axis];
    // Half up, as the reference rounds here.
    dims[axis] = isKnown(dim) && scale !== undefined ? Math.floor(dim * scale + 0.5) : null;
  }
  return dims;
};

/** Inputs from opset 11: X, roi?, scales?, sizes?; in opset 10: X, scales. */
const resize: Rule = (call) => {
  const shape = call.shape(0);
  const dtype = call.dtype(0);
  if (shape === undefined) return call.out(dtype, undefined);
  const given = call.opset >= 18 ? call.ints('axes') : undefined;
  const axes = given ? call.axes(given, shape.length) : shape.map((_, axis) => axis);
  const sizes = call.opset < 11 ? undefined : elementsOf(call, 3);
  const scales = numbersOf(call, call.opset < 11 ? 1 : 2);
  if (sizes) return call.out(dtype, bySizes(call, shape, axes, sizes));
  if (scales === undefined) return call.out(dtype, unknownDims(shape.length));
  checkScales(call, scales, axes.length);
  const dims: Dim[] = [...shape];
  const cropped = call.string('coordinate_transformation_mode') === 'tf_crop_and_resize';
  const roi = cropped ? numbersOf(call, 1) : undefined;
  axes.forEach((axis, i) => {
    const dim = shape[axis] as Dim;
    if (!cropped) dims[axis] = scaled(dim, scales[i]);
    else {
      const [start, end, scale] = [roi?.[i], roi?.[i + axes.length], scales[i]];
      const numbers = isKnown(dim) && start != null && end != null && scale != null;
      dims[axis] = numbers ? Math.floor(dim * (end - start) * scale) : null;
    }
  });
  return call.out(dtype, dims);
};

/** Version 1 had two attributes, 7 one, 9 an input. */
const upsample: Rule = (call) => {
  const shape = call.shape(0);
  const dtype = call.dtype(0);
  if (shape === undefined) return call.out(dtype, undefined);
  const scales =
    call.opset < 7
      ? [1, 1, call.float('height_scale') ?? null, call.float('width_scale') ?? null]
      : call.opset < 9
        ? call.floats('scales')
        : numbersOf(call, 1);
  if (scales === undefined) return call.out(dtype, unknownDims(shape.length));
  checkScales(call, scales, shape.length);
  return call.out(
    dtype,
    shape.map((dim, axis) => scaled(dim, scales[axis])),
  );
};

/** X [N, C, spatial…], grid [N, out…, spatial rank]: [N, C, out…]. */
const gridSample: Rule = (call) => {
  const x = call.atLeast(0, 3);
  const grid = call.shape(1);
  if (x && grid && x.length !== grid.length) {
    call.fail('rank-mismatch', `input and grid have ranks ${x.length} and ${grid.length}`);
  }
  const rank = x?.length ?? grid?.length;
  if (rank === undefined) return call.out(call.dtype(0), undefined);
  const spatial = grid?.slice(1, -1) ?? unknownDims(rank - 2);
  return call.out(call.dtype(0), [x?.[0] ?? grid?.[0] ?? null, x?.[1] ?? null, ...spatial]);
};

/** size [N, C, spatial…] gives a grid [N, spatial…, spatial rank]. */
const affineGrid: Rule = (call) => {
  const size = call.knownDims(1);
  if (size === undefined) return call.out(call.dtype(0), undefined);
  if (size.length !== 4 && size.length !== 5) {
    call.fail('rank-mismatch', `size has ${size.length} entries, expected 4 or 5`);
  }
  return call.out(call.dtype(0), [size[0] ?? null, ...size.slice(2), size.length - 2]);
};

/** input [N, C · block, L] and the image's and block's shapes: [N, C, image…]. */
const col2Im: Rule = (call) => {
  const input = call.ranked(0, 3);
  const image = call.knownDims(1);
  const block = call.knownInts(2);
  const cells = block?.reduce((a, b) => a * b, 1);
  const packed = input?.[1] ?? null;
  if (isKnown(packed) && cells !== undefined && (cells < 1 || packed % cells !== 0)) {
    call.fail('shape-mismatch', `${packed} channels do not divide into blocks of ${cells}`);
  }
  if (image === undefined) return call.out(call.dtype(0), undefined);
  const channels = isKnown(packed) && cells !== undefined ? packed / cells : null;
  return call.out(call.dtype(0), [input?.[0] ?? null, channels, ...image]);
};

export const resizeRules: RuleTable = {
  Resize: resize,
  Upsample: upsample,
  GridSample: gridSample,
  AffineGrid: affineGrid,
  Col2Im: col2Im,
};
