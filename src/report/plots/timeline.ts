/**
 * The times of each model in the order they were taken: drift, steps and bursts show. Samples that were taken while the
 * machine was disturbed are open crosses; those above the axis are triangles at its top.
 */
import { formatMs } from '../format.ts';
import { quantileOf, runs, type SampleSeries } from './samples.ts';
import { linearScale, tickText } from './scale.ts';
import { element, HEAD, line, SERIES, shorten, svgDocument, text } from './svg.ts';

const WIDTH = 760;
const LEFT = 64;
const RIGHT = WIDTH - 24;
const NAME = 22;
const PANEL = 110;
const ROW = NAME + PANEL + 14;
const FOOT = 46;

/** Points that are drawn for a model: beyond, every n-th, the highest of its n. */
const MOST_POINTS = 1500;

interface Point {
  readonly index: number;
  readonly ms: number;
  readonly isDisturbed: boolean;
}

const pointsOf = ({ samples, disturbed }: SampleSeries): Point[] => {
  const every = Math.ceil(samples.length / MOST_POINTS);
  const points: Point[] = [];
  for (let start = 0; start < samples.length; start += every) {
    let index = start;
    for (let i = start; i < Math.min(start + every, samples.length); i++) {
      if (samples[i]! > samples[index]!) index = i;
    }
    points.push({ index, ms: samples[index]!, isDisturbed: disturbed?.[index] === true });
  }
  return points;
};

const CROSS = 3;

export const timelinePlot = (series: readonly SampleSeries[]): string => {
  const longest = Math.max(...series.map(({ samples }) => samples.length));
  const x = linearScale([0, Math.max(1, longest - 1)], [LEFT, RIGHT]);
  const bottom = HEAD + series.length * ROW;
  const body: string[] = [];
  const told: string[] = [];
  series.forEach((one, row) => {
    const { name, samples, disturbed } = one;
    const top = HEAD + row * ROW + NAME;
    const base = top + PANEL;
    const p50 = quantileOf(samples, 0.5);
    const [low, high] = [quantileOf(samples, 0), quantileOf(samples, 0.98)];
    const margin = (high - low || high || 1) * 0.1;
    const y = linearScale([Math.max(0, low - margin), high + margin], [base, top], 4);
    for (const tick of y.ticks) {
      body.push(
        line(LEFT, y.at(tick), RIGHT, y.at(tick), 'grid'),
        text(LEFT - 8, y.at(tick) + 4, tickText(tick), { anchor: 'end', className: 'muted' }),
      );
    }
    const odd = disturbed?.filter(Boolean).length ?? 0;
    const summary = `median ${formatMs(p50)} ms, ${runs(samples.length)}${odd > 0 ? `, ${odd} disturbed` : ''}`;
    const paths = { dots: '', crosses: '', above: '' };
    for (const { index, ms, isDisturbed } of pointsOf(one)) {
      const [px, py] = [Math.round(x.at(index) * 10) / 10, Math.round(y.at(ms) * 10) / 10];
      if (py < top) paths.above += `M${px - 3} ${top + 5}h6l-3 -5z`;
      else if (isDisturbed) {
        paths.crosses += `M${px - CROSS} ${py - CROSS}l${2 * CROSS} ${2 * CROSS}m0 ${-2 * CROSS}l${-2 * CROSS} ${2 * CROSS}`;
      } else paths.dots += `M${px - 1.5} ${py}a1.5 1.5 0 1 0 3 0a1.5 1.5 0 1 0 -3 0`;
    }
    const colour = `s${row % SERIES.length}`;
    if (paths.dots !== '')
      body.push(element('path', { class: colour, d: paths.dots, 'fill-opacity': '0.8' }));
    if (paths.crosses !== '') body.push(element('path', { class: 'odd', d: paths.crosses }));
    if (paths.above !== '') body.push(element('path', { class: colour, d: paths.above }));
    body.push(
      line(LEFT, y.at(p50), RIGHT, y.at(p50), 'mark'),
      line(LEFT, base, RIGHT, base, 'axis'),
      text(LEFT, top - 8, shorten(name, 60)),
      text(RIGHT, top - 8, summary, { anchor: 'end', className: 'muted' }),
      text(18, (top + base) / 2, 'ms', { anchor: 'middle', className: 'muted', rotate: -90 }),
    );
    told.push(`${name}: ${summary}`);
  });
  for (const tick of x.ticks.filter(Number.isInteger)) {
    body.push(text(x.at(tick), bottom + 6, tickText(tick), { anchor: 'middle', className: 'muted' }));
  }
  body.push(
    text((LEFT + RIGHT) / 2, bottom + 26, 'run', { anchor: 'middle', className: 'muted' }),
    line(LEFT, bottom + 22, LEFT + 18, bottom + 22, 'mark'),
    text(LEFT + 24, bottom + 26, 'median', { className: 'muted' }),
  );
  if (series.some(({ disturbed }) => disturbed?.includes(true))) {
    body.push(
      element('path', { class: 'odd', d: `M${LEFT + 84} ${bottom + 19}l6 6m0 -6l-6 6` }),
      text(LEFT + 96, bottom + 26, 'machine disturbed', { className: 'muted' }),
    );
  }
  return svgDocument({
    width: WIDTH,
    height: bottom + FOOT,
    title: 'Run times in the order they were taken',
    description: `${told.join('; ')}.`,
    body,
  });
};
