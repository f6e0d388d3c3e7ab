/** Files that are something else: each is called by its name, whatever its bytes would mean as protobuf. */
import { describe, expect, it } from 'vitest';
import { BytesSource } from '../../src/core/source.ts';
import { decodeModel } from '../../src/proto/decode.ts';
import { delimited, integer } from '../support/wire.ts';

const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

const node = [...delimited(1, 'X'), ...delimited(2, 'Y'), ...delimited(4, 'Relu')];
const output = [...delimited(1, 'Y'), ...delimited(2, delimited(1, integer(1, 1)))];
const graph = [...delimited(1, node), ...delimited(2, 'g'), ...delimited(12, output)];
const model = [...integer(1, 8), ...delimited(8, integer(2, 17)), ...delimited(7, graph)];
const weights = [...model, ...integer(5, -1)];

describe('what is no model', () => {
  it.each([
    ['\x89PNG\r\n\x1a\n\0\0\0\0', 'this is a PNG image, not an ONNX model'],
    ["7z\xbc\xaf'\x1c\0\x04", 'this is a 7-Zip archive, not an ONNX model'],
    ['\x28\xb5\x2f\xfd\0\0', 'this is a Zstandard archive, not an ONNX model'],
    ['\xff\xfe{\0"\0', 'this is UTF-16 text, not an ONNX model'],
    [`${'model.pt'.padEnd(257, '\0')}ustar\0`, 'this is a tar archive, not an ONNX model'],
    ['\0'.repeat(64), 'the file holds nothing but zeros'],
    ['CAgSBHRlc3Q6BgoEUmVsdQ==\n', 'this is text, not a binary ONNX model'],
  ])('%#', (text, expected) => {
    expect(() => decodeModel(new BytesSource(latin1(text)))).toThrow(expected);
  });

  it.each([
    [graph, "this is a GraphProto ('g', 1 node), not a model"],
    [node, "this is a NodeProto ('Relu'), not a model"],
    [
      [...delimited(1, 'F'), ...delimited(4, 'X'), ...delimited(5, 'Y'), ...delimited(7, node)],
      "this is a FunctionProto ('F', 1 node), not a model",
    ],
  ])('%#', (bytes, expected) => {
    expect(() => decodeModel(new BytesSource(Uint8Array.from(bytes)))).toThrow(expected);
  });

  it('is a model that something read as text', () => {
    const bytes = Uint8Array.from([...weights, ...delimited(2, 'x'), 0xff, 0xfe, 0xfd, 0xfc, 0xfb]);
    const replaced = new TextEncoder().encode(new TextDecoder().decode(bytes));
    expect(() => decodeModel(new BytesSource(replaced))).toThrow(
      'as by reading it as text (bytes became U+FFFD)',
    );
    const widened = new TextEncoder().encode(String.fromCharCode(...bytes));
    expect(() => decodeModel(new BytesSource(widened))).toThrow(
      'as by reading it as text (bytes above 7F became two)',
    );
  });

  it('is not a model without a graph', () => {
    expect(decodeModel(new BytesSource(Uint8Array.from(integer(1, 8)))).graph).toBeUndefined();
  });
});
