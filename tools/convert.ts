import { caseOptions, outputOption } from '../src/cli/common-options.ts';
import { argument, assignment, choice, flag, integer, namedShape, path, text } from '../src/cli/options.ts';
import { defineTool } from '../src/cli/tool.ts';

export const tool = defineTool({
  name: 'convert',
  summary: 'a checkpoint becomes an ONNX model',
  description:
    'Recognises the architecture by its keys, which must match exactly. A reference proves the model, or nothing is written.',
  examples: [
    {
      command: 'ortho convert model.pth -o model.onnx --input x.npy --expect y.npy',
      says: "prove it against PyTorch's own output",
    },
    {
      command: 'ortho convert model.pth -o model.onnx --architecture ./my-net.mjs --dynamic input:0=batch',
      says: 'an architecture of your own, with a dynamic batch',
    },
  ],
  arguments: { source: argument('SRC', 'a PyTorch checkpoint, .safetensors or .npz') },
  options: {
    ...outputOption,
    architecture: text('NAME|FILE.mjs', 'the architecture (default: recognised by the keys)'),
    stateDict: text('PATH', 'the state dict inside the file, if there are several', { mayBeEmpty: true }),
    stripPrefix: text('P', 'strip P from the keys (default: module.)', { negatable: true }),
    rename: assignment('FROM=TO', 'rename keys that start with FROM', { repeat: true }),
    allowMissing: text('GLOB', 'keys that may be missing', { repeat: true }),
    allowUnexpected: text('GLOB', 'keys that are left out', { repeat: true }),
    opset: integer('N', 'operator set (default: 17)', { min: 1 }),
    inputShape: namedShape('NAME=1,3,224,224', 'fix the shape of an input', { repeat: true }),
    dynamic: assignment('NAME:0=batch', 'leave a dimension of an input open', { repeat: true }),
    dtype: choice(['float32', 'float16'], 'NAME', 'dtype of weights, inputs and outputs', {
      default: 'float32',
    }),
    keepSubnormals: flag('do not set subnormal weights to zero'),
    externalData: flag('write large weights into a file beside the model'),
    reference: path('CASE.npz', 'inputs and the outputs expected for them; a file or a folder'),
    ...caseOptions,
  },
  run: async ({ rename, inputShape, dynamic, input, expect, threads, timeout, memory, ...rest }, io) => {
    const { runtimes } = await import('../src/runtime/index.ts');
    const { sessionLimits } = await import('../src/cli/session-limits.ts');
    const session = sessionLimits({ threads, timeout, memory });
    // It starts while the rest is still loading.
    const process = runtimes['onnxruntime-node'].start({ ...session, signal: io.signal });
    const { convertCheckpoint } = await import('../src/jobs/convert.ts');
    const { parseDynamicDim } = await import('../src/convert/input-shapes.ts');
    return convertCheckpoint({
      ...rest,
      rename: rename.map(({ name = '', value }) => ({ from: name, to: value })),
      inputShapes: inputShape,
      dynamic: dynamic.map(({ name = '', value }) => parseDynamicDim(name, value)),
      inputs: input,
      expected: expect,
      session,
      process,
      io,
    });
  },
});
