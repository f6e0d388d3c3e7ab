/**
 * Axes: numbers to pixels, and ticks at round numbers.
 *
 * Linear ticks stand at 1, 2 or 5 times a power of ten; logarithmic ones at powers of ten, with 2 and 5 between where
 * there are few.
 */
export interface Scale {
  /** The pixel of a value. */
  at(value: number): number;
  readonly ticks: readonly number[];
  readonly domain: readonly [low: number, high: number];
  readonly isLog: boolean;
}

type Range = readonly [low: number, high: number];

/** The round step that makes at most `most` ticks. */
const roundStep = (span: number, most: number): number => {
  const raw = span / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5].find((factor) => factor * power >= raw) ?? 10;
  return step * power;
};

/** Multiples of a step without the errors of adding it up. */
const multiples = (step: number, [low, high]: Range): number[] => {
  const ticks: number[] = [];
  const digits = Math.max(0, -Math.floor(Math.log10(step)));
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high * (1 + 1e-9); i++) {
    ticks.push(Number((i * step).toFixed(digits)));
  }
  return ticks;
};

export const linearScale = ([low, high]: Range, [from, to]: Range, most = 8): Scale => {
  const top = high > low ? high : low + (Math.abs(low) || 1);
  return {
    at: (value) => from + ((value - low) / (top - low)) * (to - from),
    ticks: multiples(roundStep(top - low, most), [low, top]),
    domain: [low, top],
    isLog: false,
  };
};

/** @param domain above 0. */
export const logScale = ([low, high]: Range, [from, to]: Range): Scale => {
  const top = high > low ? high : low * 10;
  const [a, b] = [Math.log(low), Math.log(top)];
  const decades = Math.log10(top / low);
  const factors = decades <= 1.5 ? [1, 2, 3, 5, 7] : decades <= 3 ? [1, 2, 5] : [1];
  const ticks: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(top)); power++) {
    for (const factor of factors) {
      const tick = Number(`${factor}e${power}`);
      if (tick >= low * (1 - 1e-9) && tick <= top * (1 + 1e-9)) ticks.push(tick);
    }
  }
  return {
    at: (value) => from + ((Math.log(value) - a) / (b - a)) * (to - from),
    ticks,
    domain: [low, top],
    isLog: true,
  };
};

/** `0.05`, `1.5`, `2000`, `50 k`. */
export const tickText = (value: number): string => {
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1e9) return `${Number((value / 1e9).toPrecision(3))} G`;
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(3))} M`;
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(3))} k`;
  return size < 1e-4 ? value.toExponential(0) : String(Number(value.toPrecision(3)));
};
