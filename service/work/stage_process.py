"""What each stage of a job does: it reads results of earlier stages in the job's folder, and writes its own.

Run as `python -m service.work.stage_process NICENESS MEMORY_BYTES` by children.py, 0 bytes for no limit, with
one request per line on the standard input,

    {"stage": "transcribe", "job": FOLDER, "attempt": FOLDER, "engines": "module:function",
     "asr": "auto", "diarizer": "auto", "device": "auto"}

and answered as answering.py says. Models stay loaded between requests.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from importlib import import_module
from pathlib import Path
from typing import TypeVar

import numpy as np

from pipelines import formats, models
from pipelines.audio import playable
from pipelines.engines import choose
from pipelines.errors import EngineMemoryError, TurnwiseError, code_of
from pipelines.files import is_full
from pipelines.pipeline import LEFT_BY, STEPS, Decoded, Stage, Text
from pipelines.processes import die_with_parent
from pipelines.protocols import Engines, Progress
from pipelines.types import Audio, Notice, Options, Transcript
from service.files import artifacts
from service.files.storage import JobFolder
from service.work.answering import DISK_FULL, INTERNAL, failed, opened, paced

Value = TypeVar("Value")


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
        names = (named["asr"], named["diarizer"], named["device"])
        factory = load_factory(named["engines"])
        engines = choose(*names, language)[0] if factory is choose else _made(factory, *names)
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
def _made(factory: EngineFactory, asr: str, diarizer: str, device: str) -> Engines:
    """Keeps a builder's engines, with their models, for the next job that names the same, in any language.

    Our own `choose` keeps its engines itself: they may differ by language.
    """
    engines, _ = factory(asr, diarizer, device, "")
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
        return failed(code_of(type(error)), message)
    except MemoryError:
        message = (
            "This recording needs more memory than there is: give the stages more, or cut it into parts."
        )
        return failed(code_of(EngineMemoryError), message)
    except Exception as error:
        if isinstance(error, OSError) and is_full(error):
            return failed(DISK_FULL, "The disk is full: free some space.")
        _trace(error)
        return failed(INTERNAL, f"An internal error in the stage {request['stage']}: please report it.")
    return {"done": {}}


def _trace(error: BaseException | None) -> None:
    """Prints where errors happened, without messages: they may quote a user, and the log outlives the job."""
    while error is not None:
        traceback.print_tb(error.__traceback__)
        print(type(error).__name__, file=sys.stderr)
        error = error.__cause__ or error.__context__


def main() -> None:
    """Answers requests until the standard input ends."""
    die_with_parent()
    niceness, memory_bytes = map(int, sys.argv[1:])
    os.nice(niceness)
    if memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    write = opened()
    for line in sys.stdin:
        write(answer(json.loads(line), paced(write)))


if __name__ == "__main__":
    main()
