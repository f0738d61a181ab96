"""Checkpoints are written here by a pickler of our own: torch is neither needed nor trusted."""

from __future__ import annotations

import io
import pickle
import struct
import sys
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load

from pipelines.errors import ModelCorruptError
from pipelines.models.legacy_checkpoint import (
    MAGIC_NUMBER,
    convert_checkpoint,
    parse_checkpoint,
    serialize_tensors,
)


class FloatStorage:
    """Stands in for torch.FloatStorage while a checkpoint is written."""

    __module__ = "torch"

    def __init__(self, key: str, values: list[float]) -> None:
        self.key, self.values = key, values


def _rebuild_tensor_v2(*_: object) -> None:
    """Only its name is written."""


_rebuild_tensor_v2.__module__ = "torch._utils"


class TensorOf:
    """Is pickled as torch pickles a tensor: a view of a storage."""

    def __init__(self, storage: FloatStorage, offset: int, shape: Any, strides: Any) -> None:
        self.parts: tuple[object, ...] = (storage, offset, shape, strides, False, OrderedDict())

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return _rebuild_tensor_v2, self.parts


class Writer(pickle.Pickler):
    def persistent_id(self, obj: object) -> object:
        if isinstance(obj, FloatStorage):
            return ("storage", FloatStorage, obj.key, "cuda:0", len(obj.values), None)
        return None


@pytest.fixture(autouse=True)
def torch_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets pickle write the names torch.FloatStorage and torch._utils._rebuild_tensor_v2."""
    torch, utilities = ModuleType("torch"), ModuleType("torch._utils")
    vars(torch).update(FloatStorage=FloatStorage)
    vars(utilities).update(_rebuild_tensor_v2=_rebuild_tensor_v2)
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utilities)


def checkpoint(content: object, *storages: FloatStorage) -> bytes:
    file = io.BytesIO()
    for preamble in (MAGIC_NUMBER, 1001, {"little_endian": True}):
        pickle.dump(preamble, file, protocol=2)
    Writer(file, protocol=2).dump(content)
    pickle.dump([storage.key for storage in storages], file, protocol=2)
    for storage in storages:
        file.write(struct.pack("<q", len(storage.values)))
        file.write(np.array(storage.values, "<f4").tobytes())
    return file.getvalue()


def example() -> bytes:
    """Two tensors in one storage, one of them transposed, and one in another."""
    shared, other = FloatStorage("7", [0, 1, 2, 3, 4, 5, 6, 7]), FloatStorage("8", [9])
    state = OrderedDict(
        {
            "lstm.rows": TensorOf(shared, 0, (2, 3), (3, 1)),
            "lstm.columns": TensorOf(shared, 2, (3, 2), (1, 3)),
            "other": TensorOf(other, 0, (1,), (1,)),
        }
    )
    return checkpoint({"step": 3, "model_state": state}, shared, other)


def test_reads_views_of_shared_storages() -> None:
    tensors = parse_checkpoint(example(), "model_state")
    assert tensors["lstm.rows"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert tensors["lstm.columns"].tolist() == [[2, 5], [3, 6], [4, 7]]
    assert tensors["other"].tolist() == [9]


def test_converts_the_tensors_asked_for_to_what_safetensors_reads() -> None:
    tensors = load(convert_checkpoint(example(), "model_state", ("lstm.",)))
    assert sorted(tensors) == ["lstm.columns", "lstm.rows"]
    assert tensors["lstm.columns"].tolist() == [[2, 5], [3, 6], [4, 7]]


@given(st.dictionaries(st.text("abc._", min_size=1), st.lists(st.floats(-9, 9, width=32)), max_size=4))
def test_safetensors_reads_what_is_serialized(content: dict[str, list[float]]) -> None:
    tensors = {name: np.array(values, np.float32) for name, values in content.items()}
    data = serialize_tensors(tensors)
    assert serialize_tensors(dict(reversed(tensors.items()))) == data
    assert {name: x.tolist() for name, x in load(data).items()} == content


class Malicious:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("place", ["preamble", "object"])
def test_runs_nothing_that_a_doctored_file_names(tmp_path: Path, place: str) -> None:
    attack = Malicious(tmp_path / "executed")
    data = pickle.dumps(attack) if place == "preamble" else checkpoint({"model_state": attack})
    with pytest.raises(ModelCorruptError, match="not admitted"):
        parse_checkpoint(data, "model_state")
    assert not attack.marker.exists()
    pickle.loads(pickle.dumps(attack))
    assert attack.marker.exists()  # the attack is one


@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "torch._utils.other", "collections.Counter"])
def test_refuses_every_other_name(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    with pytest.raises(ModelCorruptError, match="not admitted"):
        parse_checkpoint(f"c{module}\n{attribute}\n.".encode(), "model_state")


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (9,), (1,)),  # past the end
        (8, (1,), (1,)),
        (-1, (1,), (1,)),  # before the start
        (3, (2,), (-1,)),
        (0, (2, 3), (3,)),  # dimensions that do not match
        (0, (1 << 40,), (0,)),  # would fill the memory
    ],
)
def test_refuses_a_tensor_outside_its_storage(offset: int, shape: Any, strides: Any) -> None:
    storage = FloatStorage("1", [0] * 8)
    data = checkpoint({"model_state": {"x": TensorOf(storage, offset, shape, strides)}}, storage)
    with pytest.raises(ModelCorruptError):
        parse_checkpoint(data, "model_state")


@given(st.data())
def test_a_damaged_file_is_read_or_called_corrupt(data: st.DataObject) -> None:
    damaged = bytearray(example())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    del damaged[data.draw(st.integers(0, len(damaged))) :]
    with suppress(ModelCorruptError):  # and nothing else
        parse_checkpoint(bytes(damaged), "model_state")


@given(st.binary(max_size=64))
def test_any_bytes_are_called_corrupt(data: bytes) -> None:
    with pytest.raises(ModelCorruptError):
        parse_checkpoint(data, "model_state")
