/**
 * Finds tensors that are in both files under different names: the same dtype, dims and bytes. Only what could have a
 * counterpart is hashed (SHA-256, in pieces).
 *
 * Where several names have one content (biases that are all zero), the pairs are chosen by, in turn: a prefix that makes
 * many keys of one file out of those of the other; the module whose other tensors were paired; the same last component,
 * in file order; file order. Pairs of the last two kinds are ambiguous.
 */
import { createHash } from 'node:crypto';
import type { ByteSource } from '../core/source.ts';
import type { Tensor } from '../core/tensor.ts';

export interface RenamedPair {
  readonly from: string;
  readonly to: string;
  readonly ambiguous?: true;
}

/** Every key of `of` that begins with `prefix` is the rest of it in the other file, for `keys` keys. */
export interface CommonPrefix {
  readonly prefix: string;
  readonly of: 'a' | 'b';
  readonly keys: number;
}

type Tensors = ReadonlyMap<string, Tensor>;

const PIECE = 1 << 20;

/** Dots that are looked at as the end of a prefix. */
const MAX_PREFIX_DEPTH = 8;

/** Prefixes are at most this long, so that keys of any length cost little. */
const MAX_PREFIX = 256;

/** How often each prefix, taken off a key of `long`, leaves a key of `short`. */
const countPrefixes = (long: Tensors, short: Tensors): Map<string, number> => {
  const counts = new Map<string, number>();
  for (const key of long.keys()) {
    let dot = key.indexOf('.');
    for (let depth = 0; dot >= 0 && dot < MAX_PREFIX && depth < MAX_PREFIX_DEPTH; depth++) {
      const prefix = key.slice(0, dot + 1);
      if (short.has(key.slice(dot + 1))) counts.set(prefix, (counts.get(prefix) ?? 0) + 1);
      dot = key.indexOf('.', dot + 1);
    }
  }
  return counts;
};

/**
 * The prefix that explains most of the keys that only one file has; undefined where it explains less than half of
 * those that the smaller side has.
 */
export const findPrefix = (onlyA: Tensors, onlyB: Tensors): CommonPrefix | undefined => {
  let best: CommonPrefix | undefined;
  for (const of of ['a', 'b'] as const) {
    const counts = of === 'a' ? countPrefixes(onlyA, onlyB) : countPrefixes(onlyB, onlyA);
    for (const [prefix, keys] of counts) if (keys > (best?.keys ?? 0)) best = { prefix, of, keys };
  }
  const fewest = Math.min(onlyA.size, onlyB.size);
  return best !== undefined && best.keys * 2 >= fewest && best.keys > 1 ? best : undefined;
};

/** The name in B of a key of A. */
export const applyPrefix = (key: string, { prefix, of }: CommonPrefix): string | undefined => {
  if (of === 'b') return prefix + key;
  return key.startsWith(prefix) ? key.slice(prefix.length) : undefined;
};

const formOf = ({ dtype, dims }: Tensor): string => `${dtype} ${dims.join(',')}`;

/** Whether there is anything to hash in both. */
const candidatesOf = (tensors: Tensors, other: Tensors): [string, Tensor][] => {
  const forms = new Set([...other.values()].map(formOf));
  return [...tensors].filter(([, tensor]) => forms.has(formOf(tensor)));
};

function* digestOf(tensor: Tensor, buffer: Uint8Array): Generator<number, string> {
  const hash = createHash('sha256');
  const { data, strings } = tensor;
  for (const text of strings ?? []) hash.update(`${text.length}:`).update(text);
  for (let at = 0; at < data.size; at += PIECE) {
    const piece = buffer.subarray(0, Math.min(PIECE, data.size - at));
    data.readInto(piece, at);
    hash.update(piece);
    yield piece.length;
  }
  return hash.digest('hex');
}

const append = (groups: Map<string, string[]>, group: string, key: string): void => {
  const list = groups.get(group);
  if (list === undefined) groups.set(group, [key]);
  else list.push(key);
};

const groupKeys = (keys: Iterable<string>, groupOf: (key: string) => string): Map<string, string[]> => {
  const groups = new Map<string, string[]>();
  for (const key of keys) append(groups, groupOf(key), key);
  return groups;
};

