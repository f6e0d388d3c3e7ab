"""Writes <file>.tsv beside checkpoints: what PyTorch itself reads from them (oracle; not needed by the tests).

usage: python checkpoint-expectations.py FILE...
Columns: path (dict keys joined by /), shape, dtype, sha256 of the contiguous little-endian bytes (of sparse tensors
those of to_dense(), of quantized ones those of dequantize()).
"""
import hashlib
import sys

import torch


def rows(value, path, out):
    if torch.is_tensor(value):
        value = value.dequantize() if value.is_quantized else value
        value = value.to_dense() if value.layout != torch.strided else value
        plain = value.detach().resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format)
        flat = plain.reshape(-1)
        data = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
        shape = "[" + ", ".join(map(str, value.shape)) + "]"
        out.append((path, shape, str(value.dtype)[6:], hashlib.sha256(data).hexdigest()))
    elif isinstance(value, dict):
        for key, inner in value.items():
            rows(inner, f"{path}/{key}" if path else str(key), out)


for name in sys.argv[1:]:
    found = []
    rows(torch.load(name, weights_only=False, map_location="cpu"), "", found)
    with open(name + ".tsv", "w", encoding="utf-8") as file:
        file.writelines("\t".join(row) + "\n" for row in found)
