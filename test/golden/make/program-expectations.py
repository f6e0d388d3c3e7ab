"""Writes <file>.tsv beside archives with programs: what PyTorch itself reads from them (oracle; not needed by the tests).

usage: python program-expectations.py FILE...
TorchScript: state_dict() of torch.jit.load, then the tensors of constants.pkl under the names its code uses.
torch.export: state_dict of each program, then the tensors of its constants that are not in it. Old tar checkpoints:
torch.load. Columns: path of the state dict ('', constants, or those of a model), key, shape, dtype, sha256 of the contiguous little-endian bytes, in file order.
"""
import hashlib
import io
import pickle
import sys
import zipfile

import torch
from torch.export.pt2_archive._package import load_pt2


def row(part, key, value):
    plain = value.detach().resolve_conj().resolve_neg().clone(memory_format=torch.contiguous_format)
    flat = plain.reshape(-1)
    data = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
    shape = "[" + ", ".join(map(str, value.shape)) + "]"
    return "\t".join((part, key, shape, str(value.dtype)[6:], hashlib.sha256(data).hexdigest())) + "\n"


def constants(path):
    """The tuple of constants.pkl, read as TorchScript's own reader does."""
    reader = torch._C.PyTorchFileReader(path)

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, saved):
            _, kind, key, _, count = saved
            data = reader.get_storage_from_record("constants/" + key, count, kind.dtype)
            return torch.storage.TypedStorage(wrap_storage=data.untyped_storage(), dtype=kind.dtype, _internal=True)

    return Unpickler(io.BytesIO(reader.get_record("constants.pkl"))).load()


def parts(path):
    """(path of the state dict, tensors) of each state dict."""
    if not zipfile.is_zipfile(path):
        return [("", torch.load(path, weights_only=False))]
    names = zipfile.ZipFile(path).namelist()
    if any(n.endswith("/constants.pkl") for n in names):
        second = {f"CONSTANTS.c{i}": v for i, v in enumerate(constants(path))}
        return [("", torch.jit.load(path, map_location="cpu").state_dict()), ("constants", second)]
    if any(n.endswith("/archive_format") for n in names):
        programs = load_pt2(path).exported_programs
    else:
        programs = {"model": torch.export.load(path)}
    found = []
    for model, program in sorted(programs.items(), key=lambda each: each[0] != "model"):
        first = "" if len(programs) == 1 else model
        second = "constants" if len(programs) == 1 else model + ".constants"
        found.append((first, program.state_dict))
        found.append((second, {k: v for k, v in program.constants.items() if k not in program.state_dict}))
    return found


for name in sys.argv[1:]:
    with open(name + ".tsv", "w", encoding="utf-8") as file:
        for part, tensors in parts(name):
            file.writelines(row(part, k, v) for k, v in tensors.items() if torch.is_tensor(v))
