/**
 * NumPy's `.npy` (format versions 1.0 to 3.0): magic, a Python literal with dtype, order and shape, then the elements.
 * https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
import { basename } from 'node:path';
import { contiguousStrides, StridedSource, swappedSource } from '../core/derived-source.ts';
import { type DType, dtypeInfo } from '../core/dtype.ts';
import { OrthoError } from '../core/errors.ts';
import { type ByteSource, chunksOf, type FileSource, SliceSource } from '../core/source.ts';
import { elementCount, type Tensor } from '../core/tensor.ts';
import { numpyTypeOf, numpyTypeString } from './numpy-dtype.ts';
import { judge } from './pickle-survey.ts';
import type { Json, OpenOptions, WeightFile } from './state-dict.ts';

const MAGIC = '\x93NUMPY';
/** Far beyond any plain header; only structured types have long ones. */
const MAX_HEADER = 1 << 16;
const MAX_RANK = 64;

interface NpyHeader {
  readonly descr: string;
  readonly fortran: boolean;
  readonly dims: readonly number[];
}

const nameOf = (source: ByteSource): string => (source.path === undefined ? 'npy' : source.path);

const fail = (source: ByteSource, label: string, message: string): OrthoError =>
  new OrthoError('numpy/invalid', `${label}: ${message}`, {
    hint: 'write it with numpy.save',
    ...(source.path === undefined ? {} : { at: { file: source.path } }),
  });

/** The end of the Python literal that begins at `start`: a string, a word, a tuple or a (nested) list. */
const endOfLiteral = (text: string, start: number): number => {
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    const letter = text[at]!;
    if (letter === "'" || letter === '"') {
      at = text.indexOf(letter, at + 1);
      if (at < 0) return text.length;
    } else if (letter === '(' || letter === '[') depth++;
    else if (letter === ')' || letter === ']') depth--;
    else if (letter === ',' && depth === 0) return at;
  }
  return text.length;
};

