import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { castTensor } from '../../src/core/cast.ts';
import type { DType } from '../../src/core/dtype.ts';
import { numberToFloat16 } from '../../src/core/half.ts';
import { BytesSource } from '../../src/core/source.ts';
import { float32Tensor, int64Tensor, type Tensor, tensorOf, typedTensor } from '../../src/core/tensor.ts';
import type { StateDict, WeightTensor } from '../../src/formats/state-dict.ts';
import { type DiffWeightsOptions, diffWeights } from '../../src/inspect/diff-weights.ts';

const dictOf = (
  tensors: Readonly<Record<string, WeightTensor>> | readonly (readonly [string, WeightTensor])[],
): StateDict => ({
  path: '',
  tensors: new Map(Array.isArray(tensors) ? tensors : Object.entries(tensors)),
});

const diff = (
  a: Readonly<Record<string, WeightTensor>>,
  b: Readonly<Record<string, WeightTensor>>,
  options?: DiffWeightsOptions,
) => run(dictOf(a), dictOf(b), options);

const run = (a: StateDict, b: StateDict, options?: DiffWeightsOptions) => {
  const steps = diffWeights(a, b, options);
  let last = 0;
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    expect(step.value).toBeGreaterThanOrEqual(last);
    expect(step.value).toBeLessThanOrEqual(1);
    last = step.value;
  }
};

const floats = (...values: number[]): Tensor => float32Tensor([values.length], values);
const bytes = (dtype: DType, dims: readonly number[], ...values: number[]): Tensor =>
  tensorOf(dtype, dims, Uint8Array.from(values));
/** The only change of `x`. */
const change = (a: Tensor, b: Tensor, options?: DiffWeightsOptions) => {
  const result = diff({ x: a }, { x: b }, options);
  expect(result.changed).toHaveLength(1);
  return { verdict: result.verdict, ...result.changed[0]! };
};

describe('values', () => {
  it('max abs, max rel, relative norm and cosine', () => {
    const found = change(floats(3, -4, 0, 1), floats(3, -4.5, 0.25, 1));
    expect(found).toMatchObject({
      verdict: 'different',
      what: 'values',
      values: {
        elements: 4,
        differing: 2,
        maxAbs: 0.5,
        maxRel: 0.125,
        worst: { index: [1], a: -4, b: -4.5 },
      },
    });
    expect(found.values!.relative).toBeCloseTo(Math.sqrt(0.3125 / 26), 12);
    expect(found.values!.cosine).toBeCloseTo(28 / Math.sqrt(26 * (9 + 20.25 + 0.0625 + 1)), 12);
  });
  it('equal pieces before the first difference count in the norms', () => {
    const size = 300_001;
    const a = new Float32Array(size).fill(1);
    const b = a.slice();
    b[size - 1] = 3;
    const { values } = change(float32Tensor([size], a), float32Tensor([size], b));
    expect(values).toMatchObject({ elements: size, differing: 1, maxAbs: 2 });
    expect(values!.relative).toBeCloseTo(2 / Math.sqrt(size), 12);
    expect(values!.worst).toEqual({ index: [size - 1], a: 1, b: 3 });
  });
  it('a norm relative to zeros and a cosine with zeros are not defined', () => {
    expect(change(floats(0, 0), floats(0, 1)).values).toMatchObject({
      maxAbs: 1,
      maxRel: null,
      relative: null,
      cosine: null,
    });
  });
  it('says where the worst element is, in many dimensions', () => {
    const a = float32Tensor([2, 3, 4], new Float32Array(24));
    const b = float32Tensor(
      [2, 3, 4],
      Float32Array.from({ length: 24 }, (_, i) => (i === 18 ? 5 : 0)),
    );
    expect(change(a, b).values!.worst).toEqual({ index: [1, 1, 2], a: 0, b: 5 });
  });
  it('differences beyond binary64 are no number', () => {
    const huge = (value: number) => typedTensor('float64', [1], Float64Array.of(value));
    expect(change(huge(1.7e308), huge(-1.7e308)).values).toMatchObject({ differing: 1, maxAbs: null });
  });
});

