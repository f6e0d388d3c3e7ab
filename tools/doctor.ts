import {
  argumentList,
  choice,
  flag,
  namedPath,
  namedShape,
  path,
  seconds,
  text,
} from '../src/cli/options.ts';
import { defineTool } from '../src/cli/tool.ts';
import { ERROR_CODES, EXIT } from '../src/core/errors.ts';
import { LEVELS, SPINNING } from '../src/runtime/session.ts';

export const tool = defineTool({
  name: 'doctor',
  summary: 'why is it slow, or wrong',
  description:
    'Runs experiments that decide between causes, on models the way you run them: each is measured with its cause and without, ' +
    'in turns, in fresh processes, and named when it surely costs more than a tenth. A checkpoint is converted first; ' +
    'a job file of ortho run stands for its pipeline. Exits 0 when all was examined, whatever was found.',
  examples: [
    { command: 'ortho doctor model.onnx', says: 'what slows this model down' },
    { command: 'ortho doctor a.onnx b.onnx --threads 4', says: 'two models in one process, 4 threads each' },
    { command: 'ortho doctor models/demo.json', says: 'the pipeline of a job file' },
    { command: 'ortho doctor weights.pth --no-strip-prefix', says: 'a checkpoint, loaded as it is' },
  ],
  arguments: { subjects: argumentList('MODEL|CONFIG', 'ONNX models, checkpoints, or one job file') },
  options: {
    duration: seconds('S', 'time for everything, about (default: 20, and 10 a model beyond the first)'),
    reference: path('MODEL|CASE.npz', 'what the outputs of every model should be'),
    failOnCause: flag('exit 1 when a cause is found'),
    spinning: choice(SPINNING, 'MODE', 'what idle threads of a session do', { default: 'default' }),
    level: choice(LEVELS, 'LEVEL', 'how far the runtime optimises when it loads', { default: 'all' }),
    parallel: flag('run independent branches at the same time'),
    arena: flag('give memory back after each run', { default: true }),
    prepacking: flag('leave weights as they are in the file', { default: true }),
    input: namedPath('[NAME=]FILE', 'an input from a .npy file (default: random)', { repeat: true }),
    shape: namedShape('[NAME=]DIMS', 'dimensions of an input that leaves them open', { repeat: true }),
    architecture: text('NAME|FILE.mjs', 'of a checkpoint (default: recognised by the keys)'),
    stripPrefix: text('P', 'strip P from the keys of a checkpoint (default: module.)', { negatable: true }),
  },
  run: async ({ threads, timeout, memory, input, shape, ...rest }, io) => {
    const { examineModels } = await import('../src/jobs/doctor.ts');
    const { sessionLimits } = await import('../src/cli/session-limits.ts');
    const session = sessionLimits({ threads, timeout, memory });
    return examineModels({ ...rest, given: { files: input, shapes: shape }, session, io });
  },
  exitCode: ({ findings, data }, { failOnCause }) => {
    const failed = findings.find(({ level, rule }) => level === 'error' && rule in ERROR_CODES);
    if (failed !== undefined) return ERROR_CODES[failed.rule as keyof typeof ERROR_CODES].exit;
    return failOnCause && data.causes.length > 0 ? EXIT.checkFailed : EXIT.ok;
  },
});
