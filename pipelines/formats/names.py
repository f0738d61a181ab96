"""Display names of speakers: the name, else the role, else the id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import count

from pipelines.types import Role, Speaker


def display_names(speakers: Sequence[Speaker]) -> dict[str, str]:
    """Maps each speaker id to a one-line name that is unique in the recording.

    Speakers who would share a name are numbered in order: "Analyst 1", "Analyst 2".
    """
    wanted = {speaker.id: _wanted(speaker) for speaker in speakers}
    shared = Counter(wanted.values())
    taken = {name for name, speakers_ in shared.items() if speakers_ == 1}
    names = {}
    for id_, name in wanted.items():
        numbered = (f"{name} {number}" for number in count(1))
        names[id_] = name if shared[name] == 1 else next(each for each in numbered if each not in taken)
        taken.add(names[id_])
    return names


def _wanted(speaker: Speaker) -> str:
    role = "" if speaker.role is Role.UNKNOWN else speaker.role.value.capitalize()
    return one_line(speaker.name) or role or one_line(speaker.id) or "Speaker"


def one_line(text: str) -> str:
    """The text with every run of white space as one space."""
    return " ".join(text.split())
