/** Input shapes: an architecture's own, with the sizes and the dynamic dimensions that the user asks for put in. */
import { OrthoError } from '../core/errors.ts';
import type { Dim, Shape } from '../ir/type.ts';
import type { Architecture } from './architecture.ts';
import { formatShape } from './shapes.ts';

/** Sizes for an input; without a name for the only one. */
export interface FixedShape {
  readonly name?: string | undefined;
  readonly dims: readonly number[];
}

/** A dimension that stays open, under a name. */
export interface DynamicDim {
  readonly input: string;
  readonly axis: number;
  readonly name: string;
}

/** Reads `input:0` and `batch` (of `--dynamic input:0=batch`). @throws OrthoError usage/option */
export const parseDynamicDim = (place: string, name: string): DynamicDim => {
  const [, input, axis] = /^(.*):(\d{1,3})$/s.exec(place) ?? [];
  if (input !== undefined && input !== '' && axis !== undefined && name !== '')
    return { input, axis: Number(axis), name };
  throw new OrthoError('usage/option', `--dynamic: "${place}=${name}" is not INPUT:AXIS=NAME`, {
    hint: 'write --dynamic input:0=batch',
  });
};

/** The inputs of an architecture as `--input-shape` would spell them. */
export const describeInputs = ({ inputs }: Architecture): string =>
  inputs.map(({ name, shape }) => `${name}=${shape.map((dim) => dim ?? '?').join(',')}`).join(' ');

const unknownInput = (architecture: Architecture, what: string): OrthoError =>
  new OrthoError('usage/input-shape', `${architecture.name} has no ${what}`, {
    hint: `its inputs: ${describeInputs(architecture)}`,
  });

/**
 * The shapes that differ from the architecture's own, by input name.
 * @throws OrthoError usage/input-shape for an input, a rank or a dimension that is not there, and for sizes below 1
 */
export const resolveShapes = (
  architecture: Architecture,
  fixed: readonly FixedShape[],
  dynamic: readonly DynamicDim[],
): Map<string, Shape> => {
  const shapes = new Map<string, Shape>();
  const own = (name: string): Shape => {
    const input = architecture.inputs.find((each) => each.name === name);
    if (input === undefined) throw unknownInput(architecture, `input "${name}"`);
    return input.shape;
  };
  for (const { name: given, dims } of fixed) {
    if (given === undefined && architecture.inputs.length !== 1)
      throw unknownInput(architecture, 'single input that a shape without a name could belong to');
    const name = given ?? architecture.inputs[0]!.name;
    const usual = own(name);
    if (dims.length !== usual.length || !dims.every((dim) => Number.isSafeInteger(dim) && dim > 0)) {
      throw new OrthoError(
        'usage/input-shape',
        `"${name}" cannot be ${formatShape(dims)}: ${usual.length} dimensions of at least 1 expected`,
        { at: { value: name }, hint: `its usual shape: ${describeInputs(architecture)}` },
      );
    }
    shapes.set(name, dims);
  }
  for (const { input, axis, name } of dynamic) {
    const shape: Dim[] = [...(shapes.get(input) ?? own(input))];
    if (axis >= shape.length)
      throw unknownInput(architecture, `dimension ${axis} of "${input}": ${formatShape(shape)}`);
    shape[axis] = name;
    shapes.set(input, shape);
  }
  return shapes;
};
