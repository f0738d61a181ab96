"""Which engines there are, what each is good for, and which of them to take.

Adding an engine is one entry in a table, better ones above worse ones: `auto` takes the first that is ready.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Generic, TypeVar

from pipelines import models
from pipelines.engines.base import Diarizer, Engines, Transcriber
from pipelines.engines.embedded import EmbeddedDiarizer
from pipelines.engines.pocketsphinx import PocketSphinx, PocketSphinxAligner
from pipelines.engines.silero import SileroDetector
from pipelines.errors import EngineMissingError, OptionError
from pipelines.types import Notice

Engine = TypeVar("Engine")


@dataclass(frozen=True, slots=True)
class Entry(Generic[Engine]):
    """One engine that a user can name; `summary` says how good it honestly is."""

    name: str
    summary: str
    make: Callable[[], Engine]
    library: str = ""  # import name; "" where the base install has all it needs
    weights: tuple[str, ...] = ()  # names of models

    def check(self) -> None:
        """Raises EngineMissingError or ModelCorruptError, which say what to do, unless all is here."""
        if self.library and find_spec(self.library) is None:
            raise EngineMissingError(f"{self.name} is not installed: run pip install {self.library}.")
        for name in self.weights:
            models.read(name)

    @property
    def ready(self) -> bool:
        try:
            self.check()
        except EngineMissingError:
            return False
        return True


TRANSCRIBERS: tuple[Entry[Transcriber], ...] = (
    Entry(
        "pocketsphinx",
        "English only; a quarter to a third of the words wrong on clear read speech, useless on telephone"
        " calls and meetings",
        PocketSphinx,
        library="pocketsphinx",
    ),
)
DIARIZERS: tuple[Entry[Diarizer], ...] = (
    Entry(
        "embedded",
        "good with close microphones and turns longer than 1.5 s; on meetings recorded from afar no better"
        " than taking all for one speaker; two voices at once count as one",
        EmbeddedDiarizer,
        weights=("d-vector",),
    ),
)


def choose(asr: str = "auto", diarizer: str = "auto") -> tuple[Engines, list[Notice]]:
    """The engines of these names, and for every "auto" which was taken and why.

    Raises OptionError for a name that is none, EngineMissingError where an engine or its weights are missing,
    ModelCorruptError where they are damaged: before the long work, all of them.
    """
    transcriber, heard_by = _pick("asr", TRANSCRIBERS, asr)
    teller, told_by = _pick("diarizer", DIARIZERS, diarizer)
    models.read("silero-vad")
    aligner = PocketSphinxAligner() if find_spec("pocketsphinx") else None
    return Engines(SileroDetector(), transcriber.make(), teller.make(), aligner), [*heard_by, *told_by]


def _pick(option: str, table: Sequence[Entry[Engine]], name: str) -> tuple[Entry[Engine], list[Notice]]:
    if name == "auto":
        best = next((entry for entry in table if entry.ready), table[-1])
        best.check()  # where none is ready, says what the last one lacks: that is the least
        why = f"--{option} {best.name}, the best that is ready: {best.summary}."
        return best, [Notice(f"{option}_auto", why)]
    for entry in table:
        if entry.name == name:
            entry.check()
            return entry, []
    known = "; ".join(f"{entry.name} ({entry.summary})" for entry in table)
    raise OptionError(f"There is no --{option} {name!r}: choose auto, or one of: {known}.")
