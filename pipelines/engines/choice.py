"""Which engines there are, how good each is, and which one to use.

An engine and its model are named in one word, NAME or NAME:MODEL: `whisper:small`, `pyannote:3.1`,
`faster-whisper:folder/of/a/model`. Adding an engine is one entry in a table, better ones first: `auto`
takes the first that is ready, with the best of its models that are present.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Generic, Protocol, TypeVar, runtime_checkable

from pipelines import models
from pipelines.engines import footprint
from pipelines.engines.embedded import EmbeddedDiarizer, PocketSphinx, PocketSphinxAligner, SileroDetector
from pipelines.engines.given import OneVoice
from pipelines.engines.pyannote import Pyannote
from pipelines.engines.whisper import FasterWhisper, Whisper
from pipelines.errors import EngineMissingError, OptionError
from pipelines.protocols import Diarizer, Engines, Transcriber
from pipelines.types import Notice

AUTO = "auto"


@runtime_checkable
class Checked(Protocol):
    """An engine that can say before the long work why it would fail."""

    def check(self) -> None: ...


Engine = TypeVar("Engine")


@dataclass(frozen=True, slots=True)
class Entry(Generic[Engine]):
    """One engine that a user can name; `summary` says honestly how good it is."""

    name: str
    summary: str
    make: Callable[[str, str], Engine]  # takes a model's name or path, and a device
    kind: str = ""  # the kind of its models and the name of its extra, if not `name`
    library: str = ""  # import name; "" if the base install has all it needs
    weights: tuple[str, ...] = ()  # models that it requires
    suggested: str = ""  # the model to start with, if there are several
    automatic: bool = True  # whether `auto` may take it

    @property
    def advice(self) -> str:
        """How to install it."""
        steps = [f"pip install 'turnwise[{self.family}]'"] if not self._installed else []
        return " and ".join([*steps, f"turnwise models pull {self.family}:{self.suggested}"])

    def knows(self, model: str) -> bool:
        """Whether `model` is the name of a known or present model; a path is not."""
        name = f"{self.family}:{model}"
        known = models.SYNONYMS.get(name, name) in models.MODELS
        return bool(self.suggested) and (known or model in models.available(self.family))

    def prepare(self, model: str, device: str, language: str) -> Engine:
        """Returns the engine with this model; "" means the best one present for this language.

        Raises EngineMissingError, ModelError or OptionError, which say what to do, if anything is missing.
        """
        if not self._installed:
            raise EngineMissingError(f"{self.name} is not installed: run {self.advice}.")
        for name in self.weights:
            models.read(name)
        if model and not self.suggested:
            raise OptionError(f"{self.name} has only one model: leave out {':' + model!r}.")
        engine: Engine = _made(self, model or self._best_model(language), device, models.folder())
        if isinstance(engine, Checked):
            engine.check()
        return engine

    def _best_model(self, language: str) -> str:
        if not self.suggested:
            return ""
        here = models.available(self.family, language)
        if not here:
            raise EngineMissingError(
                f"{self.name} has no model in {models.folder()}: fetch one with `{self.advice}`, or copy the "
                "models folder from a machine that has it."
            )
        return here[0]

    @property
    def family(self) -> str:
        """The kind of its models, and the name of its extra."""
        return self.kind or self.name

    @property
    def _installed(self) -> bool:
        try:
            return not self.library or find_spec(self.library) is not None
        except ModuleNotFoundError:  # not even its parent package is there
            return False


@lru_cache(maxsize=2)
def _made(entry: Entry[Engine], model: str, device: str, folder: Path) -> Engine:
    """Caches the last two engines, a transcriber and a diarizer, with their loaded models."""
    return entry.make(model, device)


TRANSCRIBERS: list[Entry[Transcriber]] = [
    Entry(
        "faster-whisper",
        "Whisper in CTranslate2: as good as whisper, several times faster on a processor, half the memory",
        FasterWhisper,
        library="faster_whisper",
        suggested="small",
    ),
    Entry(
        "whisper",
        "openai-whisper, the reference: about a hundred languages; the large models need a graphics card",
        Whisper,
        library="whisper",
        suggested="small",
    ),
    Entry(
        "pocketsphinx",
        "English only; a quarter to a third of the words wrong on clear read speech, useless on telephone"
        " calls and meetings",
        lambda model, device: PocketSphinx(),
        library="pocketsphinx",
    ),
]
DIARIZERS: list[Entry[Diarizer]] = [
    Entry(
        "pyannote",
        "pyannote.audio: also overlapping speech, telephone calls and meetings; slow without a graphics card",
        Pyannote,
        library="pyannote.audio",
        suggested="community-1",
    ),
    Entry(
        "pyannote-fast",
        "the same with fewer chunks: twice as fast, boundaries slightly less precise",
        lambda model, device: Pyannote(model, device, fast=True),
        kind="pyannote",
        library="pyannote.audio",
        suggested="community-1",
        automatic=False,
    ),
    Entry(
        "embedded",
        "good with close microphones and turns longer than 1.5 s; on meetings recorded from a distance no"
        " better than assuming one speaker; overlapping speech goes to one speaker",
        lambda model, device: EmbeddedDiarizer(),
        weights=("d-vector",),
    ),
    Entry("none", "all speech goes to one speaker", lambda model, device: OneVoice(), automatic=False),
]


def choose(
    asr: str | Transcriber = AUTO, diarizer: str | Diarizer = AUTO, device: str = AUTO, language: str = ""
) -> tuple[Engines, list[Notice]]:
    """Returns the engines of these names, or the given ones, and for each "auto" a notice of the choice.

    Raises OptionError for an unknown name, EngineMissingError if an engine or its weights are missing,
    ModelError if they cannot be used; all before the long work.
    """
    transcriber, heard_by = _take("asr", TRANSCRIBERS, asr, device, language)
    teller, told_by = _take("diarizer", DIARIZERS, diarizer, device, language)
    models.read("silero-vad")
    aligner = PocketSphinxAligner() if find_spec("pocketsphinx") else None
    together = footprint.fits(transcriber, teller)
    return Engines(SileroDetector(), transcriber, teller, aligner, together), [*heard_by, *told_by]


def _take(
    option: str, table: Sequence[Entry[Engine]], wanted: str | Engine, device: str, language: str
) -> tuple[Engine, list[Notice]]:
    if not isinstance(wanted, str):
        return wanted, []
    if wanted in {"", AUTO}:
        return _take_best(option, table, device, language)
    entry, model = read(table, wanted)
    return entry.prepare(model, device, language), []


def read(table: Sequence[Entry[Engine]], wanted: str) -> tuple[Entry[Engine], str]:
    """Returns the engine that NAME or NAME:MODEL means, and its model ("": the best). Raises OptionError."""
    name, _, model = wanted.partition(":")
    for entry in table:
        if entry.name == name:
            return entry, model
    if name == AUTO:
        raise OptionError(f"auto chooses the model, too: leave out {':' + model!r}.")
    known = "; ".join(f"{entry.name} ({entry.summary})" for entry in table)
    raise OptionError(f"There is no engine {name!r}: choose auto, or one of: {known}.")


def check_name(table: Sequence[Entry[Engine]], wanted: str) -> None:
    """Raises OptionError unless `wanted` means the default, or an engine and a model that `Entry.knows`."""
    if wanted in {"", AUTO}:
        return
    entry, model = read(table, wanted)
    if model and not entry.knows(model):
        raise OptionError(f"{entry.name} has no model {model!r}: choose another one, or leave it out.")


def _take_best(
    option: str, table: Sequence[Entry[Engine]], device: str, language: str
) -> tuple[Engine, list[Notice]]:
    """Returns the first engine that is ready, and a notice that names it and a better one.

    Raises EngineMissingError if none is ready: it says what the last one lacks, which needs the least.
    """
    candidates = [entry for entry in table if entry.automatic]
    for entry in candidates:
        try:
            engine = entry.prepare("", device, language)
        except EngineMissingError:
            if entry is candidates[-1]:
                raise
            continue
        best = candidates[0]
        better = "" if entry is best else f" Better: {best.name} ({best.advice})."
        message = f"--{option} {entry.name}, the best that is ready: {entry.summary}.{better}"
        return engine, [Notice(f"{option}_auto", message)]
    raise AssertionError("a table of engines is never empty")
