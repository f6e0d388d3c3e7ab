import fc from 'fast-check';
import { expect, test } from 'vitest';
import { OrthoError } from '../../src/core/errors.ts';
import { BytesSource } from '../../src/core/source.ts';
import { float32Tensor, type Tensor, tensorBytes } from '../../src/core/tensor.ts';
import { type Frame, FrameReader } from '../../src/runtime/frame-reader.ts';
import {
  encodeFrame,
  MAX_HEADER,
  packFailure,
  packTensors,
  unpackFailure,
  unpackTensors,
} from '../../src/runtime/protocol.ts';

test('frames survive any cutting of the stream', () => {
  const frame = fc.record({
    header: fc.dictionary(
      fc.string({ maxLength: 8 }).filter((key) => key !== 'sizes' && key !== '__proto__'),
      fc.string(),
    ),
    buffers: fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 4 }),
  });
  const cuts = fc.array(fc.integer({ min: 1, max: 23 }), { minLength: 1, maxLength: 10 });
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 4 }), cuts, (frames, steps) => {
      const stream = Buffer.concat(frames.flatMap(({ header, buffers }) => encodeFrame(header, buffers)));
      const read: Frame[] = [];
      const reader = new FrameReader((one) => read.push(one));
      for (let at = 0, i = 0; at < stream.length; i++) {
        const step = steps[i % steps.length]!;
        reader.push(stream.subarray(at, at + step));
        at += step;
      }
      expect(read.map(({ buffers }) => buffers.map((bytes) => [...bytes]))).toEqual(
        frames.map(({ buffers }) => buffers.map((bytes) => [...bytes])),
      );
      expect(read.map(({ header }) => header)).toEqual(
        frames.map(({ header, buffers }) => ({ ...header, sizes: buffers.map(({ length }) => length) })),
      );
    }),
    { numRuns: 200 },
  );
});

test('a stream that is no protocol is refused', () => {
  const prefix = Buffer.alloc(4);
  prefix.writeUInt32LE(MAX_HEADER + 1);
  const reader = new FrameReader(() => {});
  expect(() => reader.push(prefix)).toThrow(RangeError);
  expect(() => new FrameReader(() => {}).push(Buffer.from('\x04\x00\x00\x00oops'))).toThrow(SyntaxError);
});

test('tensors keep names, dims, bytes and strings', () => {
  const text = (value: string): Uint8Array => new TextEncoder().encode(value);
  const tensors = new Map<string, Tensor>([
    ['__proto__', float32Tensor([2], [1, -0])],
    ['empty', float32Tensor([0, 3], [])],
    [
      's',
      {
        dtype: 'string',
        dims: [3],
        data: new BytesSource(new Uint8Array(0)),
        strings: ['', 'é', 'x'].map(text),
      },
    ],
  ]);
  const { headers, buffers } = packTensors(tensors);
  const back = unpackTensors(JSON.parse(JSON.stringify(headers)), buffers);
  expect([...back.keys()]).toEqual(['__proto__', 'empty', 's']);
  for (const [name, tensor] of tensors) {
    expect(back.get(name)?.dims).toEqual(tensor.dims);
    expect(tensorBytes(back.get(name)!)).toEqual(tensorBytes(tensor));
  }
  expect(back.get('s')?.strings?.map((bytes) => Buffer.from(bytes).toString())).toEqual(['', 'é', 'x']);
});

test('errors keep code, message, hint and place; anything else is a defect', () => {
  const error = new OrthoError('runtime/failed', 'm', { hint: 'h', at: { file: 'f', value: 'v' } });
  const back = unpackFailure(JSON.parse(JSON.stringify(packFailure(error))));
  expect([back.code, back.message, back.hint, back.at]).toEqual([
    'runtime/failed',
    'm',
    'h',
    { file: 'f', value: 'v' },
  ]);
  expect(unpackFailure(packFailure(new TypeError('x'))).code).toBe('internal/bug');
  expect(packFailure('text').message).toBe('text');
});
