"""Writes all_dtypes.safetensors with the safetensors package: every element type it writes (oracle; not needed by tests).

usage: python safetensors-dtypes.py FOLDER
"""
import ctypes
import sys

from safetensors import TensorSpec, deserialize, serialize

# Type name of the format: bits of an element, name in the package. It reads F6_E2M3 and F6_E3M2 but cannot write them.
TYPES = {
    "BOOL": (8, "bool"), "F4": (4, "float4_e2m1fn_x2"), "U8": (8, "uint8"), "I8": (8, "int8"),
    "F8_E5M2": (8, "float8_e5m2"), "F8_E4M3": (8, "float8_e4m3fn"), "F8_E8M0": (8, "float8_e8m0fnu"),
    "F8_E4M3FNUZ": (8, "float8_e4m3fnuz"), "F8_E5M2FNUZ": (8, "float8_e5m2fnuz"), "I16": (16, "int16"),
    "U16": (16, "uint16"), "F16": (16, "float16"), "BF16": (16, "bfloat16"), "I32": (32, "int32"),
    "U32": (32, "uint32"), "F32": (32, "float32"), "C64": (64, "complex64"), "F64": (64, "float64"),
    "I64": (64, "int64"), "U64": (64, "uint64"),
}


def data_of(name, elements):
    size = elements * TYPES[name][0] // 8
    if name == "BOOL":
        return bytes(i % 2 for i in range(size))
    return bytes((i * 37 + len(name) * 11) % 251 for i in range(size))

if __name__ == "__main__":
    specs = {}
    for name in TYPES:
        specs[f"{name.lower()}.weight"] = (name, [2, 4], data_of(name, 8))
    specs["é😀"] = ("F32", [], data_of("F32", 1))
    specs["\uff00"] = ("F32", [1], data_of("F32", 1))
    specs["empty"] = ("F16", [0, 3], b"")
    specs["10"] = ("I64", [1], data_of("I64", 1))
    specs["9"] = ("I64", [1], data_of("I64", 1))
    kept = {key: ctypes.create_string_buffer(data, max(len(data), 1)) for key, (_, _, data) in specs.items()}
    made = {
        key: TensorSpec(
            dtype=TYPES[dtype][1],
            # Packed types are given by their bytes.
            shape=[*shape[:-1], shape[-1] // 2] if dtype == "F4" else shape,
            data_ptr=ctypes.addressof(kept[key]),
            data_len=len(data),
        )
        for key, (dtype, shape, data) in specs.items()
    }
    blob = serialize(made, {"format": "pt"})
    back = dict(deserialize(bytes(blob)))
    assert {k: (v["dtype"], v["shape"], bytes(v["data"])) for k, v in back.items()} == specs
    with open(f"{sys.argv[1]}/all_dtypes.safetensors", "wb") as file:
        file.write(blob)
