/**
 * Rules about external data: the text of its entries, that its file is a regular file inside the model's folder (by
 * name and after following links), and that the range lies inside that file. Nothing outside the folder is opened.
 */
import { createHash } from 'node:crypto';
import { lstatSync, realpathSync, type Stats, statSync } from 'node:fs';
import { dirname, resolve, sep } from 'node:path';
import type { Place } from '../core/errors.ts';
import { chunksOf, FileSource } from '../core/source.ts';
import { quoted } from '../proto/quote.ts';
import type { TensorProto } from '../proto/schema.ts';
import type { FindingList } from './check-context.ts';
import { checkName } from './check-names.ts';

const INT64_MAX = (1n << 63n) - 1n;
/** Checksums of bigger files are not verified: it would mean reading them. */
const CHECKSUM_LIMIT = 1 << 28;
const COPY_HINT = "copy the data file into the model's folder";

type Located =
  | { readonly fault: string; readonly hint?: string }
  | { readonly path: string; readonly size: number };

/** Why a location cannot be the name of a file inside the model's folder, judged by its text alone. */
export const locationFault = (location: string): string | undefined => {
  const is = `external_data location`;
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(location)) return `${is} is a URL: ${quoted(location)}`;
  if (location.startsWith('/') || location.startsWith('\\\\') || /^[a-z]:/i.test(location)) {
    return `${is} is absolute: ${quoted(location)}`;
  }
  if (location.includes('\\')) return `${is} holds a backslash: ${quoted(location)}`;
  if (location.includes('\0')) return `${is} holds a NUL: ${quoted(location)}`;
  if (location.endsWith('/')) return `${is} is a folder: ${quoted(location)}`;
  let depth = 0;
  for (const part of location.split('/')) {
    if (part === '..') depth--;
    else if (part !== '' && part !== '.') depth++;
    if (depth < 0) return `${is} leaves the model's folder: ${quoted(location)}`;
  }
  return undefined;
};

/** The data files beside one model; each is looked at once. */
export class ExternalFiles {
  /** undefined for a model that is not in a file: then only the text of its entries can be judged. */
  readonly #model: string | undefined;
  readonly #located = new Map<string, Located>();
  readonly #digests = new Map<string, string>();

  constructor(modelPath: string | undefined) {
    this.#model = modelPath;
  }

  locate(location: string): Located | undefined {
    const fault = locationFault(location);
    if (fault !== undefined) return { fault };
    if (this.#model === undefined) return undefined;
    let located = this.#located.get(location);
    if (located === undefined) {
      located = this.#look(this.#model, location);
      this.#located.set(location, located);
    }
    return located;
  }

  #look(model: string, location: string): Located {
    const folder = dirname(resolve(model));
    const path = resolve(folder, location);
    const name = quoted(location);
    let real: string;
    let stat: Stats;
    try {
      real = realpathSync(path);
      const realFolder = realpathSync(folder);
      if (real !== realFolder && !real.startsWith(realFolder.endsWith(sep) ? realFolder : realFolder + sep)) {
        return {
          fault: `external_data location leaves the model's folder through a symbolic link: ${name}`,
          hint: COPY_HINT,
        };
      }
      stat = statSync(real);
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code;
      if (code === 'ENOENT' && isDanglingLink(path)) {
        return { fault: `external_data location ${name} is a symbolic link to nothing` };
      }
      if (code === 'ENOENT' || code === 'ENOTDIR') {
        return {
          fault: `external data file ${name} does not exist`,
          hint: 'keep the data file beside the model, under the name that the model gives it',
        };
      }
      return { fault: `external data file ${name} cannot be read (${code})` };
    }
    if (stat.isDirectory()) return { fault: `external_data location ${name} is a folder` };
    if (!stat.isFile()) return { fault: `external_data location ${name} is not a regular file` };
    const self = statSync(model, { throwIfNoEntry: false });
    if (self !== undefined && self.ino === stat.ino && self.dev === stat.dev) {
      return { fault: `external_data location is the model itself: ${name}` };
    }
    if (stat.nlink > 1) {
      return {
        fault: `external_data location ${name} is a hard link: its content may belong to a file outside the model's folder`,
        hint: COPY_HINT,
      };
    }
    return { path: real, size: stat.size };
  }

