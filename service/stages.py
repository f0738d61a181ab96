"""What each stage of a job does: reads what earlier stages left in the job's folder, and writes beside it.

Run as `python -m service.stages` by service/processes.py: one request a line on the standard input,

    {"stage": "transcribe", "job": FOLDER, "attempt": FOLDER, "engines": "module:function",
     "asr": "auto", "diarizer": "auto", "device": "auto"}

and for each of them any number of {"progress": 0.25} and at last {"done": {}} or
{"failed": {"code": …, "message": …}} on the standard output. Models stay loaded between requests.
"""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import sys
import time
import traceback
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import numpy as np

from pipelines import formats, models, supplied
from pipelines.attribution import attribute, take_turns
from pipelines.audio_preview import data_uri, encode_opus
from pipelines.engines.base import Engines
from pipelines.engines.given import GivenDiarizer, GivenTranscriber
from pipelines.errors import EngineMemoryError, TextError, TurnwiseError
from pipelines.formats import heard as heard_format
from pipelines.formats import html, rttm
from pipelines.pipeline import (
    Aligned,
    Options,
    Reading,
    Stage,
    as_supplied,
    diarize,
    doubts,
    find_speech,
    provenance,
    put_in_time,
    reconcile,
    transcribe,
)
from pipelines.processes import die_with_parent
from pipelines.roles import assign_roles
from pipelines.types import (
    Attribution,
    Audio,
    Diarization,
    Heard,
    Media,
    Notice,
    Span,
    Speaker,
    SpeakerCount,
    Supplied,
    Transcript,
    Turn,
)
from service import artifacts
from service.processes import INTERNAL
from service.storage import STORE, JobFolder

DISK_FULL = "DiskFullError"
PROGRESS_INTERVAL = 0.2
"""Seconds between two lines about one stage."""
LONGEST_EMBEDDED = 3600.0
"""Seconds of a recording that the page holds itself, as the command's does."""


# --------------------------------------------------------------------------- what the stages leave


@dataclass(frozen=True, slots=True)
class Decoded:
    media: Media
    warnings: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class Detected:
    speech: tuple[Span, ...]
    together: bool  # whether the memory is enough to transcribe and diarize at the same time


@dataclass(frozen=True, slots=True)
class Diarized:
    diarization: Diarization
    warnings: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class Attributed:
    attribution: Attribution
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Assigned:
    speakers: tuple[Speaker, ...]


LEAVES: dict[Stage, type] = {
    Stage.DETECT: Detected,
    Stage.TRANSCRIBE: Heard,
    Stage.DIARIZE: Diarized,
    Stage.ALIGN: Aligned,
    Stage.ATTRIBUTE: Attributed,
    Stage.ROLES: Assigned,
    Stage.RECONCILE: Reading,
}
LEFT = "left.json"
"""Name of the file in a stage's folder that holds what it leaves."""
MEDIA, SAMPLES = "media.json", "samples.f32"
"""What service/decoding.py leaves."""
TRANSCRIPT = "transcript.json"
"""Name of the file beside the results that holds the transcript itself."""


# --------------------------------------------------------------------------- one job


@dataclass(frozen=True)
class Work:
    """A job's folder, and what is known of it so far."""

    folder: JobFolder
    engines: Engines
    progress: Callable[[float], None]

    def left(self, stage: Stage) -> Any:
        return artifacts.load(self.folder.stage(stage) / LEFT, LEAVES[stage])

    @cached_property
    def options(self) -> Options:
        request = self.folder.request()
        count = SpeakerCount(request.min_speakers, request.max_speakers)
        return Options(request.language, count, request.glossary)

    @cached_property
    def decoded(self) -> Decoded:
        return artifacts.load(self.folder.stage(Stage.DECODE) / MEDIA, Decoded)

    @cached_property
    def audio(self) -> Audio:
        """The samples stay on the disk until they are read; a private copy of what an engine changes."""
        path = self.folder.stage(Stage.DECODE) / SAMPLES
        return Audio(np.memmap(path, np.float32, mode="c"), self.decoded.media)

    @cached_property
    def speech(self) -> tuple[Span, ...]:
        detected: Detected = self.left(Stage.DETECT)
        return detected.speech

    @cached_property
    def heard(self) -> Heard:
        heard: Heard = self.left(Stage.TRANSCRIBE)
        return heard

    @cached_property
    def supplied(self) -> Supplied:
        request = self.folder.request()
        if not request.text_name:
            return as_supplied(self.heard)
        return supplied.parse(self.folder.text.read_bytes(), request.text_name)


