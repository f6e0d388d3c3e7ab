/**
 * Converting the trained MobileNetV2 with proof of parity, against torch.onnx.export of the same net as a whole
 * process. The peer needs Python with torch and torchvision-like sources; ORTHO_PYTHON names the interpreter.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { atMost, type Benchmark, megabytes, milliseconds, type Row, times } from './benchmark.ts';
import { type Command, runOnce, runPaired, withFolder } from './process.ts';
import { ortho, root } from './tool.ts';

const python = process.env.ORTHO_PYTHON ?? 'python3';
const exporter = fileURLToPath(new URL('../../bench/peers/export_mobilenet_v2.py', import.meta.url));

const hasTorch = (): boolean =>
  spawnSync(python, ['-c', 'import torch, onnx'], { stdio: 'ignore' }).status === 0;

export const convert: Benchmark = {
  summary: 'trained MobileNetV2: checkpoint to proven ONNX',
  run: () =>
    withFolder((folder) => {
      const checkpoint = `${root}models/raw/mobilenetv2-embedder.pth.tar`;
      const reference = `${root}models/raw/references/mobilenetv2-embedder/rand.npz`;
      const ours = () =>
        runOnce(
          ortho('convert', checkpoint, '-o', `${folder}/ours.onnx`, '--reference', reference, '--force'),
        );
      const rows: Row[] = [];
      const measured = ours();
      const peer: Command = [python, exporter, checkpoint, `${folder}/theirs.onnx`];
      if (hasTorch()) {
        const { a, b, ratio } = runPaired(() => runOnce(peer), ours, 3);
        rows.push({
          what: `ortho convert: ${milliseconds(b.ms)}; torch.onnx.export: ${milliseconds(a.ms)}, ${megabytes(a.peakMb)}`,
          against: 'torch.onnx.export',
          measured: `${times(ratio)} faster`,
          wanted: 'at least 10.00x faster',
          isMet: ratio >= 10,
        });
      } else {
        rows.push({
          what: `ortho convert: ${milliseconds(measured.ms)}`,
          against: 'torch.onnx.export',
          measured: 'no torch here',
          wanted: 'at least 10.00x faster',
        });
      }
      rows.push(atMost('peak memory of ortho convert', '', measured.peakMb, 200, megabytes));
      return rows;
    }),
};
