/**
 * How the times of each model are distributed: a histogram a model, with the median and the 95th percentile. Models of
 * alike times share an axis. Samples beyond it are counted at its end.
 */
import { formatMs } from '../format.ts';
import { quantileOf, runs, type SampleSeries, timeScales } from './samples.ts';
import { type Scale, tickText } from './scale.ts';
import { HEAD, line, SERIES, shorten, svgDocument, text, withTip } from './svg.ts';

const WIDTH = 760;
const LEFT = 16;
const RIGHT = WIDTH - 24;
const NAME = 18;
const BARS = 74;
const ROW = NAME + BARS + 22;
/** Under each model, where they do not share an axis. */
const TICKS = 14;
const FOOT = 44;

const FEWEST_BINS = 10;
const MOST_BINS = 110;

/** Bins of the axis after Freedman & Diaconis (1981): twice the interquartile range over the cube root of the count. */
const binsFor = (samples: readonly number[], scale: Scale): number => {
  const spread = scale.at(quantileOf(samples, 0.75)) - scale.at(quantileOf(samples, 0.25));
  const width = (2 * spread) / Math.cbrt(samples.length);
  const bins = width > 0 ? Math.round((RIGHT - LEFT) / width) : MOST_BINS;
  return Math.max(FEWEST_BINS, Math.min(MOST_BINS, bins));
};

const ticksOf = (scale: Scale, top: number, base: number): string[] =>
  scale.ticks.flatMap((tick) => [
    line(scale.at(tick), top, scale.at(tick), base, 'grid'),
    text(scale.at(tick), base + 15, tickText(tick), { anchor: 'middle', className: 'muted' }),
  ]);

const bars = (samples: readonly number[], scale: Scale, base: number, colour: string): string[] => {
  const count = binsFor(samples, scale);
  const bins = new Float64Array(count);
  for (const ms of samples) {
    const bin = Math.floor(((scale.at(ms) - LEFT) / (RIGHT - LEFT)) * count);
    if (bin < count) bins[Math.max(0, bin)]!++;
  }
  const highest = Math.max(1, ...bins);
  const width = (RIGHT - LEFT) / count;
  return [...bins].flatMap((held, bin) => {
    const height = (held / highest) * BARS;
    const place = { x: LEFT + bin * width, y: base - height, width: Math.max(1, width - 0.75), height };
    const tip = `${held} of ${runs(samples.length)}`;
    return held === 0 ? [] : [withTip('rect', { class: colour, ...place, 'fill-opacity': '0.75' }, tip)];
  });
};

/** @param series at least one, each with at least one sample. */
export const distributionPlot = (series: readonly SampleSeries[]): string => {
  const { scales, isShared } = timeScales(series, [LEFT, RIGHT]);
  const step = isShared ? ROW : ROW + TICKS;
  const bottom = HEAD + series.length * step;
  const body = isShared ? ticksOf(scales[0]!, HEAD, bottom) : [];
  const told: string[] = [];
  series.forEach(({ name, samples }, row) => {
    const scale = scales[row]!;
    const base = HEAD + row * step + NAME + BARS + 6;
    const top = base - BARS - 4;
    const [p50, p95] = [quantileOf(samples, 0.5), quantileOf(samples, 0.95)];
    const beyond = samples.filter((ms) => scale.at(ms) > RIGHT).length;
    const end = Math.min(scale.at(p95), RIGHT);
    const summary = `p50 ${formatMs(p50)} ms, p95 ${formatMs(p95)} ms, ${runs(samples.length)}`;
    if (!isShared) body.push(...ticksOf(scale, top, base));
    body.push(
      ...bars(samples, scale, base, `s${row % SERIES.length}`),
      line(LEFT, base, RIGHT, base, 'thin'),
      line(scale.at(p50), top, scale.at(p50), base, 'mark'),
      line(end, top, end, base, 'mark2'),
      text(LEFT, base - BARS - 10, shorten(name, 48)),
      text(RIGHT, base - BARS - 10, `${summary}${beyond > 0 ? `, ${beyond} beyond →` : ''}`, {
        anchor: 'end',
        className: 'muted',
      }),
    );
    told.push(`${name}: ${summary}`);
  });
  body.push(
    line(LEFT, bottom + 30, LEFT + 18, bottom + 30, 'mark'),
    text(LEFT + 24, bottom + 34, 'median', { className: 'muted' }),
    line(LEFT + 80, bottom + 30, LEFT + 98, bottom + 30, 'mark2'),
    text(LEFT + 104, bottom + 34, '95th percentile', { className: 'muted' }),
    text(RIGHT, bottom + 34, `ms a run${isShared ? '' : ', every model on an axis of its own'}`, {
      anchor: 'end',
      className: 'muted',
    }),
  );
  return svgDocument({
    width: WIDTH,
    height: bottom + FOOT,
    title: 'Distribution of run times',
    description: `Histograms. ${told.join('; ')}.`,
    body,
  });
};
