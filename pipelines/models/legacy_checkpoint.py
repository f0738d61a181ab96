"""Reads tensors from a PyTorch checkpoint in the legacy format, without torch and without running its code.

The file is a sequence of pickles: magic number, protocol version, system information, the object with its
tensors, the keys of the storages; then, per key, a little-endian int64 count of elements and the raw
float32 data. (Source: the format that `torch.save` wrote before 1.6, read from a file byte by byte.)

A pickle is a program. The reader below admits the three names that a table of float tensors needs, and
refuses every other name before it is looked up, so that a malicious file cannot call anything.
"""

from __future__ import annotations

import io
import json
import math
import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.errors import ModelCorruptError

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
LARGEST_TENSOR_ELEMENTS = 1 << 26
HEADER_ALIGNMENT_BYTES = 8

Tensor = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Storage:
    """The name of a block of float32 values further on in the file."""

    key: str
    elements: int


@dataclass(frozen=True, slots=True)
class _View:
    """A tensor that is still to be cut out of its storage; offset and strides count elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(storage: _Storage, offset: int, shape: Any, strides: Any, *_: object) -> _View:
    return _View(storage, int(offset), tuple(shape), tuple(strides))


class _Reader(pickle.Unpickler):
    """Admits tables, numbers, strings and float tensors."""

    ADMITTED: dict[tuple[str, str], Callable[..., object]] = {  # noqa: RUF012
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        ("torch", "FloatStorage"): _Storage,
    }

    def find_class(self, module: str, name: str) -> Callable[..., object]:
        try:
            return self.ADMITTED[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"the name {module}.{name} is not admitted") from None

    def persistent_load(self, identity: Any) -> _Storage:
        kind, storage_type, key, _device, elements, _view = identity
        if kind != "storage" or storage_type is not _Storage:
            raise pickle.UnpicklingError("a storage of another kind")
        return _Storage(str(key), int(elements))


def convert_checkpoint(data: bytes, table: str, prefixes: tuple[str, ...]) -> bytes:
    """Returns the tensors of `checkpoint[table]` whose names begin with one of `prefixes` in safetensors.

    Raises ModelCorruptError for a file of another kind.
    """
    tensors = parse_checkpoint(data, table)
    return serialize_tensors({name: x for name, x in tensors.items() if name.startswith(prefixes)})


def serialize_tensors(tensors: dict[str, Tensor]) -> bytes:
    """Returns a safetensors file: the same bytes for the same tensors, with any version of any library.

    Format: https://github.com/huggingface/safetensors: the header's length as little-endian uint64, the
    header in JSON, padded with spaces; then the tensors, here in the order of their names.
    """
    header: dict[str, object] = {}
    end = 0
    for name, tensor in sorted(tensors.items()):
        start, end = end, end + 4 * tensor.size
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":"), sort_keys=True).encode()
    text += b" " * (-len(text) % HEADER_ALIGNMENT_BYTES)
    body = (np.ascontiguousarray(tensor, dtype="<f4").tobytes() for _, tensor in sorted(tensors.items()))
    return struct.pack("<Q", len(text)) + text + b"".join(body)


def parse_checkpoint(data: bytes, table: str) -> dict[str, Tensor]:
    """Returns the tensors of `checkpoint[table]` by name, each a contiguous copy in its own shape.

    Raises ModelCorruptError for any other file.
    """
    try:
        return _parse(io.BytesIO(data), table)
    except ModelCorruptError:
        raise
    except Exception as error:  # a broken pickle can raise anything
        raise ModelCorruptError(f"the checkpoint cannot be read: {error}") from error


def _parse(file: io.BytesIO, table: str) -> dict[str, Tensor]:
    if _Reader(file).load() != MAGIC_NUMBER:
        raise ModelCorruptError(
            "the checkpoint cannot be read: it does not start with PyTorch's magic number"
        )
    for _ in ("protocol version", "system information"):
        _Reader(file).load()
    views: dict[str, _View] = _Reader(file).load()[table]
    storages = {key: _read_storage(file) for key in _Reader(file).load()}
    return {name: _cut(storages[view.storage.key], view) for name, view in views.items()}


def _read_storage(file: io.BytesIO) -> Tensor:
    (elements,) = struct.unpack("<q", file.read(8))
    if not 0 <= elements <= LARGEST_TENSOR_ELEMENTS:
        raise ModelCorruptError(f"the checkpoint cannot be read: a tensor of {elements} elements")
    return np.frombuffer(file.read(4 * elements), dtype="<f4", count=elements)


def _cut(storage: Tensor, view: _View) -> Tensor:
    """The view's elements. Bounds are checked: strides from a file must not reach outside the storage."""
    last = view.offset + sum((n - 1) * stride for n, stride in zip(view.shape, view.strides, strict=True))
    negative = min((view.offset, *view.shape, *view.strides)) < 0
    if negative or last >= len(storage) or math.prod(view.shape) > LARGEST_TENSOR_ELEMENTS:
        raise ModelCorruptError("the checkpoint cannot be read: a tensor reaches outside its storage")
    byte_strides = [4 * stride for stride in view.strides]
    strided = np.lib.stride_tricks.as_strided(storage[view.offset :], view.shape, byte_strides)
    return np.array(strided, dtype=np.float32, order="C")
