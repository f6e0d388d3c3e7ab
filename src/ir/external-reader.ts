/**
 * External data, opened when it is read and only inside the model's folder: check-external.ts decides which files
 * those are (by name, after following links, and by kind), this file turns an entry into a byte source.
 */
import { OrthoError } from '../core/errors.ts';
import { type ByteSource, FileSource, SliceSource } from '../core/source.ts';
import { quoted } from '../proto/quote.ts';
import type { TensorProto } from '../proto/schema.ts';
import { ExternalFiles } from './check-external.ts';

/** The range that a tensor's external_data entries name. */
interface ExternalRange {
  readonly location: string;
  readonly offset: number;
  readonly length: number | undefined;
}

export class ExternalReader {
  readonly #model: string | undefined;
  readonly #files: ExternalFiles;
  readonly #open = new Map<string, FileSource>();

  /** `model` is the path of the model file; undefined when it is not in a file: then nothing can be opened. */
  constructor(model: string | undefined) {
    this.#model = model;
    this.#files = new ExternalFiles(model);
  }

  /**
   * The `bytes` bytes of an external tensor.
   * @throws OrthoError model/external-data when the entry is malformed, leaves the folder, or the file is too short.
   */
  open(tensor: TensorProto, bytes: number, what: string): ByteSource {
    const fail = (message: string, hint?: string): never => {
      throw new OrthoError('model/external-data', `${what}: ${message}`, {
        hint: hint ?? "keep the data file beside the model, inside the model's folder",
        at: {
          ...(this.#model !== undefined && { file: this.#model }),
          ...(tensor.name && { value: tensor.name }),
        },
      });
    };
    const { location, offset, length } = parseRange(tensor, fail);
    const found =
      this.#files.locate(location) ?? fail('the model is not in a file, so its data cannot be found');
    if ('fault' in found) return fail(found.fault, found.hint);
    if (length !== undefined && length !== bytes) {
      fail(`needs ${bytes} bytes, external_data length is ${length}`);
    }
    if (offset + bytes > found.size) {
      fail(`external data: ${offset}+${bytes} is past the end of the file (${found.size} bytes)`);
    }
    let file = this.#open.get(found.path);
    if (file === undefined) {
      file = new FileSource(found.path);
      this.#open.set(found.path, file);
    }
    return new SliceSource(file, offset, bytes);
  }

  /** Closes the files; tensors that were opened can no longer be read. */
  close(): void {
    for (const file of this.#open.values()) file.close();
    this.#open.clear();
  }
}

const parseRange = (tensor: TensorProto, fail: (message: string) => never): ExternalRange => {
  const entries = new Map<string, string>();
  for (const { key = '', value = '' } of tensor.externalData) {
    if (entries.has(key)) fail(`external_data has the key ${quoted(key)} twice`);
    entries.set(key, value);
  }
  const count = (key: string): number | undefined => {
    const text = entries.get(key);
    if (text === undefined) return undefined;
    if (/^-\d+$/.test(text)) fail(`external_data ${key} ${text.slice(0, 40)} is negative`);
    if (!/^\d+$/.test(text)) fail(`external_data ${key} ${quoted(text)} is not a decimal number`);
    const number = Number(text);
    if (!Number.isSafeInteger(number)) fail(`external_data offset + length overflows`);
    return number;
  };
  const location = entries.get('location');
  if (!location) fail('external_data has no location');
  return { location: location as string, offset: count('offset') ?? 0, length: count('length') };
};
