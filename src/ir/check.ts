/**
 * The structural checker: everything about a decoded model that can be judged without knowing what operators mean.
 * It reports all faults at once, in time linear in the model, and reads no tensor data but indices of sparse tensors.
 */
import type { Finding } from '../core/report.ts';
import type { GraphProto, ModelProto } from '../proto/schema.ts';
import { FindingList, Where } from './check-context.ts';
import { ExternalFiles } from './check-external.ts';
import { checkFunctions } from './check-function.ts';
import { checkGraph } from './check-graph.ts';
import { checkHeader } from './check-header.ts';
import type { Surroundings } from './check-scope.ts';
import { checkTraining } from './check-training.ts';
import { misfit } from './check-unknown.ts';

/**
 * Checks the structure of a model.
 * @param path the model's file; without it external data can be judged by its text only
 * @returns the findings, errors first
 */
export const checkStructure = (
  model: ModelProto,
  { path }: { readonly path?: string | undefined } = {},
): Finding[] => {
  const findings = new FindingList();
  const opsets = checkHeader(model, findings);
  const around: Surroundings = {
    findings,
    files: new ExternalFiles(path),
    opsets: opsets.size === 0 ? undefined : opsets,
    irVersion: model.irVersion ?? 0n,
    configurations: new Set(model.configuration.map(({ name = '' }) => name)),
  };
  const graph: GraphProto | undefined = model.graph;
  if (graph === undefined) {
    findings.error('no-graph', `the model has no graph${misfit(model, 7, 2)}`);
  }
  const names = graph ? checkGraph(graph, Where.graph, around) : new Map<string, number>();
  checkFunctions(model, around, new Set(names.keys()));
  checkTraining(model, around, names);
  return findings.findings;
};
