"""Batches are halved where the memory does not hold them, and nothing else is swallowed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engines.pyannote.batches import Batches
from pipelines.errors import CancelledError, EngineError, EngineMemoryError

ROOM = "CUDA out of memory. Tried to allocate 2.00 GiB"


def run(batches: Batches, count: int, room: int) -> tuple[list[tuple[int, int]], list[int]]:
    """The batches that fit into room for `room` chunks, and what was said to be done."""
    worked: list[tuple[int, int]] = []
    done: list[int] = []

    def work(first: int, last: int) -> None:
        if last - first > room:
            raise RuntimeError(ROOM)
        worked.append((first, last))

    batches.run(0, count, work, done.append)
    return worked, done


@given(st.integers(0, 50), st.integers(1, 40), st.integers(1, 40))
def test_every_chunk_once_and_in_order_however_little_fits(count: int, size: int, room: int) -> None:
    worked, done = run(Batches(size), count, room)
    assert [chunk for first, last in worked for chunk in range(first, last)] == list(range(count))
    assert done == [last for _, last in worked]
    assert all(last - first <= min(size, room) for first, last in worked)


def test_the_smaller_size_is_kept() -> None:
    batches = Batches(32)
    run(batches, 40, 10)
    assert batches.size == 8


@pytest.mark.parametrize("error", [RuntimeError(ROOM), MemoryError()])
def test_not_even_one_fits(error: Exception) -> None:
    def work(first: int, last: int) -> None:
        raise error

    with pytest.raises(EngineMemoryError, match="--device cpu"):
        Batches(8).run(0, 3, work, lambda _: None)


def test_another_failure_is_the_engines() -> None:
    def work(first: int, last: int) -> None:
        raise RuntimeError("shapes do not fit")

    with pytest.raises(EngineError, match="shapes do not fit"):
        Batches(8).run(0, 3, work, lambda _: None)


@pytest.mark.parametrize("error", [CancelledError("stop"), KeyboardInterrupt(), RuntimeError(ROOM)])
def test_what_the_watcher_raises_is_passed_on(error: BaseException) -> None:
    def stop(_: int) -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        Batches(8).run(0, 3, lambda first, last: None, stop)
    assert caught.value is error
