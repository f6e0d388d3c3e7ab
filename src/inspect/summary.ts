/**
 * The quick look at a model: its graph, shapes and weights, without the checker. Only a plain model that shows no fault
 * on the way is done with; for any other the caller runs the checker, which says what is wrong in full.
 */
import { OrthoError } from '../core/errors.ts';
import type { Finding } from '../core/report.ts';
import { FindingList } from '../ir/check-context.ts';
import { modelFromProto } from '../ir/from-proto.ts';
import { allNodes } from '../ir/graph.ts';
import type { Model } from '../ir/model.ts';
import { CENSUS_LIMIT, checkWeights, type WeightCensus } from '../ops/check-weights.ts';
import { inferShapes } from '../ops/infer/index.ts';
import { ruleOf } from '../ops/infer/rules.ts';
import { DATA_LOCATION, type ModelProto } from '../proto/schema.ts';

export interface Summary {
  readonly findings: readonly Finding[];
  readonly macs: number | null;
  readonly census: WeightCensus | null;
}

/** Whether a model uses nothing but the common parts of ONNX, so that reading it meets what could be wrong with them. */
const isPlain = ({ irVersion = 0n, opsetImport, graph, ...rest }: ModelProto): boolean =>
  irVersion >= 3n &&
  irVersion <= 14n &&
  opsetImport.length === 1 &&
  !opsetImport[0]?.domain &&
  (opsetImport[0]?.version ?? 0n) >= 1n &&
  (opsetImport[0]?.version ?? 0n) <= 28n &&
  rest.functions.length + rest.trainingInfo.length + rest.configuration.length === 0 &&
  graph !== undefined &&
  graph.sparseInitializer.length + graph.quantizationAnnotation.length === 0 &&
  graph.initializer.every(({ dataLocation }) => dataLocation !== DATA_LOCATION.external);

const read = (proto: ModelProto, path: string): Model | undefined => {
  try {
    return modelFromProto(proto, { path });
  } catch (error) {
    if (error instanceof OrthoError && error.code !== 'internal/bug') return undefined;
    throw error;
  }
};

/**
 * @param censusLimit weights beyond this many bytes are not read
 * @returns undefined when the model wants the checker
 */
export const summarise = (
  proto: ModelProto,
  path: string,
  censusLimit: number = CENSUS_LIMIT,
): Summary | undefined => {
  if (!isPlain(proto)) return undefined;
  const model = read(proto, path);
  if (model === undefined) return undefined;
  for (const { domain, op } of allNodes(model.graph)) if (ruleOf(domain, op) === undefined) return undefined;
  let hasProblem = false;
  const { macs } = inferShapes(model, {
    dryRun: true,
    report: () => {
      hasProblem = true;
    },
  });
  if (hasProblem) return undefined;
  const findings = new FindingList();
  const census = checkWeights(model, censusLimit, findings);
  return { findings: findings.findings, macs, census };
};
