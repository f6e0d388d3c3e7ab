/**
 * What a file is when it is not an ONNX model: looked at only after decoding failed or found no graph, because every
 * one of these signatures could start a legal, if strange, protobuf message.
 */
import { dtypeFromOnnx, dtypeInfo } from '../core/dtype.ts';
import { OrthoError } from '../core/errors.ts';
import type { ByteSource } from '../core/source.ts';
import { quoted } from './quote.ts';
import type { MessageName, Messages, TensorProto } from './schema.ts';

const HEAD = 64 * 1024;
/** Bigger files are not decoded as other messages of ONNX. */
const PART_LIMIT = 2 ** 28;

type Decode = <N extends MessageName>(name: N, source: ByteSource) => Messages[N];

/** What files begin with, as Latin-1, and what they are then. */
const SIGNATURES: readonly (readonly [string, string])[] = [
  ['\x89HDF', 'an HDF5 file (Keras?)'],
  ['\x93NUMPY', 'a NumPy array'],
  ['\x1f\x8b', 'a gzip archive'],
  ['BZh', 'a bzip2 archive'],
  ['\xfd7zXZ\0', 'an xz archive'],
  ['\x28\xb5\x2f\xfd', 'a Zstandard archive'],
  ["7z\xbc\xaf'\x1c", 'a 7-Zip archive'],
  ['Rar!\x1a\x07', 'a RAR archive'],
  ['\x89PNG\r\n', 'a PNG image'],
  ['\xff\xd8\xff', 'a JPEG image'],
  ['%PDF-', 'a PDF document'],
  ['\x7fELF', 'an executable (ELF)'],
  ['\xff\xfe', 'UTF-16 text'],
  ['\xfe\xff', 'UTF-16 text'],
];

const latin1 = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

const startsWith = (bytes: Uint8Array, text: string): boolean =>
  latin1(bytes.subarray(0, text.length)) === text;

/** The name in a zip's first local file header: its length is the 16-bit number at byte 26, the name starts at 30. */
const firstZipEntry = (head: Uint8Array): string => {
  const length = (head[26] ?? 0) + (head[27] ?? 0) * 256;
  const name = new TextDecoder().decode(head.subarray(30, 30 + length));
  return name === '' ? '' : `; it holds ${quoted(name).slice(1, -1)}`;
};

const isSafetensors = (head: Uint8Array, size: number): boolean => {
  if (head.length < 9 || head[8] !== 0x7b) return false;
  const header = Number(new DataView(head.buffer, head.byteOffset, 8).getBigUint64(0, true));
  return header >= 2 && header + 8 <= size;
};

/** Every one of at least four line feeds follows a carriage return: what a text-mode transfer makes of bytes. */
const isTextDamaged = (head: Uint8Array): boolean => {
  let lineFeeds = 0;
  for (let at = head.indexOf(10); at >= 0; at = head.indexOf(10, at + 1)) {
    if (at === 0 || head[at - 1] !== 13) return false;
    lineFeeds++;
  }
  return lineFeeds >= 4;
};

const describeTensor = (tensor: TensorProto): string | undefined => {
  const dtype = dtypeFromOnnx(tensor.dataType ?? 0);
  if (dtype === undefined || tensor.unknown !== undefined) return undefined;
  const { rawData, floatData, doubleData, int32Data, int64Data, uint64Data, stringData } = tensor;
  const typed = int32Data.length + int64Data.length + uint64Data.length + stringData.length;
  if (tensor.dims.length === 0 && typed === 0 && !rawData && !floatData && !doubleData) return undefined;
  const shape = tensor.dims.length === 0 ? 'scalar' : tensor.dims.join('x');
  const name = tensor.name ? `${quoted(tensor.name)}, ` : '';
  return `${name}${dtypeInfo(dtype).text} ${shape}`;
};

const textOf = (head: Uint8Array): string => {
  const text = new TextDecoder().decode(head.subarray(0, 4096));
  return text.trimStart();
};

