/**
 * JSON of untrusted files: parsed by JSON.parse, after a scan of its punctuation has bounded its depth and the number of
 * its values, and refused when an object has a key twice, which JSON.parse would swallow.
 *
 * Outside of strings every colon of valid JSON belongs to exactly one member, so a document has duplicates if and only
 * if it has more colons than its parsed objects have keys.
 */

export interface JsonLimits {
  /** How deep objects and lists may nest (1: a flat one). */
  readonly depth: number;
  /** How many values there may be, those inside others counted: what a value takes in memory is far more than its text. */
  readonly values: number;
}

interface Punctuation {
  readonly members: number;
  readonly depth: number;
  readonly values: number;
}

/** Colons outside of strings, how deep brackets nest, and a bound on the number of values. */
const punctuationOf = (text: string): Punctuation => {
  let members = 0;
  let values = 1;
  let depth = 0;
  let deepest = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) {
      at = endOfString(text, at);
      continue;
    }
    if (code === 0x3a) members++;
    else if (code === 0x2c) values++;
    else if (code === 0x7b || code === 0x5b) {
      values++;
      deepest = Math.max(deepest, ++depth);
    } else if (code === 0x7d || code === 0x5d) depth--;
  }
  return { members, depth: deepest, values };
};

/** The closing quote of the string that opens at `start`; the end of the text where there is none. */
export const endOfString = (text: string, start: number): number => {
  for (let at = start + 1; ; at++) {
    at = text.indexOf('"', at);
    if (at < 0) return text.length;
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === 0x5c) slashes++;
    if (slashes % 2 === 0) return at;
  }
};

const keysIn = (root: unknown): number => {
  let keys = 0;
  const work: unknown[] = [root];
  for (let value = work.pop(); value !== undefined; value = work.pop()) {
    if (typeof value !== 'object' || value === null) continue;
    const inner = Object.values(value);
    if (!Array.isArray(value)) keys += inner.length;
    for (const each of inner) if (typeof each === 'object' && each !== null) work.push(each);
  }
  return keys;
};

const isFollowedByColon = (text: string, end: number): boolean => {
  let at = end + 1;
  while (at < text.length && ' \t\n\r'.includes(text[at]!)) at++;
  return text[at] === ':';
};

/** One of the keys that an object of a valid document has twice, for the message. */
const duplicateIn = (text: string): string | undefined => {
  const open: Set<string>[] = [];
  for (let at = 0; at < text.length; at++) {
    const letter = text[at];
    if (letter === '{' || letter === '[') open.push(new Set());
    else if (letter === '}' || letter === ']') open.pop();
    else if (letter === '"') {
      const end = endOfString(text, at);
      if (isFollowedByColon(text, end)) {
        const key = String(JSON.parse(text.slice(at, end + 1)));
        const keys = open.at(-1);
        if (keys?.has(key)) return key;
        keys?.add(key);
      }
      at = end;
    }
  }
  return undefined;
};

type Invalid = (message: string, cause?: unknown) => Error;

/** The text of JSON bytes. @throws the error made by `invalid` when they are no UTF-8 */
export const jsonText = (bytes: Uint8Array, invalid: Invalid): string => {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw invalid('it is no UTF-8 JSON', cause);
  }
};

/** The value of a JSON text. @throws the error made by `invalid` */
export const parseStrictText = (text: string, limits: JsonLimits, invalid: Invalid): unknown => {
  const { members, depth, values } = punctuationOf(text);
  if (depth > limits.depth) throw invalid(`it nests ${depth} levels (at most ${limits.depth})`);
  if (values > limits.values) throw invalid(`it has ${values} values (at most ${limits.values})`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid('it is no valid JSON', cause);
  }
  if (keysIn(value) !== members) {
    throw invalid(`it has the key ${JSON.stringify(duplicateIn(text)?.slice(0, 200))} twice`);
  }
  return value;
};

/** The value of a JSON document. @throws the error made by `invalid` */
export const parseStrictJson = (bytes: Uint8Array, limits: JsonLimits, invalid: Invalid): unknown =>
  parseStrictText(jsonText(bytes, invalid), limits, invalid);
