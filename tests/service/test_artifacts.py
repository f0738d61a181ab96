"""What a stage leaves comes back to the last bit: any value of any dataclass that one leaves."""

from __future__ import annotations

import math
import pickle
import struct
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pipelines.pipeline import LEFT_BY, Aligned, Assigned, Attributed, Decoded, Detected, Diarized, Reading
from pipelines.types import Diarization, Heard, Span, Transcript
from service.files import artifacts
from tests.pipelines.formats.sample import sample

LEFT = (Decoded, Detected, Heard, Diarized, Aligned, Attributed, Assigned, Reading, Transcript)

TEXTS = st.text(st.characters(), max_size=6) | st.text("\ud83d\udc00\u2028\x00é", max_size=4)
PLAIN: dict[object, st.SearchStrategy[Any]] = {
    str: TEXTS,  # lone surrogates too, and two of them that must not become one character
    int: st.integers(),
    bool: st.booleans(),
    float: st.floats(),
    Span: st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False)).map(
        lambda pair: Span(min(pair), max(pair))
    ),
    type(None): st.none(),
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type as the annotations of `pipelines.types` put it."""
    if kind in PLAIN:
        return PLAIN[kind]
    origin, inner = get_origin(kind), get_args(kind)
    if origin is np.ndarray:
        shapes = st.tuples(st.integers(0, 3), st.integers(0, 3))
        return arrays.arrays(np.float32, shapes, elements=st.floats(width=32))
    if origin in (Union, UnionType):
        return st.one_of(*map(values, inner))
    if origin is tuple and inner[-1] is Ellipsis:
        return st.lists(values(inner[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values, inner))
    if issubclass(kind, Enum):
        return st.sampled_from(kind)
    hints = get_type_hints(kind)
    return st.builds(kind, **{field.name: st.deferred(_later(hints[field.name])) for field in fields(kind)})


def _later(kind: Any) -> Callable[[], st.SearchStrategy[Any]]:
    return lambda: values(kind)


def same(one: object, other: object) -> bool:
    """Equal to the last bit, as `==` is not: -0.0 is not 0.0, True is not 1, and one NaN is another."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float) and isinstance(other, float):
        return struct.pack("d", one) == struct.pack("d", other) or (math.isnan(one) and math.isnan(other))
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return (one.dtype, one.shape) == (other.dtype, other.shape) and same(one.tolist(), other.tolist())
    if isinstance(one, tuple | list) and isinstance(other, tuple | list):
        return len(one) == len(other) and all(map(same, one, other))
    if is_dataclass(one):
        return all(same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    return one == other


def test_every_stage_is_tried() -> None:
    assert LEFT_BY.keys() <= set(LEFT)


@pytest.mark.parametrize("kind", LEFT)
def test_what_is_left_comes_back(kind: type, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("stage") / "left.json"

    @settings(max_examples=25, deadline=None)
    @given(values(kind))
    def check(value: object) -> None:
        artifacts.dump(path, value)
        assert same(artifacts.load(path, kind), value)
        assert same(pickle.loads(pickle.dumps(value)), value)  # another way to keep it says the same

    check()


@pytest.mark.parametrize("shape", [(0, 0), (0, 256), (3, 0), (2, 3)])
def test_voices_keep_their_shape(shape: tuple[int, int], tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    voices = generator.standard_normal(shape).astype(np.float32)
    diarization = Diarization((), (), (), voices, sample().heard.engine)
    artifacts.dump(tmp_path / "left.json", Diarized(diarization, ()))
    left = artifacts.load(tmp_path / "left.json", Diarized).diarization.embeddings
    assert (left.shape, left.dtype, left.tobytes()) == (shape, voices.dtype, voices.tobytes())


def test_the_comparison_sees_the_last_bit() -> None:
    whole = sample()
    changed = replace(whole.tokens[0], start=math.nextafter(whole.tokens[0].start, 9))
    assert same(whole, sample())
    assert not same(whole, replace(whole, tokens=(changed, *whole.tokens[1:])))
    assert not same(0.0, -0.0)
    assert not same(np.zeros((2, 0), np.float32), np.zeros((3, 0), np.float32))


def test_half_a_file_is_no_value(tmp_path: Path) -> None:
    path = tmp_path / "left.json"
    artifacts.dump(path, sample())
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="Expecting"):
        artifacts.load(path, Transcript)
