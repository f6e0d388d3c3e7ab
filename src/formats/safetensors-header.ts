/**
 * The JSON table at the head of a safetensors file, entry by entry: a table of 25 MB must not become a tree of ten times
 * that before somebody looks whether it is one of tensors. Keys that occur twice are refused.
 */
import { endOfString, type JsonLimits, parseStrictText } from './strict-json.ts';

/** Letters and values of one entry: a type, up to 64 sizes, two offsets. */
const MAX_ENTRY = 4096;
const ENTRY_LIMITS: JsonLimits = { depth: 2, values: 200 };
/** `__metadata__`: a flat table of texts. */
const METADATA_LIMITS: JsonLimits = { depth: 1, values: 100_000 };

type Invalid = (message: string, cause?: unknown) => Error;

const skipSpace = (text: string, start: number): number => {
  let at = start;
  while (at < text.length && ' \t\n\r'.includes(text[at]!)) at++;
  return at;
};

/** The end of the value that begins at `start`: behind the bracket that closes it, or at what follows a plain value. */
const endOfValue = (text: string, start: number): number => {
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) at = endOfString(text, at);
    else if (code === 0x7b || code === 0x5b) depth++;
    else if (code === 0x7d || code === 0x5d) {
      if (depth === 0) return at;
      if (--depth === 0) return at + 1;
    } else if (code === 0x2c && depth === 0) return at;
  }
  return text.length;
};

const keyOf = (token: string, invalid: Invalid): string => {
  try {
    const key: unknown = JSON.parse(token);
    if (typeof key === 'string' && !/\p{Surrogate}/u.test(key)) return key;
  } catch (cause) {
    throw invalid(`the name ${token.slice(0, 200)} is no valid JSON`, cause);
  }
  throw invalid(`the name ${token.slice(0, 200)} is no Unicode text`);
};

/**
 * The members of the table with their parsed values, in the order of the file.
 * @throws the error made by `invalid` when the text is no JSON object, or a key occurs twice
 */
export function* headerEntries(text: string, invalid: Invalid): Generator<readonly [string, unknown]> {
  if (text[0] !== '{') throw invalid('it does not begin with {');
  const seen = new Set<string>();
  let at = skipSpace(text, 1);
  if (text[at] === '}') {
    checkEnd(text, at + 1, invalid);
    return;
  }
  for (;;) {
    const end = text[at] === '"' ? endOfString(text, at) + 1 : text.length + 1;
    const colon = skipSpace(text, end);
    if (text[colon] !== ':') throw invalid(`it is no valid JSON at letter ${Math.min(at, text.length)}`);
    const key = keyOf(text.slice(at, end), invalid);
    if (seen.has(key)) throw invalid(`it has the key ${JSON.stringify(key.slice(0, 200))} twice`);
    seen.add(key);
    const start = skipSpace(text, colon + 1);
    const stop = endOfValue(text, start);
    yield [key, parsedEntry(key, text.slice(start, stop), invalid)];
    at = skipSpace(text, stop);
    if (text[at] === '}') break;
    if (text[at] !== ',') throw invalid(`it is no valid JSON at letter ${at}`);
    at = skipSpace(text, at + 1);
  }
  checkEnd(text, at + 1, invalid);
}

const parsedEntry = (key: string, text: string, invalid: Invalid): unknown => {
  const ofKey: Invalid = (message, cause) => invalid(`"${key.slice(0, 200)}": ${message}`, cause);
  if (key === '__metadata__') return parseStrictText(text, METADATA_LIMITS, ofKey);
  if (text.length > MAX_ENTRY) throw ofKey(`an entry of ${text.length} letters (at most ${MAX_ENTRY})`);
  return parseStrictText(text, ENTRY_LIMITS, ofKey);
};

const checkEnd = (text: string, end: number, invalid: Invalid): void => {
  if (skipSpace(text, end) !== text.length) throw invalid('something other than spaces follows the table');
};
