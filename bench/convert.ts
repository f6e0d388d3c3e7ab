/**
 * Converting the trained MobileNetV2 with proof of parity, against torch.onnx.export of the same net as a whole
 * process. The peer needs Python with torch and onnx; ORTHO_PYTHON names the interpreter.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { atMost, type Benchmark, megabytes, milliseconds, type Row, times } from './benchmark.ts';
import { type Command, runOnce, runPaired, withFolder } from './process.ts';
import { ortho, root } from './tool.ts';

const python = process.env.ORTHO_PYTHON ?? 'python3';
const script = fileURLToPath(new URL('../../bench/peers/export_mobilenet_v2.py', import.meta.url));

/** What torch takes by itself since 2.9, and the one before. */
const EXPORTERS = ['default', 'torchscript'] as const;

const canRun = (exporter: (typeof EXPORTERS)[number]): boolean => {
  const modules = exporter === 'default' ? 'torch, onnxscript' : 'torch, onnx';
  return spawnSync(python, ['-c', `import ${modules}`], { stdio: 'ignore' }).status === 0;
};

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
      for (const exporter of EXPORTERS) {
        const what = `ortho convert against torch.onnx.export (${exporter})`;
        const wanted = 'at least 10.00x faster';
        if (!canRun(exporter)) {
          rows.push({ what, against: python, measured: 'not installed here', wanted });
          continue;
        }
        const peer: Command = [python, script, checkpoint, `${folder}/theirs.onnx`, exporter];
        const { a, b, ratio } = runPaired(() => runOnce(peer), ours, 3);
        rows.push({
          what: `${what}: ${milliseconds(b.ms)} against ${milliseconds(a.ms)}, ${megabytes(a.peakMb)}`,
          against: python,
          measured: `${times(ratio)} faster`,
          wanted,
          isMet: ratio >= 10,
        });
      }
      const node = runPaired(ours, () => runOnce([process.execPath, '-e', '0']), 7);
      rows.push({
        what: `ortho convert: ${milliseconds(node.a.ms)}`,
        against: 'node -e 0',
        measured: times(node.ratio),
        wanted: '',
      });
      rows.push(atMost('peak memory of ortho convert', '', measured.peakMb, 200, megabytes));
      return rows;
    }),
};
