"""Remaps checkpoints with ortho and compares what torch and safetensors read back with what torch reads from the
original, bit for bit (oracle; not needed by the tests).

usage: python remap-against-torch.py [--ortho MAIN.js] FILE...

For every state dict of every file (as `ortho inspect` lists them): .safetensors, .pth, .npz and sharded .safetensors;
the prefix `module.` is taken off where all keys have it. Aliases must share memory in the .pth. Files that torch cannot
read itself are compared among the outputs only, and counted apart. Only for files you trust: torch runs them.
"""
import argparse
import collections
import json
import os
import pickle
import subprocess
import sys
import tempfile
import types
import warnings

import numpy
import safetensors.torch
import torch

parser = argparse.ArgumentParser()
parser.add_argument("--ortho", default="dist/cli/main.js")
parser.add_argument("files", nargs="+")
options = parser.parse_args()


class Lenient(pickle.Unpickler):
    """Classes that are not installed become empty modules; what PyTorch 2 renamed is found."""

    def find_class(self, module, name):
        if name == "_rebuild_sparse_csr_tensor":
            return lambda layout, data: torch.sparse_compressed_tensor(*data, layout=layout)
        try:
            return super().find_class(module, name)
        except (ImportError, AttributeError):
            return type(name, (torch.nn.Module,), {})


lenient = types.ModuleType("lenient")
lenient.Unpickler = Lenient
lenient.load = lambda file, **more: Lenient(file, **more).load()
lenient.__dict__.update({name: getattr(pickle, name) for name in ("dumps", "dump", "Pickler", "loads")})


def ortho(*words):
    done = subprocess.run(["node", options.ortho, *words, "--json"], capture_output=True, text=True)
    report = json.loads(done.stdout) if done.stdout.strip() else None
    return done.returncode, report, done.stderr.strip().splitlines()[:1]


def flatten(value, path, out, depth=0):
    """Every tensor under its keys joined by dots."""
    if depth > 50:
        return
    if torch.is_tensor(value):
        out[path] = value
    elif isinstance(value, torch.UntypedStorage):
        out[path] = torch.empty(0, dtype=torch.uint8).set_(value)
    elif isinstance(value, torch.storage.TypedStorage):
        out[path] = torch.empty(0, dtype=value.dtype).set_(value)
    elif isinstance(value, torch.nn.Module):
        flatten(value.state_dict(), path, out, depth + 1)
    elif isinstance(value, dict):
        for key, inner in value.items():
            flatten(inner, f"{path}.{key}" if path else str(key), out, depth + 1)
    elif isinstance(value, (list, tuple)):
        for i, inner in enumerate(value):
            flatten(inner, f"{path}.{i}" if path else str(i), out, depth + 1)


def content(tensor):
    """What must be equal: type, shape, bytes."""
    plain = tensor.detach().resolve_conj().resolve_neg().cpu()
    plain = plain.to_dense() if plain.layout != torch.strided else plain
    plain = plain.dequantize() if plain.is_quantized else plain
    plain = plain.clone(memory_format=torch.contiguous_format)
    data = plain.reshape(-1).view(torch.uint8).numpy().tobytes() if plain.numel() else b""
    return str(plain.dtype)[6:], tuple(plain.shape), data


def numpy_content(array):
    return str(array.dtype), array.shape, numpy.ascontiguousarray(array).tobytes()


def same(label, wanted, found, read=content):
    """The number of equal tensors; complains about all others."""
    for key in sorted(set(wanted) ^ set(found)):
        problems.append(f"{label}: {key} is only in {'the original' if key in wanted else 'the output'}")
    equal = 0
    for key in set(wanted) & set(found):
        got = read(found[key])
        if got == wanted[key]:
            equal += 1
        else:
            problems.append(f"{label}: {key}: {wanted[key][:2]} became {got[:2]}, or other bytes")
    return equal


def sharded(path):
    with open(path, encoding="utf-8") as file:
        index = json.load(file)
    found, total = {}, 0
    for name in sorted(set(index["weight_map"].values())):
        part = safetensors.torch.load_file(os.path.join(os.path.dirname(path), name))
        assert sorted(part) == sorted(k for k, v in index["weight_map"].items() if v == name), name
        total += sum(t.numel() * t.element_size() for t in part.values())
        found.update(part)
    assert total == index["metadata"]["total_size"], path
    return found


