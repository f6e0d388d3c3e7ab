/**
 * What is in a weight file: the tensors and modules of its best state dict, all state dicts, metadata, the globals of
 * its pickles; on request the values, which are read for nothing else.
 */
import { OrthoError } from '../core/errors.ts';
import { globMatcher } from '../core/glob.ts';
import { type JobIo, silentIo } from '../core/job-io.ts';
import { nearestNames } from '../core/nearest.ts';
import type { Finding } from '../core/report.ts';
import { elementCount } from '../core/tensor.ts';
import type { StateDict, WeightFile, WeightTensor } from '../formats/state-dict.ts';
import { whyFirst } from '../formats/state-dict-order.ts';
import type { ArchitectureMatchData, InspectWeightsData } from '../report/schemas/inspect.ts';
import { autopsyOf, verdictOf } from './global-autopsy.ts';
import { moduleTree } from './module-tree.ts';
import {
  type Census,
  censusOf,
  measureTensors,
  specialOfStatistics,
  specialOfTensors,
  type TensorValues,
} from './weight-values.ts';

type Tensors = ReadonlyMap<string, WeightTensor>;

export interface InspectWeightsOptions {
  /** Verify checksums and look at all values for special ones. */
  readonly check?: boolean;
  /** Statistics of the selected tensors. */
  readonly stats?: boolean;
  /** Histograms of the selected tensors, and their statistics. */
  readonly histogram?: boolean;
  /** Globs that select the tensors that are listed and read; all when empty. */
  readonly keys?: readonly string[];
  /** Levels of the tree of modules; all when left out. */
  readonly depth?: number | undefined;
  /** Say what each global of a pickle does. */
  readonly globals?: boolean;
  /** Which state dict's tensors are listed; the best one when left out. */
  readonly stateDict?: string | undefined;
  /** The architecture that fits these keys best, and whether it fits well enough to go by its name. */
  readonly detect?: (
    tensors: Tensors,
  ) => { readonly match: ArchitectureMatchData; readonly isRecognised: boolean } | undefined;
  readonly io?: JobIo;
}

const NO_DICT: StateDict = { path: '', tensors: new Map() };

/** The tensors that the globs select. @throws OrthoError usage/option when a glob selects nothing */
const selectedOf = (tensors: Tensors, keys: readonly string[]): Tensors => {
  if (keys.length === 0) return tensors;
  for (const glob of keys) {
    const matches = globMatcher([glob]);
    if ([...tensors.keys()].some(matches)) continue;
    const near = nearestNames(glob, [...tensors.keys()])[0];
    throw new OrthoError('usage/option', `--keys: no tensor is called "${glob}"`, {
      hint: `${near === undefined ? '' : `nearest: "${near}"; `}* stands for any text, dots included, ? for one character`,
    });
  }
  const matches = globMatcher(keys);
  return new Map([...tensors].filter(([key]) => matches(key)));
};

interface DTypeTotal {
  tensors: number;
  parameters: number;
  bytes: number;
}

/** Totals by dtype, the largest first. */
const dtypesOf = (own: readonly WeightTensor[]): Record<string, DTypeTotal> => {
  const totals = new Map<string, DTypeTotal>();
  for (const { dtype, dims, data } of own) {
    const total = totals.get(dtype) ?? { tensors: 0, parameters: 0, bytes: 0 };
    totals.set(dtype, total);
    total.tensors++;
    total.parameters += elementCount(dims);
    total.bytes += data.size;
  }
  return Object.fromEntries([...totals].sort(([, a], [, b]) => b.bytes - a.bytes));
};

const sumOf = (totals: Readonly<Record<string, DTypeTotal>>, of: 'parameters' | 'bytes'): number =>
  Object.values(totals).reduce((sum, total) => sum + total[of], 0);

const pick = (
  { stateDicts }: WeightFile,
  wanted: string | undefined,
): { readonly dict: StateDict; readonly stateDict: InspectWeightsData['stateDict'] } => {
  const dict = wanted === undefined ? stateDicts[0] : stateDicts.find(({ path }) => path === wanted);
  if (dict === undefined) return { dict: NO_DICT, stateDict: null };
  const why = wanted === undefined ? whyFirst(stateDicts.map(({ path }) => path)) : 'asked for';
  return { dict, stateDict: { path: dict.path, why } };
};

