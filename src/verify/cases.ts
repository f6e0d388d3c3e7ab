/**
 * Stored cases: inputs and the outputs that are expected for them.
 *
 * - an `.npz` whose keys are the names of inputs and outputs (`in:NAME` and `out:NAME` where both share a name);
 * - `.npy` files, named or in the order of the model's inputs and outputs;
 * - a folder `test_data_set_N` of the ONNX backend tests: `input_0.pb`, `output_0.pb`… (TensorProto);
 * - a folder of such `.npz` files or of such folders.
 */
import { readdirSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { OrthoError } from '../core/errors.ts';
import { nearestNames } from '../core/nearest.ts';
import { FileSource } from '../core/source.ts';
import { type Tensor, tensorBytes, tensorOf } from '../core/tensor.ts';
import { readNpy } from '../formats/npy.ts';
import { readNpz } from '../formats/npz.ts';
import type { InputSpec } from './inputs.ts';
import { readTensorFile } from './tensor-file.ts';

export interface Case {
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly expected: ReadonlyMap<string, Tensor>;
}

/** A case that is read when it is its turn. */
export interface CaseSource {
  readonly name: string;
  read(): Case;
}

/** What the model takes and gives, in order. */
export interface Signature {
  readonly inputs: readonly InputSpec[];
  readonly outputs: readonly InputSpec[];
}

const TEST_DATA_SET = /^test_data_set_\d+$/;

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/** True where `path` names stored cases and not a model: a folder or an `.npz`. */
export const isCasePath = (path: string): boolean => isFolder(path) || /\.npz$/i.test(path);

const invalid = (file: string, message: string, hint?: string): OrthoError =>
  new OrthoError('verify/case', `${file}: ${message}`, {
    at: { file },
    ...(hint === undefined ? {} : { hint }),
  });

const listOf = (names: Iterable<string>): string => [...names].map((name) => `"${name}"`).join(', ');

/** Checks dtype and dims of a tensor against what the model declares. */
const checkFits = (file: string, what: string, tensor: Tensor, { name, dtype, shape }: InputSpec): void => {
  if (dtype !== undefined && dtype !== tensor.dtype) {
    const hint = `store it as ${dtype}, e.g. numpy.save(…, x.astype("${dtype}"))`;
    throw invalid(file, `${what} "${name}" is ${dtype}, found ${tensor.dtype}`, hint);
  }
  const fits =
    shape === undefined ||
    (shape.length === tensor.dims.length &&
      shape.every((dim, i) => typeof dim !== 'number' || dim === tensor.dims[i]));
  if (!fits) {
    const declared = shape.map((dim) => dim ?? '?').join(', ');
    throw invalid(file, `${what} "${name}" has shape [${declared}], found [${tensor.dims.join(', ')}]`);
  }
};

/** Sorts named tensors into inputs and expected outputs. @throws verify/case */
const sortByName = (file: string, tensors: ReadonlyMap<string, Tensor>, signature: Signature): Case => {
  const inputs = new Map<string, Tensor>();
  const expected = new Map<string, Tensor>();
  const inputSpecs = new Map(signature.inputs.map((spec) => [spec.name, spec]));
  const outputNames = new Set(signature.outputs.map(({ name }) => name));
  for (const [key, tensor] of tensors) {
    const [, prefix, rest = ''] = /^(in|out):(.*)$/s.exec(key) ?? [];
    if (inputSpecs.has(key)) inputs.set(key, tensor);
    else if (outputNames.has(key)) expected.set(key, tensor);
    else if (prefix === 'in' && inputSpecs.has(rest)) inputs.set(rest, tensor);
    else if (prefix === 'out' && outputNames.has(rest)) expected.set(rest, tensor);
    else {
      const known = [...inputSpecs.keys(), ...outputNames];
      const near = nearestNames(key, known, 1)[0];
      throw invalid(
        file,
        `"${key}" is neither an input nor an output of the model`,
        near === undefined ? `the model has ${listOf(known)}` : `did you mean "${near}"?`,
      );
    }
  }
  return completeCase(file, inputs, expected, signature);
};

const completeCase = (
  file: string,
  inputs: ReadonlyMap<string, Tensor>,
  expected: ReadonlyMap<string, Tensor>,
  signature: Signature,
): Case => {
  for (const spec of signature.inputs) {
    const tensor = inputs.get(spec.name);
    if (tensor === undefined) {
      throw invalid(
        file,
        `no tensor for the input "${spec.name}"`,
        `it holds ${listOf(inputs.keys()) || 'none'}`,
      );
    }
    checkFits(file, 'input', tensor, spec);
  }
  return { inputs, expected };
};

const npzCase = (path: string, signature: Signature, name: string): CaseSource => ({
  name,
  read: () => sortByName(path, readNpz(path), signature),
});

/** `input_0.pb`, `input_1.pb`… of a folder, in order. @throws verify/case when one is missing */
const numberedFiles = (folder: string, stem: string): string[] => {
  const numbers = readdirSync(folder)
    .map((file) => new RegExp(`^${stem}_(\\d+)\\.pb$`).exec(file)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .toSorted((a, b) => a - b);
  const gap = numbers.findIndex((number, i) => number !== i);
  if (gap >= 0) throw invalid(folder, `${stem}_${gap}.pb is missing`);
  return numbers.map((number) => join(folder, `${stem}_${number}.pb`));
};

const testDataSet = (folder: string, signature: Signature, name: string): CaseSource => ({
  name,
  read: () => {
    const take = (stem: string, specs: readonly InputSpec[]): Map<string, Tensor> =>
      new Map(
        numberedFiles(folder, stem).map((file, i) => {
          const spec = specs[i];
          if (spec === undefined) {
            throw invalid(file, `the model has only ${specs.length} ${stem}${specs.length === 1 ? '' : 's'}`);
          }
          return [spec.name, readTensorFile(file)];
        }),
      );
    return completeCase(
      folder,
      take('input', signature.inputs),
      take('output', signature.outputs),
      signature,
    );
  },
});

const byNumber = new Intl.Collator('en', { numeric: true });

/**
 * The cases at a path: one of an `.npz` or `test_data_set_N`, all of a folder, in the order of their names.
 * @throws file/not-found, verify/case when there is none
 */
export const findCases = (path: string, signature: Signature): CaseSource[] => {
  if (!isFolder(path)) return [npzCase(path, signature, basename(path, '.npz'))];
  const names = readdirSync(path).toSorted(byNumber.compare);
  if (names.some((name) => /^(input|output)_\d+\.pb$/.test(name))) {
    return [testDataSet(path, signature, basename(path))];
  }
  const cases = names.flatMap((name) => {
    const inner = join(path, name);
    if (/\.npz$/i.test(name)) return [npzCase(inner, signature, basename(name, '.npz'))];
    return TEST_DATA_SET.test(name) && isFolder(inner) ? [testDataSet(inner, signature, name)] : [];
  });
  if (cases.length === 0) {
    throw invalid(
      path,
      'no cases in this folder',
      'it needs .npz files, test_data_set_N folders or input_N.pb files',
    );
  }
  return cases;
};

/** A tensor file on the command line: `[NAME=]x.npy`. */
export interface NamedFile {
  readonly name?: string | undefined;
  readonly path: string;
}

/** A stored `.npy` read into memory, so that no file stays open. */
const loadNpy = (path: string): Tensor => {
  const source = new FileSource(path);
  try {
    const tensor = readNpy(source);
    return tensor.dtype === 'string' ? tensor : tensorOf(tensor.dtype, tensor.dims, tensorBytes(tensor));
  } finally {
    source.close();
  }
};

const assign = (
  files: readonly NamedFile[],
  specs: readonly InputSpec[],
  what: 'input' | 'output',
): Map<string, Tensor> => {
  const result = new Map<string, Tensor>();
  const isPositional = files.every(({ name }) => name === undefined);
  files.forEach(({ name, path }, i) => {
    const spec = name === undefined && isPositional ? specs[i] : specs.find((one) => one.name === name);
    if (spec === undefined || (isPositional && what === 'input' && files.length !== specs.length)) {
      const counts = `${files.length} file(s) without a name for ${specs.length} ${what}(s)`;
      throw new OrthoError(
        'usage/option',
        name === undefined
          ? `--${what === 'input' ? 'input' : 'expect'}: ${counts}`
          : `the model has no ${what} "${name}"`,
        { hint: `write NAME=FILE; the ${what}s are ${listOf(specs.map((one) => one.name))}` },
      );
    }
    if (result.has(spec.name)) {
      throw new OrthoError('usage/option', `two files for the ${what} "${spec.name}"`, {
        at: { file: path },
      });
    }
    const tensor = loadNpy(path);
    result.set(spec.name, tensor);
  });
  return result;
};

/** One case of `.npy` files. Without any name they are taken in order. @throws usage/option, verify/case */
export const caseOfFiles = (
  inputs: readonly NamedFile[],
  expected: readonly NamedFile[],
  signature: Signature,
): CaseSource => ({
  name: basename(inputs[0]?.path ?? expected[0]?.path ?? 'case', '.npy'),
  read: () =>
    completeCase(
      inputs[0]?.path ?? '--input',
      assign(inputs, signature.inputs, 'input'),
      assign(expected, signature.outputs, 'output'),
      signature,
    ),
});
