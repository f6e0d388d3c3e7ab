/**
 * Typed option and argument descriptors. A descriptor says how the option is spelt, documents it, and turns what was
 * given on the command line into a value; the type of that value is what a tool's `run` receives.
 */
import { OrthoError } from '../core/errors.ts';
import { nearestNames } from '../core/nearest.ts';

/** One occurrence on the command line: its value, `true` for a flag, `false` for the `--no-` form. */
export type Given = string | boolean;

export interface Option<T> {
  /** What help shows for the value; undefined for a flag. */
  readonly metavar: string | undefined;
  readonly summary: string;
  /** A one-letter spelling, without the dash. */
  readonly short: string | undefined;
  readonly isRequired: boolean;
  /** `--no-NAME` exists beside `--NAME`, or alone (a flag that is on unless refused). */
  readonly negation: 'none' | 'beside' | 'alone';
  readonly repeats: boolean;
  /** The names it chooses from, for help and docs. */
  readonly choices: readonly string[] | undefined;
  readonly defaultText: string | undefined;
  /** The files it names, if its values are paths. */
  paths(value: unknown): readonly string[];
  /** The value of all occurrences together. @throws OrthoError usage/option */
  read(given: readonly Given[], spelling: string): T;
}

export type Options = Readonly<Record<string, Option<unknown>>>;
export type ValuesOf<O extends Readonly<Record<string, { read(...rest: never): unknown }>>> = {
  readonly [K in keyof O]: ReturnType<O[K]['read']>;
};

interface Settings<T> {
  readonly short?: string;
  readonly default?: T;
  readonly required?: boolean;
  /** May be given many times. */
  readonly repeat?: boolean;
  /** Takes `A,B,C`; may be given many times too. */
  readonly list?: boolean;
  /** `--no-NAME` exists and gives false. */
  readonly negatable?: boolean;
}

type Result<T, S> =
  | (S extends { repeat: true } | { list: true }
      ? readonly T[]
      : T | (S extends { required: true } | { default: T } ? never : undefined))
  | (S extends { negatable: true } ? false : never);

/** How one value is read: text in, value out; throws OrthoError usage/option. */
type Parse<T> = (text: string, spelling: string) => T;

const badValue = (spelling: string, text: string, expected: string, hint?: string): OrthoError =>
  new OrthoError(
    'usage/option',
    `${spelling}: "${text}" is not ${expected}`,
    hint === undefined ? {} : { hint },
  );

const valueOption = <T, const S extends Settings<T>>(
  metavar: string,
  summary: string,
  settings: S,
  parse: Parse<T>,
  more: { choices?: readonly string[]; paths?: (value: T) => string; show?: (value: T) => string } = {},
): Option<Result<T, S>> => {
  const { paths, show = String } = more;
  const isMany = settings.repeat === true || settings.list === true;
  return {
    metavar,
    summary,
    short: settings.short,
    isRequired: settings.required === true,
    negation: settings.negatable === true ? 'beside' : 'none',
    repeats: isMany,
    choices: more.choices,
    defaultText: settings.default === undefined ? undefined : show(settings.default),
    paths: (value) => {
      if (paths === undefined || value === undefined || value === false) return [];
      return (isMany ? (value as readonly T[]) : [value as T]).map(paths);
    },
    read: (given, spelling) => {
      const last = given.at(-1);
      if (last === false) return false as Result<T, S>;
      const texts = given.filter((one) => typeof one === 'string');
      if (isMany) {
        const parts = settings.list === true ? texts.flatMap((text) => text.split(',')) : texts;
        return parts.map((text) => parse(text, spelling)) as Result<T, S>;
      }
      if (texts.length > 1) {
        throw new OrthoError('usage/option', `${spelling} is given ${texts.length} times`, {
          hint: 'give it once',
        });
      }
      const text = texts[0];
      if (text !== undefined) return parse(text, spelling) as Result<T, S>;
      if (settings.required === true) {
        const choices = more.choices === undefined ? '' : `: ${more.choices.join(', ')}`;
        throw new OrthoError('usage/option', `${spelling} ${metavar} is missing`, {
          hint: `${summary}${choices}`,
        });
      }
      return settings.default as Result<T, S>;
    },
  };
};

/** On or off. With `default: true` it is spelt `--no-NAME` only. */
export const flag = (
  summary: string,
  settings: { readonly short?: string; readonly default?: boolean } = {},
): Option<boolean> => ({
  metavar: undefined,
  summary,
  short: settings.short,
  isRequired: false,
  negation: settings.default === true ? 'alone' : 'none',
  repeats: false,
  choices: undefined,
  defaultText: undefined,
  paths: () => [],
  read: (given) => (given.at(-1) ?? settings.default ?? false) === true,
});

