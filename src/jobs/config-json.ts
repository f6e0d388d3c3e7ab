/** What the configuration files of jobs have in common: JSON, and places inside of it. */
import { OrthoError } from '../core/errors.ts';

/** A place inside a file as people write it: `jobs[0].output`. */
export const configPlace = (path: readonly PropertyKey[]): string =>
  path
    .map((key, i) => (typeof key === 'number' ? `[${key}]` : `${i > 0 ? '.' : ''}${String(key)}`))
    .join('') || 'the top level';

/** @throws OrthoError config/invalid where the text is no JSON */
export const parseConfigJson = (path: string, text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new OrthoError('config/invalid', `${path}: not JSON: ${(cause as Error).message}`, {
      at: { file: path },
      cause,
    });
  }
};