describe('what is not finite', () => {
  it('a new NaN differs, wherever it is', () => {
    for (const [a, b] of [
      [floats(1, 2), floats(1, Number.NaN)],
      [floats(1, Number.NaN), floats(1, 2)],
      [floats(1, Infinity), floats(1, -Infinity)],
      [floats(1, Infinity), floats(1, Number.NaN)],
    ] as const) {
      const { what, values } = change(a, b);
      expect([what, values!.differing, values!.nonFinite.differing]).toEqual(['values', 1, 1]);
      expect(values!.worst).toMatchObject({ index: [1] });
    }
  });
  it('no tolerance covers it', () => {
    const toleranceFor = () => ({ atol: 1e30, rtol: 1, ofMax: 1 });
    expect(diff({ x: floats(1) }, { x: floats(Number.NaN) }, { toleranceFor }).changed).toHaveLength(1);
  });
  it('the same NaN is equal, and the metrics are those of the other elements', () => {
    expect(diff({ x: floats(Number.NaN, 1) }, { x: floats(Number.NaN, 1) }).verdict).toBe('identical');
    const { values } = change(floats(Number.NaN, Infinity, 1), floats(Number.NaN, Infinity, 2));
    expect(values).toMatchObject({ differing: 1, maxAbs: 1, relative: 1, cosine: 1 });
    expect(values!.nonFinite).toEqual({ a: 2, b: 2, differing: 0 });
  });
  it('another NaN, and minus zero, are other bits', () => {
    const nan = (bits: number) => typedTensor('float32', [1], Uint32Array.of(bits));
    expect(change(nan(0x7fc00000), nan(0x7fc00001))).toMatchObject({ what: 'bits', verdict: 'equal-values' });
    expect(change(floats(0), floats(-0))).toMatchObject({ what: 'bits', values: { differing: 0 } });
  });
});

describe('element types', () => {
  const f16 = typedTensor('float16', [3], Uint16Array.of(...[0.5, -2, 65504].map(numberToFloat16)));
  it('are compared by value', () => {
    expect(change(f16, floats(0.5, -2, 65504))).toMatchObject({ what: 'dtype', verdict: 'equal-values' });
    expect(change(f16, floats(0.5, -2, 65503))).toMatchObject({ what: 'values', values: { maxAbs: 1 } });
    expect(change(bytes('float8e4m3fn', [2], 0x38, 0xb8), floats(1, -1))).toMatchObject({ what: 'dtype' });
    expect(change(bytes('float8e5m2', [1], 0x7c), floats(Infinity))).toMatchObject({ what: 'dtype' });
    expect(change(castTensor(floats(1, 1.0078125), 'bfloat16'), floats(1, 1.0078125)).what).toBe('dtype');
    expect(change(bytes('bool', [2], 0, 1), int64Tensor([2], [0, 1]))).toMatchObject({ what: 'dtype' });
    expect(change(bytes('int4', [3], 0x8f, 0x07), int64Tensor([3], [-1, -8, 7])).what).toBe('dtype');
  });
  it('64-bit integers are exact', () => {
    const big = 2n ** 53n;
    expect(change(int64Tensor([1], [big]), int64Tensor([1], [big + 1n])).values).toMatchObject({
      differing: 1,
      maxAbs: 1,
    });
    const double = typedTensor('float64', [1], Float64Array.of(2 ** 53));
    expect(change(int64Tensor([1], [big]), double).what).toBe('dtype');
    expect(change(int64Tensor([1], [big + 1n]), double).what).toBe('values');
    const minusOne = int64Tensor([1], [-1n]);
    expect(change(minusOne, typedTensor('uint64', [1], BigUint64Array.of(2n ** 64n - 1n))).what).toBe(
      'values',
    );
  });
  it('packed and complex elements are found', () => {
    expect(change(bytes('uint4', [3], 0x21, 0x03), bytes('uint4', [3], 0x21, 0x04)).values).toMatchObject({
      elements: 3,
      differing: 1,
      worst: { index: [2], a: 3, b: 4 },
    });
    const complex = (...parts: number[]) =>
      typedTensor('complex64', [parts.length / 2], Float32Array.from(parts));
    expect(change(complex(1, 2, 3, 4), complex(1, 2, 3, 5)).values).toMatchObject({
      elements: 4,
      differing: 1,
      worst: { index: [1], a: 4, b: 5 },
    });
    expect(change(complex(1, 0), floats(1))).toMatchObject({ what: 'values', values: null });
  });
  it('strings are compared as bytes', () => {
    const text = (...strings: string[]): Tensor => ({
      dtype: 'string',
      dims: [strings.length],
      data: new BytesSource(new Uint8Array(0)),
      strings: strings.map((each) => new TextEncoder().encode(each)),
    });
    expect(diff({ x: text('a', 'b') }, { x: text('a', 'b') }).verdict).toBe('identical');
    expect(change(text('a', 'b'), text('a', 'c'))).toMatchObject({ what: 'values', values: null });
    expect(diff({ x: text('a', 'bc') }, { y: text('ab', 'c') }).renamed).toEqual([]);
  });
});