/** Any text, not empty unless `mayBeEmpty`. */
export const text = <const S extends Settings<string> & { readonly mayBeEmpty?: boolean }>(
  metavar: string,
  summary: string,
  settings: S = {} as S,
) =>
  valueOption<string, S>(metavar, summary, settings, (value, spelling) => {
    if (value === '' && settings.mayBeEmpty !== true) throw badValue(spelling, value, 'a value: it is empty');
    return value;
  });

/** The path of an input file or folder. */
export const path = <const S extends Settings<string>>(
  metavar: string,
  summary: string,
  settings: S = {} as S,
) =>
  valueOption<string, S>(
    metavar,
    summary,
    settings,
    (value, spelling) => {
      if (value === '') throw badValue(spelling, value, 'a path: it is empty');
      return value;
    },
    { paths: (value) => value },
  );

interface Range {
  readonly min?: number;
  readonly max?: number;
}

const inRange = (value: number, raw: string, spelling: string, { min, max }: Range, what: string): number => {
  const tooSmall = min !== undefined && value < min;
  if (tooSmall || (max !== undefined && value > max) || !Number.isFinite(value)) {
    const bounds =
      max === undefined ? `${what} of at least ${min}` : `${what} from ${min ?? 'minus infinity'} to ${max}`;
    throw badValue(spelling, raw, min === undefined && max === undefined ? what : bounds);
  }
  return value;
};

const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** A whole number. */
export const integer = <const S extends Settings<number> & Range>(
  metavar: string,
  summary: string,
  settings: S = {} as S,
) =>
  valueOption<number, S>(metavar, summary, settings, (value, spelling) => {
    if (!/^[+-]?\d{1,16}$/.test(value)) throw badValue(spelling, value, 'a whole number');
    return inRange(Number(value), value, spelling, settings, 'a whole number');
  });

/** A decimal number. */
export const number = <const S extends Settings<number> & Range>(
  metavar: string,
  summary: string,
  settings: S = {} as S,
) =>
  valueOption<number, S>(metavar, summary, settings, (value, spelling) => {
    if (!DECIMAL.test(value)) throw badValue(spelling, value, 'a number');
    return inRange(Number(value), value, spelling, settings, 'a number');
  });

/** A share, `3%` or `0.03`; the value is the fraction. */
export const percent = <const S extends Settings<number>>(
  metavar: string,
  summary: string,
  settings: S = {} as S,
) =>
  valueOption<number, S>(
    metavar,
    summary,
    settings,
    (value, spelling) => {
      const isPercent = value.endsWith('%');
      const digits = isPercent ? value.slice(0, -1) : value;
      const fraction = Number(digits) / (isPercent ? 100 : 1);
      if (!DECIMAL.test(digits) || fraction < 0 || fraction > 1) {
        throw badValue(spelling, value, 'a share', 'write 3% or 0.03');
      }
      return fraction;
    },
    { show: (value) => `${value * 100}%` },
  );

const withUnit = (
  value: string,
  spelling: string,
  units: Readonly<Record<string, number>>,
  what: string,
): number => {
  const [, digits, unit] = /^([\d.]+)\s*([a-z]*)$/i.exec(value) ?? [];
  const factor = unit === undefined ? undefined : new Map(Object.entries(units)).get(unit.toLowerCase());
  if (digits === undefined || factor === undefined || !DECIMAL.test(digits) || Number(digits) <= 0) {
    const known = Object.keys(units).filter((name) => name !== '');
    throw badValue(spelling, value, what, `a number above 0, with ${known.join(', ')} or no unit`);
  }
  return Number(digits) * factor;
};

const SECONDS = { '': 1, ms: 0.001, s: 1, m: 60, min: 60, h: 3600 };
const BYTES = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};
const MEGABYTES = { '': 1, kb: 1 / 1024, mb: 1, gb: 1024, mib: 1, gib: 1024 };

/** A length of time (`30`, `30s`, `500ms`, `2m`); the value is in seconds. */
export const seconds = <const S extends Settings<number>>(
  metavar: string,
  summary: string,
  settings: S = {} as S,
) =>
  valueOption<number, S>(metavar, summary, settings, (value, spelling) =>
    withUnit(value, spelling, SECONDS, 'a length of time'),
  );

/** An amount of memory (`512`, `512MB`, `2GB`); the value is in MiB. */
export const megabytes = <const S extends Settings<number>>(
  metavar: string,
  summary: string,
  settings: S = {} as S,
) =>
  valueOption<number, S>(metavar, summary, settings, (value, spelling) =>
    withUnit(value, spelling, MEGABYTES, 'an amount of memory'),
  );

