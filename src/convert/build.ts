/** Builds the network of an architecture on the tensors of a state dict. */
import { OrthoError } from '../core/errors.ts';
import type { WeightTensor } from '../formats/state-dict.ts';
import type { Graph } from '../ir/graph.ts';
import { type Shape, tensorType } from '../ir/type.ts';
import type { Architecture } from './architecture.ts';
import { GraphWriter } from './graph-writer.ts';
import { describeInputs } from './input-shapes.ts';
import { type KeyMatch, matchKeys } from './match.ts';
import { Nn } from './nn.ts';
import { Parameters } from './parameters.ts';
import { formatShape } from './shapes.ts';

export interface BuildOptions {
  readonly opset: number;
  /** Shapes that replace the architecture's own, by input name. */
  readonly shapes?: ReadonlyMap<string, Shape>;
}

/** A network as its module describes it: batch norms not folded, all weights float32. */
export interface Network {
  readonly graph: Graph;
  readonly parameters: Parameters;
  readonly match: KeyMatch;
}

const construct = (
  architecture: Architecture,
  tensors: ReadonlyMap<string, WeightTensor>,
  { opset, shapes }: BuildOptions,
): Network => {
  const parameters = new Parameters(tensors, architecture.aliases);
  const writer = new GraphWriter(architecture.name, parameters, opset);
  const { graph } = writer;
  const inputs = architecture.inputs.map(({ name, shape }) =>
    graph.addInput(name, tensorType('float32', shapes?.get(name) ?? shape)),
  );
  const outputs = architecture.build(new Nn(writer), ...inputs);
  for (const [name, value] of Object.entries(outputs)) graph.addOutput(name, value);
  return { graph, parameters, match: matchKeys(parameters, architecture.deadKeys) };
};

/**
 * A network for its keys only, at the architecture's own input shapes: what it asks for and how well these tensors
 * fit. No weight is read.
 */
export const dryBuild = (architecture: Architecture, tensors: ReadonlyMap<string, WeightTensor>): Network =>
  construct(architecture, tensors, { opset: 17 });

/**
 * The network on these tensors. Faults of keys are in `match`; stand-ins take the place of tensors that do not fit.
 * @throws OrthoError usage/input-shape when an input has a shape that the network cannot take
 */
export const buildNetwork = (
  architecture: Architecture,
  tensors: ReadonlyMap<string, WeightTensor>,
  options: BuildOptions,
): Network => {
  const network = construct(architecture, tensors, options);
  if (options.shapes === undefined || options.shapes.size === 0) return network;
  const usual = dryBuild(architecture, tensors).parameters.requests;
  for (const [key, { shape }] of network.parameters.requests) {
    const expected = usual.get(key)?.shape;
    if (expected === undefined || formatShape(expected) === formatShape(shape)) continue;
    throw new OrthoError(
      'usage/input-shape',
      `with these input shapes "${key}" would have to be ${formatShape(shape)}, the architecture has ${formatShape(expected)}`,
      { at: { key }, hint: `the shape of ${architecture.name} is ${describeInputs(architecture)}` },
    );
  }
  return network;
};
