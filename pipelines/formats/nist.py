"""What RTTM, STM and CTM share: fields separated by white space, `;;` comments, seconds with three decimals.

All three come from the NIST Rich Transcription evaluations and their scoring toolkit (SCTK).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from pipelines.errors import TextError

_UNSAFE = re.compile(r"""[\s"';\x00-\x1f\x7f]+""")


def field(text: str) -> str:
    """The text as one field: separators, quotes and `;` become `_`; an empty text becomes `<NA>`."""
    return _UNSAFE.sub("_", text) or "<NA>"


def recording_id(name: str) -> str:
    """A recording's file name without its ending, as one field."""
    return field(PurePosixPath(name).stem)


def milliseconds(seconds: float) -> int:
    """The nearest whole millisecond: sums and differences of these are exact."""
    return round(seconds * 1000)


def seconds(milliseconds_: int) -> str:
    """Milliseconds as seconds with three decimals."""
    return f"{milliseconds_ / 1000:.3f}"


def lines(text: str) -> Iterator[tuple[int, str]]:
    """Yields line numbers, from 1, and lines, without blank ones and comments."""
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith(";;"):
            yield number, line


def times(name: str, number: int, *values: str) -> tuple[float, ...]:
    """Fields of line `number` as non-negative seconds with a finite sum. Raises TextError."""
    try:
        result = tuple(float(value) for value in values)
    except ValueError:
        result = (math.nan,)
    if not (min(result) >= 0 and sum(result) < math.inf):
        raise TextError(
            f"Line {number} of this {name} has times that are not seconds: correct {' '.join(values)!r}."
        )
    return result


def check_single(name: str, recordings: Sequence[str]) -> None:
    """Raises TextError if the lines belong to several recordings."""
    if len(set(recordings)) > 1:
        raise TextError(
            f"This {name} mixes {len(set(recordings))} recordings: give one that holds a single recording."
        )
