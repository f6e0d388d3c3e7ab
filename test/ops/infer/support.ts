/** What inference says of a model written as ONNX text (there `float` is a scalar, `float[]` of unknown rank). */
import type { Model } from '../../../src/ir/model.ts';
import type { ValueType } from '../../../src/ir/type.ts';
import { type Inference, inferShapes } from '../../../src/ops/infer/index.ts';
import type { Problem } from '../../../src/ops/infer/types.ts';
import { modelFromText } from '../../support/model-text.ts';

/** `float32[2,N,?]`, `float32` of unknown rank, `seq(…)`. */
export const show = (type: ValueType | undefined): string => {
  if (type === undefined) return '?';
  switch (type.kind) {
    case 'tensor':
    case 'sparse-tensor':
      return `${type.dtype ?? '?'}${type.shape ? `[${type.shape.map((dim) => dim ?? '?').join(',')}]` : ''}`;
    case 'sequence':
      return `seq(${show(type.element)})`;
    case 'optional':
      return `optional(${show(type.element)})`;
    case 'map':
      return `map(${type.key}, ${show(type.value)})`;
    default:
      return type.kind;
  }
};

export interface Inferred {
  readonly model: Model;
  readonly inference: Inference;
  readonly problems: Pick<Problem, 'level' | 'rule' | 'message'>[];
  /** Types of the model's outputs, by position. */
  readonly outputs: string[];
}

export const infer = (model: Model): Inferred => {
  const problems: Inferred['problems'] = [];
  const inference = inferShapes(model, {
    report: ({ level, rule, message }) => problems.push({ level, rule, message }),
  });
  return { model, inference, problems, outputs: model.graph.outputs.map((value) => show(value?.type)) };
};

/**
 * Infers a graph in ONNX text; its outputs' types are forgotten first.
 * @param opset of the standard domain
 */
export const inferText = (text: string, opset = 17, imports = ''): Inferred => {
  const header = `<ir_version: 9, opset_import: ["": ${opset}${imports}]>`;
  const model = modelFromText(`${header} ${text}`);
  model.graph.slots.forEach((slot, i) => {
    slot.type = undefined;
    const value = model.graph.outputs[i];
    if (value?.producer) value.type = undefined;
  });
  return infer(model);
};

/** One operator on inputs, e.g. `('float[1,3,8,8] x, float[4,3,3,3] w', 'Conv <strides = [2, 2]> (x, w)')`. */
export const inferOne = (
  inputs: string,
  call: string,
  opset = 17,
  outputs = ['y'],
  imports = '',
): Inferred => {
  const declared = outputs.map((name) => `float ${name}`).join(', ');
  return inferText(`g (${inputs}) => (${declared}) { ${outputs.join(', ')} = ${call} }`, opset, imports);
};
