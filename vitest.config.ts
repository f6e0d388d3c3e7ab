import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { configDefaults, defineConfig } from 'vitest/config';

const dist = fileURLToPath(new URL('./dist/', import.meta.url));

/** Tests name the sources and run the build: what is tested is what is shipped. */
export const builtSources = {
  find: /^(?:\.\.\/)+(src|tools|bench)\/(.*)\.ts$/,
  replacement: `${dist}$1/$2.js`,
};

/** Shared by the fast and the slow run. */
export const shared = {
  reporters: ['default', './test/closing-line.reporter.ts'],
  pool: 'forks',
} as const;

export default defineConfig({
  resolve: { alias: [builtSources] },
  test: {
    ...shared,
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, '**/*.slow.test.ts'],
    testTimeout: 60_000,
    // Most time goes into child processes that are waited for: two at once even on two cores.
    maxWorkers: Math.max(2, availableParallelism() - 1),
  },
});
