/**
 * Writes test/fixtures/profiles: two models, what ONNX Runtime makes of them, and its profile of three runs of each.
 *
 * Times differ with every run of this script, and with the machine the layout that the runtime chooses.
 *
 * Usage: npm run build && node test/golden/make/profiles.mjs
 */
import { mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createRng } from '../../../dist/src/core/rng.js';
import { float32Tensor, typedTensor } from '../../../dist/src/core/tensor.js';
import { ints } from '../../../dist/src/ir/attribute.js';
import { modelFromProto } from '../../../dist/src/ir/from-proto.js';
import { Graph } from '../../../dist/src/ir/graph.js';
import { Model } from '../../../dist/src/ir/model.js';
import { tensorType } from '../../../dist/src/ir/type.js';
import { writeModel } from '../../../dist/src/jobs/model-file.js';
import { parseModelText } from '../../../dist/src/proto/text/parse.js';
import { SessionHost } from '../../../dist/src/runtime/isolated.js';

/** A convolution with an activation, one with a residual, and a reorder at the end. */
const residual = () => {
  const graph = new Graph('residual');
  const rng = createRng(1);
  const weight = (name, dims) =>
    graph.addInitializer(
      name,
      float32Tensor(
        dims,
        Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, () => rng.normal()),
      ),
    );
  const conv = (name, x, w) =>
    graph.add({
      op: 'Conv',
      name,
      inputs: [x, w],
      outputs: [`${name}_out`],
      attributes: { kernel_shape: ints([3, 3]), pads: ints([1, 1, 1, 1]) },
    }).output;
  const x = graph.addInput('x', tensorType('float32', ['batch', 3, 16, 16]));
  const first = conv('first', x, weight('w1', [16, 3, 3, 3]));
  const relu = graph.add({ op: 'Relu', name: 'relu', inputs: [first], outputs: ['relu_out'] }).output;
  const second = conv('second', relu, weight('w2', [16, 16, 3, 3]));
  const sum = graph.add({ op: 'Add', name: 'sum', inputs: [second, relu], outputs: ['sum_out'] }).output;
  // Five channels: the blocked layout pads them.
  const last = conv('last', sum, weight('w3', [5, 16, 3, 3]));
  graph.addOutput('last_out', last, tensorType('float32', ['batch', 5, 16, 16]));
  const model = new Model(graph);
  model.opsets.set('', 17);
  return model;
};

/** Subgraphs, nodes without names, and a name that is no JSON. */
const controlFlow = () => {
  const model = modelFromProto(
    parseModelText(`<ir_version: 8, opset_import: ["": 17]>
      control_flow (float[N,4] x, bool c) => (float[N,4] y, float[N,4] w)
      {
        a = Exp (x)
        b = Sin (a)
        y = If (c) <
          then_branch = then_graph () => (float[N,4] p) { p0 = Sqrt (b) p = Exp (p0) },
          else_branch = else_graph () => (float[N,4] q) { q = Neg (b) }>
        trip = Constant <value: tensor = int64 {3}> ()
        go = Constant <value: tensor = bool {1}> ()
        w = Loop (trip, go, y) <
          body = body_graph (int64 i, bool go_in, float[N,4] s) => (bool go_out, float[N,4] t)
            { go_out = Identity (go_in) t = Sinh (s) }>
      }`),
  );
  model.graph.nodes[0].name = 'q"uo\\te\n<é>';
  return model;
};

const x = (dims) => [
  'x',
  float32Tensor(dims, new Float32Array(dims.reduce((a, b) => a * b, 1)).fill(0.5)),
];
const cases = [
  ['residual', residual(), new Map([x([1, 3, 16, 16])])],
  ['control-flow', controlFlow(), new Map([x([1, 4]), ['c', typedTensor('bool', [], Uint8Array.of(1))]])],
];

const target = fileURLToPath(new URL('../../fixtures/profiles/', import.meta.url));
mkdirSync(target, { recursive: true });
const host = new SessionHost();
for (const [name, model, feeds] of cases) {
  const path = join(target, `${name}.onnx`);
  await writeModel(path, model, { force: true });
  const folder = mkdtempSync(join(tmpdir(), 'profile-'));
  const order = { folder, optimized: join(target, `${name}.optimized.onnx`), leastRuns: 3, mostRuns: 3, maxMs: 0 };
  const { file } = await host.profile(path, feeds, order, { level: 'all', threads: 1 });
  renameSync(file, join(target, `${name}.profile`));
  rmSync(folder, { recursive: true });
}
await host.close();
