import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { BytesSource } from '../../src/core/source.ts';
import { float32Tensor, int64Tensor, tensorBytes, tensorOf, toFloat32 } from '../../src/core/tensor.ts';
import { readSafetensors, safetensorsChunks } from '../../src/formats/safetensors.ts';

const bytesOf = (...parts: Parameters<typeof safetensorsChunks>): Buffer =>
  Buffer.concat([...safetensorsChunks(...parts)].map((chunk) => Buffer.from(chunk)));

/** A file with this header and this much data. */
const fileOf = (header: string, data = 0): BytesSource => {
  const json = Buffer.from(header);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return new BytesSource(Buffer.concat([length, json, Buffer.alloc(data)]));
};
const codeOf = (source: BytesSource): string => {
  try {
    readSafetensors(source);
  } catch (error) {
    return (error as { code: string }).code;
  }
  return 'none';
};

describe('writing', () => {
  const tensors = new Map([
    ['b', float32Tensor([2], [1, 2])],
    ['half', tensorOf('bfloat16', [1], Uint8Array.of(1, 2))],
    ['a', int64Tensor([1, 1], [7])],
    ['a.float', float32Tensor([0, 3], [])],
  ]);
  it('reads back what it wrote', () => {
    const { tensors: back, metadata } = readSafetensors(
      new BytesSource(bytesOf(tensors, new Map([['format', 'pt']]))),
    );
    expect(Object.fromEntries(metadata)).toEqual({ format: 'pt' });
    for (const [name, { dtype, dims, data }] of tensors) {
      const got = back.get(name)!;
      expect([name, got.dtype, got.dims]).toEqual([name, dtype, dims]);
      expect([...tensorBytes(got)]).toEqual([...data.read(0, data.size)]);
    }
  });
  it('orders by element size, then name, and pads the header to 8', () => {
    const bytes = bytesOf(tensors);
    expect([...readSafetensors(new BytesSource(bytes)).tensors.keys()]).toEqual([
      'a',
      'a.float',
      'b',
      'half',
    ]);
    expect(Number(bytes.readBigUInt64LE()) % 8).toBe(0);
    const shuffled = new Map([...tensors].reverse());
    expect(bytesOf(shuffled).equals(bytes)).toBe(true);
  });
  it('keeps names that JavaScript knows', () => {
    const odd = new Map([
      ['__proto__', float32Tensor([1], [1])],
      ['constructor', float32Tensor([1], [2])],
      ['1', float32Tensor([1], [3])],
    ]);
    const back = readSafetensors(new BytesSource(bytesOf(odd))).tensors;
    expect([...odd.keys()].map((key) => toFloat32(back.get(key)!)[0])).toEqual([1, 2, 3]);
  });
  it('gives the bytes of the reference writer, for every type it writes', () => {
    const golden = readFileSync(new URL('../fixtures/safetensors/all_dtypes.safetensors', import.meta.url));
    const { tensors: all, metadata } = readSafetensors(new BytesSource(golden));
    expect([...all.values()].map(({ dtype }) => dtype)).toEqual([
      ...['uint64', 'int64', 'int64', 'int64', 'float64', 'complex64', 'float32', 'float32', 'float32'],
      ...['uint32', 'int32', 'bfloat16', 'float16', 'float16', 'uint16', 'int16', 'float8e5m2fnuz'],
      ...[
        'float8e4m3fnuz',
        'float8e8m0',
        'float8e4m3fn',
        'float8e5m2',
        'int8',
        'uint8',
        'float4e2m1',
        'bool',
      ],
    ]);
    expect([all.get('f4.weight')!.dims, all.get('f4.weight')!.data.size]).toEqual([[2, 4], 4]);
    const shuffled = new Map([...all].reverse());
    expect(bytesOf(shuffled, metadata as Map<string, string>).equals(golden)).toBe(true);
  });
  it('packs six-bit floats', () => {
    const six = new Map([
      ['a', tensorOf('float6e2m3', [2, 2], Uint8Array.of(1, 2, 3))],
      ['b', tensorOf('float6e3m2', [4], Uint8Array.of(4, 5, 6))],
    ]);
    const back = readSafetensors(new BytesSource(bytesOf(six))).tensors;
    for (const [name, { dtype, dims, data }] of six) {
      expect(back.get(name)).toMatchObject({ dtype, dims });
      expect([...tensorBytes(back.get(name)!)]).toEqual([...data.read(0, 3)]);
    }
  });
  it('sorts metadata, so that its order says nothing', () => {
    const texts = [
      ['z', '1'],
      ['format', 'pt'],
    ] as const;
    expect(bytesOf(tensors, new Map(texts)).equals(bytesOf(tensors, new Map([...texts].reverse())))).toBe(
      true,
    );
  });
  it.each<[string, Parameters<typeof tensorOf>]>([
    ['a packed tensor that ends inside a byte', ['float4e2m1', [3], new Uint8Array(2)]],
    ['four-bit integers', ['int4', [4], new Uint8Array(2)]],
  ])('refuses %s', (_, parts) => {
    expect(() => bytesOf(new Map([['p', tensorOf(...parts)]]))).toThrow(
      expect.objectContaining({ code: 'dtype/unsupported', at: { key: 'p' } }),
    );
  });
  it('refuses types the format lacks', () => {
    expect(() => bytesOf(new Map([['c', tensorOf('complex128', [1], new Uint8Array(16))]]))).toThrow(
      expect.objectContaining({ code: 'dtype/unsupported' }),
    );
  });
});

