import { argument, flag, text } from '../src/cli/options.ts';
import { defineTool } from '../src/cli/tool.ts';
import { EXIT } from '../src/core/errors.ts';

export const tool = defineTool({
  name: 'inspect',
  summary: 'what is in a model or a file of weights',
  description:
    'Shows an ONNX model, a PyTorch checkpoint, a safetensors or an npz file. Faults are listed; they end with exit 3 ' +
    'only under --check, or when nothing can be read.',
  examples: [
    { command: 'ortho inspect model.onnx', says: 'inputs, outputs, operators, parameters, MACs, faults' },
    { command: 'ortho inspect model.onnx --check', says: 'every fault at once; exit 3 when one is an error' },
    { command: 'ortho inspect weights.pth --stats', says: 'the tensors, and their special values' },
    { command: 'ortho inspect model.onnx --text', says: 'the model in ONNX text' },
  ],
  arguments: { file: argument('FILE', 'an ONNX model, a checkpoint, a .safetensors or an .npz file') },
  options: {
    check: flag('any error ends with exit 3; a file called .onnx must be a model'),
    stats: flag('count subnormal and non-finite values however large the weights are'),
    text: flag('print the model as ONNX text (large tensors in full with -v only)'),
    stateDict: text('PATH', 'which state dict of a checkpoint is listed (default: the best one)'),
  },
  run: async ({ file, check, stats, text: asText, stateDict, hash, verbose }) => {
    const { inspectFile, inspectText } = await import('../src/jobs/inspect.ts');
    if (asText) return { text: await inspectText(file, verbose ? undefined : 256) };
    return inspectFile(file, { check, stats, stateDict, hash });
  },
  exitCode: (result, { check }) =>
    check && 'findings' in result && result.findings.some(({ level }) => level === 'error')
      ? EXIT.inputInvalid
      : EXIT.ok,
});
