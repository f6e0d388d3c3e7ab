"""Loads a checkpoint, takes the prefix off its keys and saves it, as torch users do; prints nothing.

usage: python strip_prefix.py IN.pth OUT.pth PREFIX
"""
import sys

import torch

source, target, prefix = sys.argv[1:]
state = torch.load(source, map_location="cpu", weights_only=True)
torch.save({key.removeprefix(prefix): value for key, value in state.items()}, target)