  /** SHA-1 of a file, hex; undefined for big ones. */
  digest({ path, size }: { readonly path: string; readonly size: number }): string | undefined {
    if (size > CHECKSUM_LIMIT) return undefined;
    let digest = this.#digests.get(path);
    if (digest === undefined) {
      const file = new FileSource(path);
      try {
        const hash = createHash('sha1');
        for (const chunk of chunksOf(file)) hash.update(chunk);
        digest = hash.digest('hex');
      } finally {
        file.close();
      }
      this.#digests.set(path, digest);
    }
    return digest;
  }
}

const isDanglingLink = (path: string): boolean =>
  lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;

/** A decimal number of bytes; the fault is reported. */
const parseCount = (
  key: string,
  text: string | undefined,
  report: (message: string) => void,
): bigint | undefined => {
  if (text === undefined) return undefined;
  if (/^-\d+$/.test(text)) report(`external_data ${key} ${text.slice(0, 40)} is negative`);
  else if (!/^\d+$/.test(text)) report(`external_data ${key} ${quoted(text)} is not a decimal number`);
  else if (text.length > 40) report(`external_data ${key} overflows: ${text.slice(0, 40)}…`);
  else return BigInt(text);
  return undefined;
};

const checkChecksum = (
  checksum: string,
  file: { readonly path: string; readonly size: number },
  files: ExternalFiles,
): string | undefined => {
  if (!/^[0-9a-f]{40}$/i.test(checksum)) {
    return `external_data checksum ${quoted(checksum)} is not a SHA-1 digest (40 hexadecimal digits)`;
  }
  const digest = files.digest(file);
  return digest === undefined || digest === checksum.toLowerCase()
    ? undefined
    : `external_data checksum ${checksum} is not that of the file (${digest})`;
};

/** @param needed bytes of the tensor; undefined where its type or dims are faulty */
export const checkExternal = (
  { externalData }: TensorProto,
  needed: bigint | undefined,
  what: string,
  findings: FindingList,
  files: ExternalFiles,
  at: Place,
): void => {
  const report = (message: string, hint?: string): void =>
    findings.error('external-data', `${what}: ${message}`, at, hint);
  const entries = new Map<string, string>();
  for (const { key = '', value = '' } of externalData) {
    if (entries.has(key)) report(`external_data has the key ${quoted(key)} twice`);
    checkName(findings, 'external_data key', key);
    entries.set(key, value);
  }
  const location = entries.get('location') ?? '';
  const offset = parseCount('offset', entries.get('offset'), report);
  const length = parseCount('length', entries.get('length'), report);
  if (length !== undefined && needed !== undefined && length !== needed) {
    report(`needs ${needed} bytes, external_data length is ${length}`);
  }
  const end = (offset ?? 0n) + (length ?? needed ?? 0n);
  if (end > INT64_MAX)
    report(`external_data offset + length overflows (${offset ?? 0n} + ${length ?? needed ?? 0n})`);
  if (location === '') {
    report('external_data has no location');
    return;
  }
  checkName(findings, 'external_data location', location);
  const file = files.locate(location);
  if (file === undefined) return;
  if ('fault' in file) {
    report(file.fault, file.hint);
    return;
  }
  if (end <= INT64_MAX && end > BigInt(file.size)) {
    const range = `${offset ?? 0n}+${length ?? needed ?? 0n}`;
    report(
      `external data: ${range} is past the end of the file (${file.size} bytes)`,
      'the data file is cut off or belongs to another model',
    );
  }
  const checksum = entries.get('checksum');
  const fault = checksum === undefined ? undefined : checkChecksum(checksum, file, files);
  if (fault !== undefined) findings.warning('external-checksum', `${what}: ${fault}`, at);
};
