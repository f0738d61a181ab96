"""What to call a speaker in front of a reader: the name, else the role, else the id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pipelines.types import Role, Speaker


def display_names(speakers: Sequence[Speaker]) -> dict[str, str]:
    """Speaker id → a name that no other speaker of the recording has, on one line.

    Speakers who would share one are numbered in their order: "Analyst 1", "Analyst 2".
    """
    wanted = {speaker.id: _wanted(speaker) for speaker in speakers}
    shared = Counter(wanted.values())
    taken = {name for name, count in shared.items() if count == 1}
    names = {}
    for id_, name in wanted.items():
        names[id_] = name if shared[name] == 1 else _numbered(name, taken)
        taken.add(names[id_])
    return names


def _wanted(speaker: Speaker) -> str:
    role = "" if speaker.role is Role.UNKNOWN else speaker.role.value.capitalize()
    return one_line(speaker.name) or role or one_line(speaker.id) or "Speaker"


def _numbered(name: str, taken: set[str]) -> str:
    number = 1
    while f"{name} {number}" in taken:
        number += 1
    return f"{name} {number}"


def one_line(text: str) -> str:
    """The text with every run of white space as one blank."""
    return " ".join(text.split())
