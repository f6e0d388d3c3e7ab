/**
 * The proof that a converted model is what it should be: it loads, it runs, and it agrees with the reference outputs
 * that are given. It works on a temporary file, which takes the output's name afterwards.
 */
import { OrthoError } from '../core/errors.ts';
import { numberToFloat16 } from '../core/half.ts';
import type { JobIo } from '../core/job-io.ts';
import { type Tensor, toFloat32, typedTensor } from '../core/tensor.ts';
import type { Graph } from '../ir/graph.ts';
import type { Model } from '../ir/model.ts';
import type { ValueType } from '../ir/type.ts';
import type { ParityData } from '../report/schemas/verify.ts';
import type { ProcessLimits, SessionOptions, SessionProcess } from '../runtime/session.ts';
import { type CaseSource, caseOfFiles, findCases, type NamedFile } from '../verify/cases.ts';
import type { InputSpec } from '../verify/inputs.ts';
import { parseTolerances } from '../verify/tolerance.ts';
import { proveParity, runReference } from './verify.ts';

export interface ConvertProofOptions {
  /** An `.npz` whose keys are the names of inputs and outputs, or a folder of cases. */
  readonly reference?: string | undefined;
  /** In place of a reference: `.npy` files. */
  readonly inputs?: readonly NamedFile[];
  readonly expected?: readonly NamedFile[];
  /** `[OUT=]atol:1e-4,rtol:1e-3` */
  readonly tolerance?: readonly string[];
  readonly session?: Omit<SessionOptions, 'level'> & ProcessLimits;
  readonly seed?: number;
}

/** Proof options and the process that runs the models. */
type InProcess = ConvertProofOptions & { readonly process: SessionProcess };

/** @throws usage/conflict, usage/option */
export const checkProofOptions = ({ reference, inputs = [], expected = [] }: ConvertProofOptions): void => {
  if (reference !== undefined && inputs.length + expected.length > 0)
    throw new OrthoError('usage/conflict', '--reference and --input/--expect exclude each other');
  if (inputs.length > 0 !== expected.length > 0) {
    const [has, lacks] = inputs.length > 0 ? ['--input', '--expect'] : ['--expect', '--input'];
    throw new OrthoError('usage/option', `${has} without ${lacks} proves nothing`, {
      hint: 'give both: the input and the output that PyTorch computed for it',
    });
  }
};

/** Halves tell nothing about the reference's own dtype: what is stored in float32 is compared in float16. */
const isHalfGraph = (graph: Graph): boolean => graph.inputs.some(({ dtype }) => dtype === 'float16');

const specOf = (name: string, type: ValueType | undefined, isHalf: boolean): InputSpec => ({
  name,
  dtype: isHalf || type?.kind !== 'tensor' ? undefined : type.dtype,
  shape: type?.kind === 'tensor' ? type.shape : undefined,
});

const asHalf = (tensor: Tensor): Tensor =>
  tensor.dtype === 'float16'
    ? tensor
    : typedTensor('float16', tensor.dims, Uint16Array.from(toFloat32(tensor), numberToFloat16));

const halved = (source: CaseSource): CaseSource => ({
  name: source.name,
  read: () => {
    const { inputs, expected } = source.read();
    const convert = (tensors: ReadonlyMap<string, Tensor>): Map<string, Tensor> =>
      new Map([...tensors].map(([name, tensor]) => [name, asHalf(tensor)]));
    return { inputs: convert(inputs), expected: convert(expected) };
  },
});

const casesFor = (graph: Graph, options: ConvertProofOptions): readonly CaseSource[] => {
  const { reference, inputs = [], expected = [] } = options;
  const isHalf = isHalfGraph(graph);
  const signature = {
    inputs: graph.inputs.map(({ name, type }) => specOf(name, type, isHalf)),
    outputs: graph.slots.map(({ name, type }) => specOf(name, type, isHalf)),
  };
  const cases =
    reference === undefined ? [caseOfFiles(inputs, expected, signature)] : findCases(reference, signature);
  return isHalf ? cases.map(halved) : cases;
};

/** Loads the model at level `disabled` and runs it once on made-up inputs. @throws runtime/* */
const tryOut = async (model: Model, path: string, io: JobIo, options: InProcess): Promise<void> => {
  const { session, seed, process } = options;
  const { cases, refusal } = await runReference({
    model,
    path,
    process,
    io,
    ...(session === undefined ? {} : { session }),
    ...(seed === undefined ? {} : { seed }),
  });
  if (cases.length === 0 && refusal !== undefined) throw refusal;
};

/**
 * Proves the model, which lies in the file `candidate`, as far as there is something to prove it with.
 * @returns the record of parity, or null where no reference was given and the model was only tried out
 * @throws verify/nothing-compared, verify/case, output/unwritable, runtime/*
 */
export const proveConverted = async (
  model: Model,
  candidate: string,
  io: JobIo,
  options: InProcess,
): Promise<ParityData | null> => {
  const { reference, inputs = [], session, process } = options;
  if (reference === undefined && inputs.length === 0) {
    await tryOut(model, candidate, io, options);
    return null;
  }
  return proveParity({
    candidate,
    reference: reference ?? inputs.map(({ path }) => path).join(', '),
    cases: casesFor(model.graph, options),
    tolerances: parseTolerances(options.tolerance ?? []),
    // As users will run it: at the runtime's default level.
    levels: ['all'],
    process,
    io,
    ...(session === undefined ? {} : { session }),
  });
};
