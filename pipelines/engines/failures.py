"""Turns what a library raises into one sentence that says what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.errors import EngineError, EngineMemoryError, ModelUnusableError, TurnwiseError, first_line

SIGNS = ("out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc", "alloc_failed")
"""torch, CTranslate2, CUDA and cuBLAS report a lack of memory only in the text of a RuntimeError."""

CARD = re.compile(r"\b(CUDA|cuBLAS|libcu\w+|cuDNN|NVIDIA)", re.IGNORECASE)
"""Names in their messages that point to the graphics card, its driver or its libraries."""


def is_memory_short(error: BaseException) -> bool:
    """Whether the memory of the processor or the graphics card ran out."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in SIGNS)


@contextmanager
def explained(engine: str) -> Iterator[None]:
    """Wraps a call of the engine's library: whatever it raises becomes EngineMemoryError or EngineError."""
    try:
        yield
    except TurnwiseError:
        raise
    except Exception as error:
        if is_memory_short(error):
            raise EngineMemoryError(
                f"There is not enough memory for {engine}: choose a smaller model, use --device cpu if it was"
                " the graphics card's, or close other programs."
            ) from error
        raise EngineError(
            f"{engine} failed ({first_line(error)}): try --device cpu, or choose another engine."
        ) from error


@contextmanager
def loading(model: str, engine: str) -> Iterator[None]:
    """Wraps the loading of Whisper: ModelUnusableError for a bad file, else what `explained` raises."""
    try:
        with explained(engine):
            yield
    except EngineMemoryError:
        raise
    except EngineError as error:
        cause = first_line(error.__cause__ or error)
        if CARD.search(cause):
            raise
        raise ModelUnusableError(
            f"{model} cannot be loaded by {engine} ({cause}): it is damaged or not Whisper; fetch it again."
        ) from error.__cause__