describe('shapes', () => {
  it('differ before anything else', () => {
    expect(change(floats(1, 2), float32Tensor([2, 2], [1, 2, 3, 4]))).toMatchObject({
      what: 'shape',
      a: { shape: [2] },
      b: { shape: [2, 2] },
      values: null,
    });
  });
  it('that differ in axes of size 1 still have values', () => {
    const found = change(floats(1, 2), float32Tensor([2, 1, 1], [1, 2]));
    expect(found).toMatchObject({ what: 'shape', verdict: 'different', values: { differing: 0 } });
  });
  it('scalars and empty tensors', () => {
    const empty = float32Tensor([0, 3], []);
    expect(
      diff({ s: float32Tensor([], [1]), e: empty }, { s: float32Tensor([], [1]), e: empty }).verdict,
    ).toBe('identical');
    expect(change(empty, tensorOf('float64', [0, 3], new Uint8Array(0))).what).toBe('dtype');
  });
});

describe('tolerance', () => {
  const toleranceFor = (key: string) => ({ atol: key === 'loose' ? 1 : 0.01, rtol: 0, ofMax: 0 });
  it('takes small differences out of the changes', () => {
    const a = { x: floats(1, 2), y: floats(1), loose: floats(1) };
    const b = { x: floats(1.005, 2), y: floats(1.5), loose: floats(1.5) };
    const result = diff(a, b, { toleranceFor });
    expect(result.changed.map(({ name }) => name)).toEqual(['y']);
    expect(result.tolerated.map(({ name }) => name)).toEqual(['loose', 'x']);
    expect(result.totals).toMatchObject({ equal: 0, changed: 1, tolerated: 2 });
    expect(diff({ x: a.x }, { x: b.x }, { toleranceFor }).verdict).toBe('equal-values');
  });
  it('relative to the element, and to the largest of the tensor', () => {
    const [a, b] = [floats(1000, 1), floats(1005, 1.005)];
    const within = (rtol: number, ofMax: number) =>
      diff({ x: a }, { x: b }, { toleranceFor: () => ({ atol: 0, rtol, ofMax }) }).tolerated.length === 1;
    expect([within(0.006, 0), within(0.004, 0), within(0, 0.006), within(0, 0.004)]).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });
});

