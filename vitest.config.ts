import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const dist = fileURLToPath(new URL('./dist/', import.meta.url));

/** Tests name the sources and run the build: what is tested is what is shipped. */
export const builtSources = {
  find: /^(?:\.\.\/)+(src|tools|bench)\/(.*)\.ts$/,
  replacement: `${dist}$1/$2.js`,
};

export default defineConfig({
  resolve: { alias: [builtSources] },
  test: {
    include: ['test/**/*.test.ts'],
    reporters: ['default', './test/closing-line.reporter.ts'],
    testTimeout: 30_000,
    pool: 'forks',
  },
});
