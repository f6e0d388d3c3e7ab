/** Protobuf messages written by hand, byte by byte: for tests of what no writer would write. */

export const varint = (value: number | bigint): number[] => {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    bytes.push(Number(rest & 127n) | (rest > 127n ? 128 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return bytes;
};

export const tag = (field: number, wireType: number): number[] => varint(field * 8 + wireType);

/** A length-delimited field. */
export const delimited = (field: number, content: readonly number[] | string): number[] => {
  const bytes = typeof content === 'string' ? [...new TextEncoder().encode(content)] : content;
  return [...tag(field, 2), ...varint(bytes.length), ...bytes];
};

export const integer = (field: number, value: number | bigint): number[] => [
  ...tag(field, 0),
  ...varint(value),
];
