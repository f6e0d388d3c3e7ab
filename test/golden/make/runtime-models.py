"""Makes the small models in test/fixtures/runtime: some work, the others hang, crash or exhaust a runtime.

Usage: python runtime-models.py OUTPUT_FOLDER   (needs the packages onnx and numpy)
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OUT = Path(sys.argv[1])


def save(name, nodes, inputs, outputs, initializers=(), opset=17, functions=(), opsets=()):
    def infos(specs):
        return [helper.make_tensor_value_info(n, t, s) for n, t, s in specs]

    graph = helper.make_graph(nodes, "g", infos(inputs), infos(outputs), list(initializers))
    imports = [helper.make_opsetid("", opset), *opsets]
    model = helper.make_model(graph, opset_imports=imports, functions=list(functions), ir_version=10)
    (OUT / f"{name}.onnx").write_bytes(model.SerializeToString())


def i64(name, values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


F, I64 = TensorProto.FLOAT, TensorProto.INT64

# y = x + 1, z = -y, for any batch.
save(
    "add",
    [helper.make_node("Add", ["x", "one"], ["y"], "add"), helper.make_node("Neg", ["y"], ["z"], "neg")],
    [("x", F, ["batch", 3])],
    [("y", F, ["batch", 3]), ("z", F, ["batch", 3])],
    [numpy_helper.from_array(np.array([1, 1, 1], np.float32), "one")],
)

# Identity for every element type that crosses the border of the runtime.
TYPES = {
    "f32": F, "f64": TensorProto.DOUBLE, "f16": TensorProto.FLOAT16,
    "i8": TensorProto.INT8, "i16": TensorProto.INT16, "i32": TensorProto.INT32, "i64": I64,
    "u8": TensorProto.UINT8, "u16": TensorProto.UINT16, "u32": TensorProto.UINT32, "u64": TensorProto.UINT64,
    "bool": TensorProto.BOOL, "str": TensorProto.STRING,
}
save(
    "types",
    [helper.make_node("Identity", [k], [f"{k}_out"]) for k in TYPES],
    [(k, t, ["n"]) for k, t in TYPES.items()],
    [(f"{k}_out", t, ["n"]) for k, t in TYPES.items()],
)

# A convolution, batch norm, relu: something to optimise.
rng = np.random.default_rng(1)
w = lambda name, *shape: numpy_helper.from_array(rng.uniform(0.5, 1.5, shape).astype(np.float32), name)
save(
    "conv-bn-relu",
    [
        helper.make_node("Conv", ["x", "w"], ["c"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c", "gamma", "beta", "mean", "var"], ["b"], "bn"),
        helper.make_node("Relu", ["b"], ["y"], "relu"),
    ],
    [("x", F, [1, 3, 8, 8])],
    [("y", F, [1, 16, 8, 8])],
    [w("w", 16, 3, 3, 3), w("gamma", 16), w("beta", 16), w("mean", 16), w("var", 16)],
)

# Fetching a 4-bit output aborts the process.
save(
    "int4-output",
    [helper.make_node("Constant", [], ["y"], value=helper.make_tensor("v", TensorProto.INT4, [4], [1, -2, 3, -4]))],
    [], [("y", TensorProto.INT4, [4])], opset=21,
)

# MIN / -1: SIGFPE in run (the divisor is an input, so nothing can be folded). The length has no name.
save(
    "int-min-divided",
    [helper.make_node("Div", ["x", "d"], ["y"], "div")],
    [("x", TensorProto.INT32, [None]), ("d", TensorProto.INT32, [1])], [("y", TensorProto.INT32, [None])],
)

# ConvTranspose of group 0: SIGFPE while loading.
save(
    "convtranspose-group0",
    [helper.make_node("ConvTranspose", ["x", "w"], ["y"], "deconv", group=0)],
    [("x", F, [1, 2, 4, 4])], [("y", F, None)],
    [numpy_helper.from_array(np.ones((2, 2, 3, 3), np.float32), "w")],
)

# A loop of 1e12 trips, whose count is an input: hangs in run.
body = helper.make_graph(
    [
        helper.make_node("Identity", ["cond"], ["cond_out"]),
        helper.make_node("Add", ["acc", "acc"], ["acc_out"]),
    ],
    "body",
    [
        helper.make_tensor_value_info("i", I64, []),
        helper.make_tensor_value_info("cond", TensorProto.BOOL, []),
        helper.make_tensor_value_info("acc", F, [1]),
    ],
    [
        helper.make_tensor_value_info("cond_out", TensorProto.BOOL, []),
        helper.make_tensor_value_info("acc_out", F, [1]),
    ],
)
save(
    "endless-loop",
    [helper.make_node("Loop", ["trips", "", "x"], ["y"], "loop", body=body)],
    [("trips", I64, []), ("x", F, [1])], [("y", F, [1])],
)

# 28 functions, each calling the next one twice: hangs while loading.
functions = []
for i in range(28):
    op = lambda a, b: (
        helper.make_node(f"F{i + 1}", [a], [b], domain="bomb") if i < 27 else helper.make_node("Neg", [a], [b])
    )
    functions.append(
        helper.make_function(
            "bomb", f"F{i}", ["a"], ["c"], [op("a", "b"), op("b", "c")],
            [helper.make_opsetid("", 17), helper.make_opsetid("bomb", 1)],
        )
    )
save(
    "function-bomb",
    [helper.make_node("F0", ["x"], ["y"], domain="bomb")],
    [("x", F, [1])], [("y", F, [1])], functions=functions, opsets=[helper.make_opsetid("bomb", 1)],
)

# ConstantOfShape of as many floats as the input says.
save(
    "fill",
    [
        helper.make_node("ConstantOfShape", ["n"], ["big"], "fill",
                         value=helper.make_tensor("v", F, [1], [1.0])),
        helper.make_node("ReduceSum", ["big"], ["y"], "sum", keepdims=0),
    ],
    [("n", I64, [1])], [("y", F, [])],
)

# Mentions an operator that nobody knows.
save("unknown-op", [helper.make_node("Frobnicate", ["x"], ["y"], "f")], [("x", F, [1])], [("y", F, [1])])

# Input and output names that are special in JavaScript, and a sequence.
save(
    "odd-names",
    [helper.make_node("Neg", ["constructor"], ["y y"]), helper.make_node("SequenceConstruct", ["constructor"], ["s"])],
    [("constructor", F, [2])], [("y y", F, [2])],
)
model = onnx.load(str(OUT / "odd-names.onnx"))
model.graph.output.append(
    helper.make_value_info("s", helper.make_sequence_type_proto(helper.make_tensor_type_proto(F, None)))
)
(OUT / "odd-names.onnx").write_bytes(model.SerializeToString())
