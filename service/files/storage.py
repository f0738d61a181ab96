"""Where files are kept: all in the data folder, unless bucket.py keeps those of jobs elsewhere. Nothing that
a user sends ever becomes part of a path: names are ours, and ids are checked.

<data folder>/
  incoming/<id>/     being uploaded; renamed to jobs/<id> when it is complete on the disk
  jobs/<id>/         request.json, recording, text, heard, diarization: what was sent
    attempts/<n>/    what a stage is writing
    stages/<stage>/  what a stage has written: renamed from attempts/ when it is complete on the disk
    <stage>.message  the message of a stage that failed
    failure.json     why the job failed
  trash/<id>/        deleted; emptied repeatedly until it is gone
  uploads/<id>/      resumable uploads: data, info.json (service/files/uploads.py)
"""

from __future__ import annotations

import json
import secrets
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar, TypeVar

from pipelines import supplied
from pipelines.engines import GivenDiarizer, GivenTranscriber
from pipelines.files import decode, flush, write_whole
from pipelines.formats import heard, rttm
from pipelines.pipeline import Stage
from pipelines.types import Options, SpeakerCount, Supplied
from service.files.objects import Object

Value = TypeVar("Value")

LASTING = (Stage.TRANSCRIBE, Stage.DIARIZE, Stage.STORE)
"""Stages whose files stay after a job has ended: the results, and what another job can start from."""
REQUEST, FAILURE = "request.json", "failure.json"
ID_LENGTH = 32


def new_id() -> str:
    """32 hexadecimal digits that sort by time of creation: 48 bits of milliseconds, 80 random bits."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def is_id(text: str) -> bool:
    return len(text) == ID_LENGTH and set(text) <= set("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Request:
    """What a user asked for, besides the files. Names are only for display."""

    recording_name: str
    text_name: str = ""  # "" without a text
    options: Options = field(default_factory=Options)
    webhook: str = ""
    metadata: dict[str, str] = field(default_factory=dict)  # the user's own, returned unchanged

    def to_json(self) -> str:
        """Flat: every option is a value of its own."""
        values = asdict(self)
        options = values.pop("options")
        count = options.pop("speakers")
        bounds = {"min_speakers": count["minimum"], "max_speakers": count["maximum"]}
        return json.dumps(values | options | bounds)

    @classmethod
    def from_json(cls, text: str) -> Request:
        values = json.loads(text)
        options = Options(
            language=values.pop("language"),
            speakers=SpeakerCount(values.pop("min_speakers"), values.pop("max_speakers")),
            glossary=tuple(values.pop("glossary")),
            asr=values.pop("asr"),
            diarizer=values.pop("diarizer"),
        )
        return cls(**values, options=options)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed: the stage, a stable code, and a sentence for the user."""

    stage: str
    code: str
    message: str


