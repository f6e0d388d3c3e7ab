"""Writes src/ops/schemas.generated.json: every operator schema of the ONNX standard, all versions, in compact form.

Run once per release of onnx (the tables below came from onnx 1.23.2):

    python scripts/make-op-schemas.py src/ops/schemas.generated.json

Layout (src/ops/schemas.ts reads it):
    types       list of type sets, each the type strings joined by a space
    domains     {domain: {operator: [version, ...]}}, versions ascending; a version is
        [since, flags, inputs, outputs, attributes, constraints]; flags: 1 = deprecated
    inputs and outputs: strings "name|option|type|minArity|same", option one of s (single), ? (optional), * (variadic),
        type a constraint name or a type string, same 0 = a heterogeneous variadic; trailing defaults are cut
    attributes: [name, type, required, default] with trailing defaults cut
    constraints: {name: index into types}
A part equal to the same part of the version before is written as 0.
"""
import json
import sys

import onnx
from onnx import defs, helper

OPTION = {0: "s", 1: "?", 2: "*"}


def formal(param):
    option = OPTION[int(param.option.value) if hasattr(param.option, "value") else int(param.option)]
    parts = [param.name, option, param.type_str]
    if option == "*":
        parts += [str(param.min_arity), "1" if param.is_homogeneous else "0"]
        if parts[3:] == ["1", "1"]:
            parts = parts[:3]
    return "|".join(parts)


def attribute(attr):
    row = [attr.name, attr.type.name.lower(), 1 if attr.required else 0]
    if attr.default_value.type:
        value = helper.get_attribute_value(attr.default_value)
        if isinstance(value, bytes):
            value = value.decode()
        elif isinstance(value, (list, tuple)):
            value = [v.decode() if isinstance(v, bytes) else v for v in value]
        elif not isinstance(value, (int, float)):
            return row[: 3 if row[2] else 2]  # a tensor default: the documentation tells it, no reader needs it
        row.append(value)
    elif not attr.required:
        row.pop()
    return row


def main(path):
    types, index = [], {}

    def type_set(allowed):
        key = " ".join(sorted(allowed))
        if key not in index:
            index[key] = len(types)
            types.append(key)
        return index[key]

    domains = {}
    for schema in sorted(defs.get_all_schemas_with_history(), key=lambda s: (s.domain, s.name, s.since_version)):
        parts = [
            [formal(p) for p in schema.inputs],
            [formal(p) for p in schema.outputs],
            [attribute(a) for _, a in sorted(schema.attributes.items())],
            {t.type_param_str: type_set(t.allowed_type_strs) for t in schema.type_constraints},
        ]
        versions = domains.setdefault(schema.domain, {}).setdefault(schema.name, [])
        previous = versions[-1]["parts"] if versions else [None] * 4
        row = [0 if part == old else part for part, old in zip(parts, previous)]
        versions.append({"parts": parts, "row": [schema.since_version, 1 if schema.deprecated else 0, *row]})
    latest = {d: defs.onnx_opset_version() if d == "" else max(v["row"][0] for op in ops.values() for v in op)
              for d, ops in domains.items()}
    out = {
        "source": f"onnx {onnx.__version__}",
        "latest": latest,
        "types": types,
        "domains": {d: {op: [v["row"] for v in vs] for op, vs in ops.items()} for d, ops in domains.items()},
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(out, file, separators=(",", ":"), ensure_ascii=False)
        file.write("\n")


main(sys.argv[1])
