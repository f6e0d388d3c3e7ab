import { defineConfig } from 'vitest/config';
import { builtSources, shared } from './vitest.config.ts';

/** Whole-process, fuzz and kill tests: minutes, not seconds. Run by `npm run test:slow`. */
export default defineConfig({
  resolve: { alias: [builtSources] },
  test: {
    ...shared,
    include: ['test/**/*.slow.test.ts'],
    testTimeout: 300_000,
    fileParallelism: false,
    passWithNoTests: true,
  },
});
