/** The version of ortho: a constant, so that `--version` reads no file. A test holds it equal to package.json. */
export const VERSION = '0.1.0';
