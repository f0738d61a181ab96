"""What the formats of the field share: one speaker's stretch of speech with its words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Utterance:
    """What one speaker said from `start` to `end`."""

    speaker: str
    start: float
    end: float
    text: str