describe('keys', () => {
  it('added and removed, in file order', () => {
    const result = diff(
      { b: floats(1), a: floats(2), c: floats(3) },
      { c: floats(3), z: floats(4), y: floats(5) },
    );
    expect([result.removed, result.added, result.verdict]).toEqual([['b', 'a'], ['z', 'y'], 'different']);
  });
  it('renamed by content', () => {
    const result = diff({ a: floats(1, 2), b: floats(3, 4) }, { x: floats(3, 4), y: floats(1, 2) });
    expect(result.renamed).toEqual([
      { from: 'a', to: 'y' },
      { from: 'b', to: 'x' },
    ]);
    expect([result.verdict, result.added, result.removed]).toEqual(['renamed', [], []]);
  });
  it('the same bytes of another type or shape are no rename', () => {
    const result = diff({ a: floats(0, 0) }, { b: float32Tensor([2, 1], [0, 0]), c: int64Tensor([1], [0]) });
    expect(result.renamed).toEqual([]);
  });
  it('a prefix is found, and tells equal contents apart', () => {
    const zero = floats(0, 0);
    const a = { 'fc1.bias': zero, 'fc2.bias': zero, 'fc1.weight': floats(1) };
    const b = { 'module.fc2.bias': zero, 'module.fc1.bias': zero, 'module.fc1.weight': floats(1) };
    for (const [x, y, of] of [
      [a, b, 'b'],
      [b, a, 'a'],
    ] as const) {
      const result = diff(x, y);
      expect(result.prefix).toEqual({ prefix: 'module.', of, keys: 3, equal: 3 });
      expect(result.renamed.every(({ ambiguous }) => ambiguous === undefined)).toBe(true);
      expect(result.renamed.every(({ from, to }) => from.endsWith(to) || to.endsWith(from))).toBe(true);
    }
    const changed = diff(a, { ...b, 'module.fc1.weight': floats(2) });
    expect(changed.prefix).toEqual({ prefix: 'module.', of: 'b', keys: 3, equal: 2 });
    expect(diff(a, b, { stripPrefix: ['module.'] }).verdict).toBe('identical');
  });
  it('equal contents follow the module of their neighbours, else they are ambiguous', () => {
    const zero = floats(0, 0);
    const a = { 'one.w': floats(1), 'one.b': zero, 'two.w': floats(2), 'two.b': zero, 'p.q': zero };
    const b = { 'zwei.v': floats(2), 'zwei.c': zero, 'eins.v': floats(1), 'eins.c': zero, 'r.q': zero };
    expect(diff(a, b).renamed).toEqual([
      { from: 'one.w', to: 'eins.v' },
      { from: 'one.b', to: 'eins.c' },
      { from: 'two.w', to: 'zwei.v' },
      { from: 'two.b', to: 'zwei.c' },
      { from: 'p.q', to: 'r.q', ambiguous: true },
    ]);
  });
  it('many equal contents take no longer than their number', () => {
    const one = floats(7);
    const names = (end: string) =>
      Object.fromEntries(Array.from({ length: 30_000 }, (_, i) => [`k${i}${end}`, one]));
    const result = diff({ w: floats(1), ...names('a') }, { v: floats(1), ...names('b') });
    expect(result.renamed).toHaveLength(30_001);
    expect(result.renamed.at(-1)).toEqual({ from: 'k29999a', to: 'k29999b', ambiguous: true });
  });
  it('what has more names on one side is left over', () => {
    const one = floats(7);
    const result = diff({ a: one, b: one, c: one }, { x: one, y: one });
    expect(result.renamed).toEqual([
      { from: 'a', to: 'x', ambiguous: true },
      { from: 'b', to: 'y', ambiguous: true },
    ]);
    expect(result.removed).toEqual(['c']);
  });
  it('globs choose, after prefixes are off', () => {
    const a = { 'm.fc.w': floats(1), 'm.bn.w': floats(2) };
    const b = { 'fc.w': floats(1), 'bn.w': floats(3) };
    expect(diff(a, b, { stripPrefix: ['m.'], keys: ['fc.*'] }).verdict).toBe('identical');
    expect(() => diff({ 'm.x': floats(1), x: floats(2) }, {}, { stripPrefix: ['m.'] })).toThrow(
      /both become "x"/,
    );
  });
  it('without values are named, not compared', () => {
    const refused = new Map([['x', { what: 'a meta tensor', hint: 'none' }]]);
    const a: StateDict = { path: '', tensors: new Map([['y', floats(1)]]), refused };
    const b = dictOf({ x: floats(1), y: floats(1) });
    const result = run(a, b);
    expect(result.notCompared).toEqual([{ name: 'x', reason: 'in A: a meta tensor' }]);
    expect([result.verdict, result.added, result.totals.equal]).toEqual(['different', [], 1]);
    expect(run(a, a).notCompared).toEqual([{ name: 'x', reason: 'in both: a meta tensor' }]);
    const missing = run(a, dictOf({ y: floats(1) }));
    expect([missing.notCompared, missing.removed]).toEqual([[], ['x']]);
    expect(run(dictOf({}), a).added).toEqual(['y', 'x']);
  });
});

