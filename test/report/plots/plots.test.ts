import { describe, expect, test } from 'vitest';
import { createRng } from '../../../src/core/rng.ts';
import { contentionPlot } from '../../../src/report/plots/contention.ts';
import { distributionPlot } from '../../../src/report/plots/distribution.ts';
import { plots } from '../../../src/report/plots/index.ts';
import { rooflinePlot } from '../../../src/report/plots/roofline.ts';
import { quantileOf, timeScales } from '../../../src/report/plots/samples.ts';
import { linearScale, logScale, tickText } from '../../../src/report/plots/scale.ts';
import { escapeXml, shorten } from '../../../src/report/plots/svg.ts';
import { timelinePlot } from '../../../src/report/plots/timeline.ts';
import { expectGolden } from '../../support/golden.ts';
import { parseXml } from '../../support/xml.ts';

const HOSTILE = 'evil\u001b[31m<script>&"\'\u202e\ufffe\ud800]]>.onnx';

const series = (name: string, ms: number, count: number, seed = 1) => {
  const rng = createRng(seed);
  const samples = Array.from({ length: count }, () => ms * (1 + 0.05 * Math.abs(rng.normal())));
  samples[count - 1] = ms * 3;
  return { name, samples, disturbed: samples.map((_, i) => i % 10 === 3) };
};

const stages = [
  { name: 'mobilenet_v2', alone: 3.13, together: 5.57, stopped: 3.42 },
  { name: HOSTILE, alone: 10.6, together: 28.7, stopped: 11.06 },
];

const roofline = {
  model: HOSTILE,
  dots: [
    { name: '/a/Conv', op: 'com.microsoft.nchwc.Conv', intensity: 8, gflops: 60, share: 0.6 },
    { name: HOSTILE, op: 'Gemm', intensity: 0.5, gflops: 8, share: 0.3 },
    { name: 'add', op: 'Add', intensity: 0.08, gflops: 1, share: 0.0995 },
    { name: 'tiny', op: 'Mul', intensity: 1e-9, gflops: 1e-9, share: 0.0005 },
  ],
  gflops: 200,
  int8Gops: 900,
  bandwidth: [
    { bytes: 12_288, gbPerS: 2 },
    { bytes: 786_432, gbPerS: 45 },
    { bytes: 100_663_296, gbPerS: 6 },
  ],
};

const drawn: readonly [string, () => string][] = [
  ['distribution', () => distributionPlot([series('a.onnx', 10, 200), series(HOSTILE, 11, 60, 2)])],
  ['timeline', () => timelinePlot([series('a.onnx', 10, 80), series(HOSTILE, 1, 40, 2)])],
  ['contention', () => contentionPlot(stages)],
  ['roofline', () => rooflinePlot([roofline])],
];

describe.each(drawn)('%s', (kind, draw) => {
  test('is well-formed, says what it shows, and escapes names', () => {
    const svg = draw();
    const { root, ids, elements, texts } = parseXml(svg);
    expect(root).toBe('svg');
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toEqual(['title', 'description']);
    expect(elements.get('desc')).toBe(1);
    expect(svg).toContain('role="img" aria-labelledby="title description"');
    expect(svg).toContain('prefers-color-scheme:dark');
    expect(elements.has('script')).toBe(false);
    expect(svg).not.toMatch(/NaN|Infinity|undefined|null/);
    expect(texts.some((text) => text.includes('<script>'))).toBe(true);
  });

  test('is the same for the same numbers, and as it was', () => {
    const svg = draw();
    expect(draw()).toBe(svg);
    expectGolden(`test/golden/plots/${kind}.svg`, svg);
  });
});

test('few and equal samples can be drawn', () => {
  for (const samples of [[5], [5, 5, 5], [0, 0], [1e-6, 2e-6], [1e9, 1e9]]) {
    for (const plot of [distributionPlot, timelinePlot]) {
      const svg = plot([{ name: 'm', samples }]);
      parseXml(svg);
      expect(svg).not.toMatch(/NaN|Infinity/);
    }
  }
  parseXml(contentionPlot([{ name: 'm', alone: 1, together: 1, stopped: null }]));
  const empty = rooflinePlot([
    { ...roofline, dots: [], int8Gops: null, bandwidth: roofline.bandwidth.slice(0, 1) },
  ]);
  parseXml(empty);
  expect(empty).not.toMatch(/NaN|Infinity/);
});

test('bars hold every sample that is on the axis; the others are counted', () => {
  const one = series('m', 10, 500);
  const svg = distributionPlot([one]);
  const held = [...svg.matchAll(/<title>(\d+) of 500 runs<\/title>/g)].reduce(
    (sum, [, n]) => sum + Number(n),
    0,
  );
  const beyond = Number(/(\d+) beyond →/.exec(svg)?.[1]);
  expect(held + beyond).toBe(500);
  expect(beyond).toBeGreaterThan(0);
  expect(svg).toContain(`p50 ${quantileOf(one.samples, 0.5).toFixed(1)} ms`);
});

