/** tune: what is written, then what was tried, the best first. */
import { printable } from '../../core/printable.ts';
import { type Block, facts, type Layout, table } from '../document.ts';
import { formatMs, formatScalar, NONE } from '../format.ts';
import type { TuneData } from '../schemas/tune.ts';

const times = (value: number | null): string => (value === null ? NONE : `× ${value.toFixed(3)}`);
const ms = (value: number | null): string => (value === null ? NONE : formatMs(value));
const interval = (ci95: readonly [number, number] | null): string =>
  ci95 === null ? NONE : `${ci95[0].toFixed(3)} to ${ci95[1].toFixed(3)}`;

/** Rows of what was tried, unless all is asked for. */
const SHOWN = 12;

const optionsText = (session: Readonly<Record<string, unknown>>): string =>
  Object.keys(session).length === 0 ? 'the defaults' : printable(JSON.stringify(session));

export const tuneLayout: Layout<TuneData> = (data, { all }) => {
  const { best, defaults, objective, tried, untried, models, options, output, environment } = data;
  const shown = all ? tried : tried.slice(0, SHOWN);
  const rest = tried.length - shown.length;
  const blocks: Block[] = [
    facts([
      ['best', best.isDefault ? 'the defaults: nothing is proven faster' : printable(best.name)],
      ...(best.isDefault
        ? []
        : ([['against the defaults', `${times(best.ratio)} (${interval(best.ci95)})`]] as const)),
      [objective, `${ms(best.p50)} ms, with the defaults ${ms(defaults.p50)} ms`],
      ['written to', printable(output)],
    ]),
    table(
      ['model', 'session options'],
      options.map(({ model, session }) => [printable(model), optionsText(session)]),
      'options',
    ),
    table(
      ['configuration', 'stage', '>p50 ms', '>ratio', '95 % interval', 'outputs', 'verdict'],
      shown.map(({ name, stage, p50, ratio, ci95, parity, verdict }) => [
        printable(name),
        stage,
        ms(p50),
        times(ratio),
        interval(ci95),
        parity === null ? NONE : parity.ok ? 'equal' : 'differ',
        verdict,
      ]),
      'tried',
    ),
  ];
  const more = [
    ...(rest > 0 ? [`${rest} more were tried`] : []),
    ...(untried > 0 ? [`${untried} were not tried for lack of time`] : []),
  ];
  if (more.length > 0) blocks.push({ kind: 'lines', title: 'not shown', lines: more });
  blocks.push(
    facts([
      ['models', models.map(({ file }) => printable(file)).join(', ')],
      [
        'environment',
        Object.entries(environment)
          .map(([key, value]) => `${printable(key)} ${formatScalar(value)}`)
          .join(', '),
      ],
    ]),
  );
  return blocks;
};
