import { outputOption } from '../src/cli/common-options.ts';
import { argument, assignment, choice, text } from '../src/cli/options.ts';
import { defineTool } from '../src/cli/tool.ts';
import { FLOAT_DTYPES } from '../src/core/cast.ts';

export const tool = defineTool({
  name: 'remap',
  summary: 'rename, select, cast and re-save a state dict',
  description:
    'Selects and drops by the original keys, then strips prefixes, renames, and adds a prefix; tensors are streamed from ' +
    'file to file. The extension of OUT names the format: .safetensors, .pth or .npz.',
  examples: [
    {
      command: 'ortho remap model.pth.tar -o model.safetensors --strip-prefix module.',
      says: 'the state dict without the prefix of DataParallel',
    },
    {
      command: 'ortho remap model.pth -o half.pth --dtype float16 --drop "*.num_batches_tracked"',
      says: 'half the size, without counters',
    },
  ],
  arguments: { source: argument('CKPT', 'a PyTorch checkpoint, .safetensors or .npz') },
  options: {
    ...outputOption,
    stripPrefix: text('P', 'take P off keys that begin with it; again for a second level', { repeat: true }),
    addPrefix: text('P', 'put P before every key'),
    rename: assignment('FROM=TO', 'a key, or with a dot at the end of FROM a prefix', { repeat: true }),
    select: text('GLOB', 'keep only keys like this', { repeat: true }),
    drop: text('GLOB', 'leave out keys like this', { repeat: true }),
    stateDict: text('PATH', 'which state dict of the file (inspect lists them)'),
    dtype: choice(FLOAT_DTYPES, 'D', 'cast floats to this type'),
    against: text('FILE|NAME', 'keys and shapes must be those of this weight file or architecture'),
  },
  run: async ({ rename, ...rest }, io) => {
    const { remapFile } = await import('../src/jobs/remap.ts');
    const renames = rename.map(({ name, value }) => ({ from: name ?? '', to: value }));
    return remapFile({ ...rest, rename: renames, io });
  },
});
