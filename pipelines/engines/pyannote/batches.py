"""How many chunks go through a network at once, and what happens if they do not fit into memory."""

from __future__ import annotations

from collections.abc import Callable

from pipelines.engines.failures import explained
from pipelines.errors import EngineMemoryError

NAME = "pyannote.audio"


class Batches:
    """Work in batches, halved for good where the memory of the processor or graphics card runs out."""

    def __init__(self, size: int) -> None:
        self.size = size

    def run(
        self, start: int, end: int, work: Callable[[int, int], None], done: Callable[[int], None]
    ) -> None:
        """Calls work(first, last) for batches that together make [start, end), and done(last) after each.

        Exceptions from `done` are passed on unchanged. Raises EngineMemoryError if even one chunk is too
        much, and EngineError if the network fails.
        """
        while start < end:
            last = min(start + self.size, end)
            if self._fits(start, last, work):
                start = last
                done(last)
            else:
                self.size //= 2
                free_memory()

    def _fits(self, first: int, last: int, work: Callable[[int, int], None]) -> bool:
        """Runs one batch and returns whether it fitted into memory."""
        try:
            with explained(NAME):
                work(first, last)
        except EngineMemoryError:
            if self.size == 1:
                raise
            return False
        return True


def free_memory() -> None:
    """Frees the memory on the graphics card that torch keeps for later."""
    import torch  # noqa: PLC0415

    torch.cuda.empty_cache()  # which does nothing where no card was used
