/** The operator checker: what needs to know what operators mean. All faults at once, like the structural one. */
import type { Finding } from '../core/report.ts';
import { FindingList } from '../ir/check-context.ts';
import type { Model } from '../ir/model.ts';
import type { ModelProto } from '../proto/schema.ts';
import { checkSchemas } from './check-schema.ts';
import { checkTypes } from './check-types.ts';
import { CENSUS_LIMIT, checkWeights, type WeightCensus } from './check-weights.ts';

export interface OperatorCheck {
  /** Errors first. */
  readonly findings: Finding[];
  /** Multiply–accumulates of one run; null when a shape is unknown. */
  readonly macs: number | null;
  /** Special values among the weights; null when they were not read. */
  readonly census: WeightCensus | null;
}

/**
 * Checks operators, types and stored values.
 * @param model the graph of `proto`; without it (its structure does not allow one) each node is judged alone
 * @param censusLimit weights beyond this many bytes are not read
 */
export const checkOperators = (
  proto: ModelProto,
  model: Model | undefined,
  { censusLimit = CENSUS_LIMIT }: { readonly censusLimit?: number } = {},
): OperatorCheck => {
  const findings = new FindingList();
  checkSchemas(proto, findings);
  if (model === undefined) return { findings: findings.findings, macs: null, census: null };
  const macs = checkTypes(model, findings);
  const census = checkWeights(model, censusLimit, findings);
  return { findings: findings.findings, macs, census };
};