describe('shared tensors', () => {
  const one = floats(1);
  const tied = { emb: one, head: { ...one, sharedWith: 'emb' } };
  it('are compared once, and all names are told', () => {
    let reads = 0;
    const data = new BytesSource(new Uint8Array(Float32Array.of(2).buffer));
    const counting: Tensor = {
      dtype: 'float32',
      dims: [1],
      data: {
        size: 4,
        path: undefined,
        read: (offset, length) => data.read(offset, length),
        readInto: (target, offset) => {
          reads++;
          data.readInto(target, offset);
        },
      },
    };
    const single = diff({ emb: one }, { emb: counting });
    const readsOfOne = reads;
    const result = diff(tied, { emb: counting, head: { ...counting, sharedWith: 'emb' } });
    expect(reads).toBe(2 * readsOfOne);
    expect(result.changed).toMatchObject([single.changed[0], { name: 'head', sharedWith: 'emb' }]);
    expect(result.sharing).toEqual([]);
  });
  it('that are apart on the other side are told', () => {
    const apart = { emb: one, head: one };
    expect(diff(tied, apart)).toMatchObject({
      verdict: 'equal-values',
      sharing: [{ keys: ['emb', 'head'], sharedIn: 'a' }],
    });
    expect(diff(apart, tied).sharing).toEqual([{ keys: ['emb', 'head'], sharedIn: 'b' }]);
  });
  it('are followed through a rename', () => {
    const renamed = { e: one, h: { ...one, sharedWith: 'e' } };
    expect(diff(tied, renamed)).toMatchObject({ verdict: 'renamed', sharing: [] });
  });
});

describe('order and modules', () => {
  it('the gravest first', () => {
    const a = {
      tiny: floats(1),
      far: floats(1),
      nan: floats(1),
      shape: floats(1),
      zero: floats(0),
      type: floats(1),
    };
    const b = {
      tiny: floats(1.001),
      far: floats(5),
      nan: floats(Number.NaN),
      shape: floats(1, 2),
      zero: floats(-0),
      type: typedTensor('float64', [1], Float64Array.of(1)),
    };
    expect(diff(a, b).changed.map(({ name }) => name)).toEqual([
      'shape',
      'nan',
      'far',
      'tiny',
      'type',
      'zero',
    ]);
  });
  it('modules count what became of their keys', () => {
    const a = { 'net.a.w': floats(1), 'net.a.b': floats(2), 'net.b.w': floats(3), 'net.c.w': floats(9) };
    const b = { 'net.a.w': floats(1), 'net.a.b': floats(4), 'net.b.w': floats(3.5), 'net.d': floats(1, 2) };
    const { modules } = diff(a, b);
    expect(
      modules.map(({ name, tensors, equal, changed, added, removed, worst }) => [
        name,
        tensors,
        equal,
        changed,
        added,
        removed,
        worst?.relative ?? null,
      ]),
    ).toEqual([
      ['net.a', 2, 1, 1, 0, 0, 1],
      ['net.b', 1, 0, 1, 0, 0, 0.5 / 3],
      ['net.c', 1, 0, 0, 0, 1, null],
      ['net.d', 1, 0, 0, 1, 0, null],
    ]);
    expect(modules[0]!.worst).toEqual({ name: 'net.a.b', relative: 1 });
  });
});

