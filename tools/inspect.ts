import { argument, flag, integer, text } from '../src/cli/options.ts';
import { defineTool } from '../src/cli/tool.ts';
import { EXIT } from '../src/core/errors.ts';

export const tool = defineTool({
  name: 'inspect',
  summary: 'what is in a model or a file of weights',
  description:
    'Shows an ONNX model, a PyTorch checkpoint, a safetensors, npz or npy file, a set of shards or a folder of them. ' +
    'Faults are listed; they end with exit 3 only under --check, or when nothing can be read; under --globals also ' +
    'where other commands refuse the file for what its pickles name or call. Unknown classes are a warning.',
  examples: [
    { command: 'ortho inspect model.onnx', says: 'inputs, outputs, operators, parameters, MACs, faults' },
    { command: 'ortho inspect model.onnx --check', says: 'every fault at once; exit 3 when one is an error' },
    { command: 'ortho inspect model.onnx --text', says: 'the model in ONNX text' },
    { command: 'ortho inspect weights.pth', says: 'modules, sizes, architecture, metadata, safety' },
    {
      command: "ortho inspect weights.pth --keys '*.bn?.*' --stats --histogram",
      says: 'min, max, mean, std, norm, zeros and a histogram of some tensors',
    },
    { command: 'ortho inspect weights.pth --globals', says: 'what its pickles would do in Python' },
  ],
  arguments: { file: argument('FILE', 'an ONNX model, a file of weights, or a folder of one') },
  options: {
    check: flag('any error ends with exit 3; a file called .onnx must be a model'),
    stats: flag('statistics of each tensor; of a model, count special values however large it is'),
    histogram: flag('a histogram of each tensor, and its statistics'),
    keys: text('GLOB', 'list, and read, only the tensors whose keys match', { repeat: true }),
    depth: integer('N', 'levels of the tree of modules (default: what fits on a screen)', {
      min: 0,
      max: 64,
    }),
    globals: flag('what the Python globals of a checkpoint do, with a verdict: safe, opaque or dangerous'),
    text: flag('print the model as ONNX text (large tensors in full with -v only)'),
    stateDict: text('PATH', 'which state dict of a checkpoint is listed (default: the best one)', {
      mayBeEmpty: true,
    }),
  },
  run: async ({ file, text: asText, verbose, ...options }, io) => {
    const { inspectFile, inspectText } = await import('../src/jobs/inspect.ts');
    if (asText) return { text: await inspectText(file, verbose ? undefined : 256) };
    return inspectFile(file, { ...options, io });
  },
  exitCode: (result, { check, globals }) => {
    const errors = 'findings' in result ? result.findings.filter(({ level }) => level === 'error') : [];
    const isRefused = globals && errors.some(({ rule }) => rule === 'checkpoint/refused-global');
    return isRefused || (check && errors.length > 0) ? EXIT.inputInvalid : EXIT.ok;
  },
});
