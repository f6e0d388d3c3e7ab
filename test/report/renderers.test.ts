import { describe, expect, test } from 'vitest';
import { REPORT_FORMATS } from '../../src/report/formats.ts';
import { renderers } from '../../src/report/index.ts';
import { markdownText } from '../../src/report/md.ts';
import { expectGolden } from '../support/golden.ts';
import { samples } from './samples.ts';

const plain = { color: false, all: false };
/** The formats for readers: a golden each. JSON is held against the report itself. */
const drawn = Object.values(renderers).filter(({ name }) => name !== 'json');
const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/;

describe.each(Object.entries(samples))('%s', (name, report) => {
  test.each(drawn)('as $name', ({ extension, render }) =>
    expectGolden(`test/golden/report/${name}.${extension}`, render(report, plain)),
  );
  test('as JSON, losslessly', () => {
    const text = renderers.json.render(report, plain);
    expect(JSON.parse(text)).toEqual(report);
    expect(text.endsWith('}\n')).toBe(true);
  });
  test.each(drawn)('$name has no control characters', ({ render }) => {
    expect(render(report, plain)).not.toMatch(CONTROL);
  });
});

test('every format is a choice of --format', () => {
  expect(Object.keys(renderers).filter((name) => !REPORT_FORMATS.some((format) => format === name))).toEqual(
    [],
  );
});

test('registry names are the renderers own names', () => {
  expect(Object.entries(renderers).map(([key, { name }]) => [key, name])).toEqual(
    Object.keys(renderers).map((key) => [key, key]),
  );
});

test('numbers that JSON lacks become null', () => {
  const report = { ...samples.bench!, data: { a: Number.NaN, b: Number.POSITIVE_INFINITY, c: 12n } };
  expect(JSON.parse(renderers.json.render(report, plain)).data).toEqual({ a: null, b: null, c: 12 });
});

test('text shows every row when asked', () => {
  const report = samples.remap!;
  expect(renderers.text.render(report, plain)).toContain('… and 12 more');
  const all = renderers.text.render(report, { color: false, all: true });
  expect(all).toContain('features.51.1.num_batches_tracked');
  expect(all).not.toContain('more (');
});

test('a tolerance without a bound is said in words', () => {
  const report = samples.verify!;
  const tolerance = { '': { atol: Number.MAX_VALUE, rtol: 0, ofMax: 0 } };
  const text = renderers.text.render({ ...report, data: { ...(report.data as object), tolerance } }, plain);
  expect(text).toMatch(/^ {2}tolerance +any difference$/m);
});

test('colours only on request', () => {
  const start = '\u001b[';
  expect(renderers.text.render(samples.verify!, { color: true, all: false })).toContain(start);
  expect(renderers.text.render(samples.verify!, plain)).not.toContain(start);
});

test.each([
  ['conv1.weight', 'conv1.weight'],
  ['a|b', '`a|b`'],
  ['a`b', '``a`b``'],
  ['`', '`` ` ``'],
  ['@here', '`@here`'],
  ['<script>', '`<script>`'],
  ['a_b_', '`a_b_`'],
  ['[x](y)', '`[x](y)`'],
  ['http://x', '`http://x`'],
  ['#12', '`#12`'],
])('Markdown text %s', (text, expected) => expect(markdownText(text)).toBe(expected));

test('a name beyond all measure widens no other row', () => {
  const report = samples['inspect-weights']!;
  const { tensors, ...rest } = report.data as { tensors: readonly { name: string }[] };
  const long = 'n'.repeat(100_000);
  const more = [{ ...tensors[0], name: long }, ...tensors];
  const drawn = renderers.text.render(
    { ...report, data: { ...rest, tensors: more } },
    { color: false, all: true },
  );
  const lengths = drawn.split('\n').map(({ length }) => length);
  expect(lengths.filter((length) => length > 1000)).toHaveLength(1);
  expect(drawn).toContain(`  ${long}  float32`);
});