/** A size on the disk (`500MB`, `2GB`, `2GiB`); the value is in bytes, and whole. */
export const fileSize = <const S extends Settings<number>>(
  metavar: string,
  summary: string,
  settings: S = {} as S,
) =>
  valueOption<number, S>(metavar, summary, settings, (value, spelling) =>
    Math.ceil(withUnit(value, spelling, BYTES, 'a size')),
  );

/** One of these names (usually the keys of a registry). @throws OrthoError usage/unknown-name with the nearest name. */
export const choice = <const N extends string, const S extends Settings<N>>(
  names: readonly N[],
  metavar: string,
  summary: string,
  settings: S = {} as S,
) =>
  valueOption<N, S>(
    metavar,
    summary,
    settings,
    (value, spelling) => {
      const known = names.find((name) => name === value);
      if (known !== undefined) return known;
      const near = nearestNames(value, names);
      throw new OrthoError('usage/unknown-name', `${spelling}: there is no "${value}"`, {
        hint: near.length > 0 ? `did you mean ${near[0]}?` : `one of ${names.join(', ')}`,
      });
    },
    { choices: names },
  );

export interface Assignment {
  /** undefined where the name may be left out and was. */
  readonly name: string | undefined;
  readonly value: string;
}

const assignmentParse =
  (metavar: string): Parse<Assignment> =>
  (value, spelling) => {
    const at = value.indexOf('=');
    const isBare = at < 0 && metavar.startsWith('[');
    const name = isBare ? undefined : value.slice(0, Math.max(at, 0));
    if ((at < 0 && !isBare) || name === '' || value === '') throw badValue(spelling, value, metavar);
    return { name, value: value.slice(at + 1) };
  };

/** `NAME=VALUE`; where the metavar starts with `[NAME=]` the name may be left out. */
export const assignment = <const S extends Settings<Assignment>>(
  metavar: string,
  summary: string,
  settings: S = {} as S,
) => valueOption<Assignment, S>(metavar, summary, settings, assignmentParse(metavar));

export interface NamedPath {
  readonly name: string | undefined;
  readonly path: string;
}

/** `[NAME=]FILE`: an input file for a name. */
export const namedPath = <const S extends Settings<NamedPath>>(
  metavar: string,
  summary: string,
  settings: S = {} as S,
) => {
  const parse = assignmentParse(metavar);
  return valueOption<NamedPath, S>(
    metavar,
    summary,
    settings,
    (value, spelling) => {
      const { name, value: file } = parse(value, spelling);
      return { name, path: file };
    },
    { paths: ({ path }) => path },
  );
};

export interface NamedShape {
  readonly name: string | undefined;
  readonly dims: readonly number[];
}

/** `[NAME=]1,3,224,224`: the dimensions of an input (commas or x between them). */
export const namedShape = <const S extends Settings<NamedShape>>(
  metavar: string,
  summary: string,
  settings: S = {} as S,
) =>
  valueOption<NamedShape, S>(metavar, summary, settings, (value, spelling) => {
    const at = value.lastIndexOf('=');
    const dims = value.slice(at + 1).split(/[,x]/);
    if (!dims.every((dim) => /^\d{1,15}$/.test(dim)) || at === 0) {
      throw badValue(spelling, value, 'a shape', 'write NAME=1,3,224,224');
    }
    return { name: at < 0 ? undefined : value.slice(0, at), dims: dims.map(Number) };
  });

export interface Argument<T> {
  readonly metavar: string;
  readonly summary: string;
  readonly isOptional: boolean;
  readonly isVariadic: boolean;
  read(given: readonly string[]): T;
}

export type Arguments = Readonly<Record<string, Argument<unknown>>>;

/** A positional argument; always the path of an input. */
export const argument = (metavar: string, summary: string): Argument<string> => ({
  metavar,
  summary,
  isOptional: false,
  isVariadic: false,
  read: (given) => given[0]!,
});

/** A positional argument that may be left out. */
export const optionalArgument = (metavar: string, summary: string): Argument<string | undefined> => ({
  metavar,
  summary,
  isOptional: true,
  isVariadic: false,
  read: (given) => given[0],
});

/** One or more positional arguments; the last of a tool. */
export const argumentList = (metavar: string, summary: string): Argument<readonly string[]> => ({
  metavar,
  summary,
  isOptional: false,
  isVariadic: true,
  read: (given) => given,
});

/** The flag of an option key: `stateDict` is spelt `--state-dict`. */
export const spellingOf = (key: string): string =>
  `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
