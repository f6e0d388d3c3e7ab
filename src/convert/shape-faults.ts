/** What is behind tensors of another shape: axes in another order, another number of classes, another arrangement. */
import type { KeyComparison } from './compare-keys.ts';

type Mismatch = KeyComparison['shapeMismatch'][number];

const product = (shape: readonly number[]): number => shape.reduce((size, dim) => size * dim, 1);

/** The order of axes that turns one shape into the other; undefined when none does, or when several do. */
const permutationOf = (actual: readonly number[], expected: readonly number[]): number[] | undefined => {
  const order = expected.map((dim) => actual.indexOf(dim));
  const isClear = new Set(order).size === actual.length && !order.includes(-1);
  return isClear && actual.length === expected.length ? order : undefined;
};

const hasSameDims = ({ actual, expected }: Mismatch): boolean =>
  [...actual].sort((a, b) => a - b).join() === [...expected].sort((a, b) => a - b).join();

const isTransposed = (mismatch: Mismatch): boolean =>
  hasSameDims(mismatch) && mismatch.actual.join() !== mismatch.expected.join();

const isRearranged = ({ actual, expected }: Mismatch): boolean =>
  actual.join() !== expected.join() && product(actual) === product(expected);

/** The pair of sizes in which all differ, in the first dimension only: layers for another number of classes. */
const classCounts = (mismatches: readonly Mismatch[]): readonly [number, number] | undefined => {
  const [{ actual = [], expected = [] } = {}] = mismatches;
  const [found, wanted] = [actual[0] ?? 0, expected[0] ?? 0];
  const isAlike = mismatches.every(
    (one) =>
      one.actual[0] === found &&
      one.expected[0] === wanted &&
      one.actual.slice(1).join() === one.expected.slice(1).join(),
  );
  return isAlike && mismatches.length <= 4 && found !== wanted ? [found, wanted] : undefined;
};

/** What to do about them. */
export const shapeHint = (mismatches: readonly Mismatch[]): string => {
  const transposed = mismatches.filter(isTransposed);
  const [first] = transposed;
  if (first !== undefined) {
    const order = transposed
      .map(({ actual, expected }) => permutationOf(actual, expected))
      .find((one) => one);
    const how =
      order === undefined || order.length === 2
        ? 'transposes'
        : `permutes ("op": "permute", "order": [${order.join(', ')}])`;
    return `${transposed.length} of them have their axes in another order: a mapping file that ${how} them, or --preset tf-conv for files of TensorFlow`;
  }
  const rearranged = mismatches.filter(isRearranged);
  if (rearranged.length > 0) {
    return `${rearranged.length} of them have as many elements in another arrangement: a mapping file that reshapes them`;
  }
  const classes = classCounts(mismatches);
  if (classes !== undefined) {
    return `made for ${classes[0]} outputs where ${classes[1]} are expected: --drop them, or compare with a network of that size`;
  }
  return 'the file belongs to another architecture, or to another size of it';
};