class JobFolder:
    """The files of one job."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.recording = path / "recording"
        self.text = path / "text"
        self.heard = path / "heard"  # words recognised earlier, sent with the job
        self.diarization = path / "diarization"  # speakers found earlier, sent with the job

    def supplied(self, name: str) -> Supplied | None:
        """The text, or None if `name` is "": none was sent. Raises TextError, as the next two do."""
        return supplied.parse(self.text.read_bytes(), name) if name else None

    def given_transcriber(self) -> GivenTranscriber | None:
        """Stands in for an engine with the words sent with the job; None where none were sent."""
        if not self.heard.exists():
            return None
        return GivenTranscriber(heard.parse(_text(self.heard)))

    def given_diarizer(self) -> GivenDiarizer | None:
        if not self.diarization.exists():
            return None
        return GivenDiarizer(rttm.parse(_text(self.diarization)), "diarization.rttm")

    def request(self) -> Request:
        return Request.from_json((self.path / REQUEST).read_text("utf-8"))

    def write_request(self, request: Request) -> None:
        write_whole(self.path / REQUEST, request.to_json())

    def stage(self, stage: str) -> Path:
        return self.path / "stages" / stage

    def new_attempt(self) -> Path:
        """An empty folder for what a stage writes. Raises FileNotFoundError where the job was deleted."""
        attempts = self.path / "attempts"
        attempts.mkdir(exist_ok=True)
        attempt = attempts / secrets.token_hex(8)
        attempt.mkdir()
        return attempt

    def accept(self, attempt: Path, place: Path) -> None:
        """Moves what an attempt wrote to `place`, all at once; if another was first, that one stays."""
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

    def size_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.path.rglob("*") if path.is_file())

    def tidy(self) -> None:
        """Drops what nobody needs once the job has ended."""
        shutil.rmtree(self.path / "attempts", ignore_errors=True)
        for stage in Stage:
            if stage not in LASTING:
                shutil.rmtree(self.stage(stage), ignore_errors=True)


def _text(path: Path) -> str:
    return decode(path.read_bytes(), f"The file sent as {path.name}")


File = Path | Object
"""Has `read_bytes`, which raises FileNotFoundError where a job was deleted."""


@dataclass(frozen=True)
class Storage:
    """Where the files of jobs are kept: in the data folder, which all processes of the service share.
    SharedStorage in bucket.py keeps them elsewhere.

    Asking for a file raises FileNotFoundError where the job was deleted, and AwayError where an object store
    cannot be reached.
    """

    root: Path  # the folder in which this process works on jobs
    search_seconds: ClassVar[float] = 30.0  # between two searches for strays

    @property
    def executors(self) -> Path:
        """The folder in which workers on this machine show that they are alive."""
        return self.root / "executors"

    def prepare(self) -> None:
        """Makes the folders that are missing, which no other user can open. Raises OSError."""
        for path in (self.root, self.executors):
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("incoming", "jobs", "trash", "uploads"):
            (self.root / name).mkdir(exist_ok=True, mode=0o700)

    def check(self) -> None:
        """Raises AwayError where it cannot be reached; a folder always can."""

    def close(self) -> None:
        """Ends this process's use of it."""

    def request(self, id: str) -> Request:
        return self.job(id).request()

    def recording(self, id: str) -> File:
        return _existing(self.job(id).recording)

    def left(self, id: str, stage: str, accepted: str, name: str) -> File:
        """A file that a stage left; `accepted` is the attempt that counts."""
        return _existing(self.job(id).stage(stage) / name)

    def note(self, id: str, name: str) -> str:
        """A note kept beside a job's files."""
        return (self.job(id).path / name).read_text("utf-8")

    def noted(self, id: str, name: str, kind: Callable[..., Value]) -> Value | None:
        """A note that holds the fields of `kind` as JSON; None where there is none."""
        with suppress(FileNotFoundError):
            return kind(**json.loads(self.note(id, name)))
        return None

    def write_note(self, id: str, name: str, text: str) -> None:
        write_whole(self.job(id).path / name, text)

    def gather(self, id: str, accepted: Mapping[str, str]) -> None:
        """Makes sure that the job's folder holds what was sent and what the stages left, as it does here."""

    def publish(self, id: str, stage: str, attempt: Path) -> bool:
        """Shows others what an attempt left. False where they share the job's folder: there, what is moved
        into place first counts."""
        return False

    def withdraw(self, id: str, stage: str, attempt: str) -> None:
        """Removes what was published and does not count."""

    def finish(self, id: str, accepted: Mapping[str, str]) -> None:
        """Drops what nobody needs once a job has ended."""
        self.job(id).tidy()

    def size_bytes(self, id: str) -> int:
        """What the files of a job take."""
        return self.job(id).size_bytes()

    def leave(self, id: str) -> None:
        """Ends this process's work on the job."""

    def job(self, id: str) -> JobFolder:
        return JobFolder(self._place("jobs", id))

    def incoming(self, id: str) -> JobFolder:
        """A new folder, for what is being uploaded."""
        folder = JobFolder(self._place("incoming", id))
        folder.path.mkdir(mode=0o700)
        return folder

    def upload(self, id: str) -> Path:
        return self._place("uploads", id)

    def admit(self, id: str) -> JobFolder:
        """Moves a complete upload to its place; nothing refers to it before that."""
        source, target = self._place("incoming", id), self.job(id)
        for file in source.iterdir():
            flush(file)
        flush(source)
        source.rename(target.path)
        flush(target.path.parent)
        return target

    def discard(self, id: str) -> None:
        """Deletes the files of a job, finished or not, or of an upload; what cannot be deleted now is deleted
        later."""
        for name in ("jobs", "incoming", "uploads"):
            with suppress(FileNotFoundError):
                self._place(name, id).rename(self.root / "trash" / f"{id}.{secrets.token_hex(4)}")
        self.empty_trash()

    def empty_trash(self) -> None:
        for path in (self.root / "trash").iterdir():
            shutil.rmtree(path, ignore_errors=True)

    def ids(self) -> set[str]:
        """The ids of all jobs that have files here, complete or still being sent."""
        names = ("jobs", "incoming")
        return {path.name for name in names for path in (self.root / name).iterdir() if is_id(path.name)}

    def changed(self, id: str) -> float:
        """When any file of a job last changed: what is being sent may grow for hours."""
        return max(_changed(self._place(name, id)) for name in ("jobs", "incoming"))

    def free_bytes(self) -> int:
        return shutil.disk_usage(self.root).free

    def _place(self, name: str, id: str) -> Path:
        if not is_id(id):
            raise ValueError(f"{id!r} is not an id")
        return self.root / name / id


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(path.name)
    return path


def _changed(folder: Path) -> float:
    """0 where there is none."""
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    except (FileNotFoundError, NotADirectoryError):
        return 0.0
