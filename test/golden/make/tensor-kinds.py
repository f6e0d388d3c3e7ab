"""Writes tensor-kinds.zip.pth and .legacy.pth (sparse, quantized and odd tensors) and what each is as a plain tensor.

usage: python tensor-kinds.py FOLDER      (PyTorch 2.13; not needed by the tests)
Columns of the .tsv: key, shape, dtype, sha256 of the contiguous little-endian bytes of to_dense() or dequantize().
"""
import hashlib
import os
import sys
import warnings

import torch

warnings.filterwarnings("ignore")
torch.manual_seed(4)


def sparse():
    for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int8, torch.int64, torch.complex64):
        name = str(dtype)[6:]
        dense = (torch.randn(5, 7) * 10).to(dtype) if not dtype.is_complex else torch.randn(5, 7, dtype=dtype)
        dense[torch.rand(5, 7) < 0.6] = 0
        yield f"coo.{name}", dense.to_sparse()
        yield f"csr.{name}", dense.to_sparse_csr()
    mask = torch.rand(3, 4) < 0.5
    yield "coo.bool", mask.to_sparse()
    indices = torch.tensor([[0, 2, 0, 2, 1, 0], [1, 0, 1, 0, 3, 1]])
    for dtype in (torch.float32, torch.float16, torch.bfloat16, torch.int8):
        values = torch.tensor([100.1, -2.5, 50.7, 1e-3, -0.0, 0.3]).to(dtype)
        yield f"uncoalesced.{str(dtype)[6:]}", torch.sparse_coo_tensor(indices, values, (3, 4))
    yield "coo.hybrid", torch.sparse_coo_tensor(indices, torch.randn(6, 2, 3), (3, 4, 2, 3))
    yield "coo.vector", torch.sparse_coo_tensor(torch.tensor([[4, 1]]), torch.tensor([1.0, 2.0]), (6,))
    yield "coo.empty", torch.sparse_coo_tensor(torch.zeros(2, 0, dtype=torch.long), torch.zeros(0), (3, 4))
    yield "coo.scalar", torch.sparse_coo_tensor(torch.zeros(0, 2, dtype=torch.long), torch.tensor([1.5, 2.0]), ())
    yield "coo.transposed", torch.sparse_coo_tensor(indices.t().contiguous().t(), torch.randn(6), (3, 4))
    dense = torch.randn(6, 8)
    dense[torch.rand(6, 8) < 0.5] = 0
    yield "csc", dense.to_sparse_csc()
    yield "bsr", dense.to_sparse_bsr((2, 4))
    yield "bsc", dense.to_sparse_bsc((3, 2))
    yield "csr.int32", torch.sparse_csr_tensor(
        torch.tensor([0, 2, 2, 3], dtype=torch.int32), torch.tensor([0, 3, 1], dtype=torch.int32), torch.randn(3), (3, 4)
    )
    batch = torch.randn(2, 3, 4)
    batch[:, torch.tensor([[1, 0, 0, 1], [0, 1, 1, 0], [0, 0, 1, 1]], dtype=torch.bool)] = 0
    yield "csr.batch", batch.to_sparse_csr()
    yield "csc.batch", batch.to_sparse_csc()
    yield "bsr.batch", batch.repeat(1, 2, 1).to_sparse_bsr((3, 2))
    yield "csr.dense_axes", torch.sparse_csr_tensor(
        torch.tensor([0, 1, 3]), torch.tensor([2, 0, 1]), torch.randn(3, 2), (2, 3, 2)
    )


def quantized():
    x = torch.randn(4, 6) * 3
    scales = torch.tensor([0.1, 0.033, 0.7, 1.1], dtype=torch.float64)
    for dtype in (torch.quint8, torch.qint8, torch.qint32, torch.quint4x2):
        name = str(dtype)[6:]
        yield f"tensor.{name}", torch.quantize_per_tensor(x, 0.0371, 5, dtype)
    for dtype in (torch.quint8, torch.qint8, torch.qint32):
        name = str(dtype)[6:]
        yield f"channel.{name}", torch.quantize_per_channel(x, scales, torch.tensor([0, 3, 7, 2]), 0, dtype)
    many = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], dtype=torch.float64)
    yield "channel.axis1", torch.quantize_per_channel(x, many, torch.tensor([1, 2, 3, 4, 5, 6]), 1, torch.quint8)
    image = torch.randn(2, 3, 4, 5)
    per = torch.tensor([0.01, 0.02, 0.03], dtype=torch.float64)
    q = torch.quantize_per_channel(image, per, torch.tensor([9, 8, 7]), 1, torch.quint8)
    yield "channel.4d", q
    yield "channels_last", torch.quantize_per_tensor(image, 0.05, 100, torch.quint8).contiguous(
        memory_format=torch.channels_last
    )
    yield "slice", torch.quantize_per_tensor(x, 0.05, 100, torch.quint8)[1:3, 1:5]
    zeros = torch.tensor([0.3, 2.7, 3.1, 1.9])
    for dtype in (torch.quint8, torch.quint4x2, torch.quint2x4):
        yield f"float.{str(dtype)[6:]}", torch.quantize_per_channel(x, scales.float(), zeros, 0, dtype)
    yield "float.odd", torch.quantize_per_channel(x[:, :5].contiguous(), scales.float(), zeros, 0, torch.quint4x2)
    yield "extreme", torch.quantize_per_tensor(torch.tensor([2e9, -2e9, 3.0]), 1.7, 3, torch.qint32)


def odd():
    yield "negative.float", torch._neg_view(torch.randn(3))
    yield "negative.int64", torch._neg_view(torch.tensor([0, 1, -5, 2**62, -(2**63)]))
    yield "negative.uint8", torch._neg_view(torch.tensor([0, 1, 255], dtype=torch.uint8))
    yield "negative.complex", torch._neg_view(torch.randn(3, dtype=torch.complex64)).conj()
    yield "buffer", torch.nn.Buffer(torch.randn(2, 2))
    yield "parameter", torch.nn.Parameter(torch.randn(2, 2))
    with_attribute = torch.nn.Parameter(torch.randn(2))
    with_attribute.note = "kept by rebuild with state"
    yield "parameter.state", with_attribute


def plain(value):
    if value.is_quantized:
        return value.dequantize()
    return value.to_dense() if value.layout != torch.strided else value.detach().resolve_conj().resolve_neg()


folder = sys.argv[1]
tensors = {}
for part in (sparse, quantized, odd):
    tensors.update({f"{part.__name__}.{key}": value for key, value in part()})
rows = []
for key, value in tensors.items():
    flat = plain(value).detach().clone(memory_format=torch.contiguous_format).reshape(-1)
    data = flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
    shape = "[" + ", ".join(map(str, value.shape)) + "]"
    rows.append((key, shape, str(flat.dtype)[6:], hashlib.sha256(data).hexdigest()))
for kind in ("zip", "legacy"):
    path = os.path.join(folder, f"tensor-kinds.{kind}.pth")
    torch.save(tensors, path, _use_new_zipfile_serialization=kind == "zip")
    with open(path + ".tsv", "w", encoding="utf-8") as file:
        file.writelines("\t".join(row) + "\n" for row in rows)
