import { outputOption } from '../src/cli/common-options.ts';
import { argument, choice, flag, integer, namedShape, number, path, text } from '../src/cli/options.ts';
import { defineTool } from '../src/cli/tool.ts';

export const tool = defineTool({
  name: 'quantize',
  summary: 'the model in fewer bits',
  description:
    'Optimises the model, quantises it, and judges the result at the default level of the runtime on samples that the ' +
    'calibration did not see. Below the bar it writes nothing and exits 1.',
  examples: [
    {
      command: 'ortho quantize model.onnx -o model_quantized.onnx --scheme dynamic',
      says: 'int8 weights of the matrix products; no samples needed',
    },
    {
      command: 'ortho quantize model.onnx -o int8.onnx --scheme static --calibrate photos --crops 48',
      says: 'calibrate on 32 seeded crops of the photographs, judge on 16 others',
    },
  ],
  arguments: { input: argument('IN', 'the float model') },
  options: {
    ...outputOption,
    scheme: choice(['dynamic', 'static'], 'NAME', 'what is quantised, and how', { required: true }),
    calibrate: path('PATH', 'samples to calibrate on: images, .npy or .npz, a file or a folder'),
    evaluate: path('PATH', 'samples to judge on (default: every third calibration sample, kept apart)'),
    crops: integer('N', 'take N seeded square crops of the images instead of the whole images', {
      min: 1,
      max: 100_000,
    }),
    mean: number('M', 'mean of each channel, subtracted from pixel / 255', { list: true }),
    std: number('S', 'standard deviation of each channel, divided by', { list: true }),
    minSqnr: number('DB', 'least centred SQNR of every output, in dB', { default: 10 }),
    exclude: text('GLOB', 'nodes that stay float, by name', { repeat: true }),
    convolutions: flag('scheme dynamic: quantise convolutions too (slower than float on most CPUs)'),
    shape: namedShape('NAME=DIMS', 'dimensions of a made-up input', { repeat: true }),
  },
  run: async ({ input, output, mean, std, shape, threads, timeout, memory, ...rest }, io) => {
    const { quantizeModel } = await import('../src/jobs/quantize.ts');
    const { normalizationOf } = await import('../src/quantize/image.ts');
    const { sessionLimits } = await import('../src/cli/session-limits.ts');
    return quantizeModel({
      ...rest,
      input,
      output,
      normalization: normalizationOf(mean, std),
      shapes: shape,
      session: sessionLimits({ threads, timeout, memory }),
      io,
    });
  },
});
