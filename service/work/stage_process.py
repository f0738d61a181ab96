"""What each stage of a job does: it reads results of earlier stages in the job's folder, and writes its own.

Run as `python -m service.work.stage_process` by children.py, with one request per line on the standard input,

    {"stage": "transcribe", "job": FOLDER, "attempt": FOLDER, "engines": "module:function",
     "asr": "auto", "diarizer": "auto", "device": "auto"}

and for each of them any number of {"progress": 0.25} and finally {"done": {}} or
{"failed": {"code": …, "message": …}} on the standard output. Models stay loaded between requests.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import sys
import time
import traceback
from argparse import ArgumentParser
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path
from typing import TypeVar

import numpy as np

from pipelines import formats, models
from pipelines.audio import playable
from pipelines.errors import EngineMemoryError, TurnwiseError
from pipelines.pipeline import LEFT_BY, STEPS, Decoded, Stage, Text
from pipelines.processes import die_with_parent
from pipelines.protocols import Engines, Progress
from pipelines.types import Audio, Notice, Options, Transcript
from service.files import artifacts
from service.files.storage import JobFolder
from service.work.children import INTERNAL

Value = TypeVar("Value")

DISK_FULL = "DiskFullError"
PROGRESS_INTERVAL = 0.2
"""Seconds between two lines about one stage."""


@dataclass(frozen=True, slots=True)
class Work:
    """The folder of a job, and the names of the engines to use."""

    folder: JobFolder
    request: Mapping[str, str]

    def load(self, kind: type) -> object:
        """Loads an input of a step, by its type."""
        if kind in LEFT_BY or kind is Decoded:
            return self.left(kind)
        if kind is Options:
            return self.folder.request().options
        return {Audio: self.audio, Text: self.text, Engines: self.engines}[kind]()

    def left(self, kind: type[Value]) -> Value:
        """Loads the result of an earlier step."""
        stage = LEFT_BY.get(kind, Stage.DECODE)
        return artifacts.load(self.folder.stage(stage) / artifacts.name(stage), kind)

    def audio(self) -> Audio:
        """Maps the samples, which stay on the disk until read; changes by an engine stay private."""
        path = self.folder.stage(Stage.DECODE) / artifacts.SAMPLES
        return Audio(np.memmap(path, np.float32, mode="c"), self.left(Decoded).media)

    def text(self) -> Text:
        return Text(self.folder.supplied(self.folder.request().text_name))

    def engines(self) -> Engines:
        """Returns the engines that the job named, replaced by results that the user supplied."""
        named, folder = self.request, self.folder
        language = folder.request().options.language
        engines = _choose(named["engines"], named["asr"], named["diarizer"], named["device"], language)
        return replace(
            engines,
            transcriber=folder.given_transcriber() or engines.transcriber,
            diarizer=folder.given_diarizer() or engines.diarizer,
        )


def write_results(transcript: Transcript, audio: Audio, attempt: Path, progress: Progress) -> None:
    """Writes the result in every format, as `turnwise run` does."""
    for done, name in enumerate(formats.FORMATS):
        text = formats.serialize(transcript, name, partial(playable, audio, "../audio"))
        (attempt / f"result.{name}").write_text(text, "utf-8", newline="")
        progress(done / len(formats.FORMATS))


EngineFactory = Callable[[str, str, str, str], tuple[Engines, Sequence[Notice]]]
"""Takes asr, diarizer, device and language, as `pipelines.engines.choice.choose` does."""


@lru_cache(maxsize=1)
def _choose(factory: str, asr: str, diarizer: str, device: str, language: str) -> Engines:
    """Loads the engines, and keeps them for the next job with the same ones."""
    engines, _ = load_factory(factory)(asr, diarizer, device, language)
    return engines


def load_factory(name: str) -> EngineFactory:
    """Returns the function that the setting `engines` names. Raises ImportError or AttributeError."""
    module, _, function = name.partition(":")
    factory: EngineFactory = getattr(import_module(module), function)
    return factory


def perform(request: dict[str, str], progress: Callable[[float], None]) -> None:
    """Performs one stage. Raises TurnwiseError, or anything else."""
    work = Work(JobFolder(Path(request["job"])), request)
    stage, attempt = Stage(request["stage"]), Path(request["attempt"])
    left = STEPS[stage].run(work.load, progress)
    if isinstance(left, Transcript):
        write_results(left, work.audio(), attempt, progress)
    artifacts.dump(attempt / artifacts.name(stage), left)


def answer(request: dict[str, str], progress: Callable[[float], None]) -> dict[str, object]:
    """Performs a request and returns its final line."""
    try:
        perform(request, progress)
    except TurnwiseError as error:
        message = str(error).replace(str(models.folder()), "the models folder")  # users never see our paths
        return _failed(type(error).__name__, message)
    except MemoryError:
        message = (
            "This recording needs more memory than there is: give the stages more, or cut it into parts."
        )
        return _failed(EngineMemoryError.__name__, message)
    except Exception as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _failed(DISK_FULL, "The disk is full: free some space.")
        _trace(error)
        return _failed(INTERNAL, f"An internal error in the stage {request['stage']}: please report it.")
    return {"done": {}}


def _trace(error: BaseException | None) -> None:
    """Prints where errors happened, without messages: they may quote a user, and the log outlives the job."""
    while error is not None:
        traceback.print_tb(error.__traceback__)
        print(type(error).__name__, file=sys.stderr)
        error = error.__cause__ or error.__context__


def _failed(code: str, message: str) -> dict[str, object]:
    return {"failed": {"code": code, "message": message}}


def throttled(write: Callable[[dict[str, object]], None]) -> Callable[[float], None]:
    """Returns a function that writes progress lines, at intervals of PROGRESS_INTERVAL at least."""
    last = 0.0

    def progress(fraction: float) -> None:
        nonlocal last
        if time.monotonic() - last >= PROGRESS_INTERVAL:
            last = time.monotonic()
            write({"progress": fraction})

    return progress


def main() -> None:
    """Answers requests until the standard input ends; sends prints of libraries to the standard error."""
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

    for line in sys.stdin:
        write(answer(json.loads(line), throttled(write)))


if __name__ == "__main__":
    main()
