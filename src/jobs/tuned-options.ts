/**
 * The file that `ortho tune` writes: the fastest session options that were proven for some models on some machine, and the
 * evidence. The JSON Schema under schemas/ is generated from this definition.
 */
import * as z from 'zod';
import { OrthoError } from '../core/errors.ts';
import { FileSource } from '../core/source.ts';
import { machine, objective, sessionOptions } from '../report/schemas/tune.ts';
import { configPlace, parseConfigJson } from './config-json.ts';

/** Bytes of an options file. */
const MAX_OPTIONS = 1_000_000;
/** Models in an options file. */
const MAX_MODELS = 1000;

const evidence = z
  .strictObject({
    ratio: z.number().describe('Time with these options / time with the defaults'),
    ci95: z.tuple([z.number(), z.number()]).describe('95 % interval of the ratio'),
    sessions: z.int().min(1).describe('Fresh sessions that were measured'),
    p50: z.strictObject({ default: z.number(), tuned: z.number() }).describe('The objective, in ms'),
    parity: z.literal(true).describe('Outputs are those of the graph as written, within the tolerances'),
  })
  .describe('Why these options; null: nothing is proven faster than the defaults, which are kept');

export const tunedOptions = z
  .strictObject({
    schema: z.literal('session-options@1'),
    tool: z.literal('ortho'),
    version: z.string(),
    objective,
    models: z
      .array(
        z.strictObject({
          name: z.string().min(1),
          file: z.string().min(1).describe('Relative to the folder of this file, with /'),
          sha256: z.string().regex(/^[0-9a-f]{64}$/),
          bytes: z.int().min(0),
          session: sessionOptions.describe('What is left out is the default of the runtime'),
        }),
      )
      .min(1)
      .max(MAX_MODELS),
    machine: machine.describe('What the options were found on'),
    evidence: evidence.nullable(),
    interrupted: z.literal(true).describe('The search was cut short').optional(),
  })
  .describe('Session options that ortho tune found');

export type TunedOptions = z.infer<typeof tunedOptions>;
export type TunedModel = TunedOptions['models'][number];

/** @throws config/invalid for what is no options file; `path` names it */
export const checkTunedOptions = (path: string, value: unknown): TunedOptions => {
  const result = tunedOptions.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new OrthoError('config/invalid', `${path}: ${configPlace(issue!.path)}: ${issue!.message}`, {
    at: { file: path },
    hint: 'schemas/session-options.schema.json describes the file; ortho tune writes it',
  });
};

/** @throws file/not-found, file/limit, config/invalid */
export const readTunedOptions = (path: string): TunedOptions => {
  const source = new FileSource(path);
  try {
    if (source.size > MAX_OPTIONS) {
      throw new OrthoError(
        'file/limit',
        `${path}: ${source.size} bytes; an options file has at most ${MAX_OPTIONS}`,
        {
          at: { file: path },
        },
      );
    }
    const text = new TextDecoder().decode(source.read(0, source.size));
    return checkTunedOptions(path, parseConfigJson(path, text));
  } finally {
    source.close();
  }
};