/** What reading the tensors gave. */
export interface WeightValues {
  readonly byKey: ReadonlyMap<string, TensorValues>;
  readonly census: Census | undefined;
  /** Checksums that do not fit. */
  readonly integrity: readonly Finding[];
}

const censusFor = async (
  all: Tensors,
  selected: Tensors,
  byKey: ReadonlyMap<string, TensorValues>,
  { check = false, stats = false, histogram = false, io = silentIo() }: InspectWeightsOptions,
): Promise<Census | undefined> => {
  const isMeasured = stats || histogram;
  if (isMeasured && (!check || selected === all)) return censusOf(specialOfStatistics(selected, byKey));
  return check ? censusOf(await specialOfTensors(all, io)) : undefined;
};

/**
 * Reads what the options ask for: a check looks at everything, statistics and histograms at what `keys` select.
 * @throws OrthoError usage/option when a glob of `keys` selects nothing, the reason of `io.signal`, and what the
 *   sources throw
 */
export const readWeightValues = async (
  file: WeightFile,
  options: InspectWeightsOptions,
): Promise<WeightValues> => {
  const { check = false, stats = false, histogram = false, keys = [], io = silentIo() } = options;
  const { tensors } = pick(file, options.stateDict).dict;
  const selected = selectedOf(tensors, keys);
  const byKey =
    stats || histogram ? await measureTensors(selected, { histogram, io }) : new Map<string, TensorValues>();
  const isReadInFull = check || (stats && keys.length === 0);
  const census = await censusFor(tensors, selected, byKey, options);
  if (isReadInFull) io.progress('checking the records');
  return {
    byKey,
    census,
    integrity: isReadInFull ? (file.checkIntegrity?.() ?? []) : [],
  };
};

/**
 * The `data` of an inspect report for a weight file, and what was found on the way (the file's own findings first).
 * No tensor is read; `values` are what was read before.
 * @throws OrthoError usage/option when a glob of `keys` selects nothing
 */
export const inspectWeights = (
  file: WeightFile,
  options: InspectWeightsOptions = {},
  { byKey, census, integrity }: WeightValues = { byKey: new Map(), census: undefined, integrity: [] },
): { data: InspectWeightsData; findings: readonly Finding[] } => {
  const { keys = [], depth, globals = false, detect } = options;
  const { dict, stateDict } = pick(file, options.stateDict);
  const { tensors } = dict;
  const selected = selectedOf(tensors, keys);
  const dtypes = dtypesOf([...tensors.values()].filter(({ sharedWith }) => sharedWith === undefined));
  const found = tensors.size === 0 ? undefined : detect?.(tensors);
  const { autopsy, findings: warnings } = autopsyOf(file);
  return {
    findings: [...file.findings, ...(globals ? warnings : []), ...(census?.findings ?? []), ...integrity],
    data: {
      format: file.format,
      tensors: [...selected].map(([name, { dtype, dims, data, sharedWith }]) => ({
        name,
        dtype,
        shape: [...dims],
        bytes: data.size,
        ...(sharedWith !== undefined && { sharedWith }),
        ...byKey.get(name),
      })),
      ...(keys.length > 0 && { selection: { keys: [...keys], of: tensors.size } }),
      parameters: sumOf(dtypes, 'parameters'),
      bytes: sumOf(dtypes, 'bytes'),
      dtypes,
      modules: moduleTree(tensors, depth),
      ...(depth !== undefined && { depth }),
      ...(dict.refused !== undefined && {
        refused: [...dict.refused].map(([name, { what }]) => ({ name, what })),
      }),
      stateDicts: file.stateDicts.map(({ path, tensors: each }) => ({ path, tensors: each.size })),
      stateDict,
      verdict: verdictOf(file),
      globals: [...file.globals],
      ...(globals && { autopsy }),
      metadata: Object.fromEntries(file.metadata),
      architecture: found?.isRecognised === true ? found.match.name : null,
      architectureMatch: found?.match ?? null,
      subnormals: census?.subnormals ?? null,
      nonFinite: census?.nonFinite ?? null,
    },
  };
};
