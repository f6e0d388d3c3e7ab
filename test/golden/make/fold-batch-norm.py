"""Writes test/fixtures/convert/fold-batch-norm.npz: the float32 fold of a batch norm by NumPy, every step rounded.
Run from the repository's root with NumPy: python test/golden/make/fold-batch-norm.py"""
import numpy as np

rng = np.random.default_rng(11)
f32 = np.float32
weight = rng.standard_normal((16, 3, 3, 3)).astype(f32)
bias, gamma, beta, mean = (rng.standard_normal(16).astype(f32) for _ in range(4))
variance = (rng.random(16) ** 6).astype(f32)
scale = gamma / np.sqrt(variance + f32(1e-5))
np.savez(
    "test/fixtures/convert/fold-batch-norm.npz",
    weight=weight,
    bias=bias,
    gamma=gamma,
    beta=beta,
    mean=mean,
    variance=variance,
    folded_weight=weight * scale[:, None, None, None],
    folded_bias=beta + (bias - mean) * scale,
    folded_bias_without=beta - mean * scale,
)