describe('hostile headers', () => {
  const size = 20_000_000;
  it.each<[string, string]>([
    ['many empty entries', `{${Array.from({ length: 1_000_000 }, (_, i) => `"${i}":{}`).join(',')}}`],
    [
      'a shape of millions of sizes',
      `{"a":{"dtype":"F32","shape":[${'0,'.repeat(size / 2)}0],"data_offsets":[0,0]}}`,
    ],
    ['millions of lists', `{"__metadata__":{"a":[${'[],'.repeat(size / 3)}[]]}}`],
    ['one long text', `{"a":"${'x'.repeat(size)}"}`],
  ])('%s are refused before they take memory', (_, header) => {
    const source = fileOf(header);
    const before = process.memoryUsage().heapUsed;
    expect(codeOf(source)).toMatch(/safetensors\/invalid|dtype\/unsupported/);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(100_000_000);
  });
});

describe('refusing', () => {
  const f32 = (from: number, to: number, shape = '[1]') =>
    `{"dtype":"F32","shape":${shape},"data_offsets":[${from},${to}]}`;
  it.each<[string, BytesSource, string]>([
    ['a sound file', fileOf(`{"a":${f32(0, 4)},"b":${f32(4, 8)}}`, 8), 'none'],
    ['an empty one', fileOf('{}'), 'none'],
    ['padding by spaces', fileOf(`{"a":${f32(0, 4)}}   `, 4), 'none'],
    ['no metadata', fileOf(`{"__metadata__":null,"a":${f32(0, 4)}}`, 4), 'none'],
    ['padding by zeros', fileOf(`{"a":${f32(0, 4)}}\0\0`, 4), 'safetensors/invalid'],
    ['a header that begins with a space', fileOf(` {"a":${f32(0, 4)}}`, 4), 'safetensors/invalid'],
    ['a byte order mark', fileOf(`\ufeff{"a":${f32(0, 4)}}`, 4), 'safetensors/invalid'],
    ['a key twice', fileOf(`{"a":${f32(0, 4)},"a":${f32(0, 4)}}`, 4), 'safetensors/invalid'],
    [
      'a key twice, once escaped',
      fileOf(`{"a":${f32(0, 4)},"\\u0061":${f32(0, 4)}}`, 4),
      'safetensors/invalid',
    ],
    [
      'a field twice',
      fileOf('{"a":{"dtype":"I8","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4),
      'safetensors/invalid',
    ],
    ['metadata twice', fileOf('{"__metadata__":{},"__metadata__":{}}'), 'safetensors/invalid'],
    ['metadata that is no text', fileOf('{"__metadata__":{"a":1}}'), 'safetensors/invalid'],
    ['half a letter as a name', fileOf(`{"\\ud800":${f32(0, 4)}}`, 4), 'safetensors/invalid'],
    [
      'more dimensions than any tensor',
      fileOf(`{"a":${f32(0, 4, `[${'1,'.repeat(64)}1]`)}}`, 4),
      'safetensors/invalid',
    ],
    ['an entry that never ends', fileOf(`{"a":{"dtype":"${'x'.repeat(5000)}"}}`), 'safetensors/invalid'],
    ['two tables', fileOf(`{"a":${f32(0, 4)}}{}`, 4), 'safetensors/invalid'],
    ['a comma at the end', fileOf(`{"a":${f32(0, 4)},}`, 4), 'safetensors/invalid'],
    ['no comma between', fileOf(`{"a":${f32(0, 4)}"b":${f32(4, 8)}}`, 8), 'safetensors/invalid'],
    ['a name without quotes', fileOf(`{a:${f32(0, 4)}}`, 4), 'safetensors/invalid'],
    ['a name that never ends', fileOf('{"a'), 'safetensors/invalid'],
    ['a bad escape in a name', fileOf(`{"\\x":${f32(0, 4)}}`, 4), 'safetensors/invalid'],
    ['spaces everywhere', fileOf(`{ "a" : ${f32(0, 4)} ,\n"b":\t${f32(4, 8)} } `, 8), 'none'],
    ['deep lists', fileOf(`{"a":${'['.repeat(100)}`), 'safetensors/invalid'],
    [
      'a packed tensor that ends inside a byte',
      fileOf('{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}}', 2),
      'safetensors/invalid',
    ],
    ['a hole', fileOf(`{"a":${f32(0, 4)},"b":${f32(8, 12)}}`, 12), 'safetensors/invalid'],
    ['an overlap', fileOf(`{"a":${f32(0, 4)},"b":${f32(2, 6)}}`, 6), 'safetensors/invalid'],
    ['bytes left over', fileOf(`{"a":${f32(0, 4)}}`, 5), 'safetensors/invalid'],
    ['data cut off', fileOf(`{"a":${f32(0, 4)}}`, 3), 'safetensors/invalid'],
    ['a range of another size', fileOf(`{"a":${f32(0, 4, '[2]')}}`, 4), 'safetensors/invalid'],
    ['a reversed range', fileOf(`{"a":${f32(4, 0)}}`, 4), 'safetensors/invalid'],
    ['a negative shape', fileOf(`{"a":${f32(0, 4, '[-1]')}}`, 4), 'safetensors/invalid'],
    [
      'a shape that overflows',
      fileOf(`{"a":${f32(0, 0, '[9007199254740991,2]')}}`, 0),
      'safetensors/invalid',
    ],
    ['a fractional shape', fileOf(`{"a":${f32(0, 4, '[0.5]')}}`, 4), 'safetensors/invalid'],
    [
      'an unknown type',
      fileOf('{"a":{"dtype":"F7","shape":[1],"data_offsets":[0,1]}}', 1),
      'dtype/unsupported',
    ],
    ['a list', fileOf('[]'), 'safetensors/invalid'],
    ['no JSON', fileOf('{"a":'), 'safetensors/invalid'],
    ['no UTF-8', new BytesSource(Buffer.from('\x02\0\0\0\0\0\0\0\xff\xfe', 'latin1')), 'safetensors/invalid'],
    [
      'a header longer than the file',
      new BytesSource(Buffer.from('\xff\0\0\0\0\0\0\0{}', 'latin1')),
      'safetensors/invalid',
    ],
    ['nothing', new BytesSource(new Uint8Array(3)), 'safetensors/invalid'],
  ])('%s', (_, source, code) => {
    expect(codeOf(source)).toBe(code);
  });
});
