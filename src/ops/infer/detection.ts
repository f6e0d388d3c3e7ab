/** Regions and boxes, images. */
import type { Rule, RuleTable } from './types.ts';

/** [selected, 3]: batch, class and box index of each. */
const nonMaxSuppression: Rule = (call) => {
  const boxes = call.ranked(0, 3);
  call.ranked(1, 3);
  call.same(boxes?.[2], 4, 'box coordinates and');
  return call.out('int64', [null, 3]);
};

/** X [N, C, H, W], rois [R, 4]: [R, C, output_height, output_width]. */
const roiAlign: Rule = (call) => {
  const x = call.ranked(0, 4);
  const rois = call.ranked(1, 2);
  const batch = call.ranked(2, 1);
  call.same(rois?.[0], batch?.[0], 'rois and batch_indices:');
  const [height, width] = [call.int('output_height', 1), call.int('output_width', 1)];
  return call.out(call.dtype(0), [rois?.[0] ?? batch?.[0] ?? null, x?.[1] ?? null, height, width]);
};

const maxRoiPool: Rule = (call) => {
  const pooled = call.ints('pooled_shape');
  if (pooled?.length !== 2) return call.fail('missing-attribute', 'pooled_shape needs two entries');
  return call.out(call.dtype(0), [
    call.ranked(1, 2)?.[0] ?? null,
    call.atLeast(0, 3)?.[1] ?? null,
    ...pooled,
  ]);
};

const imageDecoder: Rule = (call) => {
  const format = call.string('pixel_format') ?? 'RGB';
  return call.out('uint8', [null, null, format === 'Grayscale' ? 1 : 3]);
};

export const detectionRules: RuleTable = {
  NonMaxSuppression: nonMaxSuppression,
  RoiAlign: roiAlign,
  MaxRoiPool: maxRoiPool,
  ImageDecoder: imageDecoder,
};
