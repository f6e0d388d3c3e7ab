import { compareOptions } from '../src/cli/compare-options.ts';
import { argumentList, choice, flag, namedPath, namedShape, seconds } from '../src/cli/options.ts';
import { defineTool } from '../src/cli/tool.ts';
import { ERROR_CODES, EXIT } from '../src/core/errors.ts';
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
    spinning: choice(SPINNING, 'MODE', 'what idle threads of a session do', { default: 'default' }),
    level: choice(LEVELS, 'LEVEL', 'how far the runtime optimises when it loads', { default: 'all' }),
    input: namedPath('[NAME=]FILE', 'an input from a .npy file (default: random)', { repeat: true }),
    shape: namedShape('[NAME=]DIMS', 'dimensions of an input that leaves them open', { repeat: true }),
  },
  run: async ({ models, baseline, threads, timeout, memory, input, shape, ...rest }, io) => {
    const { benchModels } = await import('../src/jobs/bench.ts');
    const { sessionLimits } = await import('../src/cli/session-limits.ts');
    return benchModels({
      ...rest,
      models: models.map((file) => ({ file })),
      baseline: baseline === undefined ? undefined : { file: baseline },
      given: { files: input, shapes: shape },
      session: sessionLimits({ threads, timeout, memory }),
      io,
    });
  },
  // A model that could not be measured is a finding under the name of its error.
  exitCode: ({ ok, findings }) => {
    const failed = findings.find(({ level, rule }) => level === 'error' && rule in ERROR_CODES);
    if (failed !== undefined) return ERROR_CODES[failed.rule as keyof typeof ERROR_CODES].exit;
    return ok ? EXIT.ok : EXIT.checkFailed;
  },
});
