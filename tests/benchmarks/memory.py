"""The memory of a process and all its descendants, sampled while something runs (Linux).

Measured is the proportional set size (PSS in /proc/PID/smaps_rollup): a page that several processes share
counts once in all, so the sum over the processes is what the machine really gives.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

INTERVAL = 0.05  # seconds between two samples

PROC = Path("/proc")


def tree(pid: int) -> Iterator[int]:
    """The process and its descendants; one that ends meanwhile is left out."""
    yield pid
    for children in (PROC / str(pid) / "task").glob("*/children"):
        try:
            pids = children.read_text(encoding="ascii").split()
        except OSError:
            continue
        for child in pids:
            yield from tree(int(child))


def proportional_bytes(pid: int) -> int:
    """PSS of one process; 0 if it has ended."""
    try:
        text = (PROC / str(pid) / "smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    kibibytes = next((line.split()[1] for line in text.splitlines() if line.startswith("Pss:")), "0")
    return 1024 * int(kibibytes)


class PeakMemory:
    """Watches this process and its descendants; `peak_bytes` is the most seen since it was last reset.

    with PeakMemory() as memory:
        work()
        memory.reset()  # gives the peak so far
    """

    def __init__(self) -> None:
        self._peak_bytes = 0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> PeakMemory:
        self.sample()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def sample(self) -> int:
        """What is in use now."""
        now_bytes = sum(proportional_bytes(pid) for pid in tree(os.getpid()))
        self._peak_bytes = max(self._peak_bytes, now_bytes)
        return now_bytes

    def reset(self) -> int:
        """The peak since the last reset."""
        self.sample()
        peak_bytes, self._peak_bytes = self._peak_bytes, 0
        return peak_bytes

    def _watch(self) -> None:
        while not self._stopped.wait(INTERVAL):
            self.sample()
