/** Losses of the standard domain, and the optimisers of ai.onnx.preview.training. */
import { tensorType, type ValueType } from '../../ir/type.ts';
import type { Call } from './call.ts';
import type { Rule, RuleTable } from './types.ts';

/** scores [N, C, d…]: a scalar, or [N, d…] without reduction; log_prob looks like the scores. */
const loss: Rule = (call) => {
  const shape = call.atLeast(0, 2);
  const dtype = call.dtype(0);
  const kept = (call.string('reduction') ?? 'mean') === 'none';
  const dims = kept ? shape && [...shape.slice(0, 1), ...shape.slice(2)] : [];
  return [tensorType(dtype, dims), tensorType(dtype, shape)];
};

export const lossRules: RuleTable = {
  NegativeLogLikelihoodLoss: loss,
  SoftmaxCrossEntropyLoss: loss,
};

/**
 * Inputs: R, T, then per tensor X, G and `states` more, each kind together. Outputs: the new X, then the new states.
 */
const optimizer =
  (states: number): Rule =>
  (call: Call): (ValueType | undefined)[] => {
    const count = Math.floor((call.inputCount - 2) / (states + 2));
    const group = (kind: number): (ValueType | undefined)[] =>
      Array.from({ length: count }, (_, i) => call.type(2 + kind * count + i));
    return [group(0), ...Array.from({ length: states }, (_, i) => group(i + 2))].flat();
  };

export const trainingRules: RuleTable = {
  Adagrad: optimizer(1),
  Momentum: optimizer(1),
  Adam: optimizer(2),
  /** One gradient per name in `xs`, shaped like the inputs, which come first in the same order. */
  Gradient: (call) => call.node.outputs.map((_, i) => call.type(i)),
};
