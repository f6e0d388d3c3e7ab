import { argument, choice, text } from '../src/cli/options.ts';
import { defineTool } from '../src/cli/tool.ts';

export const tool = defineTool({
  name: 'diff',
  summary: 'what differs between the weights of two files',
  description:
    'Compares keys, shapes, dtypes and values of two checkpoints, .safetensors or .npz files, or of the initializers of ' +
    'ONNX models (their graphs are not compared); the formats may differ. Tensors are matched by name; what is left, by ' +
    'content. Differences are shown, and end with exit 1 only under --fail-on.',
  examples: [
    { command: 'ortho diff epoch10.pth epoch20.pth', says: 'what training changed, and how much' },
    {
      command: 'ortho diff model.pth model.safetensors --fail-on any',
      says: 'exit 1 unless keys, shapes, dtypes and bytes are the same',
    },
    {
      command: 'ortho diff float32.pth float16.pth --fail-on value --tolerance rtol:1e-3,atol:1e-7',
      says: 'exit 1 only for values that differ beyond rounding',
    },
    { command: 'ortho diff model.pth model.onnx', says: 'are these the weights in the model?' },
  ],
  arguments: {
    a: argument('A', 'weights: a checkpoint, .safetensors, .npz, or an ONNX model'),
    b: argument('B', 'the weights to compare them with'),
  },
  options: {
    failOn: choice(
      ['any', 'shape', 'value'],
      'WHAT',
      'exit 1 when keys or shapes differ (shape), or values too (value), or dtypes, bits and sharing too (any)',
    ),
    tolerance: text('[KEY=]atol:1e-6,rtol:1e-5', 'differences that do not count (also max:N)', {
      repeat: true,
    }),
    keys: text('GLOB', 'compare only keys like this', { repeat: true }),
    stripPrefix: text('P', 'take P off keys of either file that begin with it', { repeat: true }),
    stateDict: text('PATH', 'which state dict of both files (default: the best one)', { mayBeEmpty: true }),
    stateDictA: text('PATH', 'which state dict of A'),
    stateDictB: text('PATH', 'which state dict of B'),
  },
  run: async (values, io) => {
    const { diffFiles } = await import('../src/jobs/diff.ts');
    return diffFiles({ ...values, io });
  },
});
