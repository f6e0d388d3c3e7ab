import { defineConfig, mergeConfig } from 'vitest/config';
import fast from './vitest.config.ts';

/** Whole-process, fuzz and kill tests: minutes, not seconds. Run by `npm run test:slow`. */
export default mergeConfig(fast, defineConfig({ test: { testTimeout: 300_000, fileParallelism: false } }));
