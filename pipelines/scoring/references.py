"""References that a result is scored against, read from RTTM, STM or a list of turns.

    .rttm   who speaks when                                         formats/rttm.py
    .stm    who says what, and when                                 formats/stm.py
    .json   [{"role": "anchor", "speaker": "ANCHOR", "text": "Good evening …", "name": "…"}, …]
            who says what, in order, and in which role; "role" and "name" may be missing

The truth about the supplied text is a list with one entry per white-space token of it, in order:
[{"token": "Good", "turn": 0}, …]; "turn" counts the reference's turns from 0, null means "not spoken".
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipelines.errors import TextError
from pipelines.files import read_text
from pipelines.formats import rttm, stm
from pipelines.types import Role, SpeakerSegment


@dataclass(frozen=True, slots=True)
class ReferenceTurn:
    """What one speaker says before the next."""

    speaker: str
    text: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a speaker of the reference is; UNKNOWN and "" where the reference does not say."""

    role: Role
    name: str


@dataclass(frozen=True, slots=True)
class Reference:
    """What is known to be true; parts that the reference does not give are empty."""

    segments: tuple[SpeakerSegment, ...] = ()
    turns: tuple[ReferenceTurn, ...] = ()
    identities: tuple[tuple[str, Identity], ...] = ()  # speaker → who it is


@dataclass(frozen=True, slots=True)
class TokenTruth:
    """The text of one supplied token, and the turn in which it was said; None if it was not said."""

    text: str
    turn: int | None


def load(paths: Sequence[Path]) -> Reference:
    """One reference from one or several files: each part comes from the first file that has it.

    Raises TextError for a file that cannot be read or is not a reference.
    """
    reference = Reference()
    for path in paths:
        part = parse(read_text(path, "reference"), path.suffix.lower())
        reference = Reference(
            reference.segments or part.segments,
            reference.turns or part.turns,
            reference.identities or part.identities,
        )
    return reference


def load_truth(path: Path) -> tuple[TokenTruth, ...]:
    """The truth about every supplied token. Raises TextError."""
    return parse_truth(read_text(path, "reference"))


def parse(text: str, suffix: str) -> Reference:
    """The reference in the format of this file suffix: ".rttm", ".stm" or ".json". Raises TextError."""
    if suffix == ".rttm":
        return Reference(segments=rttm.parse(text))
    if suffix == ".stm":
        utterances = stm.parse(text)
        segments = tuple(SpeakerSegment(each.start, each.end, each.speaker) for each in utterances)
        return Reference(segments, tuple(ReferenceTurn(each.speaker, each.text) for each in utterances))
    if suffix == ".json":
        return _from_json(text)
    raise TextError(f"a reference is a file named .rttm, .stm or .json, not {suffix or 'without a suffix'}")


def _from_json(text: str) -> Reference:
    turns: list[ReferenceTurn] = []
    identities: dict[str, Identity] = {}
    for number, entry in _entries(text):
        speaker, said = _string(entry, number, "speaker"), _string(entry, number, "text")
        turns.append(ReferenceTurn(speaker, said))
        found = Identity(_role(entry, number), _string(entry, number, "name", ""))
        identities[speaker] = _merge(identities.get(speaker, found), found)
    return Reference((), tuple(turns), tuple(identities.items()))


def _merge(first: Identity, second: Identity) -> Identity:
    role = second.role if first.role is Role.UNKNOWN else first.role
    return replace(first, role=role, name=first.name or second.name)


def _role(entry: dict[str, Any], number: int) -> Role:
    value = _string(entry, number, "role", Role.UNKNOWN.value)
    try:
        return Role(value)
    except ValueError:
        known = ", ".join(role.value for role in Role)
        raise TextError(
            f"turn {number} of the reference has the role {value!r}: use one of {known}"
        ) from None


def parse_truth(text: str) -> tuple[TokenTruth, ...]:
    """The truth about every supplied token. Raises TextError."""
    truth: list[TokenTruth] = []
    for number, entry in _entries(text):
        turn = entry.get("turn")
        if "turn" not in entry or not (turn is None or (type(turn) is int and turn >= 0)):
            raise TextError(f'token {number} of the truth has no "turn": give a number from 0, or null')
        truth.append(TokenTruth(_string(entry, number, "token"), turn))
    return tuple(truth)


def _entries(text: str) -> list[tuple[int, dict[str, Any]]]:
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TextError(f"the reference is not JSON: {error}") from error
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise TextError(
            'a reference in JSON is a list of objects like {"speaker": "A", "text": "Good evening."}'
        )
    return list(enumerate(entries))


def _string(entry: dict[str, Any], number: int, key: str, default: str | None = None) -> str:
    value = entry.get(key, default)
    if not isinstance(value, str):
        raise TextError(f"entry {number} of the reference has no text under {key!r}")
    return value
