"""Makes test/golden/inference-cases.json: single models of the ONNX backend tests, with what their outputs really are.

    python test/golden/make/inference-cases.py DATA test/golden/inference-cases.json

DATA is onnx/backend/test/data of the onnx 1.22.0 wheel (Apache-2.0). For every operator up to four models, the smallest
files first; small inputs become constants, so that what depends on their values can be told. Written down are the model
(base64, without the declared types of its outputs) and dtype number and dimensions of every stored output tensor.
"""
import base64
import glob
import json
import os
import sys

import onnx
from onnx import TensorProto, numpy_helper

MOST_ELEMENTS = 64
MOST_BYTES = 3000
PER_OPERATOR = 4


def stored(path):
    tensor = TensorProto()
    with open(path, "rb") as file:
        tensor.ParseFromString(file.read())
    return tensor


def case(path):
    model = onnx.load(path)
    folder = os.path.join(os.path.dirname(path), "test_data_set_0")
    if not os.path.isdir(folder) or len(model.graph.node) != 1 or model.functions:
        return None
    outputs = {}
    for index, output in enumerate(model.graph.output):
        if output.type.WhichOneof("value") != "tensor_type":
            return None
        tensor = stored(os.path.join(folder, f"output_{index}.pb"))
        outputs[output.name] = [tensor.data_type, list(tensor.dims)]
        output.ClearField("type")
    kept = []
    for index, value in enumerate(model.graph.input):
        file = os.path.join(folder, f"input_{index}.pb")
        if value.type.WhichOneof("value") == "tensor_type" and os.path.exists(file):
            tensor = stored(file)
            if numpy_helper.to_array(tensor).size <= MOST_ELEMENTS:
                tensor.name = value.name
                model.graph.initializer.append(tensor)
                continue
        kept.append(value)
    del model.graph.input[:]
    model.graph.input.extend(kept)
    model.ClearField("doc_string")
    model.ir_version = max(model.ir_version, 4)
    data = model.SerializeToString()
    if len(data) > MOST_BYTES:
        return None
    node = model.graph.node[0]
    return (node.domain, node.op_type), {
        "name": os.path.basename(os.path.dirname(path)),
        "model": base64.b64encode(data).decode(),
        "outputs": outputs,
    }


def main(data, out):
    groups = {}
    for path in sorted(glob.glob(os.path.join(data, "node", "*", "model.onnx"))):
        found = case(path)
        if found:
            groups.setdefault(found[0], []).append(found[1])
    cases = []
    for _, group in sorted(groups.items()):
        group.sort(key=lambda item: (len(item["model"]), item["name"]))
        cases += group[:PER_OPERATOR]
    with open(out, "w", encoding="utf-8") as file:
        file.write("[\n" + ",\n".join(json.dumps(item, separators=(",", ":")) for item in cases) + "\n]\n")
    print(len(groups), "operators,", len(cases), "cases")


main(sys.argv[1], sys.argv[2])
