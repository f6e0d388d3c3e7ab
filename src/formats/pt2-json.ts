/**
 * JSON inside a torch.export archive: bounded before it is parsed, and read by own properties only.
 */
import { OrthoError } from '../core/errors.ts';
import { PickleBudget } from './pickle.ts';
import { parseStrictJson } from './strict-json.ts';
import { checkChecksum } from './torch-archive.ts';
import type { ZipEntry } from './zip.ts';

/** Levels of one document; subgraphs of conditions and loops take about ten each. */
const MAX_DEPTH = 200;
/** Bytes of all JSON and pickles of one archive together. */
const MAX_DESCRIPTION = 32 * 1024 * 1024;
/** Lists, objects and commas: what bounds the memory of the parsed document. */
const MAX_JSON_VALUES = 1_000_000;

/** What may still be read of one archive beside its tensors: small files can inflate to large descriptions. */
export class DescriptionBudget {
  left: number = MAX_DESCRIPTION;
  /** Of all checkpoints inside. */
  readonly pickles: PickleBudget;

  /** `bytes`: those of the archive. */
  constructor(bytes: number) {
    this.pickles = new PickleBudget(bytes);
  }

  /** @throws OrthoError file/limit */
  charge(bytes: number, name: string): void {
    this.left -= bytes;
    if (this.left >= 0) return;
    throw new OrthoError('file/limit', `${name}: more than ${MAX_DESCRIPTION} bytes of JSON and pickles`, {
      hint: 'tensors belong into files of their own; the archive is hostile',
    });
  }
}

export type JsonRecord = Readonly<Record<string, unknown>>;

export const isRecord = (value: unknown): value is JsonRecord =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** An object's own property at the end of this path of keys, or undefined. */
export const member = (value: unknown, ...keys: readonly string[]): unknown => {
  let found = value;
  for (const key of keys) {
    if (!isRecord(found) || !Object.hasOwn(found, key)) return undefined;
    found = found[key];
  }
  return found;
};

/** A value of a document as a message shows it. */
export const shown = (value: unknown): string => JSON.stringify(value)?.slice(0, 100) ?? 'missing';

/**
 * The JSON document of an entry of at most `maxBytes`.
 * @throws OrthoError checkpoint/invalid, file/limit
 */
export const jsonOf = (
  entry: ZipEntry,
  label: string,
  maxBytes: number,
  budget: DescriptionBudget,
): unknown => {
  const name = `${label}: ${entry.name}`;
  const tooLarge = (what: string): OrthoError =>
    new OrthoError('file/limit', `${name} has ${what}`, {
      hint: 'no exported program is described at such length; the file is hostile',
      at: { file: label },
    });
  if (entry.size > maxBytes) throw tooLarge(`${entry.size} bytes (at most ${maxBytes})`);
  budget.charge(entry.size, name);
  checkChecksum(entry, entry.name, label);
  const bytes = entry.data.read(0, entry.size);
  let values = 0;
  for (const byte of bytes) if (byte === 0x2c || byte === 0x5b || byte === 0x7b) values++;
  if (values > MAX_JSON_VALUES) throw tooLarge(`${values} values (at most ${MAX_JSON_VALUES})`);
  return parseStrictJson(
    bytes,
    { depth: MAX_DEPTH, values: MAX_JSON_VALUES + 1 },
    (message, cause) =>
      new OrthoError('checkpoint/invalid', `${name}: ${message}`, {
        hint: 'the file is damaged; export the program again',
        at: { file: label },
        ...(cause === undefined ? {} : { cause }),
      }),
  );
};
