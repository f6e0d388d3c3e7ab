/** Models alone and together in one process: bars side by side, and the sum of all. */
import { formatMs } from '../format.ts';
import { linearScale, tickText } from './scale.ts';
import { element, HEAD, line, shorten, svgDocument, text, withTip } from './svg.ts';

/** Medians, in ms. */
export interface ContentionStage {
  readonly name: string;
  readonly alone: number;
  readonly together: number;
  /** Together with spinning stopped between runs; null when not measured. */
  readonly stopped: number | null;
}

const WIDTH = 760;
const LEFT = 210;
const RIGHT = WIDTH - 110;
const BAR = 16;
const GAP = 3;
const BETWEEN = 20;
const FOOT = 60;

const KINDS = [
  { key: 'alone', label: 'alone', className: 's2' },
  { key: 'together', label: 'together', className: 's5' },
  { key: 'stopped', label: 'together, spinning stopped', className: 's4' },
] as const;

const total = (stages: readonly ContentionStage[]): ContentionStage => {
  const sum = (time: (stage: ContentionStage) => number): number =>
    stages.reduce((all, stage) => all + time(stage), 0);
  return {
    name: 'all',
    alone: sum(({ alone }) => alone),
    together: sum(({ together }) => together),
    stopped: stages.some(({ stopped }) => stopped === null) ? null : sum(({ stopped }) => stopped ?? 0),
  };
};

export const contentionPlot = (stages: readonly ContentionStage[]): string => {
  const rows = [...stages, total(stages)];
  const kinds = KINDS.filter(({ key }) => rows.some((row) => row[key] !== null));
  const step = kinds.length * (BAR + GAP) + BETWEEN;
  const bottom = HEAD + rows.length * step;
  const scale = linearScale(
    [0, Math.max(...rows.flatMap((row) => kinds.map(({ key }) => row[key] ?? 0)))],
    [LEFT, RIGHT],
  );
  const body: string[] = [];
  for (const tick of scale.ticks) {
    const x = scale.at(tick);
    body.push(
      line(x, HEAD, x, bottom, 'grid'),
      text(x, bottom + 16, tickText(tick), { anchor: 'middle', className: 'muted' }),
    );
  }
  rows.forEach((row, i) => {
    const top = HEAD + i * step + BETWEEN / 2;
    if (i === stages.length) body.push(line(16, top - BETWEEN / 2, WIDTH - 16, top - BETWEEN / 2, 'thin'));
    body.push(
      text(LEFT - 10, top + (kinds.length * (BAR + GAP)) / 2 + 3, shorten(row.name, 28), { anchor: 'end' }),
    );
    kinds.forEach(({ key, label, className }, k) => {
      const ms = row[key];
      if (ms === null) return;
      const y = top + k * (BAR + GAP);
      const factor = key === 'alone' ? '' : ` × ${(ms / row.alone).toFixed(2)}`;
      body.push(
        withTip(
          'rect',
          { class: className, x: LEFT, y, width: Math.max(1, scale.at(ms) - LEFT), height: BAR },
          `${row.name} ${label}: ${formatMs(ms)} ms`,
        ),
        text(scale.at(ms) + 6, y + BAR - 4, `${formatMs(ms)}${factor}`, { className: 'muted' }),
      );
    });
  });
  body.push(
    line(LEFT, HEAD, LEFT, bottom, 'axis'),
    text((LEFT + RIGHT) / 2, bottom + 34, 'median ms a run', { anchor: 'middle', className: 'muted' }),
  );
  let x = LEFT;
  for (const { label, className } of kinds) {
    body.push(
      element('rect', { class: className, x, y: bottom + 42, width: 11, height: 11 }),
      text(x + 16, bottom + 52, label, { className: 'muted' }),
    );
    x += 36 + 6.2 * label.length;
  }
  const all = rows.at(-1)!;
  return svgDocument({
    width: WIDTH,
    height: bottom + FOOT,
    title: 'Alone and together in one process',
    description: `${rows
      .map((row) => `${row.name}: alone ${formatMs(row.alone)} ms, together ${formatMs(row.together)} ms`)
      .join('; ')}. Together they take ${(all.together / all.alone).toFixed(2)} times as long.`,
    body,
  });
};
