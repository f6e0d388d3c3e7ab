"""Writes small archives with programs, and what PyTorch itself reads from them (oracle; not needed by the tests).

usage: python program-archives.py FOLDER    (torch 2.13; then program-expectations.py on what it wrote)
attributes.pt: a TorchScript module with every kind of attribute. attributes.ptl: the same for mobile.
tied.pt2: tied weights, views into one storage, several dtypes, constants. several.pt2: two programs.
transitional.pt2 and old.pt2: tied.pt2's program in the two older layouts, packed by hand (torch reads both).
"""
import io
import json
import os
import sys
import zipfile
from enum import Enum
from typing import Dict, List, Optional, Tuple

import torch
from torch import nn
from torch.export.pt2_archive._package import package_pt2

FOLDER = sys.argv[1]
torch.manual_seed(11)


def path(name):
    return os.path.join(FOLDER, name)


class Color(Enum):
    RED = 1
    BLUE = 2


@torch.jit.script
class Holder:
    def __init__(self, x: torch.Tensor):
        self.x = x
        self.n = 3


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.plain = torch.arange(4.0)
        self.weight = nn.Parameter(torch.randn(3, 2))
        self.register_buffer("steps", torch.tensor(7))
        self.register_buffer("none", None)
        self.register_parameter("bias", None)

    def forward(self, x):
        return x @ self.weight.t() + self.plain.sum() + self.steps


class Attributes(nn.Module):
    names: List[str]
    table: Dict[str, int]
    pair: Tuple[int, float]
    tensors: List[torch.Tensor]
    maybe: Optional[int]

    def __init__(self):
        super().__init__()
        self.names = ["a", "b"]
        self.table = {"x": 1, "__proto__": 2}
        self.pair = (4, 0.5)
        self.tensors = [torch.ones(2), torch.zeros(3, dtype=torch.int32)]
        self.maybe = None
        self.flag = True
        self.ratio = 0.25
        self.color = Color.BLUE
        self.holder = Holder(torch.full((2,), 2.0))
        self.plain = torch.arange(3)
        self.first = Inner()
        self.second = self.first
        self.list = nn.ModuleList([Inner(), Inner()])
        base = torch.randn(4, 6)
        self.transposed = nn.Parameter(base.t()[1:5])
        self.brief = nn.Parameter(torch.randn(3).to(torch.bfloat16))
        self.register_buffer("shown", base[1])
        self.register_buffer("hidden", torch.eye(2), persistent=False)
        self.tied = self.brief
        self.register_buffer("complex", torch.randn(2, dtype=torch.complex64))
        self.register_buffer("empty", torch.empty(0, 4))

    def forward(self, x):
        y = self.first(x) + self.second(x) + self.shown.sum() + self.hidden.sum() + self.brief.float().sum()
        for each in self.list:
            y = each(x) + y
        if self.flag and self.color == Color.BLUE:
            y = y * self.ratio + self.pair[1] + len(self.names) + self.table["x"]
        return y + self.tensors[0].sum() + self.holder.x.sum() + self.plain.sum() + self.transposed.sum()


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.emb.weight
        base = torch.randn(6, 4)
        self.lower = nn.Parameter(base[3:])
        self.across = nn.Parameter(base.t())
        self.brief = nn.Parameter(torch.randn(2, 2).to(torch.bfloat16))
        self.register_buffer("eighth", torch.randn(4).to(torch.float8_e4m3fn))
        self.register_buffer("steps", torch.tensor(3))
        self.register_buffer("mask", torch.tensor([True, False]))
        self.register_buffer("empty", torch.empty(2, 0))
        self.register_buffer("big", torch.tensor([2**63], dtype=torch.uint64))
        self.register_buffer("hidden", torch.arange(4.0)[1:3], persistent=False)
        self.constant = torch.tensor([1.5, -0.0, 1e-42])

    def forward(self, ids):
        x = self.head(self.emb(ids)).sum() + self.lower.sum() + self.across.sum() + self.brief.float().sum()
        return x + self.steps + self.hidden.sum() + self.constant.sum() + self.mask.sum()


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 1)

    def forward(self, x):
        return self.fc(x)


def saved(value):
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


module = torch.jit.script(Attributes().eval())
torch.jit.save(module, path("attributes.pt"), _extra_files={"labels.txt": "cat\ndog", "raw.bin": b"\x00\xff"})
module._save_for_lite_interpreter(path("attributes.ptl"))

program = torch.export.export(Tied().eval(), (torch.tensor([0, 2]),))
torch.export.save(program, path("tied.pt2"))
small = torch.export.export(Small().eval(), (torch.ones(1, 2),))
package_pt2(path("several.pt2"), exported_programs={"other": small, "model": program})

with zipfile.ZipFile(path("tied.pt2")) as archive:
    content = {name.split("/", 1)[1]: archive.read(name) for name in archive.namelist()}
weights, constants = dict(program.state_dict), dict(program.constants)
inputs = content["data/sample_inputs/model.pt"]

keep = ("models/", "data/sample_inputs/", "archive_format", "archive_version", ".data/version", "byteorder")
with zipfile.ZipFile(path("transitional.pt2"), "w") as archive:
    for name, data in content.items():
        if name.startswith(keep):
            archive.writestr("transitional/" + name, data)
    archive.writestr("transitional/data/weights/model.pt", saved(weights))
    archive.writestr("transitional/data/constants/model.pt", saved(constants))

with zipfile.ZipFile(path("old.pt2"), "w") as archive:
    archive.writestr("version", "8.2")
    archive.writestr("serialized_exported_program.json", content["models/model.json"])
    archive.writestr("serialized_state_dict.pt", saved(weights))
    archive.writestr("serialized_constants.pt", saved(constants))
    archive.writestr("serialized_example_inputs.pt", inputs)
    archive.writestr("extra_files/note.txt", "hi")
