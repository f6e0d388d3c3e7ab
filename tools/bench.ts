import { compareOptions } from '../src/cli/compare-options.ts';
import { exitCodeOfFindings } from '../src/cli/findings-exit.ts';
import {
  argumentList,
  assignment,
  choice,
  flag,
  integer,
  namedPath,
  namedShape,
  seconds,
} from '../src/cli/options.ts';
import { defineTool } from '../src/cli/tool.ts';
import { LEVELS, SPINNING } from '../src/runtime/session.ts';

export const tool = defineTool({
  name: 'bench',
  summary: 'latency, alone and together',
  description:
    'Times every model alone in a fresh process; several models then in one process, in turn, as a pipeline runs them, ' +
    'with idle threads spinning and not. With --baseline each model is compared with it in interleaved pairs over ' +
    'several fresh processes, until the answer is clear or the time is spent; models whose outputs differ on the same ' +
    'input are not compared and exit 1. A proven regression exits 1 where --max-regression allows less.',
  examples: [
    { command: 'ortho bench detector.onnx landmarks.onnx', says: 'two models, alone and as a pipeline' },
    { command: 'ortho bench new.onnx --baseline old.onnx --max-regression 5%', says: 'a gate for CI' },
    { command: 'ortho bench net.onnx --shape x=1,3,480,480', says: 'a model that leaves dimensions open' },
  ],
  arguments: { models: argumentList('MODEL', 'ONNX models') },
  options: {
    ...compareOptions,
    duration: seconds('S', 'time for everything (default: 10, and 2 a model beyond five)'),
    alone: flag('several models: do not measure them together'),
    workers: integer('N', 'also so many processes at once: inferences a second', { min: 1, max: 256 }),
    batch: integer('N,N', 'also batches of these sizes', { list: true, min: 1, max: 65536 }),
    profile: flag('where the time goes: nodes and operators, against what this machine can do'),
    plot: assignment('[KIND=]FILE.svg', 'draw distribution (default), timeline, contention or roofline', {
      repeat: true,
    }),
    spinning: choice(SPINNING, 'MODE', 'what idle threads of a session do', { default: 'default' }),
    level: choice(LEVELS, 'LEVEL', 'how far the runtime optimises when it loads', { default: 'all' }),
    input: namedPath('[NAME=]FILE', 'an input from a .npy file (default: random)', { repeat: true }),
    shape: namedShape('[NAME=]DIMS', 'dimensions of an input that leaves them open', { repeat: true }),
  },
  keepsPartial: true,
  run: async ({ models, baseline, batch, threads, timeout, memory, input, shape, ...rest }, io) => {
    const { benchModels } = await import('../src/jobs/bench.ts');
    const { sessionLimits } = await import('../src/cli/session-limits.ts');
    return benchModels({
      ...rest,
      batches: batch,
      models: models.map((file) => ({ file })),
      baseline: baseline === undefined ? undefined : { file: baseline },
      given: { files: input, shapes: shape },
      session: sessionLimits({ threads, timeout, memory }),
      io,
    });
  },
  exitCode: exitCodeOfFindings,
});
