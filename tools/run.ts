import { argument, flag } from '../src/cli/options.ts';
import { defineTool } from '../src/cli/tool.ts';

export const tool = defineTool({
  name: 'run',
  summary: 'a whole job file',
  description:
    'Runs every job of a JSON file from its source to proven artifacts: inspect, convert, optimize, verify, quantize; then ' +
    'benches the models of its pipeline alone and together. Paths in the file are relative to it; ' +
    'schemas/run-config.schema.json describes it.',
  examples: [
    { command: 'ortho run models/demo.json', says: 'build and prove the committed models' },
    { command: 'ortho run job.json --json', says: 'every report of every step, in one object' },
  ],
  arguments: { config: argument('CONFIG', 'the job file') },
  options: {
    updateManifest: flag('record the bytes that were built instead of comparing them with the record'),
  },
  run: async ({ config, updateManifest, force, seed, threads, timeout, memory }, io) => {
    const { runJobs } = await import('../src/jobs/run.ts');
    const { sessionLimits } = await import('../src/cli/session-limits.ts');
    return runJobs({
      config,
      updateManifest,
      force,
      seed,
      session: sessionLimits({ threads, timeout, memory }),
      io,
    });
  },
});
