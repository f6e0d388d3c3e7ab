/** Models for tests, written as ONNX text. */
import { modelFromProto } from '../../src/ir/from-proto.ts';
import type { Model } from '../../src/ir/model.ts';
import { modelToProto } from '../../src/ir/to-proto.ts';
import { parseModelText } from '../../src/proto/text/parse.ts';
import { printModelText } from '../../src/proto/text/print.ts';

/** The model of a text; text without a header gets IR 8 and opset 17. */
export const modelFromText = (text: string): Model => {
  const hasHeader = text.trimStart().startsWith('<');
  return modelFromProto(parseModelText(hasHeader ? text : `<ir_version: 8, opset_import: ["": 17]> ${text}`));
};

/** The text of a model, for golden comparisons. */
export const textOfModel = (model: Model): string => printModelText(modelToProto(model));
