"""Where files lie. Nothing that a user sends ever becomes part of a path: names are ours, and ids are
checked.

<data folder>/
  incoming/<id>/     being uploaded; renamed to jobs/<id> when it is complete on the disk
  jobs/<id>/         request.json, recording, text, heard, diarization: what was sent
    attempts/<n>/    what a stage is writing
    stages/<stage>/  what a stage has written: renamed from attempts/ when it is complete on the disk
    result/          result.json, result.vtt, …
    failure.json     why it failed
  trash/<id>/        deleted; emptied again and again until it is gone
  uploads/<id>/      resumable uploads: data, info.json (service/uploads.py)
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pipelines.pipeline import Stage

STORE = "store"
STAGES: tuple[str, ...] = (*(stage.value for stage in Stage), STORE)
"""The stages of a job in order; transcribe and diarize run at the same time."""

ID_LENGTH = 32


def new_id() -> str:
    """32 hexadecimal digits, in the order of their making: 48 bits of milliseconds, 80 bits of chance."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def is_id(text: str) -> bool:
    return len(text) == ID_LENGTH and set(text) <= set("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Request:
    """What a user asked for, beside the files. Names are for reading only."""

    recording_name: str
    text_name: str = ""  # "" without a text
    asr: str = ""  # "" for the service's default
    diarizer: str = ""
    language: str = ""
    min_speakers: int = 1
    max_speakers: int = 0
    glossary: tuple[str, ...] = ()
    webhook: str = ""

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Request:
        values = json.loads(text)
        return cls(**values | {"glossary": tuple(values["glossary"])})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed: the stage, a stable code, and a sentence for the user."""

    stage: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class JobFolder:
    """The files of one job."""

    path: Path
    recording: Path = field(init=False)
    text: Path = field(init=False)
    heard: Path = field(init=False)  # words heard already, brought along
    diarization: Path = field(init=False)  # speakers known already, brought along

    def __post_init__(self) -> None:
        for name in ("recording", "text", "heard", "diarization"):
            object.__setattr__(self, name, self.path / name)

    def request(self) -> Request:
        return Request.from_json((self.path / "request.json").read_text("utf-8"))

    def write_request(self, request: Request) -> None:
        write_through(self.path / "request.json", request.to_json())

    def stage(self, stage: str) -> Path:
        return self.path / "stages" / stage

    def result(self, format: str) -> Path:
        return self.stage(STORE) / f"result.{format}"

    def new_attempt(self) -> Path:
        """An empty folder for what a stage writes. Raises FileNotFoundError where the job was deleted."""
        attempts = self.path / "attempts"
        attempts.mkdir(exist_ok=True)
        attempt = attempts / secrets.token_hex(8)
        attempt.mkdir()
        return attempt

    def accept(self, attempt: Path, place: Path) -> None:
        """What an attempt wrote becomes `place`, all at once; where another attempt was first, that one
        stays."""
        for file in attempt.iterdir():
            flush(file)
        flush(attempt)
        place.parent.mkdir(exist_ok=True)
        try:
            attempt.rename(place)
        except OSError:
            if not place.is_dir():
                raise
            shutil.rmtree(attempt)
        flush(place.parent)

    def failure(self) -> Failure | None:
        try:
            return Failure(**json.loads((self.path / "failure.json").read_text("utf-8")))
        except FileNotFoundError:
            return None

    def write_failure(self, failure: Failure) -> None:
        write_through(self.path / "failure.json", json.dumps(asdict(failure)))

    def tidy(self) -> None:
        """Drops what nobody asks for after the end; what was heard and who spoke can be brought along
        again."""
        shutil.rmtree(self.path / "attempts", ignore_errors=True)
        for stage in STAGES:
            if stage not in (Stage.TRANSCRIBE, Stage.DIARIZE, STORE):
                shutil.rmtree(self.stage(stage), ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Storage:
    """The data folder."""

    root: Path

    def prepare(self) -> None:
        """Makes the folders that are not there yet, for nobody else to look into."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("incoming", "jobs", "trash", "uploads", "executors"):
            (self.root / name).mkdir(exist_ok=True, mode=0o700)

    def job(self, id: str) -> JobFolder:
        return JobFolder(self._place("jobs", id))

    def incoming(self, id: str) -> JobFolder:
        """A new folder, for what is being uploaded."""
        folder = JobFolder(self._place("incoming", id))
        folder.path.mkdir(mode=0o700)
        return folder

    def upload(self, id: str) -> Path:
        return self._place("uploads", id)

    @property
    def executors(self) -> Path:
        return self.root / "executors"

    def admit(self, id: str) -> JobFolder:
        """Moves a complete upload to its place; until then nothing refers to it."""
        source, target = self._place("incoming", id), self.job(id)
        for file in source.iterdir():
            flush(file)
        flush(source)
        source.rename(target.path)
        flush(target.path.parent)
        return target

    def discard(self, id: str) -> None:
        """Away with the files of a job, finished or not, or of an upload; what cannot be deleted now is
        deleted later."""
        for name in ("jobs", "incoming", "uploads"):
            with suppress(FileNotFoundError):
                self._place(name, id).rename(self.root / "trash" / f"{id}.{secrets.token_hex(4)}")
        self.empty_trash()

    def empty_trash(self) -> None:
        for path in (self.root / "trash").iterdir():
            shutil.rmtree(path, ignore_errors=True)

    def strays(self, older_than: float) -> Iterator[str]:
        """Ids of folders of jobs, and of uploads to them, that were last changed before that time."""
        for name in ("jobs", "incoming"):
            for path in (self.root / name).iterdir():
                with suppress(FileNotFoundError, NotADirectoryError):
                    if is_id(path.name) and _changed(path) < older_than:
                        yield path.name

    def free_bytes(self) -> int:
        return shutil.disk_usage(self.root).free

    def _place(self, name: str, id: str) -> Path:
        if not is_id(id):
            raise ValueError(f"{id!r} is no id")
        return self.root / name / id


def _changed(folder: Path) -> float:
    """When the folder, or a file in it, was last changed: a file that is being uploaded grows for hours."""
    return max(path.stat().st_mtime for path in (folder, *folder.iterdir()))


def write_through(path: Path, text: str) -> None:
    """Writes beside, through to the disk, then renames; where that fails, what was there stays alone."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        part.write_text(text, "utf-8")
        flush(part)
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)
    flush(path.parent)


def flush(path: Path) -> None:
    """Through to the disk, file or folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load_json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))
