/** The registry of inference: what each operator's rule is, by domain. A new operator is one rule in a family's table. */
import { canonicalDomain } from '../schemas.ts';
import { attentionRules, flexAttention } from './attention.ts';
import { contribRules } from './contrib.ts';
import { controlRules } from './control.ts';
import { convolutionRules } from './convolution.ts';
import { detectionRules } from './detection.ts';
import { elementwiseRules } from './elementwise.ts';
import { arithmeticEvaluators } from './evaluate-arithmetic.ts';
import { movementEvaluators } from './evaluate-movement.ts';
import { generatorRules } from './generator.ts';
import { indexingRules } from './indexing.ts';
import { matrixRules } from './matrix.ts';
import { mlRules } from './ml.ts';
import { movementRules } from './movement.ts';
import { normalizationRules } from './normalization.ts';
import { poolingRules } from './pooling.ts';
import { quantizationRules } from './quantization.ts';
import { recurrentRules } from './recurrent.ts';
import { reductionRules } from './reduction.ts';
import { reshapeRules } from './reshape.ts';
import { resizeRules } from './resize.ts';
import { sequenceRules } from './sequence.ts';
import { signalRules } from './signal.ts';
import { textRules } from './text.ts';
import { lossRules, trainingRules } from './training.ts';
import type { Evaluator, Rule, RuleTable } from './types.ts';

/** Operator families, by domain. */
export const ruleFamilies = {
  '': [
    elementwiseRules,
    convolutionRules,
    poolingRules,
    normalizationRules,
    matrixRules,
    reshapeRules,
    movementRules,
    generatorRules,
    reductionRules,
    indexingRules,
    resizeRules,
    recurrentRules,
    attentionRules,
    quantizationRules,
    signalRules,
    detectionRules,
    sequenceRules,
    textRules,
    lossRules,
    controlRules,
  ],
  'ai.onnx.ml': [mlRules],
  'ai.onnx.preview': [{ FlexAttention: flexAttention }],
  'ai.onnx.preview.training': [trainingRules],
  'com.microsoft': [contribRules],
} as const satisfies Record<string, readonly RuleTable[]>;

const rules: ReadonlyMap<string, ReadonlyMap<string, Rule>> = new Map(
  Object.entries(ruleFamilies).map(([domain, families]) => [
    domain,
    new Map(families.flatMap((family) => Object.entries(family))),
  ]),
);

const evaluators: ReadonlyMap<string, Evaluator> = new Map(
  Object.entries({ ...arithmeticEvaluators, ...movementEvaluators }),
);

/** The rule of an operator, or undefined where there is none. */
export const ruleOf = (domain: string, op: string): Rule | undefined =>
  rules.get(canonicalDomain(domain))?.get(op);

/** How values follow through an operator of the standard domain, or undefined. */
export const evaluatorOf = (domain: string, op: string): Evaluator | undefined =>
  canonicalDomain(domain) === '' ? evaluators.get(op) : undefined;
