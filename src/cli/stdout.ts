/** Stdout of a command: results and help, nothing else. */
import { OrthoError } from '../core/errors.ts';

/**
 * Writes to stdout and waits until it is taken. A reader that went away (`| head`) is no error.
 * @throws OrthoError output/unwritable when stdout is a file on a full disk
 */
export const writeStdout = (text: string): Promise<void> =>
  new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => {
      if (error.code === 'EPIPE') resolve();
      else
        reject(
          new OrthoError('output/unwritable', `cannot write to stdout: ${error.message}`, { cause: error }),
        );
    };
    process.stdout.once('error', fail);
    process.stdout.write(text, (error) => {
      if (error) return fail(error);
      process.stdout.removeListener('error', fail);
      resolve();
    });
  });
