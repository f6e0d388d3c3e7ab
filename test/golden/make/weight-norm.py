"""Writes weight-norm.safetensors: weights of random g and v, fused by PyTorch itself (oracle; not needed by the tests).

usage: python weight-norm.py CHECKPOINT OUT.safetensors
The weights of CHECKPOINT (torch.nn.utils.weight_norm, the old spelling) under their own names, and beside them
<dtype>.<case>.weight_g, weight_v and expected for every dimension that a norm can leave out.
"""
import sys

import torch
from safetensors.torch import save_file

checkpoint, output = sys.argv[1:]
tensors = {}
given = torch.load(checkpoint, weights_only=True)
for name in [key[: -len("_g")] for key in given if key.endswith("weight_g")]:
    tensors[f"checkpoint.{name}"] = torch._weight_norm(given[f"{name}_v"], given[f"{name}_g"], 0)

torch.manual_seed(0)
for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16):
    for case, shape, dim in [("first", (6, 3, 5), 0), ("middle", (4, 7, 2), 1), ("last", (9, 5), 1), ("all", (5, 4), -1)]:
        v = torch.randn(shape).to(dtype)
        norm = torch.norm_except_dim(v, 2, dim)
        g = (torch.rand(norm.shape) + 0.5).to(dtype)
        name = f"{str(dtype)[6:]}.{case}"
        tensors[f"{name}.weight_g"] = g
        tensors[f"{name}.weight_v"] = v
        tensors[f"{name}.expected"] = torch._weight_norm(v, g, dim)
save_file(tensors, output)
