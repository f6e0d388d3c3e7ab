/** The standard's own operator tests: what their stored outputs are, inference must say, or leave open. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { dtypeFromOnnx } from '../../../src/core/dtype.ts';
import { BytesSource } from '../../../src/core/source.ts';
import { modelFromProto } from '../../../src/ir/from-proto.ts';
import { decodeModel } from '../../../src/proto/decode.ts';
import { repository } from '../../support/golden.ts';
import { infer } from './support.ts';

interface Case {
  readonly name: string;
  readonly model: string;
  readonly outputs: Readonly<Record<string, readonly [dtype: number, dims: readonly number[]]>>;
}

const cases = JSON.parse(readFileSync(`${repository}test/golden/inference-cases.json`, 'utf8')) as Case[];

/** Outputs whose sizes no rule can know: they depend on the data itself. */
const DATA_DEPENDENT =
  /nonmaxsuppression|nonzero|unique|image_decoder|string_split|strnorm|test_loop|compress|sequence_model/;

test('no output has another type or shape than inferred, and few dimensions stay open', () => {
  const wrong: string[] = [];
  const open: string[] = [];
  let exact = 0;
  for (const item of cases) {
    const model = modelFromProto(decodeModel(new BytesSource(Buffer.from(item.model, 'base64'))));
    const { problems } = infer(model);
    wrong.push(...problems.map(({ message }) => `${item.name}: ${message}`));
    model.graph.slots.forEach(({ name }, i) => {
      const [dtype, dims] = item.outputs[name]!;
      const value = model.graph.outputs[i];
      const told = `${item.name} ${name}: ${value?.dtype} [${value?.shape}], really ${dtypeFromOnnx(dtype)} [${dims}]`;
      const shape = value?.shape;
      if (value?.dtype !== dtypeFromOnnx(dtype)) wrong.push(told);
      else if (
        shape &&
        (shape.length !== dims.length ||
          shape.some((dim, axis) => typeof dim === 'number' && dim !== dims[axis]))
      )
        wrong.push(told);
      else if (shape?.every((dim) => typeof dim === 'number')) exact++;
      else if (!DATA_DEPENDENT.test(item.name)) open.push(told);
    });
  }
  expect(wrong).toEqual([]);
  expect(open).toEqual([]);
  expect(exact).toBeGreaterThan(600);
});