test('models of other sizes get axes of their own', () => {
  const small = series('small', 1, 50);
  const large = series('large', 100, 50);
  expect(timeScales([small, series('other', 2, 50)], [0, 100]).isShared).toBe(true);
  const { scales, isShared } = timeScales([small, large], [0, 100]);
  expect(isShared).toBe(false);
  expect(scales[0]!.domain[1]).toBeLessThan(2);
  expect(distributionPlot([small, large])).toContain('every model on an axis of its own');
});

test('disturbed samples are crosses, and a long timeline keeps its peaks', () => {
  const svg = timelinePlot([series('m', 10, 100)]);
  expect(svg).toContain('machine disturbed');
  expect(svg).toContain('10 disturbed');
  const calm = timelinePlot([{ name: 'm', samples: [1, 2, 3] }]);
  expect(calm).not.toContain('machine disturbed');
  const long = Array.from({ length: 20_000 }, (_, i) => (i === 12_345 ? 50 : 1 + (i % 7) / 100));
  const peaked = timelinePlot([{ name: 'm', samples: long }]);
  expect(peaked.length).toBeLessThan(120_000);
  expect(peaked).toMatch(/M[\d.]+ [\d.]+h6l-3 -5z/);
});

test('a roof is drawn where the numbers say', () => {
  const svg = rooflinePlot([roofline]);
  const { texts } = parseXml(svg);
  expect(texts).toContain('200 GFLOP/s');
  expect(texts).toContain('900 Gop/s of 8 bits');
  expect(texts).toContain('45 GB/s (786 kB)');
  expect(texts).toContain('6 GB/s (101 MB)');
  expect([...svg.matchAll(/<circle[^>]*><title>/g)].length).toBe(3);
  expect(svg).not.toContain('tiny');
  // The line of the peak starts where the line of the bandwidth meets it: at 200 / 45 operations a byte.
  const y = (value: number): number => {
    const [, cy] = new RegExp(`cx="[\\d.]+" cy="([\\d.]+)"[^>]*><title>[^<]*: ${value} GFLOP/s`).exec(svg)!;
    return Number(cy);
  };
  const perDecade = (y(8) - y(60)) / Math.log10(60 / 8);
  const peak = [
    ...svg.matchAll(/<line x1="([\d.]+)" y1="([\d.]+)" x2="[\d.]+" y2="([\d.]+)" class="roof"\/>/g),
  ].find(
    ([, , y1, y2]) => y1 === y2 && Math.abs(Number(y1) - (y(60) - perDecade * Math.log10(200 / 60))) < 0.1,
  );
  expect(peak).toBeDefined();
});

test('scales: ends, middles, round ticks', () => {
  const linear = linearScale([0, 10], [100, 200]);
  expect([linear.at(0), linear.at(5), linear.at(10)]).toEqual([100, 150, 200]);
  expect(linear.ticks).toEqual([0, 2, 4, 6, 8, 10]);
  expect(linearScale([0.1, 0.35], [0, 1]).ticks).toEqual([0.1, 0.15, 0.2, 0.25, 0.3, 0.35]);
  const log = logScale([0.1, 1000], [0, 400]);
  expect([0.1, 1, 10, 100, 1000].map((value) => Math.round(log.at(value)))).toEqual([0, 100, 200, 300, 400]);
  expect(log.ticks).toEqual([0.1, 1, 10, 100, 1000]);
  expect(logScale([1, 100], [0, 1]).ticks).toEqual([1, 2, 5, 10, 20, 50, 100]);
  expect([0, 0.05, 1500, 20_000, 3e6, 2e9, 1e-6].map(tickText)).toEqual([
    '0',
    '0.05',
    '1500',
    '20 k',
    '3 M',
    '2 G',
    '1e-6',
  ]);
});

test('text is safe in XML, and long names keep their ends', () => {
  expect(escapeXml('a<b>&"\'\ufffe')).toBe('a&lt;b&gt;&amp;&quot;&apos;\ufffd');
  expect(escapeXml('\u001b\u202e')).toBe('\\x1b\\u{202e}');
  expect(shorten('short', 10)).toBe('short');
  expect([...shorten('a-very-long-name/conv_output_0', 12)].length).toBe(12);
  expect(shorten('a-very-long-name/conv_output_0', 12)).toBe('a-v…output_0');
});

test('plots say what they lack', () => {
  const nothing = { series: [], stages: [], rooflines: [] };
  for (const plot of Object.values(plots)) expect(plot.lacks(nothing)).toMatch(/\w/);
});
