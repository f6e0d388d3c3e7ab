"""Writes arrays with NumPy and ml_dtypes, and what they hold (oracle; not needed by the tests).

usage: python numpy-arrays.py FOLDER
Writes arrays.npz, arrays.compressed.npz, conv1.weight.npy, odd.npz, version*.npy and arrays.tsv (key, shape, dtype, sha256 of the
contiguous little-endian bytes).
"""
import hashlib
import io
import sys
import zipfile

import ml_dtypes
import numpy as np

folder = sys.argv[1]
rng = np.random.default_rng(7)
EPOCH = (1980, 1, 1, 0, 0, 0)


def npz(name, arrays, method=zipfile.ZIP_STORED, more=()):
    """As numpy.savez does (entries may be larger than 4 GB: zip64), with fixed dates."""
    with zipfile.ZipFile(f"{folder}/{name}", "w") as archive:
        for key, array in arrays.items():
            info = zipfile.ZipInfo(f"{key}.npy", EPOCH)
            info.compress_type = method
            with archive.open(info, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asanyarray(array))
        for key, text in more:
            archive.writestr(zipfile.ZipInfo(key, EPOCH), text)


arrays = {}
for code in "f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 c8 c16".split():
    values = rng.standard_normal((2, 3)) * 50
    arrays[f"little/{code}"] = values.astype(f"<{code}")
    arrays[f"big/{code}"] = values.astype(f">{code}")
arrays["bool"] = np.array([True, False, True])
arrays["fortran"] = np.asfortranarray(rng.standard_normal((3, 4, 5)).astype("<f4"))
arrays["fortran.big"] = np.asfortranarray(rng.standard_normal((3, 4)).astype(">f8"))
arrays["scalar"] = np.float32(3.5)
arrays["empty"] = np.zeros((0, 3), "f4")
arrays["wide"] = np.arange(30000, dtype="<i2").reshape(100, 300)
arrays["nan"] = np.array([np.nan, np.inf, -0.0, 5e-324])
arrays["é😀"] = np.arange(3)
arrays["bfloat16"] = rng.standard_normal((2, 3)).astype(ml_dtypes.bfloat16)
arrays["float8_e5m2"] = rng.standard_normal(4).astype(ml_dtypes.float8_e5m2)

npz("arrays.npz", arrays)
npz("arrays.compressed.npz", arrays, zipfile.ZIP_DEFLATED)
np.save(f"{folder}/conv1.weight.npy", arrays["big/f4"])
with open(f"{folder}/arrays.tsv", "w", encoding="utf-8") as file:
    for key, array in arrays.items():
        array = np.ascontiguousarray(array).reshape(array.shape)
        little = array.astype(array.dtype.newbyteorder("<")) if array.dtype.kind in "fiuc" else array
        shape = "[" + ", ".join(map(str, array.shape)) + "]"
        file.write(f"{key}\t{shape}\t{array.dtype.name}\t{hashlib.sha256(little.tobytes()).hexdigest()}\n")

odd = {
    "weight": np.arange(4, dtype="<f4"),
    "records": np.zeros(2, [("a", "<f4"), ("b", [("c", "<i2", (2,))])]),
    "objects": np.array([{"a": 1}], dtype=object),
    "text": np.array(["a", "bc"]),
    "bytes": np.array([b"csr"]),
    "date": np.array(["2024-01-02"], dtype="M8[D]"),
    "void": np.zeros(2, "V2"),
    "longdouble": np.zeros(2, np.longdouble),
    "float8_e4m3fn": np.zeros(2, ml_dtypes.float8_e4m3fn),
    "int4": np.zeros(2, ml_dtypes.int4),
}
npz("odd.npz", odd, more=[("note.txt", "not an array")])

for version in [(1, 0), (2, 0), (3, 0)]:
    data = io.BytesIO()
    np.lib.format.write_array(data, np.arange(6, dtype="<i4").reshape(2, 3), version=version)
    with open(f"{folder}/version{version[0]}.npy", "wb") as file:
        file.write(data.getvalue())
