/**
 * What is in a weight file: tensors of its best state dict, all state dicts, metadata, and on request a census of
 * subnormal and non-finite values, which reads every tensor.
 */
import { countFloats, hasFloatCensus } from '../core/float-census.ts';
import type { Finding } from '../core/report.ts';
import { elementCount, type Tensor } from '../core/tensor.ts';
import type { WeightFile, WeightTensor } from '../formats/state-dict.ts';
import type { InspectWeightsData } from '../report/schemas/inspect.ts';

export interface InspectWeightsOptions {
  /** Read all tensors: subnormals, non-finite values, checksums. */
  readonly stats?: boolean;
  /** Which state dict's tensors are listed; the best one when left out. */
  readonly stateDict?: string | undefined;
  /** Names the architecture that these keys belong to, or gives null. */
  readonly detect?: (tensors: ReadonlyMap<string, Tensor>) => string | null;
}

interface Census {
  readonly subnormals: { tensors: number; elements: number };
  readonly nonFinite: { tensors: number; elements: number };
}

/** Shared tensors are counted once. */
const censusOf = (tensors: ReadonlyMap<string, WeightTensor>, findings: Finding[]): Census => {
  const census = { subnormals: { tensors: 0, elements: 0 }, nonFinite: { tensors: 0, elements: 0 } };
  const add = (to: { tensors: number; elements: number }, elements: number): void => {
    if (elements === 0) return;
    to.tensors++;
    to.elements += elements;
  };
  for (const [key, tensor] of tensors) {
    if (tensor.sharedWith !== undefined || !hasFloatCensus(tensor.dtype)) continue;
    const { subnormals, nans, infinities } = countFloats(tensor.dtype, tensor.data);
    add(census.subnormals, subnormals);
    add(census.nonFinite, nans + infinities);
    if (nans + infinities > 0) {
      findings.push({
        level: 'warning',
        rule: 'non-finite-weights',
        message: `"${key}" holds ${nans} NaN and ${infinities} infinite values`,
        at: { key },
      });
    }
  }
  if (census.subnormals.elements > 0) {
    const { tensors: count, elements } = census.subnormals;
    findings.push({
      level: 'note',
      rule: 'subnormal-weights',
      message: `${elements} subnormal values in ${count} tensors; they slow inference down`,
      hint: 'convert and optimize set them to zero',
    });
  }
  return census;
};

/**
 * The `data` of an inspect report for a weight file, and what was found on the way (the file's own findings first).
 * Without `stats` no tensor is read.
 */
export const inspectWeights = (
  file: WeightFile,
  { stats = false, stateDict, detect }: InspectWeightsOptions = {},
): { data: InspectWeightsData; findings: readonly Finding[] } => {
  const findings: Finding[] = [...file.findings];
  const listed =
    (stateDict === undefined ? file.stateDicts[0] : file.stateDicts.find(({ path }) => path === stateDict))
      ?.tensors ?? new Map<string, WeightTensor>();
  const own = [...listed.values()].filter(({ sharedWith }) => sharedWith === undefined);
  const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);
  const census = stats ? censusOf(listed, findings) : undefined;
  if (stats && file.checkIntegrity !== undefined) findings.push(...file.checkIntegrity());
  return {
    findings,
    data: {
      format: file.format,
      tensors: [...listed].map(([name, { dtype, dims, data, sharedWith }]) => ({
        name,
        dtype,
        shape: [...dims],
        bytes: data.size,
        ...(sharedWith === undefined ? {} : { sharedWith }),
      })),
      parameters: sum(own.map(({ dims }) => elementCount(dims))),
      bytes: sum(own.map(({ data }) => data.size)),
      stateDicts: file.stateDicts.map(({ path, tensors }) => ({ path, tensors: tensors.size })),
      globals: [...file.globals],
      metadata: Object.fromEntries(file.metadata),
      architecture: listed.size === 0 ? null : (detect?.(listed) ?? null),
      subnormals: census?.subnormals ?? null,
      nonFinite: census?.nonFinite ?? null,
    },
  };
};