describe('properties', () => {
  const tensor: fc.Arbitrary<Tensor> = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 24 }).map((data) => tensorOf('uint8', [data.length], data)),
    fc
      .array(fc.float(), { minLength: 1, maxLength: 9 })
      .map((values) => float32Tensor([values.length], values)),
    fc.uint8Array({ minLength: 4, maxLength: 4 }).map((data) => tensorOf('bfloat16', [2, 1], data)),
  );
  const name = fc.stringMatching(/^[a-c]{1,3}(\.[a-z0-9]{1,4}){0,3}$/);
  const state = fc.uniqueArray(fc.tuple(name, tensor), { selector: ([key]) => key, maxLength: 12 });

  it('a state dict is identical with itself', () => {
    fc.assert(
      fc.property(state, (entries) => {
        const result = run(dictOf(entries), dictOf(entries));
        expect([result.verdict, result.totals.equal]).toEqual(['identical', entries.length]);
      }),
    );
  });
  it('new names for distinct contents are found, each', () => {
    fc.assert(
      fc.property(state, fc.integer(), (entries, seed) => {
        const distinct = entries.map(([key], i) => [key, floats(i, 1)] as const);
        const renamed = distinct.map(
          ([key, each], i) => [`new.${(i * 7919 + seed) >>> 0}.${key}x`, each] as const,
        );
        const result = run(dictOf(distinct), dictOf(renamed.toReversed()));
        expect(new Map(result.renamed.map(({ from, to }) => [from, to]))).toEqual(
          new Map(distinct.map(([key], i) => [key, renamed[i]![0]])),
        );
        expect(result.verdict).toBe(entries.length === 0 ? 'identical' : 'renamed');
      }),
    );
  });
  it('every key of either side is accounted for once, and renames have equal contents', () => {
    fc.assert(
      fc.property(state, state, (x, y) => {
        const result = run(dictOf(x), dictOf(y));
        const { totals, renamed, removed, added, changed } = result;
        const common = totals.equal + totals.changed;
        expect(common + totals.removed + totals.renamed).toBe(x.length);
        expect(common + totals.added + totals.renamed).toBe(y.length);
        expect(new Set([...removed, ...renamed.map(({ from }) => from)]).size).toBe(x.length - common);
        expect(new Set([...added, ...renamed.map(({ to }) => to)]).size).toBe(y.length - common);
        const [inX, inY] = [new Map(x), new Map(y)];
        for (const { from, to } of renamed) {
          const [a, b] = [inX.get(from)!, inY.get(to)!];
          expect(Buffer.compare(a.data.read(0, a.data.size), b.data.read(0, b.data.size))).toBe(0);
        }
        for (const { what, values } of changed)
          if (what === 'values') expect(values!.differing).toBeGreaterThan(0);
      }),
    );
  });
  it('an element of a float32 tensor that is set to something else is found', () => {
    fc.assert(
      fc.property(
        fc.array(fc.float(), { minLength: 1, maxLength: 50 }),
        fc.nat(),
        fc.float(),
        (values, at, other) => {
          const a = Float32Array.from(values);
          const b = a.slice();
          const i = at % a.length;
          b[i] = other;
          const isSame = a[i] === b[i] || (Number.isNaN(a[i]) && Number.isNaN(b[i]));
          const { changed } = diff({ x: float32Tensor([a.length], a) }, { x: float32Tensor([a.length], b) });
          expect(changed.some(({ what }) => what === 'values')).toBe(!isSame);
          if (!isSame) expect(changed[0]!.values).toMatchObject({ differing: 1, worst: { index: [i] } });
        },
      ),
    );
  });
});
