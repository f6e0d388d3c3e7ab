/**
 * What a file is, told by its content alone; names and extensions are never looked at.
 */
import { type ErrorCode, OrthoError } from '../core/errors.ts';
import type { ByteSource } from '../core/source.ts';
import { startsLegacy } from './torch-legacy.ts';

/** A recognised kind of file that is no weight format that ortho opens. */
interface Stranger {
  readonly code: Extract<ErrorCode, 'file/unknown-format' | 'checkpoint/unsupported'>;
  readonly what: string;
  readonly hint: string;
}

export type Sniffed =
  | 'zip'
  | 'torch-legacy'
  | 'torch-tar'
  | 'safetensors'
  | 'npy'
  | 'shard-index'
  | 'torch-dcp'
  | 'onnx'
  | Stranger;

const unknown = (what: string, hint: string): Stranger => ({ code: 'file/unknown-format', what, hint });
const unsupported = (what: string, hint: string): Stranger => ({
  code: 'checkpoint/unsupported',
  what,
  hint,
});

const RESAVE = 'load it with PyTorch and save its state_dict() with torch.save (the zip format)';

/** Signatures at fixed places; the first that fits wins. */
const SIGNATURES: readonly { readonly at: number; readonly bytes: string; readonly kind: Sniffed }[] = [
  { at: 0, bytes: 'PK\x03\x04', kind: 'zip' },
  { at: 0, bytes: '\x93NUMPY', kind: 'npy' },
  {
    at: 0,
    bytes: 'version https://git-lfs',
    kind: unknown('a Git LFS pointer, not the file itself', 'fetch the file with: git lfs pull'),
  },
  { at: 257, bytes: 'ustar', kind: 'torch-tar' },
  { at: 0, bytes: 'PYTORCH1', kind: unsupported('a PyTorch 1.0 preview container', RESAVE) },
  {
    at: 0,
    bytes: 'PK\x05\x06',
    kind: unknown('an empty zip archive', 'the download or the copy went wrong'),
  },
  { at: 0, bytes: '\x1f\x8b', kind: unknown('a gzip file', 'unpack it first (gunzip)') },
  { at: 0, bytes: 'BZh', kind: unknown('a bzip2 file', 'unpack it first (bunzip2)') },
  { at: 0, bytes: '\xfd7zXZ', kind: unknown('an xz file', 'unpack it first (unxz)') },
  { at: 0, bytes: '\x28\xb5\x2f\xfd', kind: unknown('a zstandard file', 'unpack it first (zstd -d)') },
  { at: 0, bytes: '7z\xbc\xaf', kind: unknown('a 7-Zip archive', 'unpack it first') },
  { at: 0, bytes: 'Rar!', kind: unknown('a RAR archive', 'unpack it first') },
  {
    at: 0,
    bytes: '\x89HDF',
    kind: unknown('an HDF5 file (Keras?)', 'save the weights as .npz or .safetensors'),
  },
  { at: 0, bytes: 'GGUF', kind: unknown('a GGUF file', 'take the .safetensors it was made from') },
  { at: 4, bytes: 'TFL3', kind: unknown('a TensorFlow Lite model', 'take the weights it was made from') },
  { at: 0, bytes: '\x89PNG', kind: unknown('a PNG picture', 'give a weight file') },
  { at: 0, bytes: '%PDF', kind: unknown('a PDF document', 'give a weight file') },
];

const textKind = (text: string): Stranger | undefined => {
  const start = text
    .replace(/^\ufeff?\s+/, '')
    .slice(0, 200)
    .toLowerCase();
  if (start.startsWith('<!doctype html') || start.startsWith('<html') || start.startsWith('<head')) {
    return unknown(
      'an HTML page, not weights',
      'the download gave a web page (a login or an error?); fetch the raw file',
    );
  }
  if (start.startsWith('<?xml') || start.startsWith('<error')) {
    return unknown('an XML document', 'the download gave an error message; open it in a text editor');
  }
  if (/^[{[]/.test(start) && /^[\t\n\r\x20-\x7e]*$/.test(start)) {
    return unknown('a JSON document', 'of a sharded checkpoint, give the index (….index.json) or the folder');
  }
  return undefined;
};

/** An ONNX model begins with ir_version (field 1, varint) and soon names its graph, opset or producer. */
const looksLikeOnnx = (head: Uint8Array): boolean =>
  head[0] === 0x08 && head[1]! < 0x40 && [0x12, 0x1a, 0x22, 0x2a, 0x32, 0x3a, 0x42].includes(head[2] ?? 0);

/** A safetensors file begins with the length of its JSON header, then `{`. */
const looksLikeSafetensors = (source: ByteSource, head: Uint8Array): boolean => {
  if (head.length < 10 || head[8] !== 0x7b) return false;
  const length = new DataView(head.buffer, head.byteOffset, 8).getBigUint64(0, true);
  return length <= BigInt(source.size - 8) || length < 1n << 40n;
};

/** The index of a sharded checkpoint: JSON with a `weight_map`, which may follow some metadata. */
const looksLikeShardIndex = (source: ByteSource, text: string): boolean =>
  /^\s*\{\s*"/.test(text) &&
  Buffer.from(source.read(0, Math.min(source.size, 1 << 16)))
    .toString('latin1')
    .includes('"weight_map"');

/** What a byte source holds. @throws OrthoError file/unknown-format for an empty file */
export const sniff = (source: ByteSource, label: string = source.path ?? 'input'): Sniffed => {
  if (source.size === 0) {
    throw new OrthoError('file/unknown-format', `${label}: the file is empty`, {
      hint: 'the download or the copy went wrong',
      at: { file: label },
    });
  }
  const head = source.read(0, Math.min(source.size, 512));
  const text = Buffer.from(head).toString('latin1');
  if (startsLegacy(text)) return 'torch-legacy';
  for (const { at, bytes, kind } of SIGNATURES) {
    if (text.startsWith(bytes, at)) return kind;
  }
  if (looksLikeSafetensors(source, head)) return 'safetensors';
  if (head[0] === 0x80 && text.slice(0, 64).includes('torch.distributed.checkpoint.metadata'))
    return 'torch-dcp';
  if (looksLikeOnnx(head)) return 'onnx';
  if (looksLikeShardIndex(source, text)) return 'shard-index';
  const described = textKind(text);
  if (described !== undefined) return described;
  if (head[0] === 0x80 && head[1]! >= 2 && head[1]! <= 5) {
    return unsupported("a bare Python pickle without PyTorch's container", RESAVE);
  }
  return unknown('none of the known formats', 'known are PyTorch checkpoints, safetensors, npz and ONNX');
};

/** The error for a file that was recognised but cannot be opened as weights. */
export const strangerError = (
  kind: Exclude<Sniffed, 'zip' | 'torch-legacy' | 'torch-tar' | 'safetensors' | 'npy'>,
  label: string,
): OrthoError => {
  if (kind === 'onnx') {
    return new OrthoError('file/unknown-format', `${label}: an ONNX model, not a weight file`, {
      hint: 'inspect, optimize, quantize, verify and bench take models; this command takes checkpoints',
      at: { file: label },
    });
  }
  if (kind === 'shard-index' || kind === 'torch-dcp') {
    return new OrthoError(
      'checkpoint/invalid',
      `${label}: it names other files and lies in the place of one`,
      {
        hint: 'an index of shards names files of weights, and no other index',
        at: { file: label },
      },
    );
  }
  return new OrthoError(kind.code, `${label}: ${kind.what}`, { hint: kind.hint, at: { file: label } });
};
