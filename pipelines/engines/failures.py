"""What a library raises, as one sentence of ours that says what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.errors import EngineError, EngineMemoryError, ModelUnusableError, TurnwiseError, first_line

SIGNS = ("out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc", "alloc_failed")
"""torch, CTranslate2, CUDA and cuBLAS say that memory ran out in the text of a RuntimeError."""

CARD = re.compile(r"\b(CUDA|cuBLAS|libcu\w+|cuDNN|NVIDIA)", re.IGNORECASE)
"""What else they say is the matter with the graphics card, its driver or its libraries."""


def is_memory_short(error: BaseException) -> bool:
    """Whether the processor's or the graphics card's memory was not enough."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in SIGNS)


@contextmanager
def explained(engine: str) -> Iterator[None]:
    """Around a call of the engine's library: raises EngineMemoryError and EngineError for what it raises."""
    try:
        yield
    except TurnwiseError:
        raise
    except Exception as error:
        if is_memory_short(error):
            raise EngineMemoryError(
                f"The memory is not enough for {engine}: choose a smaller model, --device cpu if the graphics"
                " card's ran out, or close other programs."
            ) from error
        raise EngineError(
            f"{engine} failed ({first_line(error)}): try --device cpu, or choose another engine."
        ) from error


@contextmanager
def loading(model: str, engine: str) -> Iterator[None]:
    """Around loading Whisper: ModelUnusableError for a bad file, and for the rest what `explained` raises."""
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
            f"{model} cannot be loaded by {engine} ({cause}): it is damaged or no Whisper; fetch it again."
        ) from error.__cause__
