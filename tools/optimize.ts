import { outputOption } from '../src/cli/common-options.ts';
import { argument, choice, flag, namedShape, text } from '../src/cli/options.ts';
import { defineTool } from '../src/cli/tool.ts';

export const tool = defineTool({
  name: 'optimize',
  summary: "graph passes, then the runtime's own level",
  description:
    'Runs the passes of ortho, lets ONNX Runtime add its own, and proves the result against the input, with the ' +
    "runtime's optimiser off and on. Where parity fails, what broke it is left out; where that does not help, nothing is written.",
  examples: [
    { command: 'ortho optimize model.onnx -o fast.onnx', says: 'standard ONNX, loads anywhere' },
    {
      command: 'ortho optimize model.onnx -o fast.onnx --target ort',
      says: 'with operators of com.microsoft: ONNX Runtime only, any CPU',
    },
    {
      command: 'ortho optimize model.onnx -o clean.onnx --level disabled --skip flush-subnormals',
      says: 'the own passes only, without one of them',
    },
  ],
  arguments: { input: argument('IN', 'the ONNX model') },
  options: {
    ...outputOption,
    target: choice(['onnx', 'ort', 'this-cpu'], 'NAME', 'where the result must run', { default: 'onnx' }),
    level: choice(
      ['disabled', 'basic', 'extended', 'all'],
      'LEVEL',
      "the runtime's level (default: the target's)",
    ),
    passes: text('A,B', 'only these passes', { list: true }),
    skip: text('A,B', 'not these passes', { list: true }),
    tolerance: text('[OUT=]atol:N,rtol:N', 'how far outputs may be (also max:N)', { repeat: true }),
    shape: namedShape('NAME=DIMS', 'dimensions of an input to prove with', { repeat: true }),
    allowUnproved: flag('where the runtime cannot run the model: own passes only, and no proof'),
  },
  run: async ({ shape, threads, timeout, memory, ...rest }, io) => {
    const { optimizeModel } = await import('../src/jobs/optimize.ts');
    const { sessionLimits } = await import('../src/cli/session-limits.ts');
    return optimizeModel({
      ...rest,
      shapes: shape,
      session: sessionLimits({ threads, timeout, memory }),
      io,
    });
  },
});
