/**
 * Gathers comparisons into the parity record that every report carries (verify@1 data).
 */
import { OrthoError } from '../core/errors.ts';
import type { Tensor } from '../core/tensor.ts';
import type { VerifyData } from '../report/schemas/verify.ts';
import {
  compareTensors,
  notCompared,
  type OutputParity,
  type Pool,
  poolMetrics,
  startPool,
} from './compare.ts';
import { type Tolerance, type Tolerances, toleranceFor } from './tolerance.ts';

export interface ParityOptions {
  readonly tolerances?: Tolerances | undefined;
  /** Outputs made of random numbers: only dtype and rank can be compared. */
  readonly random?: ReadonlySet<string> | undefined;
}

export interface Parity {
  /** Compares every expected output of one case with what the candidate gave at `level`. */
  compare(
    level: string,
    caseName: string,
    expected: ReadonlyMap<string, Tensor>,
    actual: ReadonlyMap<string, Tensor>,
  ): void;
  /** Says that an output is not compared, and why; once per output. */
  skip(output: string, reason: string): void;
  /**
   * The record so far.
   * @throws verify/nothing-compared when no output was compared: an empty proof must not look like a passed one.
   */
  finish(): VerifyData;
}

interface Pooled {
  readonly level: string;
  readonly name: string;
  readonly pool: Pool;
  cases: number;
  ok: boolean;
}

/** True when everything that was compared agrees. */
export const holds = (parity: VerifyData): boolean =>
  parity.cases.every(({ outputs }) => outputs.every(({ ok }) => ok));

/** The first outputs that disagree, in words, for messages. */
export const describeFailures = (parity: VerifyData, limit = 3): string => {
  const failures = parity.cases.flatMap(({ name, level, outputs }) =>
    outputs
      .filter(({ ok }) => !ok)
      .map(
        (output) =>
          `output "${output.name}" of case ${name} at level ${level}: ${output.message ?? 'differs'}`,
      ),
  );
  const rest = failures.length - limit;
  return failures.slice(0, limit).join('; ') + (rest > 0 ? `; and ${rest} more` : '');
};

/** Starts a record. `reference` and `candidate` are what the report calls the two sides. */
export const startParity = (
  reference: string,
  candidate: string,
  { tolerances = {}, random = new Set() }: ParityOptions = {},
): Parity => {
  const cases: { name: string; level: string; outputs: OutputParity[] }[] = [];
  const pooled = new Map<string, Pooled>();
  const used = new Map<string, Tolerance>();
  const skipped = new Map<string, string>();

  const poolOf = (level: string, name: string): Pooled => {
    const key = JSON.stringify([level, name]);
    const found = pooled.get(key) ?? { level, name, pool: startPool(), cases: 0, ok: true };
    pooled.set(key, found);
    return found;
  };

  return {
    compare(level, caseName, expected, actual) {
      const outputs: OutputParity[] = [];
      for (const [name, tensor] of expected) {
        if (skipped.has(name)) continue;
        const summary = poolOf(level, name);
        const found = actual.get(name);
        const output =
          found === undefined
            ? emptyParity(name, tensor, 'the candidate has no such output')
            : random.has(name)
              ? compareKinds(name, tensor, found)
              : compareTensors(name, tensor, found, tolerances, summary.pool);
        used.set(name, toleranceFor(name, tensor.dtype, tolerances));
        summary.cases++;
        summary.ok &&= output.ok;
        outputs.push(output);
      }
      if (outputs.length > 0) cases.push({ name: caseName, level, outputs });
    },
    skip(output, reason) {
      if (!skipped.has(output)) skipped.set(output, reason);
    },
    finish() {
      if (cases.length === 0) throw nothingCompared(reference, candidate, skipped);
      return {
        reference,
        candidate,
        tolerance: compactTolerances(used),
        cases,
        outputs: [...pooled.values()].map(({ level, name, pool, cases: count, ok }) => ({
          level,
          name,
          cases: count,
          metrics: poolMetrics(pool),
          ok,
        })),
        skipped: [...skipped].map(([name, reason]) => ({ name, reason })),
        firstDivergence: null,
      };
    },
  };
};

const emptyParity = (name: string, expected: Tensor, message: string): OutputParity => ({
  ...notCompared(name, expected),
  message,
});

const compareKinds = (name: string, expected: Tensor, actual: Tensor): OutputParity => {
  const kindOf = ({ dtype, dims }: Tensor): string => `${dtype} of rank ${dims.length}`;
  if (kindOf(expected) === kindOf(actual)) {
    return { ...emptyParity(name, expected, 'random: only dtype and rank were compared'), ok: true };
  }
  return emptyParity(name, expected, `expected ${kindOf(expected)}, found ${kindOf(actual)}`);
};

/** One record of several proofs of the same candidate. */
export const mergeParity = (records: readonly [VerifyData, ...VerifyData[]]): VerifyData => {
  const [first] = records;
  const skipped = new Map(records.flatMap((record) => record.skipped.map((one) => [one.name, one])));
  return {
    ...first,
    tolerance: Object.assign({}, ...records.map(({ tolerance }) => tolerance)),
    cases: records.flatMap(({ cases }) => cases),
    outputs: records.flatMap(({ outputs }) => outputs),
    skipped: [...skipped.values()],
  };
};

const nothingCompared = (
  reference: string,
  candidate: string,
  skipped: ReadonlyMap<string, string>,
): OrthoError => {
  const why = [...skipped].map(([name, reason]) => `"${name}": ${reason}`).join('; ');
  return new OrthoError(
    'verify/nothing-compared',
    `nothing of ${candidate} was compared with ${reference}${why === '' ? '' : ` (${why})`}`,
    { hint: 'give at least one case with an expected output that the model has' },
  );
};

/** One entry under "" where all outputs share a tolerance, one for each output otherwise. */
const compactTolerances = (used: ReadonlyMap<string, Tolerance>): Record<string, Tolerance> => {
  const first = used.values().next().value;
  const isShared = [...used.values()].every(
    (tolerance) =>
      tolerance.atol === first?.atol && tolerance.rtol === first.rtol && tolerance.ofMax === first.ofMax,
  );
  return Object.fromEntries(isShared && first !== undefined ? [['', first]] : used);
};
