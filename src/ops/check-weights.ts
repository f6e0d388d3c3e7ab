/** Rules about stored values: NaN and infinities, and subnormals, which make some CPUs many times slower. */

import { OrthoError } from '../core/errors.ts';
import { countFloats, type FloatCensus, hasFloatCensus } from '../core/float-census.ts';
import type { Tensor } from '../core/tensor.ts';
import type { FindingList } from '../ir/check-context.ts';
import { allGraphs, type Graph } from '../ir/graph.ts';
import type { Model } from '../ir/model.ts';
import { quoted } from '../proto/quote.ts';

/** Weights above this many bytes are counted only when asked: it means reading them all. */
export const CENSUS_LIMIT = 256 * 2 ** 20;

export interface StoredTensor {
  readonly name: string;
  /** Whether it is a table of some operator (where NaN may separate entries) rather than a value of the graph. */
  readonly isTable: boolean;
  /** `initializer 'W'`, `Constant 'c' value` */
  readonly what: string;
  readonly tensor: Tensor;
}

function* storedIn(graph: Graph, prefix: string): Generator<StoredTensor> {
  for (const value of graph.initializers) {
    const what = `${prefix}initializer ${quoted(value.name)}`;
    if (value.initializer) yield { name: value.name, isTable: false, what, tensor: value.initializer };
    const sparse = value.sparseInitializer;
    if (sparse)
      yield {
        name: value.name,
        isTable: false,
        what: `${prefix}sparse initializer ${quoted(value.name)}`,
        tensor: sparse.values,
      };
  }
  for (const node of graph.nodes) {
    for (const [attribute, held] of node.attributes) {
      const name = node.outputs[0]?.name ?? '';
      const isTable = !node.is('Constant');
      const what = `${prefix}${node.qualifiedOp} ${quoted(name)} ${quoted(attribute).slice(1, -1)}`;
      if (held.kind === 'tensor') yield { name, isTable, what, tensor: held.value };
      else if (held.kind === 'sparse_tensor') yield { name, isTable, what, tensor: held.value.values };
      else if (held.kind === 'tensors') {
        for (const tensor of held.value) yield { name, isTable, what, tensor };
      }
    }
  }
}

/** Every tensor that a model stores: initializers and attributes, subgraphs and function bodies included. */
export function* storedTensors(model: Model): Generator<StoredTensor> {
  for (const graph of allGraphs(model.graph)) {
    yield* storedIn(graph, graph === model.graph ? '' : `${graph.owner?.qualifiedOp ?? 'subgraph'} body `);
  }
  for (const { name, body } of model.functions) {
    for (const graph of allGraphs(body)) yield* storedIn(graph, `function ${quoted(name).slice(1, -1)} `);
  }
}

/** Totals over all stored tensors. */
export interface ElementCount {
  readonly tensors: number;
  readonly elements: number;
}

export interface WeightCensus {
  readonly subnormals: ElementCount;
  readonly nonFinite: ElementCount;
}

/**
 * Counts special values over all stored tensors, reading each once.
 * @returns null when the float tensors exceed `limit` bytes
 * @throws OrthoError model/external-data when data beside the model cannot be read
 */
const countWeights = (
  model: Model,
  limit: number,
  each: (stored: StoredTensor, census: FloatCensus) => void,
): WeightCensus | null => {
  const stored = [...storedTensors(model)].filter(({ tensor }) => hasFloatCensus(tensor.dtype));
  const bytes = stored.reduce((sum, { tensor }) => sum + tensor.data.size, 0);
  if (bytes > limit) return null;
  const subnormals = { tensors: 0, elements: 0 };
  const nonFinite = { tensors: 0, elements: 0 };
  const add = (total: { tensors: number; elements: number }, elements: number): void => {
    if (elements === 0) return;
    total.tensors++;
    total.elements += elements;
  };
  for (const one of stored) {
    const census = countFloats(one.tensor.dtype, one.tensor.data);
    add(subnormals, census.subnormals);
    add(nonFinite, census.nans + census.infinities);
    each(one, census);
  }
  return { subnormals, nonFinite };
};

const checkOne = (
  { name, isTable, what, tensor }: StoredTensor,
  census: FloatCensus,
  findings: FindingList,
): void => {
  const { subnormals, nans, infinities } = census;
  const at = { value: name };
  if (nans > 0 || infinities > 0) {
    const parts = [...(nans > 0 ? [`${nans} NaN`] : []), ...(infinities > 0 ? [`${infinities} Inf`] : [])];
    // Infinities are how masks are written; they are no accident.
    findings.add(
      nans === 0 || isTable ? 'note' : 'warning',
      'non-finite-weights',
      `${what}: ${parts.join(', ')}`,
      at,
    );
  }
  if (subnormals > 0) {
    // Processors compute halves in single precision, where these are normal.
    findings.add(
      tensor.dtype === 'float16' ? 'note' : 'warning',
      'subnormal-weights',
      `${what}: ${subnormals} subnormal elements`,
      at,
      'subnormals can slow a model down many times; ortho optimize flushes them to zero',
    );
  }
};

/**
 * Reports special values tensor by tensor; a model too large to read is left alone, with a note.
 * @param limit bytes of weights up to which they are read
 */
export const checkWeights = (model: Model, limit: number, findings: FindingList): WeightCensus | null => {
  try {
    const census = countWeights(model, limit, (stored, counts) => checkOne(stored, counts, findings));
    if (census === null) {
      findings.note(
        'weights-not-read',
        `the weights exceed ${Math.round(limit / 2 ** 20)} MB: their values were not looked at`,
        undefined,
        '--stats reads them all',
      );
    }
    return census;
  } catch (error) {
    if (!(error instanceof OrthoError)) throw error;
    findings.note('weights-not-read', `the weights could not be read: ${error.message}`);
    return null;
  }
};
