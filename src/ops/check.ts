/** The operator checker: what needs to know what operators mean. All faults at once, like the structural one. */
import type { Finding } from '../core/report.ts';
import { FindingList } from '../ir/check-context.ts';
import type { Model } from '../ir/model.ts';
import type { ModelProto } from '../proto/schema.ts';
import { checkSchemas } from './check-schema.ts';
import { checkTypes } from './check-types.ts';
import { checkWeights } from './check-weights.ts';

/**
 * Checks operators, types and stored values.
 * @param model the graph of `proto`; without it (its structure does not allow one) each node is judged alone
 * @returns the findings, errors first
 */
export const checkOperators = (proto: ModelProto, model: Model | undefined): Finding[] => {
  const findings = new FindingList();
  checkSchemas(proto, findings);
  if (model !== undefined) {
    checkTypes(model, findings);
    checkWeights(model, findings);
  }
  return findings.findings;
};
