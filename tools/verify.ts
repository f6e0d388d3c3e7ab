import { caseOptions } from '../src/cli/common-options.ts';
import { argument, choice, namedShape, path } from '../src/cli/options.ts';
import { defineTool } from '../src/cli/tool.ts';

export const tool = defineTool({
  name: 'verify',
  summary: 'numeric parity with a model or stored outputs',
  description:
    'Runs the candidate and compares every output. Exit 1 when one differs beyond the tolerance, and when nothing was ' +
    'compared. Without --tolerance: float32 |a-e| <= 1e-6 + 1e-4*|e| + 1e-5*max|e|; integers exact.',
  examples: [
    {
      command: 'ortho verify fast.onnx --reference model.onnx --shape x=1,3,320,320',
      says: 'the same made-up inputs through both models',
    },
    {
      command: 'ortho verify model.onnx --reference case.npz --tolerance atol:1e-4,rtol:1e-3',
      says: 'stored inputs and outputs; the keys are their names',
    },
    { command: 'ortho verify model.onnx --input x.npy --expect y.npy', says: 'single arrays, by position' },
  ],
  arguments: { candidate: argument('CANDIDATE', 'the ONNX model to verify') },
  options: {
    reference: path('REF', 'a model, a .npz case, a test_data_set_N folder, or a folder of such'),
    ...caseOptions,
    shape: namedShape('NAME=DIMS', 'dimensions of a made-up input', { repeat: true }),
    level: choice(['disabled', 'basic', 'extended', 'all'], 'LEVEL', 'levels to verify at (default: all)', {
      list: true,
    }),
    runtime: choice(['onnxruntime-node'], 'NAME', 'what runs the models', { default: 'onnxruntime-node' }),
  },
  run: async (
    { candidate, reference, input, expect, level, shape, threads, timeout, memory, ...rest },
    io,
  ) => {
    const { verifyModel } = await import('../src/jobs/verify.ts');
    const { sessionLimits } = await import('../src/cli/session-limits.ts');
    return verifyModel({
      ...rest,
      candidate,
      reference,
      inputs: input,
      expected: expect,
      shapes: shape,
      ...(level.length > 0 ? { levels: level } : {}),
      session: sessionLimits({ threads, timeout, memory }),
      io,
    });
  },
});
