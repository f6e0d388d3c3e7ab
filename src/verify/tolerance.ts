/**
 * Tolerances: how far an output may be from what is expected.
 *
 * An element passes when |a − e| ≤ atol + rtol·|e| + ofMax·max|e|, the rule of numpy.allclose with one more term:
 * `ofMax` scales with the largest finite magnitude of the expected tensor, because the rounding errors of a sum
 * scale with its terms and not with a result that happens to lie near zero.
 */
import type { DType } from '../core/dtype.ts';
import { dtypeInfo } from '../core/dtype.ts';
import { OrthoError } from '../core/errors.ts';

export interface Tolerance {
  /** In the units of the output. */
  readonly atol: number;
  /** Times the magnitude of the expected element. */
  readonly rtol: number;
  /** Times the largest finite magnitude of the expected tensor. */
  readonly ofMax: number;
}

/** What the user asked for: for one output by name, and for all others. */
export interface Tolerances {
  readonly general?: Tolerance;
  readonly byOutput?: ReadonlyMap<string, Tolerance>;
}

const EXACT: Tolerance = { atol: 0, rtol: 0, ofMax: 0 };

/**
 * Without a word from the user: by element type. Float32 nets of a hundred layers stay well inside these. The absolute
 * term is a few units in the last place of 1: what a Sigmoid or Softmax gives near 0 is the rest of a subtraction.
 */
const DEFAULTS: Partial<Record<DType, Tolerance>> = {
  float64: { atol: 1e-14, rtol: 1e-8, ofMax: 1e-8 },
  float32: { atol: 1e-6, rtol: 1e-4, ofMax: 1e-5 },
  float16: { atol: 0, rtol: 5e-3, ofMax: 5e-3 },
  bfloat16: { atol: 0, rtol: 4e-2, ofMax: 4e-2 },
};

/**
 * The tolerance for an output. Integers, booleans and strings are exact: a general tolerance speaks of floats only
 * (class 1001 is not "nearly" class 1000); one that names the output holds for it whatever its dtype.
 */
export const toleranceFor = (name: string, dtype: DType, tolerances: Tolerances): Tolerance => {
  const named = tolerances.byOutput?.get(name);
  if (named !== undefined) return named;
  if (dtypeInfo(dtype).kind !== 'float') return EXACT;
  return tolerances.general ?? DEFAULTS[dtype] ?? EXACT;
};

const KEYS = { atol: 'atol', rtol: 'rtol', max: 'ofMax' } as const;

const malformed = (text: string, why: string): OrthoError =>
  new OrthoError('usage/option', `--tolerance ${text}: ${why}`, {
    hint: 'write [OUT=]atol:1e-4,rtol:1e-3 (also max:1e-5, times the largest magnitude of the output)',
  });

/** Reads `atol:1e-4,rtol:1e-3` (what is not given is 0). @throws usage/option */
const parseTolerance = (text: string, whole: string): Tolerance => {
  const tolerance = { ...EXACT };
  const seen = new Set<string>();
  for (const part of text.split(',')) {
    const [key = '', number = ''] = part.split(':').map((piece) => piece.trim());
    if (!Object.hasOwn(KEYS, key)) {
      throw malformed(whole, `"${part}" is not one of atol:N, rtol:N, max:N`);
    }
    if (seen.has(key)) throw malformed(whole, `${key} is given twice`);
    seen.add(key);
    const value = number === '' ? Number.NaN : Number(number);
    if (!(value >= 0 && Number.isFinite(value))) {
      throw malformed(whole, `"${number}" is not a number of 0 or more`);
    }
    tolerance[KEYS[key as keyof typeof KEYS]] = value;
  }
  return tolerance;
};

/**
 * Reads the values of --tolerance: `[OUT=]atol:1e-4,rtol:1e-3`, each at most once per output. The name of an output
 * may hold any character: it ends at the last `=`. @throws usage/option
 */
export const parseTolerances = (texts: readonly string[]): Tolerances => {
  const byOutput = new Map<string, Tolerance>();
  let general: Tolerance | undefined;
  for (const text of texts) {
    const cut = text.lastIndexOf('=');
    const tolerance = parseTolerance(text.slice(cut + 1), text);
    if (cut < 0) {
      if (general !== undefined) throw malformed(text, 'a general tolerance was already given');
      general = tolerance;
      continue;
    }
    const name = text.slice(0, cut);
    if (byOutput.has(name)) throw malformed(text, `a tolerance for "${name}" was already given`);
    byOutput.set(name, tolerance);
  }
  return general === undefined ? { byOutput } : { general, byOutput };
};
