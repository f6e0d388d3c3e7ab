/** Keys that would find a partner if an axis changed place: never mapped, but worth a hint. */
import { dtypeInfo } from '../../core/dtype.ts';
import type { AutoKey } from '../auto-map.ts';

const sortedShape = ({ dtype, dims }: AutoKey): string =>
  `${dtypeInfo(dtype).kind} ${[...dims].sort((a, b) => a - b).join('×')}`;

/** One sentence when keys without a partner have the shapes of target keys without one, but for the order of the axes. */
export const transposedHints = (source: readonly AutoKey[], target: readonly AutoKey[]): string[] => {
  const wanted = new Map<string, AutoKey>();
  for (const key of target)
    if (key.dims.length > 1 && !wanted.has(sortedShape(key))) wanted.set(sortedShape(key), key);
  const found = source.flatMap((key): (readonly [AutoKey, AutoKey])[] => {
    const other = wanted.get(sortedShape(key));
    return other === undefined || key.dims.join() === other.dims.join() ? [] : [[key, other]];
  });
  const [first] = found;
  if (first === undefined) return [];
  const [key, other] = first;
  return [
    `${found.length} keys without a partner have the shapes of target keys with the axes in another order, e.g. "${key.name}" [${key.dims.join(', ')}] and "${other.name}" [${other.dims.join(', ')}]: transpose them first (a mapping file, or --preset tf-conv)`,
  ];
};
