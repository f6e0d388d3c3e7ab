"""Prints one line for every state dict of a folder of checkpoints: what PyTorch itself reads (oracle; not needed by the tests).

usage: python checkpoint-digests.py FOLDER... > test/golden/checkpoint-digests.tsv      (PyTorch 2.13)
Columns: file, path of the state dict (dict keys joined by dots), number of tensors, sha256 of its lines
`key TAB [shape] TAB dtype TAB sha256 of the contiguous little-endian bytes LF`, sorted by key. Sparse tensors count as
to_dense(), quantized ones as dequantize(), a storage as a tensor of one dimension; meta tensors are left out.
`python checkpoint-digests.py --lines FILE` prints these lines.

Only for files that are known to be inert: whole models are unpickled, with stand-ins for their classes.
"""
import hashlib
import os
import pickle
import sys
import types
import warnings

import numpy
import torch

warnings.filterwarnings("ignore")


class Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if name == "_rebuild_sparse_csr_tensor":  # PyTorch 1.13's name for what the other does as well.
            return torch._utils._rebuild_sparse_tensor
        try:
            return super().find_class(module, name)
        except (ImportError, AttributeError):
            return type(name, (torch.nn.Module,), {"__module__": module})


stand_in = types.ModuleType("stand_in")
stand_in.__dict__.update(pickle.__dict__)
stand_in.Unpickler = Unpickler


def is_tensor(value):
    return torch.is_tensor(value) or torch.is_storage(value) or isinstance(value, numpy.ndarray)


def plain(value):
    if isinstance(value, numpy.ndarray):
        return torch.from_numpy(value)
    if torch.is_storage(value):
        dtype = torch.uint8 if isinstance(value, torch.UntypedStorage) else value.dtype
        return torch.tensor([], dtype=dtype).set_(value)
    value = value.dequantize() if value.is_quantized else value
    value = value.to_dense() if value.layout != torch.strided else value
    return value.detach().resolve_conj().resolve_neg()


def line(key, value):
    tensor = plain(value)
    flat = tensor.clone(memory_format=torch.contiguous_format).reshape(-1)
    data = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
    shape = "[" + ", ".join(map(str, tensor.shape)) + "]"
    return f"{key}\t{shape}\t{str(tensor.dtype)[6:]}\t{hashlib.sha256(data).hexdigest()}\n"


def state_dicts(value, path=""):
    """(path, tensors by key): dicts that are mostly tensors, modules, and a tensor or list of tensors as the whole file."""
    if isinstance(value, torch.nn.Module):
        yield path, value.state_dict()
    elif path == "" and is_tensor(value):
        yield path, {"tensor": value}
    elif path == "" and isinstance(value, (list, tuple)) and any(map(is_tensor, value)):
        yield path, {str(i): each for i, each in enumerate(value) if is_tensor(each)}
    elif isinstance(value, dict) and not {"param_groups", "state"} <= value.keys():
        tensors = {str(key): each for key, each in value.items() if is_tensor(each)}
        if len(tensors) > len(value) / 2:
            yield path, tensors
        else:
            for key, each in value.items():
                yield from state_dicts(each, f"{path}.{key}" if path else str(key))


def lines_of(file):
    loaded = torch.load(file, map_location="cpu", weights_only=False, pickle_module=stand_in)
    for path, tensors in state_dicts(loaded):
        yield path, [line(key, each) for key, each in sorted(tensors.items()) if not getattr(each, "is_meta", False)]


if sys.argv[1] == "--lines":
    for _, lines in lines_of(sys.argv[2]):
        sys.stdout.writelines(lines)
    sys.exit()
for folder in sys.argv[1:]:
    for name in sorted(os.listdir(folder)):
        if not name.endswith((".pth", ".pt", ".ckpt", ".tar")):
            continue
        try:
            for path, lines in lines_of(os.path.join(folder, name)):
                digest = hashlib.sha256("".join(lines).encode()).hexdigest()
                print(name, path, len(lines), digest, sep="\t")
        except Exception as error:  # PyTorch cannot read back everything that it writes.
            print(f"{name}: {type(error).__name__}: {str(error)[:150]}", file=sys.stderr)
