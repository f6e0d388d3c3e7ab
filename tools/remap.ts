import { argument, assignment, choice, fileSize, flag, path, text } from '../src/cli/options.ts';
import { defineTool } from '../src/cli/tool.ts';
import { PRESET_NAMES } from '../src/convert/presets/index.ts';
import { FLOAT_DTYPES } from '../src/core/cast.ts';

export const tool = defineTool({
  name: 'remap',
  summary: 'rename, select, transform, cast and re-save a state dict',
  description:
    'In this order: selects and drops by the original keys, applies presets, strips prefixes, renames, applies the ' +
    'mapping, adds a prefix, matches keys (--auto), casts. Tensors are streamed from file to file. The extension of OUT ' +
    'names the format: .safetensors, .pth or .npz. schemas/remap-mapping.schema.json describes the mapping file.',
  examples: [
    {
      command: 'ortho remap model.pth.tar -o model.safetensors --strip-prefix module.',
      says: 'the state dict without the prefix of DataParallel',
    },
    {
      command:
        'ortho remap model.ckpt -o half.pth --preset lightning --dtype float16 --drop "*.num_batches_tracked"',
      says: 'the network of a Lightning checkpoint in half the size, without counters',
    },
    {
      command: 'ortho remap model.safetensors --mapping fuse-qkv.json --against target.safetensors --dry-run',
      says: 'would these rules give the keys and shapes of another file?',
    },
  ],
  arguments: { source: argument('CKPT', 'a PyTorch checkpoint, .safetensors or .npz') },
  options: {
    output: text('OUT', 'where the result goes', { short: 'o' }),
    dryRun: flag('everything but the write; says what would be written'),
    select: text('GLOB', 'keep only keys like this', { repeat: true }),
    drop: text('GLOB', 'leave out keys like this', { repeat: true }),
    preset: choice(PRESET_NAMES, 'NAME', 'undo what a wrapper or framework does to keys', { repeat: true }),
    stripPrefix: text('P', 'take P off keys that begin with it; again for a second level', { repeat: true }),
    rename: assignment('FROM=TO', 'a key, or with a dot at the end of FROM a prefix', { repeat: true }),
    mapping: path('FILE.json', 'rules that rename, select and transform'),
    invert: flag('run the mapping backwards'),
    addPrefix: text('P', 'put P before every key'),
    stateDict: text('PATH', 'which state dict of the file (inspect lists them)', { mayBeEmpty: true }),
    maxShard: fileSize('SIZE', 'spread more than this over several files with an index: 500MB, 2GB'),
    dtype: choice(FLOAT_DTYPES, 'D', 'cast floats to this type'),
    against: text('FILE|NAME', 'keys and shapes must be those of this weight file or architecture'),
    auto: flag('find the names of --against by shapes, names and order'),
  },
  run: async ({ rename, preset, ...rest }, io) => {
    const { remapFile } = await import('../src/jobs/remap.ts');
    const renames = rename.map(({ name, value }) => ({ from: name ?? '', to: value }));
    return remapFile({ ...rest, rename: renames, presets: preset, io });
  },
});