def _detect(work: Work) -> Detected:
    return Detected(find_speech(work.audio, work.engines, work.progress), work.engines.together)


def _transcribe(work: Work) -> Heard:
    return transcribe(work.audio, work.speech, work.engines, work.options, work.progress)


def _diarize(work: Work) -> Diarized:
    return Diarized(*diarize(work.audio, work.speech, work.engines, work.options, work.progress))


def _align(work: Work) -> Aligned:
    return put_in_time(work.supplied, work.heard, work.speech, work.audio, work.engines)


def _attribute(work: Work) -> Attributed:
    aligned: Aligned = work.left(Stage.ALIGN)
    diarized: Diarized = work.left(Stage.DIARIZE)
    attribution = attribute(aligned.tokens, diarized.diarization)
    return Attributed(attribution, take_turns(aligned.tokens, attribution))


def _assign(work: Work) -> Assigned:
    aligned: Aligned = work.left(Stage.ALIGN)
    given: Attributed = work.left(Stage.ATTRIBUTE)
    return Assigned(assign_roles(given.turns, aligned.tokens, work.heard, given.attribution))


def _reconcile(work: Work) -> Reading:
    aligned: Aligned = work.left(Stage.ALIGN)
    given: Attributed = work.left(Stage.ATTRIBUTE)
    return reconcile(aligned.tokens, given.turns, work.heard, work.options)


STEPS: dict[str, Callable[[Work], object]] = {
    Stage.DETECT: _detect,
    Stage.TRANSCRIBE: _transcribe,
    Stage.DIARIZE: _diarize,
    Stage.ALIGN: _align,
    Stage.ATTRIBUTE: _attribute,
    Stage.ROLES: _assign,
    Stage.RECONCILE: _reconcile,
}


def assemble(work: Work) -> Transcript:
    """The transcript that `pipelines.pipeline.run` would have returned."""
    aligned: Aligned = work.left(Stage.ALIGN)
    diarized: Diarized = work.left(Stage.DIARIZE)
    given: Attributed = work.left(Stage.ATTRIBUTE)
    assigned: Assigned = work.left(Stage.ROLES)
    reading: Reading = work.left(Stage.RECONCILE)
    doubtful = doubts(aligned, len(assigned.speakers), work.options)
    return Transcript(
        media=work.decoded.media,
        language=work.heard.language,
        supplied=work.supplied,
        heard=work.heard,
        engines=provenance(work.engines, work.heard, diarized.diarization),
        tokens=aligned.tokens,
        attribution=given.attribution,
        turns=reading.turns,
        speakers=assigned.speakers,
        findings=reading.findings,
        corrections=reading.corrections,
        corrected=reading.corrected,
        warnings=(*work.decoded.warnings, *diarized.warnings, *aligned.warnings, *doubtful),
    )


def store(work: Work, attempt: Path) -> None:
    """The result in every format, as `turnwise run` writes it; the transcript too, for OpenAI's shapes."""
    transcript = assemble(work)
    for done, name in enumerate(formats.FORMATS):
        if name == "html":
            text = html.serialize(transcript, _playable(work.audio))
        else:
            text = formats.serialize(transcript, name)
        (attempt / f"result.{name}").write_text(text, "utf-8", newline="")
        work.progress(done / len(formats.FORMATS))
    artifacts.dump(attempt / TRANSCRIPT, transcript)


def _playable(audio: Audio) -> str:
    return data_uri(encode_opus(audio)) if audio.duration <= LONGEST_EMBEDDED else "../audio"


# --------------------------------------------------------------------------- one request


EngineFactory = Callable[[str, str, str, str], tuple[Engines, Sequence[Notice]]]
"""Takes asr, diarizer, device and language, as `pipelines.engines.choice.choose` does."""


