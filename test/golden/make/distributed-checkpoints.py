"""Writes folders of torch.distributed.checkpoint from several processes, and what they hold (oracle; not needed by tests).

usage: python distributed-checkpoints.py FOLDER
Writes grid/ (4 ranks, tensors cut along one and two axes, nested dicts, lists, plain values), flat/ (without the
planner's nested names), shards/ (safetensors of two ranks, not consolidated) and FOLDER/<name>.tsv: path (dict keys
joined by /), shape, dtype, sha256 of the contiguous bytes.
"""
import hashlib
import os
import shutil
import sys

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as mp
from torch.distributed.checkpoint import HuggingFaceStorageWriter
from torch.distributed.checkpoint.default_planner import DefaultSavePlanner
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate, Shard, distribute_tensor


def content():
    torch.manual_seed(3)
    return {
        "model": {
            "both.weight": torch.randn(6, 10),
            "rows.weight": torch.randn(7, 3, 2).to(torch.bfloat16),
            "columns.weight": torch.randn(3, 9).double(),
            "inner.weight": torch.randint(-9, 9, (2, 3, 5)),
            "copied.bias": torch.randn(5).half(),
            "float8.weight": torch.randn(8, 4).to(torch.float8_e4m3fn),
            "plain.steps": torch.tensor(12),
            "empty": torch.zeros(0, 3),
            "flags": torch.tensor([True, False, True]),
        },
        "history": [torch.arange(3), {"loss": torch.tensor(0.5)}],
        "epoch": 5,
        "args": {"lr": 0.1, "name": "grid", "sizes": [1, 2]},
    }


PLACEMENTS = {
    "both.weight": [Shard(0), Shard(1)],
    "rows.weight": [Shard(0), Replicate()],
    "columns.weight": [Replicate(), Shard(1)],
    "inner.weight": [Shard(2), Shard(1)],
    "copied.bias": [Replicate(), Replicate()],
    "float8.weight": [Shard(0), Shard(0)],
}


def rows(value, path, out):
    if torch.is_tensor(value):
        flat = value.contiguous().reshape(-1)
        data = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
        shape = "[" + ", ".join(map(str, value.shape)) + "]"
        out.append((path, shape, str(value.dtype)[6:], hashlib.sha256(data).hexdigest()))
    elif isinstance(value, dict):
        for key, inner in value.items():
            rows(inner, f"{path}/{key}" if path else str(key), out)
    elif isinstance(value, list):
        for key, inner in enumerate(value):
            rows(inner, f"{path}/{key}", out)


def table(folder, name, value):
    out = []
    rows(value, "", out)
    with open(f"{folder}/{name}.tsv", "w", encoding="utf-8") as file:
        file.writelines("\t".join(row) + "\n" for row in out)


def start(rank, world, port):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), RANK=str(rank), WORLD_SIZE=str(world))
    dist.init_process_group("gloo", rank=rank, world_size=world)


def grid(rank, folder):
    start(rank, 4, 29511)
    mesh = init_device_mesh("cpu", (2, 2))
    whole = content()
    model = {
        key: distribute_tensor(tensor, mesh, PLACEMENTS[key], src_data_rank=None) if key in PLACEMENTS else tensor
        for key, tensor in whole["model"].items()
    }
    dcp.save({**whole, "model": model}, checkpoint_id=f"{folder}/grid")
    dcp.save(model, checkpoint_id=f"{folder}/flat", planner=DefaultSavePlanner(flatten_state_dict=False))
    dist.destroy_process_group()


def shards(rank, folder):
    start(rank, 2, 29512)
    mesh = init_device_mesh("cpu", (2,))
    whole = content()["model"]
    model = {key: distribute_tensor(whole[key], mesh, [Shard(axis)], src_data_rank=None) for key, axis in SHARDED.items()}
    model["plain.steps"] = whole["plain.steps"]
    dcp.save(model, storage_writer=HuggingFaceStorageWriter(f"{folder}/shards", save_distributed=True))
    dist.destroy_process_group()


SHARDED = {"both.weight": 1, "rows.weight": 0, "columns.weight": 0}

if __name__ == "__main__":
    # The folder's name goes into the files: relative, so that they do not depend on the machine.
    os.chdir(sys.argv[1])
    target = "."
    for name in ("grid", "flat", "shards"):
        shutil.rmtree(f"{target}/{name}", ignore_errors=True)
    mp.spawn(grid, args=(target,), nprocs=4)
    mp.spawn(shards, args=(target,), nprocs=2)
    table(target, "grid", content())
    table(target, "flat", content()["model"])
    table(target, "shards", {key: content()["model"][key] for key in [*SHARDED, "plain.steps"]})
