/** Peak memory of every command as a whole process (the largest process of the tree). */
import { type Benchmark, megabytes, milliseconds } from './benchmark.ts';
import { type Command, runOnce, withFolder } from './process.ts';
import { ortho, root } from './tool.ts';

export const memory: Benchmark = {
  summary: 'peak memory and time of every command on the committed models',
  run: () =>
    withFolder((folder) => {
      const raw = `${root}models/raw`;
      const checkpoint = `${raw}/mobilenetv2-embedder.pth.tar`;
      const reference = `${raw}/references/mobilenetv2-embedder/rand.npz`;
      const [float, fast, int8] = [`${folder}/float.onnx`, `${folder}/fast.onnx`, `${folder}/int8.onnx`];
      const calibration = ['--calibrate', `${raw}/images`, '--crops', '12', '--min-sqnr', '-100'];
      const commands: readonly (readonly [string, Command])[] = [
        ['inspect', ortho('inspect', checkpoint)],
        [
          'remap',
          ortho('remap', checkpoint, '--strip-prefix', 'module.', '-o', `${folder}/weights.safetensors`),
        ],
        ['convert', ortho('convert', checkpoint, '-o', float, '--reference', reference)],
        ['optimize', ortho('optimize', float, '-o', fast)],
        ['quantize', ortho('quantize', fast, '-o', int8, '--scheme', 'static', ...calibration)],
        ['verify', ortho('verify', fast, '--reference', reference)],
        ['bench', ortho('bench', fast, int8, '--duration', '4')],
      ];
      return commands.map(([name, command]) => {
        const { ms, peakMb } = runOnce(command);
        return {
          what: `ortho ${name}`,
          against: '',
          measured: `${megabytes(peakMb)}, ${milliseconds(ms)}`,
          wanted: '',
        };
      });
    }),
};