@lru_cache(maxsize=1)
def _choose(factory: str, asr: str, diarizer: str, device: str, language: str) -> Engines:
    """The engines, loaded once and kept for the next job that asks for the same."""
    engines, _ = load_factory(factory)(asr, diarizer, device, language)
    return engines


def load_factory(name: str) -> EngineFactory:
    """The function that the setting `engines` names. Raises ImportError or AttributeError."""
    module, _, function = name.partition(":")
    factory: EngineFactory = getattr(import_module(module), function)
    return factory


def _engines(folder: JobFolder, request: dict[str, str]) -> Engines:
    """Those that the job named; in their place what the user brought along."""
    language = folder.request().language
    engines = _choose(request["engines"], request["asr"], request["diarizer"], request["device"], language)
    if folder.heard.exists():
        transcriber = GivenTranscriber(heard_format.parse(_text(folder.heard)))
        engines = replace(engines, transcriber=transcriber)
    if folder.diarization.exists():
        segments = rttm.parse(_text(folder.diarization))
        engines = replace(engines, diarizer=GivenDiarizer(segments, "diarization.rttm"))
    return engines


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise TextError(f"The file sent as {path.name} is not UTF-8 text: send it as such.") from None


def perform(request: dict[str, str], progress: Callable[[float], None]) -> None:
    """One stage. Raises TurnwiseError, or whatever else goes wrong."""
    folder, attempt = JobFolder(Path(request["job"])), Path(request["attempt"])
    work = Work(folder, _engines(folder, request), progress)
    if request["stage"] == STORE:
        store(work, attempt)
    else:
        artifacts.dump(attempt / LEFT, STEPS[request["stage"]](work))


def answer(request: dict[str, str], progress: Callable[[float], None]) -> dict[str, object]:
    """The last line about a request."""
    try:
        perform(request, progress)
    except TurnwiseError as error:
        message = str(error).replace(str(models.folder()), "the models folder")  # users see no path of ours
        return _failed(type(error).__name__, message)
    except MemoryError:
        message = "The memory is not enough for this recording: give the stages more, or cut it into parts."
        return _failed(EngineMemoryError.__name__, message)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _failed(DISK_FULL, "The disk is full: free some space.")
        _trace(error)
        return _failed(INTERNAL, f"A fault of ours in the stage {request['stage']}: please report it.")
    return {"done": {}}


def _trace(error: BaseException | None) -> None:
    """Where it happened, for the log, which is kept when the job is deleted: without the messages, which may
    quote what a user wrote."""
    while error is not None:
        traceback.print_tb(error.__traceback__)
        print(type(error).__name__, file=sys.stderr)
        error = error.__cause__ or error.__context__


def snake(name: str) -> str:
    """The stable code of an error's class: NoSpeechError → no_speech."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name.removesuffix("Error")).lower()


def _failed(code: str, message: str) -> dict[str, object]:
    return {"failed": {"code": code, "message": message}}


# --------------------------------------------------------------------------- the process


def throttled(write: Callable[[dict[str, object]], None]) -> Callable[[float], None]:
    """Progress as lines, not more often than anybody could read them."""
    last = 0.0

    def progress(fraction: float) -> None:
        nonlocal last
        if time.monotonic() - last >= PROGRESS_INTERVAL:
            last = time.monotonic()
            write({"progress": fraction})

    return progress


def requests(lines: IO[str]) -> Iterator[dict[str, str]]:
    for line in lines:
        yield json.loads(line)


def main() -> None:
    """Answers requests until the standard input ends. What libraries print goes to the standard error."""
    die_with_parent()
    parser = ArgumentParser()
    parser.add_argument("--niceness", type=int, default=0)
    parser.add_argument("--memory-bytes", type=int, default=0)
    options = parser.parse_args()
    os.nice(options.niceness)
    if options.memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (options.memory_bytes, options.memory_bytes))
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def write(line: dict[str, object]) -> None:
        print(json.dumps(line), file=answers, flush=True)

    for request in requests(sys.stdin):
        write(answer(request, throttled(write)))


if __name__ == "__main__":
    main()
