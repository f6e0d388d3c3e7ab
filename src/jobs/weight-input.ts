/** A file whose weights a job wants to see: a file or folder of weights, or the initializers of an ONNX model. */
import { statSync } from 'node:fs';
import { extname } from 'node:path';
import { OrthoError } from '../core/errors.ts';
import type { Finding } from '../core/report.ts';
import { FileSource } from '../core/source.ts';
import { openWeights } from '../formats/index.ts';
import { sniff } from '../formats/sniff.ts';
import {
  type Json,
  pickStateDict,
  type RefusedReason,
  type StateDict,
  type WeightTensor,
} from '../formats/state-dict.ts';
import { allGraphs } from '../ir/graph.ts';
import { loadModel } from '../ir/load.ts';
import type { Model } from '../ir/model.ts';

export interface WeightInput {
  /** A weight format, or `onnx`. */
  readonly format: string;
  readonly dict: StateDict;
  /** Paths of the state dicts that were not chosen. */
  readonly others: readonly string[];
  readonly metadata: ReadonlyMap<string, Json>;
  readonly findings: readonly Finding[];
  close(): void;
}

/** Initializers by name; a name that an inner graph uses again gets `#2`, `#3`… */
const initializersOf = ({ graph }: Model): StateDict => {
  const tensors = new Map<string, WeightTensor>();
  const refused = new Map<string, RefusedReason>();
  for (const { initializers } of allGraphs(graph)) {
    for (const { name, initializer, sparseInitializer } of initializers) {
      let unique = name;
      for (let i = 2; tensors.has(unique) || refused.has(unique); i++) unique = `${name}#${i}`;
      if (initializer !== undefined) tensors.set(unique, initializer);
      else if (sparseInitializer !== undefined) {
        refused.set(unique, { what: 'a sparse initializer', hint: 'sparse initializers are not compared' });
      }
    }
  }
  return { path: '', tensors, refused };
};

const openModelWeights = (path: string, stateDict: string | undefined): WeightInput => {
  if (stateDict !== undefined) {
    throw new OrthoError('usage/conflict', `${path}: an ONNX model has no state dict "${stateDict}"`, {
      at: { file: path },
    });
  }
  const model = loadModel(path);
  return {
    format: 'onnx',
    dict: initializersOf(model),
    others: [],
    metadata: model.metadata,
    findings: [],
    close: () => model.close(),
  };
};

const isModel = (path: string): boolean => {
  if (statSync(path).isDirectory()) return false;
  if (extname(path).toLowerCase() === '.onnx') return true;
  const source = new FileSource(path);
  try {
    return sniff(source) === 'onnx';
  } finally {
    source.close();
  }
};

/**
 * Opens the weights at a path. Close it when the tensors are no longer needed.
 * @throws OrthoError what openWeights, pickStateDict and loadModel throw
 */
export const openWeightInput = (path: string, stateDict?: string): WeightInput => {
  let file: ReturnType<typeof openWeights>;
  try {
    file = openWeights(path);
  } catch (error) {
    const isStranger = error instanceof OrthoError && error.code === 'file/unknown-format';
    if (isStranger && isModel(path)) return openModelWeights(path, stateDict);
    throw error;
  }
  try {
    const dict = pickStateDict(file, path, stateDict);
    const others = file.stateDicts.flatMap((each) => (each === dict ? [] : [each.path]));
    const { format, metadata, findings } = file;
    return { format, dict, others, metadata, findings, close: () => file.close() };
  } catch (error) {
    file.close();
    throw error;
  }
};