warnings.simplefilter("ignore")
counts, problems = collections.Counter(), []
for path in options.files:
    code, report, said = ortho("inspect", path)
    if code != 0:
        counts["files not opened"] += 1
        problems.append(f"{path}: inspect exits {code}: {said}")
        continue
    counts["files"] += 1
    original = {}
    try:
        value = torch.load(path, map_location="cpu", weights_only=False, pickle_module=lenient)
        flatten({"tensor": value} if torch.is_tensor(value) else value, "", original)
    except Exception as error:  # noqa: BLE001 - whatever torch says, it has not read the file
        original = None
        print(f"torch cannot read {path}: {str(error).splitlines()[0][:100]}")
    for place in [each["path"] for each in report["data"]["stateDicts"]]:
        label = f"{os.path.basename(path)}[{place}]"
        with tempfile.TemporaryDirectory() as folder:
            chosen = ["--state-dict", place]
            code, shown, said = ortho("remap", path, *chosen, "--dry-run")
            if code == 4:
                counts["state dicts refused"] += 1
                print(f"{label} is refused: {said[0]}")
                continue
            if code != 0:
                problems.append(f"{label}: exits {code}: {said}")
                continue
            keys = [each["name"] for each in shown["data"]["tensors"]]
            prefix = "module." if keys and all(key.startswith("module.") for key in keys) else ""
            strip = ["--strip-prefix", prefix] if prefix else []
            counts["state dicts"] += 1
            counts["state dicts with module. taken off"] += bool(prefix)
            wanted = None
            if original is not None:
                start = f"{place}." if place else ""
                wanted = {key[len(prefix) :]: content(original[start + key]) for key in keys if start + key in original}
                lost = [key for key in keys if start + key not in original]
                if lost:
                    problems.append(f"{label}: torch has no {lost[:3]}")
            largest = 1
            outputs = {"pth": "out.pth", "safetensors": "out.safetensors", "npz": "out.npz", "shards": "s.safetensors"}
            for kind, name in outputs.items():
                target = os.path.join(folder, name)
                shard = ["--max-shard", str(largest)] if kind == "shards" else []
                code, written, said = ortho("remap", path, *chosen, *strip, *shard, "-o", target)
                if code == 4:
                    counts[f"{kind}: refused, a type that the format lacks"] += 1
                    continue
                if code != 0:
                    problems.append(f"{label}: {kind} exits {code}: {said}")
                    continue
                read = content
                largest = max(1, os.path.getsize(target) // 2) if kind == "pth" else largest
                if kind == "pth":
                    found = torch.load(target, weights_only=True)
                    for alias in written["data"]["aliases"]:
                        one, two = found[alias["key"]], found[alias["sharedWith"]]
                        if one.data_ptr() != two.data_ptr():
                            problems.append(f"{label}: {alias} do not share memory")
                        counts["aliases that share memory in the .pth"] += 1
                    torch.load(target, weights_only=True, mmap=True)
                elif kind == "npz":
                    found, read = dict(numpy.load(target)), numpy_content
                elif kind == "safetensors":
                    found = safetensors.torch.load_file(target)
                else:
                    index = f"{target}.index.json"
                    found = sharded(index) if os.path.exists(index) else safetensors.torch.load_file(target)
                    counts["shards: more than one file"] += os.path.exists(index)
                if wanted is None:
                    wanted = {key: content(value) for key, value in found.items()}
                    counts["state dicts compared among the outputs only"] += 1
                counts[f"{kind}: state dicts"] += 1
                counts[f"{kind}: equal tensors"] += same(f"{label} {kind}", wanted, found, read)
                for key in found:
                    counts[f"types: {read(found[key])[0]}"] += kind == "pth"

for key, count in sorted(counts.items()):
    print(f"{count:6} {key}")
for problem in problems:
    print("PROBLEM", problem)
sys.exit(1 if problems else 0)
