/**
 * The roofline of a model: what each kernel reaches over what it computes per byte, below the peaks of the machine
 * (src/bench/roofline.ts has the model and its source). Dots are as large as their share of the time.
 */
import { formatBytes, formatNumber } from '../format.ts';
import { logScale, type Scale, tickText } from './scale.ts';
import { element, HEAD, line, SERIES, shorten, svgDocument, text, withTip } from './svg.ts';

export interface RooflineDot {
  readonly name: string;
  readonly op: string;
  /** Operations a byte, and GFLOP/s reached; above 0. */
  readonly intensity: number;
  readonly gflops: number;
  /** Of the time of the model. */
  readonly share: number;
}

export interface RooflineData {
  readonly model: string;
  readonly dots: readonly RooflineDot[];
  readonly gflops: number;
  readonly int8Gops: number | null;
  readonly bandwidth: readonly { readonly bytes: number; readonly gbPerS: number }[];
}

const WIDTH = 820;
const LEFT = 64;
const RIGHT = WIDTH - 20;
const PANEL = 420;
const FOOT = 76;

/** Kernels that have a number, and are named below. */
const LISTED = 10;
const LIST_ROW = 17;

/** Kernels with less of the time are left out: they would stretch the axes. */
const LEAST_SHARE = 0.003;

/** Space of a number. */
const [NUMBER_WIDTH, NUMBER_HEIGHT] = [15, 12];

interface Numbered {
  readonly dot: RooflineDot;
  readonly number: number;
  readonly x: number;
  readonly y: number;
}

/** Where a number may go, the nearest first: on its dot, and around it. */
const PLACES = [...Array(7 * 9).keys()]
  .map((i): readonly [number, number] => [(i % 7) - 3, Math.floor(i / 7) - 4])
  .sort(([a, b], [c, d]) => Math.hypot(a, b) - Math.hypot(c, d));

/** Moves numbers so that none covers another; those of the largest dots stay. */
const spread = (numbers: readonly Numbered[]): Numbered[] => {
  const done: Numbered[] = [];
  for (const one of numbers) {
    const isFree = (x: number, y: number): boolean =>
      !done.some((other) => Math.abs(other.x - x) < NUMBER_WIDTH && Math.abs(other.y - y) < NUMBER_HEIGHT);
    const [dx, dy] =
      PLACES.find(([dx, dy]) => isFree(one.x + dx * NUMBER_WIDTH, one.y + dy * NUMBER_HEIGHT)) ?? PLACES[0]!;
    done.push({ ...one, x: one.x + dx * NUMBER_WIDTH, y: one.y + dy * NUMBER_HEIGHT });
  }
  return done;
};

/** The bandwidths that are drawn: the best (in the caches), and that of the most bytes (the memory). */
const bandwidthLines = (
  points: RooflineData['bandwidth'],
): { readonly label: string; readonly gbPerS: number; readonly className: string }[] => {
  const last = points.at(-1);
  if (last === undefined) return [];
  const best = points.reduce((a, b) => (b.gbPerS > a.gbPerS ? b : a));
  const lineOf = (point: typeof last, className: string) => ({
    label: `${formatNumber(point.gbPerS, 3)} GB/s (${formatBytes(point.bytes)})`,
    gbPerS: point.gbPerS,
    className,
  });
  return best === last ? [lineOf(last, 'roof')] : [lineOf(best, 'roof'), lineOf(last, 'roof2')];
};

const gridLines = (x: Scale, y: Scale, top: number, base: number): string[] => [
  ...x.ticks.flatMap((tick) => [
    line(x.at(tick), top, x.at(tick), base, 'grid'),
    text(x.at(tick), base + 16, tickText(tick), { anchor: 'middle', className: 'muted' }),
  ]),
  ...y.ticks.flatMap((tick) => [
    line(LEFT, y.at(tick), RIGHT, y.at(tick), 'grid'),
    text(LEFT - 8, y.at(tick) + 4, tickText(tick), { anchor: 'end', className: 'muted' }),
  ]),
];

/** Operators by time; those beyond the colours share the last. */
const colourOf = (dots: readonly RooflineDot[]): Map<string, number> => {
  const shares = new Map<string, number>();
  for (const { op, share } of dots) shares.set(op, (shares.get(op) ?? 0) + share);
  const order = [...shares].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  return new Map(order.map(([op], i) => [op, Math.min(i, SERIES.length - 1)]));
};

/** The numbered kernels, in two columns. */
const list = (numbered: readonly Numbered[], top: number): string[] => {
  const rows = Math.ceil(numbered.length / 2);
  const column = (RIGHT - LEFT) / 2;
  return numbered.flatMap(({ dot, number }, i) => {
    const x = LEFT + (i < rows ? 0 : column);
    const y = top + (i % rows) * LIST_ROW;
    const reached = `${(100 * dot.share).toFixed(1)} %, ${formatNumber(dot.gflops, 3)} GFLOP/s`;
    return [
      text(x, y, `${number}  ${shorten(dot.name, 32)}`, { className: 'muted' }),
      text(x + column - 20, y, reached, { anchor: 'end', className: 'muted' }),
    ];
  });
};

const heightOf = ({ dots }: RooflineData): number =>
  PANEL + FOOT + 24 + Math.ceil(Math.min(dots.length, LISTED) / 2) * LIST_ROW;

