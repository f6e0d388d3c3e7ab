/** doctor: the causes, the pipeline, the fastest way, then what was ruled out, one row a cause. */
import { printable } from '../../core/printable.ts';
import { type Block, facts, type Layout, table } from '../document.ts';
import { formatMs, formatScalar, NONE } from '../format.ts';
import type { DoctorData } from '../schemas/doctor.ts';

const times = (factor: number): string => `× ${factor.toFixed(2)}`;

type Other = DoctorData['ruledOut'][number];

/** What was decided about a cause, for all models in one row; models that agree share the words. */
const grouped = (others: readonly Other[]): string[][] => {
  const byCause = new Map<string, Map<string, string[]>>();
  for (const { cause, model, why } of others) {
    const reasons = byCause.get(cause) ?? new Map<string, string[]>();
    byCause.set(cause, reasons);
    reasons.set(why, [...(reasons.get(why) ?? []), ...(model === null ? [] : [printable(model)])]);
  }
  return [...byCause].map(([cause, reasons]) => [
    cause,
    [...reasons]
      .map(([why, models]) =>
        reasons.size > 1 && models.length > 0 ? `${models.join(', ')}: ${printable(why)}` : printable(why),
      )
      .join('; '),
  ]);
};

const changesText = (fastest: NonNullable<DoctorData['fastest']>): string => {
  const { changes, factor, ci95, givenMs, ms } = fastest;
  const gain = `${formatMs(givenMs)} → ${formatMs(ms)} ms a round, ${times(factor)} (95 % interval ${ci95[0].toFixed(2)} to ${ci95[1].toFixed(2)})`;
  if (changes.length === 0) return `as given; the best of the others: ${gain}`;
  const byText = new Map<string, string[]>();
  for (const { model, session, copy } of changes) {
    const options = Object.entries(session).map(([key, value]) => `${key} ${formatScalar(value)}`);
    const text = [...options, ...copy.map((what) => `without ${what}`)].join(', ');
    byText.set(text, [...(byText.get(text) ?? []), printable(model)]);
  }
  return `${[...byText].map(([text, models]) => `${models.join(', ')}: ${text}`).join('; ')}. ${gain}`;
};

export const doctorLayout: Layout<DoctorData> = (data) => {
  const { models, causes, pipeline, fastest, ruledOut, undecided, environment } = data;
  const blocks: Block[] = [];
  if (causes.length === 0) blocks.push(facts([['causes', 'none found']]));
  for (const { cause, model, factor, evidence, fix } of causes) {
    const size = factor === null ? 'wrong' : times(factor);
    const whose = model === null || models.length === 1 ? '' : ` (${printable(model)})`;
    blocks.push(
      facts(
        [
          ['evidence', printable(evidence)],
          ['fix', printable(fix)],
        ],
        `${cause}${whose}: ${size}`,
      ),
    );
  }
  if (pipeline === null) {
    blocks.push(
      table(
        ['model', '>p50 ms'],
        models.map(({ name, p50 }) => [printable(name), formatMs(p50)]),
      ),
    );
  } else {
    blocks.push(
      table(
        ['stage', '>alone p50 ms', '>together p50 ms', '>slowdown', 'cause', '>fastest p50 ms'],
        pipeline.stages.map(({ name, aloneP50, togetherP50, slowdown, cause, fastestP50 }) => [
          printable(name),
          formatMs(aloneP50),
          formatMs(togetherP50),
          times(slowdown),
          cause ?? NONE,
          fastestP50 === null ? NONE : formatMs(fastestP50),
        ]),
        'pipeline',
      ),
    );
  }
  if (fastest !== null) blocks.push(facts([['fastest safe way', changesText(fastest)]]));
  if (ruledOut.length > 0) blocks.push(table(['cause', 'why'], grouped(ruledOut), 'ruled out'));
  if (undecided.length > 0) blocks.push(table(['cause', 'why'], grouped(undecided), 'undecided'));
  const machine = Object.entries(environment).map(
    ([key, value]) => `${printable(key)} ${formatScalar(value)}`,
  );
  if (machine.length > 0) blocks.push(facts([['environment', machine.join(', ')]]));
  return blocks;
};
