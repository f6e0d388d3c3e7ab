"""Packs torch's inputs and outputs (`<net>[.<case>].x.npy`, `.y0.npy`, `.y1.npy`…) into one .npz a case, named as the nets name them.

The arrays are what the nets gave in eval() mode on the CPU in float32 (torch 2.13.0; gdconv and xl19_small torch 1.13.1).
Usage: pack-references.py FOLDER_OF_NPY... OUT_FOLDER
"""
import pathlib
import sys

import numpy as np

NETS = {
    "gdconv": ("landmarks-gdconv", ["output"]),
    "xl19_small": ("frown-mobilenetv3", ["output"]),
    "mobilenetv2_bottleneck": ("mobilenetv2-embedder", ["output"]),
    "pnet": ("mtcnn-pnet", ["conv4_2", "softmax4_1"]),
    "rnet": ("mtcnn-rnet", ["dense5_2", "softmax5_1"]),
    "onet": ("mtcnn-onet", ["dense6_2", "dense6_3", "softmax6_1"]),
}

*folders, out = map(pathlib.Path, sys.argv[1:])
for folder in folders:
    for x in sorted(folder.glob("*.x.npy")):
        net, _, case = x.name.removesuffix(".x.npy").partition(".")
        if net not in NETS:
            continue
        name, outputs = NETS[net]
        arrays = {"input": np.load(x)}
        for i, output in enumerate(outputs):
            arrays[output] = np.load(x.with_name(x.name.replace(".x.npy", f".y{i}.npy")))
        (out / name).mkdir(exist_ok=True)
        np.savez(out / name / f"{case or 'rand'}.npz", **arrays)