const panel = (data: RooflineData, top: number): string[] => {
  const { gflops, int8Gops, bandwidth, model } = data;
  const dots = data.dots.filter(({ share }) => share >= LEAST_SHARE);
  const base = top + PANEL;
  const roofs = bandwidthLines(bandwidth);
  const peaks = [
    { label: `${formatNumber(gflops, 3)} GFLOP/s`, value: gflops },
    ...(int8Gops === null
      ? []
      : [{ label: `${formatNumber(int8Gops, 3)} Gop/s of 8 bits`, value: int8Gops }]),
  ];
  const highest = Math.max(...peaks.map(({ value }) => value));
  const ridges = roofs.map(({ gbPerS }) => highest / gbPerS);
  const intensities = dots.map(({ intensity }) => intensity);
  const reached = dots.map((dot) => dot.gflops);
  const x = logScale(
    [Math.min(0.1, ...intensities) / 1.5, Math.max(...ridges, ...intensities) * 4],
    [LEFT, RIGHT],
  );
  const y = logScale(
    [Math.max(highest / 1e6, Math.min(highest / 100, ...reached) / 2), Math.max(highest, ...reached) * 2],
    [base, top],
  );
  const [x0, x1] = x.domain;
  const body = gridLines(x, y, top, base);
  for (const { label, gbPerS, className } of roofs) {
    const ridge = highest / gbPerS;
    const start = Math.max(x0, y.domain[0] / gbPerS);
    const from = { x: x.at(start), y: y.at(start * gbPerS) };
    const to = { x: x.at(ridge), y: y.at(highest) };
    const degrees = (Math.atan2(to.y - from.y, to.x - from.x) * 180) / Math.PI;
    const middle = 0.3;
    const [lx, ly] = [from.x + middle * (to.x - from.x), from.y + middle * (to.y - from.y)];
    body.push(
      line(from.x, from.y, to.x, to.y, className),
      text(lx, ly - 6, label, { className: 'muted', rotate: Math.round(degrees * 10) / 10 }),
    );
  }
  const fastest = Math.max(...roofs.map(({ gbPerS }) => gbPerS));
  for (const { label, value } of peaks) {
    const start = Math.max(x0, value / fastest);
    body.push(
      line(x.at(start), y.at(value), x.at(x1), y.at(value), 'roof'),
      text(RIGHT - 4, y.at(value) - 6, label, { anchor: 'end', className: 'muted' }),
    );
  }
  const colours = colourOf(dots);
  const bySize = dots.toSorted((a, b) => b.share - a.share);
  const radius = ({ share }: RooflineDot): number => 2.5 + 26 * Math.sqrt(share);
  for (const dot of bySize) {
    body.push(
      withTip(
        'circle',
        {
          class: `s${colours.get(dot.op) ?? 0}`,
          cx: x.at(dot.intensity),
          cy: y.at(Math.max(dot.gflops, y.domain[0])),
          r: radius(dot),
          'fill-opacity': '0.55',
        },
        `${dot.name} (${dot.op}): ${formatNumber(dot.gflops, 3)} GFLOP/s, ${(100 * dot.share).toFixed(1)} % of the time`,
      ),
    );
  }
  const numbered = bySize
    .slice(0, LISTED)
    .map((dot, i): Numbered => ({ dot, number: i + 1, x: x.at(dot.intensity), y: y.at(dot.gflops) + 4 }));
  for (const { number, x: nx, y: ny } of spread(numbered)) {
    body.push(text(nx, ny, String(number), { anchor: 'middle', className: 'number' }));
  }
  body.push(...list(numbered, base + 82));
  body.push(
    line(LEFT, base, RIGHT, base, 'axis'),
    line(LEFT, top, LEFT, base, 'axis'),
    text(LEFT, top - 8, shorten(model, 80)),
    text((LEFT + RIGHT) / 2, base + 34, 'operations a byte', { anchor: 'middle', className: 'muted' }),
    text(16, (top + base) / 2, 'GFLOP/s', { anchor: 'middle', className: 'muted', rotate: -90 }),
  );
  let at = LEFT;
  const shown = [...colours].filter(([, colour], i) => colour === i);
  for (const [op, colour] of shown) {
    const isRest = colour === SERIES.length - 1 && colours.size > SERIES.length;
    const label = isRest ? 'others' : shorten(op.replace(/^com\.microsoft\./, ''), 24);
    body.push(
      element('circle', { class: `s${colour}`, cx: at + 5, cy: base + 54, r: 5 }),
      text(at + 15, base + 58, label, { className: 'muted' }),
    );
    at += 34 + 6.2 * label.length;
  }
  return body;
};

/** One panel a model. Kernels that compute or move nothing have no place in it. */
export const rooflinePlot = (models: readonly RooflineData[]): string => {
  const described = models.map(({ model, dots, gflops }) => {
    const top = dots.toSorted((a, b) => b.share - a.share)[0];
    const most =
      top === undefined
        ? 'no kernel to show'
        : `most time in ${top.name} (${top.op}), ${formatNumber(top.gflops, 3)} GFLOP/s`;
    return `${model}: ${dots.length} kernels below a peak of ${formatNumber(gflops, 3)} GFLOP/s, ${most}`;
  });
  let bottom = HEAD;
  const body = models.flatMap((model) => {
    const drawn = panel(model, bottom + 24);
    bottom += heightOf(model);
    return drawn;
  });
  return svgDocument({
    width: WIDTH,
    height: bottom,
    title: 'Roofline: what kernels reach, and what this machine allows',
    description: `${described.join('; ')}.`,
    body,
  });
};
