/**
 * The job file of `ortho run`: JSON, checked before anything is done. Paths are relative to the file's folder.
 * The JSON Schema under schemas/ is generated from this definition.
 */
import { normalize } from 'node:path';
import * as z from 'zod';
import { OrthoError } from '../core/errors.ts';
import { FileSource } from '../core/source.ts';
import type { Frozen } from '../report/schemas/common.ts';
import { configPlace, parseConfigJson } from './config-json.ts';

const filePath = z.string().min(1);
const dims = z.array(z.int().min(1)).min(1);
const onRefusal = z.enum(['fail', 'report']);

const remap = z
  .strictObject({
    /** Removed from the front of every key; false keeps even `module.`. Default: `module.` is stripped. */
    stripPrefix: z.union([z.string(), z.literal(false)]),
    /** Old key (or prefix) to new. */
    rename: z.record(z.string(), z.string()),
    /** Path of the state dict inside the checkpoint. */
    stateDict: z.string(),
    allowMissing: z.array(z.string()),
    allowUnexpected: z.array(z.string()),
  })
  .partial();

const samples = z.strictObject({
  /** A folder (or file) of images, .npy or .npz. */
  path: filePath,
  /** Seeded square crops of the images; every third is kept apart to judge on. */
  crops: z.int().min(1).optional(),
  /** (pixel / 255 − mean) / std, per channel. */
  mean: z.array(z.number()).length(3).optional(),
  std: z.array(z.number().positive()).length(3).optional(),
});

const quantize = z.strictObject({
  scheme: z.enum(['dynamic', 'static']),
  output: filePath,
  calibrate: samples.optional(),
  evaluate: filePath.optional(),
  minSqnr: z.number().optional(),
  exclude: z.array(z.string()).optional(),
  /** What a model below the bar means: the job fails, or the report says so and the job goes on. */
  onRefusal: onRefusal.default('fail'),
});

const job = z.strictObject({
  name: z.string().min(1),
  /** A checkpoint, or an ONNX model (then nothing is converted). */
  source: filePath,
  /** Default: recognised by the keys. */
  architecture: z.string().optional(),
  remap: remap.optional(),
  opset: z.int().optional(),
  /** By input name. */
  inputShape: z.record(z.string(), dims).optional(),
  /** Stored inputs and outputs that the converted and the final model must reproduce: an .npz or a folder of them. */
  references: filePath.optional(),
  /** `[OUT=]atol:1e-4,rtol:1e-3` */
  tolerance: z.array(z.string()).optional(),
  optimize: z
    .strictObject({ target: z.enum(['onnx', 'ort', 'this-cpu']).default('onnx') })
    .default({ target: 'onnx' }),
  /** The optimised float model. */
  output: filePath,
  quantize: quantize.optional(),
});

const bench = z.strictObject({
  /** Jobs whose models run one after the other, as a pipeline does. */
  pipeline: z.array(z.string().min(1)).min(1),
  /** Seconds for all of it. */
  duration: z.number().positive().optional(),
  /** Input dimensions where a model leaves them open: job, then input. */
  shapes: z.record(z.string(), z.record(z.string(), dims)).optional(),
});

export const runConfig = z.strictObject({
  $schema: z.string().optional(),
  jobs: z.array(job).min(1),
  bench: bench.optional(),
  /** A manifest of the outputs: what is built is compared with the bytes recorded there. */
  manifest: filePath.optional(),
  /** Replace outputs that exist. */
  force: z.boolean().default(false),
});

export type RunConfig = Frozen<z.infer<typeof runConfig>>;
export type RunJob = RunConfig['jobs'][number];

/** @throws OrthoError file/not-found, config/invalid naming every fault by its path inside the file */
export const readRunConfig = (path: string): RunConfig => {
  const file = new FileSource(path);
  const text = new TextDecoder().decode(file.read(0, file.size));
  file.close();
  const result = runConfig.safeParse(parseConfigJson(path, text));
  if (!result.success) {
    const faults = result.error.issues.map((issue) => `${configPlace(issue.path)}: ${issue.message}`);
    throw new OrthoError('config/invalid', `${path}: ${faults.join('; ')}`, {
      at: { file: path },
      hint: 'schemas/run-config.schema.json describes the file',
    });
  }
  const { data } = result;
  const names = data.jobs.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined)
    throw new OrthoError('config/invalid', `${path}: two jobs are called "${twice}"`, { at: { file: path } });
  const outputs = data.jobs.flatMap(({ output, quantize }) =>
    [output, quantize?.output].flatMap((file) => (file === undefined ? [] : normalize(file))),
  );
  const shared = outputs.find((output, i) => outputs.indexOf(output) !== i);
  if (shared !== undefined) {
    throw new OrthoError('config/invalid', `${path}: two outputs are called "${shared}"`, {
      at: { file: path },
      hint: 'give each a name of its own',
    });
  }
  const stranger = [...(data.bench?.pipeline ?? []), ...Object.keys(data.bench?.shapes ?? {})].find(
    (name) => !names.includes(name),
  );
  if (stranger !== undefined) {
    throw new OrthoError('config/invalid', `${path}: bench names "${stranger}", which is no job`, {
      at: { file: path },
      hint: `the jobs are ${names.join(', ')}`,
    });
  }
  return data;
};
