import { describe, expect, it } from 'vitest';
import { OrthoError } from '../../src/core/errors.ts';
import { openWeights } from '../../src/formats/index.ts';
import { fileWith, zipped } from '../support/torch-files.ts';

const errorOf = (bytes: Uint8Array | string, name?: string): OrthoError => {
  try {
    openWeights(fileWith(bytes, name));
  } catch (error) {
    if (error instanceof OrthoError) return error;
    throw error;
  }
  throw new Error('it was opened');
};
const empty = new Uint8Array(0);
const onnx = Buffer.from([8, 8, 0x12, 7, ...Buffer.from('pytorch')]);
const tar = Buffer.concat([Buffer.alloc(257), Buffer.from('ustar\u000000'), Buffer.alloc(300)]);

describe('files that are no weights are named for what they are', () => {
  it.each<[string, Uint8Array | string, string, number]>([
    ['an empty file', '', 'empty', 3],
    ['an HTML page', '<!DOCTYPE html><html><body>Sign in</body></html>', 'HTML page', 3],
    ['an HTML page after blank lines', '\n\n  <HTML>', 'HTML page', 3],
    ['an error of a storage service', '<?xml version="1.0"?><Error><Code>AccessDenied</Code>', 'XML', 3],
    ['a Git LFS pointer', 'version https://git-lfs.github.com/spec/v1\noid sha256:0', 'Git LFS', 3],
    ['a shard index', '{"weight_map": {}}', 'weight_map', 3],
    ['an ONNX model', onnx, 'ONNX model', 3],
    ['an array', Buffer.from('\x93NUMPY\x01\0', 'latin1'), '.npy', 3],
    ['gzip', Buffer.from([0x1f, 0x8b, 8, 0]), 'gzip', 3],
    ['HDF5', Buffer.from('\x89HDF\r\n\x1a\n', 'latin1'), 'HDF5', 3],
    ['GGUF', 'GGUF\x03\0\0\0', 'GGUF', 3],
    ['noise', Buffer.from([1, 2, 3, 4]), 'none of the known formats', 3],
    ['a damaged tar archive', tar, 'tar archive', 3],
    ['a bare pickle', Buffer.from([0x80, 4, 0x95]), 'pickle', 4],
    ['an empty zip', zipped({}).subarray(-22), 'empty zip', 3],
    ['a zip of something else', zipped({ 'word/document.xml': empty }), 'without data.pkl', 3],
    ['TorchScript of before 1.4', zipped({ 'm/model.json': empty, 'm/code/m.py': empty }), 'TorchScript', 4],
    ['an unknown archive', zipped({ 'm/archive_format': Buffer.from('pt9') }), 'format "pt9"', 4],
  ])('%s', (_, bytes, words, exit) => {
    const error = errorOf(bytes, 'model.pth');
    expect(error.message).toContain(words);
    expect(error.message).toContain('model.pth');
    expect(error.exitCode).toBe(exit);
    expect(error.hint).toBeTruthy();
  });
  it('the name of the file does not matter', () => {
    expect(errorOf('<html>', 'model.safetensors').message).toContain('HTML page');
  });
  it('a folder and a missing file', () => {
    expect(() => openWeights('/')).toThrow(expect.objectContaining({ code: 'file/unknown-format' }));
    expect(() => openWeights('/no/such/file.pth')).toThrow(
      expect.objectContaining({ code: 'file/not-found' }),
    );
  });
});
