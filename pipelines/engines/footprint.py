"""Whether two engines fit into memory side by side.

A model takes twice its file's size while it is loaded, plus working memory. Engines that are small, or absent
because the user supplied their result, always fit. Free memory is read when the engines are chosen, and not
reserved: each of two concurrent jobs sees only what the other has loaded so far.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable

WORKING_BYTES = 1 << 30
"""Working memory of an engine besides its weights."""

MEMORY = Path("/proc/meminfo")
LIMITS = Path("/sys/fs/cgroup")


@runtime_checkable
class Weighty(Protocol):
    """An engine that takes gigabytes rather than megabytes."""

    @property
    def weights_bytes(self) -> int:
        """Size of its model's files."""
        ...


def fits(*engines: object) -> bool:
    """Whether the engines can run at the same time; True if the system does not report free memory."""
    weighty = [engine for engine in engines if isinstance(engine, Weighty)]
    if len(weighty) < 2:
        return True
    needed = sum(2 * engine.weights_bytes + WORKING_BYTES for engine in weighty)
    return needed <= free_bytes()


def free_bytes() -> float:
    """Memory that is free for this process: the machine's, or its container's if that is less."""
    return min(_machine_bytes(), _container_bytes())


def _machine_bytes() -> float:
    try:
        rows = dict(line.split(":", 1) for line in MEMORY.read_text(encoding="ascii").splitlines())
        return float(rows["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return float("inf")


def _container_bytes() -> float:
    """Of a control group, version 2, as a container sees its own. Cached files count as free."""
    try:
        limit, used, rows = (
            (LIMITS / f"memory.{name}").read_text(encoding="ascii") for name in ("max", "current", "stat")
        )
        cached = dict(row.split() for row in rows.splitlines())["inactive_file"]
        return float("inf") if limit.strip() == "max" else float(limit) - float(used) + float(cached)
    except (OSError, KeyError, ValueError):
        return float("inf")