/** The keys of the header's dict literal; each value is taken as text, so nothing is evaluated. */
const parseHeader = (text: string, invalid: (message: string) => OrthoError): NpyHeader => {
  const body = /^\{(.*)\}\s*$/s.exec(text)?.[1]?.trim();
  if (body === undefined) throw invalid('the header is no dict');
  const malformed = (): OrthoError =>
    invalid(`the header is malformed: ${JSON.stringify(text.trim().slice(0, 120))}`);
  const found = new Map<string, string>();
  const name = /\s*'(descr|fortran_order|shape)'\s*:\s*/y;
  for (let at = 0; at < body.length; ) {
    name.lastIndex = at;
    const key = name.exec(body)?.[1];
    if (key === undefined || found.has(key)) throw malformed();
    const end = endOfLiteral(body, name.lastIndex);
    found.set(key, body.slice(name.lastIndex, end).trim());
    at = end + 1;
  }
  const descr = found.get('descr');
  const order = found.get('fortran_order');
  const shape = found.get('shape');
  if (descr === undefined || order === undefined || shape === undefined) {
    throw invalid('the header lacks descr, fortran_order or shape');
  }
  // Python 2 wrote its long integers with an L.
  const isShape = /^\((\d+L?(, ?\d+L?)*,?)?\)$/.test(shape);
  if (!isShape || !/^(True|False)$/.test(order) || !/^('[^']*'|\[.*\])$/s.test(descr)) throw malformed();
  const dims = (shape.match(/\d+/g) ?? []).map(Number);
  if (dims.length > MAX_RANK) throw invalid(`${dims.length} dimensions (at most ${MAX_RANK})`);
  if (!dims.every(Number.isSafeInteger)) throw invalid(`the shape ${shape.slice(0, 120)} is too large`);
  return { descr: descr.replace(/^'|'$/g, ''), fortran: order === 'True', dims };
};

/**
 * The tensor of an `.npy` file; the elements stay in the source until they are read. Fortran order and big-endian
 * elements are turned on the way.
 * @throws OrthoError numpy/invalid, dtype/unsupported (structs, strings, objects), file/truncated
 */
export const readNpy = (source: ByteSource, label: string = nameOf(source)): Tensor => {
  const array = readNpyArray(source, label);
  if (!('refused' in array)) return array;
  throw new OrthoError('dtype/unsupported', `${label}: ${array.refused}`, { hint: array.hint });
};

/** An array that was understood and cannot be a tensor. */
export interface RefusedArray {
  /** Its type, in words. */
  readonly refused: string;
  readonly hint: string;
  /** The pickle of its objects, where it has some. */
  readonly objects?: ByteSource;
}

/** As readNpy, but for a type without counterpart gives the reason. @throws OrthoError numpy/invalid, file/truncated */
export const readNpyArray = (source: ByteSource, label: string = nameOf(source)): Tensor | RefusedArray => {
  const invalid = (message: string) => fail(source, label, message);
  const head = source.read(0, Math.min(12, source.size));
  if (head.length < 10 || Buffer.from(head.subarray(0, 6)).toString('latin1') !== MAGIC) {
    throw invalid('not an .npy file (it does not begin with \\x93NUMPY)');
  }
  const version = head[6]!;
  if (version < 1 || version > 3)
    throw invalid(`format version ${version}.${head[7]} (1.0 to 3.0 are known)`);
  const view = new DataView(head.buffer, head.byteOffset, head.length);
  const prefix = version === 1 ? 10 : 12;
  if (head.length < prefix) throw invalid('it ends inside its header');
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  if (length > MAX_HEADER) throw invalid(`a header of ${length} bytes (at most ${MAX_HEADER})`);
  if (prefix + length > source.size) throw invalid('it ends inside its header');
  const text = Buffer.from(source.read(prefix, length)).toString(version === 3 ? 'utf8' : 'latin1');
  const { descr, fortran, dims } = parseHeader(text, invalid);

  const start = prefix + length;
  const type = numpyTypeOf(descr);
  if ('refused' in type) {
    return {
      refused: `NumPy type ${descr.slice(0, 80)}: ${type.refused}`,
      hint: type.hint,
      ...(descr.includes('O') && { objects: new SliceSource(source, start, source.size - start) }),
    };
  }
  const { dtype } = type;
  const unit = dtypeInfo(dtype).bits / 8;
  const expected = countOf(dims, invalid) * unit;
  if (source.size - start !== expected) {
    const why = source.size - start < expected ? 'it is cut off' : 'bytes are left over';
    throw invalid(
      `${dtype} [${dims.join(', ')}] needs ${expected} bytes, ${source.size - start} follow: ${why}`,
    );
  }
  return {
    dtype,
    dims,
    data: elementsOf(new SliceSource(source, start, expected), dims, type, fortran),
  };
};

const countOf = (dims: readonly number[], invalid: (message: string) => OrthoError): number => {
  try {
    return elementCount(dims);
  } catch {
    throw invalid(`the number of elements of [${dims.join(', ')}] overflows`);
  }
};

const elementsOf = (
  stored: ByteSource,
  dims: readonly number[],
  { dtype, isBigEndian }: { readonly dtype: DType; readonly isBigEndian: boolean },
  fortran: boolean,
): ByteSource => {
  const info = dtypeInfo(dtype);
  const unit = info.bits / 8;
  const data = isBigEndian ? swappedSource(stored, info.kind === 'complex' ? unit / 2 : unit) : stored;
  if (!fortran || dims.length < 2 || data.size === 0) return data;
  return new StridedSource(data, unit, dims, contiguousStrides([...dims].reverse()).reverse(), 0);
};

/**
 * An `.npy` file as weights: one tensor, named as the file is without `.npy` (dumps of a model keep one file a key).
 * Objects are only described, by what their pickle names.
 * @throws OrthoError as readNpy
 */
export const openNpy = (source: FileSource, { describe = false }: OpenOptions = {}): WeightFile => {
  const name = basename(source.path).replace(/\.npy$/i, '');
  const file = { format: 'npy' as const, metadata: new Map<string, Json>(), close: () => source.close() };
  const array = readNpyArray(source);
  const objects = 'refused' in array ? array.objects : undefined;
  // Python runs their pickle when it is told to load them.
  if (describe && 'refused' in array && objects !== undefined) {
    const refused = new Map([[name, { what: array.refused, hint: array.hint }]]);
    return {
      ...file,
      stateDicts: [{ path: '', tensors: new Map(), refused }],
      ...judge(objects, source.path),
    };
  }
  const tensors = new Map([[name, readNpy(source)]]);
  return { ...file, stateDicts: [{ path: '', tensors }], globals: [], findings: [] };
};

/** The bytes before a tensor's elements (version 1.0, padded to a multiple of 64). @throws dtype/unsupported */
export const npyHeader = (tensor: Tensor): Uint8Array => {
  const descr = numpyTypeString(tensor.dtype);
  if (descr === undefined) {
    throw new OrthoError('dtype/unsupported', `NumPy has no type for ${tensor.dtype}`, {
      hint: 'cast to float32 first, or write .safetensors',
    });
  }
  const shape = tensor.dims.length === 1 ? `(${tensor.dims[0]},)` : `(${tensor.dims.join(', ')})`;
  const literal = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }`;
  const length = Math.ceil((10 + literal.length + 1) / 64) * 64;
  const header = Buffer.alloc(length, ' ');
  header.write(MAGIC, 0, 'latin1');
  header[6] = 1;
  header[7] = 0;
  header.writeUInt16LE(length - 10, 8);
  header.write(literal, 10, 'latin1');
  header[length - 1] = 0x0a;
  return header;
};

/** The bytes of an `.npy` file chunk by chunk; each chunk is only valid until the next is asked for. */
export function* npyChunks(tensor: Tensor): Generator<Uint8Array> {
  yield npyHeader(tensor);
  yield* chunksOf(tensor.data);
}

/** The whole of an `.npy` file, as pieces to write one after the other. @throws OrthoError dtype/unsupported */
export const writeNpy = (tensor: Tensor): Uint8Array[] =>
  Array.from(npyChunks(tensor), (chunk) => chunk.slice());
