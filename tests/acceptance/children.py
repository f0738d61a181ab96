"""The processes that a process has started, for tests that want them gone."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path


def children_of(parent: int) -> Iterator[int]:
    """Its processes and theirs (Linux)."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(_fields(status)[1]) == parent:
                child = int(status.parent.name)
                yield child
                yield from children_of(child)


def left_after(processes: Iterable[int], seconds: float) -> list[int]:
    """Those that are still there then; returns as soon as there are none."""
    watched = list(processes)
    give_up = time.monotonic() + seconds
    while (left := [process for process in watched if is_alive(process)]) and time.monotonic() < give_up:
        time.sleep(0.1)
    return left


def is_alive(process: int) -> bool:
    """There, other than as a corpse that nobody has buried."""
    try:
        return _fields(Path(f"/proc/{process}/stat"))[0] != "Z"
    except OSError:
        return False


def _fields(status: Path) -> list[str]:
    """State, parent, …: what follows the name, which may hold anything."""
    return status.read_text().rpartition(")")[2].split()
