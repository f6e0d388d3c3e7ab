/** Tells keys apart by what else names the same tensor: an alias can only correspond to an alias. */
import { type Alignment, mixA, mixB, multisetNumber } from './alignment.ts';

/** For each key, the first key of its tensor (itself without aliases). */
export type Owners = readonly [Int32Array, Int32Array];

/** Splits colours by the colours of all names of the tensor; true when any was split. */
export const splitByAliases = (alignment: Alignment, owners: Owners): boolean => {
  const numbers = new Map<number, number>();
  const marks = alignment.sides.map(({ colour }, i) => {
    const sumA = new Uint32Array(colour.length);
    const sumB = new Uint32Array(colour.length);
    owners[i]!.forEach((owner, key) => {
      sumA[owner]! += mixA(colour[key]!);
      sumB[owner]! += mixB(colour[key]!);
    });
    return Int32Array.from(owners[i]!, (owner) => {
      const group = multisetNumber(sumA[owner]!, sumB[owner]!);
      const number = numbers.get(group) ?? numbers.size;
      numbers.set(group, number);
      return number;
    });
  });
  const before = alignment.classes().size;
  alignment.split([marks[0]!, marks[1]!]);
  return alignment.classes().size > before;
};