/** Parts of a model that are written to files of their own. */
const partOf = (source: ByteSource, decode: Decode): string | undefined => {
  const attempt = <N extends MessageName>(
    name: N,
    describe: (message: Messages[N]) => string | undefined,
  ): string | undefined => {
    try {
      return describe(decode(name, source));
    } catch {
      return undefined;
    }
  };
  const count = (nodes: readonly unknown[]): string => `${nodes.length} node${nodes.length === 1 ? '' : 's'}`;
  return (
    attempt('TensorProto', (tensor) => {
      const text = describeTensor(tensor);
      return text && `this is a TensorProto (${text}), not a model`;
    }) ??
    attempt('GraphProto', ({ node, name = '', output, unknown }) =>
      unknown === undefined && node.length > 0 && output.length > 0
        ? `this is a GraphProto (${quoted(name)}, ${count(node)}), not a model`
        : undefined,
    ) ??
    attempt('FunctionProto', ({ node, name = '', output, unknown }) =>
      unknown === undefined && node.length > 0 && name !== '' && output.length > 0
        ? `this is a FunctionProto (${quoted(name)}, ${count(node)}), not a model`
        : undefined,
    ) ??
    attempt('NodeProto', ({ opType = '', output, unknown }) =>
      unknown === undefined && opType !== '' && output.length > 0
        ? `this is a NodeProto (${quoted(opType)}), not a model`
        : undefined,
    )
  );
};

/** What became of the bytes when something took them for text. */
const textDamageOf = (head: Uint8Array): string | undefined => {
  if (isTextDamaged(head)) return 'the model is damaged as by a text-mode transfer (LF became CR LF)';
  const damaged = 'the model is damaged as by reading it as text';
  if (latin1(head).split('\xef\xbf\xbd').length > 4) return `${damaged} (bytes became U+FFFD)`;
  const text = utf8Of(head);
  const isWidened =
    text !== undefined && /^[\0-\xff]*$/.test(text) && (text.match(/[\x80-\xff]/g) ?? []).length > 4;
  return isWidened ? `${damaged} (bytes above 7F became two)` : undefined;
};

/** The head as text; undefined when it is not UTF-8. A sequence that the head's end cuts does not count. */
const utf8Of = (head: Uint8Array): string | undefined => {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: head.length === HEAD });
  } catch {
    return undefined;
  }
};

const kindOf = (source: ByteSource, decode: Decode): string | undefined => {
  if (source.size === 0) return 'the file is empty (0 bytes)';
  const head = source.read(0, Math.min(source.size, HEAD));
  if (startsWith(head, 'PK\x03\x04')) {
    return `this is a zip archive, not an ONNX model${firstZipEntry(head)}`;
  }
  if (head[0] === 0x80 && (head[1] ?? 9) >= 1 && (head[1] ?? 9) <= 5) {
    return 'this is a Python pickle (PyTorch legacy checkpoint?), not an ONNX model';
  }
  if (latin1(head.subarray(4, 8)) === 'TFL3') return 'this is a TensorFlow Lite model (TFL3), not ONNX';
  if (latin1(head.subarray(4, 8)) === 'ORTM') return 'this is an ONNX Runtime model (ORT format), not ONNX';
  const signature = SIGNATURES.find(([start]) => startsWith(head, start));
  if (signature) return `this is ${signature[1]}, not an ONNX model`;
  if (latin1(head.subarray(257, 262)) === 'ustar') return 'this is a tar archive, not an ONNX model';
  if (startsWith(head, 'GGUF')) return 'this is a GGUF model, not ONNX';
  if (startsWith(head, 'version https://git-lfs')) {
    return 'this is a Git LFS pointer, not the model itself (git lfs pull fetches it)';
  }
  if (isSafetensors(head, source.size)) return 'this is a safetensors file, not an ONNX model';
  const text = textOf(head);
  if (/^<(!doctype|html|\?xml)/i.test(text)) return 'this is an HTML or XML page, not an ONNX model';
  if (/^[{[]\s*["\]}{[\d]/.test(text)) return 'this is JSON text, not an ONNX model';
  if (/^<\s*ir_version\s*:/.test(text) || /^\w+\s*\([^)]*\)\s*=>\s*\(/.test(text)) {
    return 'this is ONNX text, not a binary ONNX model';
  }
  if (head.every((byte) => byte === 0)) return 'the file holds nothing but zeros';
  if (/^[^\0-\x08\x0e-\x1f\x7f]{4,}$/.test(utf8Of(head) ?? ''))
    return 'this is text, not a binary ONNX model';
  return textDamageOf(head) ?? (source.size <= PART_LIMIT ? partOf(source, decode) : undefined);
};

/** The error that names what the file is, or undefined when it looks like none of the known kinds. */
export const identifyForeign = (source: ByteSource, decode: Decode): OrthoError | undefined => {
  const kind = kindOf(source, decode);
  if (kind === undefined) return undefined;
  const { path } = source;
  return new OrthoError('model/invalid', `${path === undefined ? '' : `${path}: `}${kind}`, {
    hint: 'give a binary ONNX model (.onnx)',
    at: path === undefined ? {} : { file: path },
  });
};
