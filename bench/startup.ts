/** How long a command takes to say anything, against the smallest Node process. */
import { writeFileSync } from 'node:fs';
import { atMost, type Benchmark, megabytes, milliseconds, times } from './benchmark.ts';
import { rawModel } from './models.ts';
import { type Command, runOnce, runPaired, withFolder } from './process.ts';
import { ortho } from './tool.ts';

const emptyNode: Command = [process.execPath, '-e', '0'];

const MODEL_MB = 10;

export const startup: Benchmark = {
  summary: 'whole processes against `node -e 0`, in turn',
  run: () =>
    withFolder((folder) => {
      const model = `${folder}/model.onnx`;
      writeFileSync(model, rawModel(MODEL_MB));
      const version = runPaired(
        () => runOnce(ortho('--version')),
        () => runOnce(emptyNode),
        15,
      );
      const inspect = runPaired(
        () => runOnce(ortho('inspect', model)),
        () => runOnce(emptyNode),
        15,
      );
      const describe = (name: string, { a, b }: typeof version): string =>
        `${name}: ${milliseconds(a.ms)}, ${megabytes(a.peakMb)} (node -e 0: ${milliseconds(b.ms)})`;
      return [
        atMost(describe('ortho --version', version), 'node -e 0', version.ratio, 2, times),
        atMost(
          describe(`ortho inspect, ${MODEL_MB} MB model`, inspect),
          'node -e 0',
          inspect.ratio,
          2.5,
          times,
        ),
      ];
    }),
};