/** Keys by content, in file order. Names of one source are hashed once. */
function* keysByContent(
  candidates: readonly (readonly [string, Tensor])[],
  buffer: Uint8Array,
): Generator<number, Map<string, string[]>> {
  const known = new Map<ByteSource, string>();
  const groups = new Map<string, string[]>();
  for (const [key, tensor] of candidates) {
    const isText = tensor.strings !== undefined;
    const digest = (isText ? undefined : known.get(tensor.data)) ?? (yield* digestOf(tensor, buffer));
    if (!isText) known.set(tensor.data, digest);
    append(groups, `${formOf(tensor)} ${digest}`, key);
  }
  return groups;
}

const moduleOf = (key: string): string => key.slice(0, key.lastIndexOf('.') + 1);
const leafOf = (key: string): string => key.slice(key.lastIndexOf('.') + 1);

/** Names of one content on both sides that have no pair yet, in file order. */
interface Rest {
  readonly from: Set<string>;
  readonly to: Set<string>;
}

class Pairs {
  readonly list: RenamedPair[] = [];
  /** Modules of A by the module of B that a pair took there. */
  readonly #modules = new Map<string, string>();

  add(rest: Rest, from: string, to: string, isAmbiguous: boolean): void {
    rest.from.delete(from);
    rest.to.delete(to);
    this.list.push(isAmbiguous ? { from, to, ambiguous: true } : { from, to });
    if (!isAmbiguous) this.#modules.set(moduleOf(from), moduleOf(to));
  }

  byPrefix(rest: Rest, prefix: CommonPrefix): void {
    for (const from of rest.from) {
      const to = applyPrefix(from, prefix);
      if (to !== undefined && rest.to.has(to)) this.add(rest, from, to, false);
    }
  }

  /** A module's tensor goes where the others of the module went: to the same last component, or the only one there. */
  byModule(rest: Rest): void {
    const left = new Map([...groupKeys(rest.to, moduleOf)].map(([module, keys]) => [module, new Set(keys)]));
    for (const from of rest.from) {
      const target = this.#modules.get(moduleOf(from));
      const there = target === undefined ? undefined : left.get(target);
      if (target === undefined || there === undefined) continue;
      const alike = target + leafOf(from);
      const to = there.has(alike) ? alike : there.size === 1 ? [...there][0]! : undefined;
      if (to === undefined) continue;
      there.delete(to);
      this.add(rest, from, to, false);
    }
  }

  byOrder(rest: Rest): void {
    const byLeaf = new Map(
      [...groupKeys(rest.to, leafOf)].map(([leaf, keys]) => [leaf, keys.values()] as const),
    );
    for (const from of rest.from) {
      const to = byLeaf.get(leafOf(from))?.next().value;
      if (to !== undefined) this.add(rest, from, to, true);
    }
    const left = rest.to.values();
    for (const from of rest.from) {
      const to = left.next().value;
      if (to !== undefined) this.add(rest, from, to, true);
    }
  }
}

/** Bytes that matching will read. */
export const bytesToMatch = (onlyA: Tensors, onlyB: Tensors): number =>
  [...candidatesOf(onlyA, onlyB), ...candidatesOf(onlyB, onlyA)].reduce(
    (sum, [, { data }]) => sum + data.size,
    0,
  );

/**
 * The pairs of keys with the same content, in the order of A. `onlyA` and `onlyB` are what the other file does not have
 * under the same name. Yields the bytes read.
 */
export function* matchRenamed(
  onlyA: Tensors,
  onlyB: Tensors,
  prefix: CommonPrefix | undefined,
): Generator<number, readonly RenamedPair[]> {
  const buffer = new Uint8Array(PIECE);
  const groupsA = yield* keysByContent(candidatesOf(onlyA, onlyB), buffer);
  const groupsB = yield* keysByContent(candidatesOf(onlyB, onlyA), buffer);
  const pairs = new Pairs();
  const rests: Rest[] = [];
  for (const [content, from] of groupsA) {
    const to = groupsB.get(content);
    if (to === undefined) continue;
    const rest = { from: new Set(from), to: new Set(to) };
    if (from.length === 1 && to.length === 1) pairs.add(rest, from[0]!, to[0]!, false);
    else rests.push(rest);
  }
  if (prefix !== undefined) for (const rest of rests) pairs.byPrefix(rest, prefix);
  for (const rest of rests) pairs.byModule(rest);
  for (const rest of rests) pairs.byOrder(rest);
  const place = new Map([...onlyA.keys()].map((key, i) => [key, i]));
  return pairs.list.sort((x, y) => place.get(x.from)! - place.get(y.from)!);
}
