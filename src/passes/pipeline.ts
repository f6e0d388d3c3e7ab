/**
 * Runs passes over a model, its nested graphs and its functions, in rounds, until a round changes nothing.
 */
import { allGraphs, type Graph } from '../ir/graph.ts';
import { memoryOf } from '../ir/memory.ts';
import type { Model } from '../ir/model.ts';
import type { Value } from '../ir/value.ts';
import type { PassResultData } from '../report/schemas/optimize.ts';
import type { Pass, PassContext } from './pass.ts';

export interface PipelineOptions {
  /** Default: 10. A round is every pass once; a well-behaved set of passes needs two or three. */
  readonly maxRounds?: number;
  /** Called after each pass that changed something; what it throws ends the pipeline. */
  readonly verifyEach?: (pass: Pass) => void;
  /** Called before each pass. */
  readonly onPass?: (pass: Pass, round: number) => void;
}

export interface PipelineResult {
  readonly changes: number;
  readonly rounds: number;
  /** In the order of the passes: changes and time over all rounds, reasons of the last round. */
  readonly perPass: readonly PassResultData[];
}

interface Tally {
  readonly pass: Pass;
  changes: number;
  ms: number;
  declined: Map<string, number>;
}

/** Values that an annotation names in any graph of this nest. */
const annotatedValues = (graph: Graph): Set<Value> => {
  const values = new Set<Value>();
  for (const one of allGraphs(graph)) {
    for (const { value, parameters } of memoryOf(one)?.annotations.values() ?? []) {
      for (const named of [value, ...parameters]) if (named !== undefined) values.add(named);
    }
  }
  return values;
};

const createContext = (model: Model, graph: Graph, opset: number, tally: Tally): PassContext => {
  const annotated = annotatedValues(graph);
  return {
    model,
    opset,
    decline(reason) {
      tally.declined.set(reason, (tally.declined.get(reason) ?? 0) + 1);
      return false;
    },
    isPinned: (value) => value.isPinned || annotated.has(value),
  };
};

const runPass = (model: Model, tally: Tally): number => {
  const { pass } = tally;
  tally.declined = new Map();
  let changes = pass.run(model.graph, createContext(model, model.graph, model.opset, tally));
  if (pass.worksInFunctions) {
    for (const { body, opsets } of model.functions) {
      changes += pass.run(body, createContext(model, body, opsets.get('') ?? 0, tally));
    }
  }
  return changes;
};

/** Runs the passes in order, in rounds, and edits the model in place. */
export const runPipeline = (
  model: Model,
  passes: readonly Pass[],
  options: PipelineOptions = {},
): PipelineResult => {
  const { maxRounds = 10, verifyEach, onPass } = options;
  const tallies: Tally[] = passes.map((pass) => ({ pass, changes: 0, ms: 0, declined: new Map() }));
  let total = 0;
  let rounds = 0;
  for (let before = -1; before !== total && rounds < maxRounds; rounds++) {
    before = total;
    for (const tally of tallies) {
      onPass?.(tally.pass, rounds);
      const start = performance.now();
      const changes = runPass(model, tally);
      tally.ms += performance.now() - start;
      tally.changes += changes;
      total += changes;
      if (changes > 0) verifyEach?.(tally.pass);
    }
  }
  const perPass = tallies.map(({ pass, changes, ms, declined }) => ({
    name: pass.name,
    changes,
    ms: Math.round(ms * 1000) / 1000,
    declined: [...declined]
      .map(([reason, count]) => ({ reason, count }))
      .toSorted((a, b) => b.count - a.count),
  }));
  return { changes: total, rounds, perPass };
};
