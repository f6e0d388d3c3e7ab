import { outputOption } from '../src/cli/common-options.ts';
import { exitCodeOfFindings } from '../src/cli/findings-exit.ts';
import { argumentList, choice, namedPath, namedShape, percent, seconds, text } from '../src/cli/options.ts';
import { defineTool } from '../src/cli/tool.ts';

export const tool = defineTool({
  name: 'tune',
  summary: 'the fastest session options for this machine',
  description:
    'Searches session options (threads, level, spinning, arena, memory pattern, parallel branches, prepacking) by ' +
    'successive halving, proves the best against the defaults in fresh processes, and writes what is proven faster for ' +
    'createTunedSession, or else the defaults. Options that change the outputs are left out. --threads is the most that is tried. Ctrl-C keeps what was found.',
  examples: [
    { command: 'ortho tune model.onnx -o options.json', says: 'half a minute for one model' },
    {
      command: 'ortho tune detector.onnx landmarks.onnx -o options.json --duration 120',
      says: 'two models in one process, in turn',
    },
    {
      command: 'ortho tune a.onnx b.onnx -o options.json --objective throughput',
      says: 'a process each, all at the same time: cores are split between them',
    },
  ],
  arguments: { models: argumentList('MODEL', 'ONNX models that run together') },
  options: {
    ...outputOption,
    objective: choice(
      ['latency', 'throughput'],
      'NAME',
      'the sum of the stages, or the slowest of stages side by side',
      {
        default: 'latency',
      },
    ),
    duration: seconds('S', 'time for everything', { default: 30 }),
    margin: percent('P', 'differences within this share count as none', { default: 0.03 }),
    tolerance: text('[OUT=]atol:N,rtol:N', 'how far outputs may be (also max:N)', { repeat: true }),
    input: namedPath('[NAME=]FILE', 'an input from a .npy file (default: random)', { repeat: true }),
    shape: namedShape('[NAME=]DIMS', 'dimensions of an input that leaves them open', { repeat: true }),
  },
  keepsPartial: true,
  run: async ({ tolerance, threads, timeout, memory, input, shape, ...rest }, io) => {
    const { tuneModels } = await import('../src/jobs/tune.ts');
    const { parseTolerances } = await import('../src/verify/tolerance.ts');
    const { sessionLimits } = await import('../src/cli/session-limits.ts');
    return tuneModels({
      ...rest,
      tolerances: parseTolerances(tolerance),
      given: { files: input, shapes: shape },
      session: sessionLimits({ threads, timeout, memory }),
      io,
    });
  },
  exitCode: exitCodeOfFindings,
});
