/**
 * An architecture from a module of the user's own: FILE.mjs exports `architecture` (or exports it as default), the
 * same plain object as the files in architectures/. Loading it runs its code, as asked for on the command line.
 */
import { existsSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { OrthoError } from '../core/errors.ts';
import { Value } from '../ir/value.ts';
import type { Architecture } from './architecture.ts';
import { architectureNamed } from './detect.ts';
import { Nn } from './nn.ts';

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;

const faultOf = (value: unknown): string | undefined => {
  if (!isRecord(value)) return 'it exports no object "architecture"';
  if (typeof value.name !== 'string' || value.name === '') return 'its "name" is not a text';
  if (typeof value.build !== 'function') return 'its "build" is not a function (nn, ...inputs) => outputs';
  const { inputs } = value;
  const isInput = (input: unknown): boolean =>
    isRecord(input) &&
    typeof input.name === 'string' &&
    Array.isArray(input.shape) &&
    input.shape.every((dim) => typeof dim === 'string' || (Number.isSafeInteger(dim) && dim > 0));
  if (!Array.isArray(inputs) || inputs.length === 0 || !inputs.every(isInput))
    return 'its "inputs" are not a list of { name, shape: [1, 3, 224, 224] }';
  return undefined;
};

const loadModule = async (file: string): Promise<Architecture> => {
  if (!existsSync(file))
    throw new OrthoError('file/not-found', `${file}: no such file`, {
      at: { file },
      hint: '--architecture takes a name or the path of a module that exports an architecture',
    });
  let loaded: unknown;
  try {
    loaded = await import(pathToFileURL(resolve(file)).href);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new OrthoError('config/invalid', `${file}: the module does not load: ${why}`, {
      at: { file },
      cause,
    });
  }
  const module = isRecord(loaded) ? loaded : {};
  const architecture = module.architecture ?? module.default;
  const fault = faultOf(architecture);
  if (fault !== undefined) {
    throw new OrthoError('config/invalid', `${file}: not an architecture: ${fault}`, {
      at: { file },
      hint: 'export const architecture = { name, summary, module, inputs, build(nn, input) { … } }',
    });
  }
  return guarded(file, architecture as Architecture);
};

/** The same architecture, whose own mistakes come out as errors that name the file. */
const guarded = (file: string, architecture: Architecture): Architecture => ({
  ...architecture,
  build: (nn, ...inputs) => {
    try {
      const outputs = architecture.build(nn, ...inputs);
      if (isRecord(outputs) && Object.values(outputs).length > 0) {
        if (Object.values(outputs).every((output) => output instanceof Value)) return outputs;
      }
    } catch (cause) {
      if (cause instanceof OrthoError && cause.code !== 'internal/bug') throw cause;
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new OrthoError('config/invalid', `${file}: build failed: ${why}`, {
        at: { file },
        hint: `the builder knows ${Object.getOwnPropertyNames(Nn.prototype).slice(1).join(', ')}`,
        cause,
      });
    }
    throw new OrthoError(
      'config/invalid',
      `${file}: build gave no outputs: an object name → value expected`,
      {
        at: { file },
      },
    );
  },
});

/** A registered architecture by name, or one from a module by path (anything that ends in .mjs, .js, .ts or .cjs). */
export const loadArchitecture = async (nameOrPath: string): Promise<Architecture> =>
  ['.mjs', '.js', '.cjs', '.ts', '.mts'].includes(extname(nameOrPath))
    ? loadModule(nameOrPath)
    : architectureNamed(nameOrPath);
