"""Jobs' files in an object store, for API and workers that share no disk.

    jobs/<id>/request.json, recording, text, …       what was sent
    jobs/<id>/stages/<stage>/<attempt>/…             what an attempt at a stage left
    jobs/<id>/<stage>.message, failure.json          what went wrong
    uploads/<id>/…                                   resumable uploads (service/files/bucket_uploads.py)

Stores cannot rename, so an attempt writes under a name of its own, and the database says which one counts
(`jobs.accept`). Each process has a folder for what it receives and works on, which no other reads; it is
locked while the process lives, and the next process that starts removes what dead ones left.

<data folder>/
  executors/           as in service/files/storage.py
  scratch/<process>/   as the data folder in service/files/storage.py; lock
"""

from __future__ import annotations

import fcntl
import secrets
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, ClassVar

from pipelines.pipeline import Stage
from service.files.objects import Object, Objects
from service.files.storage import LASTING, REQUEST, JobFolder, Request, Storage, is_id
from service.files.uploads import INFO

SCRATCH, LOCK = "scratch", "lock"
REMEMBERED = 4096
"""Requests kept in memory: they never change, and are needed whenever a job is looked at."""


@dataclass(frozen=True)
class SharedStorage(Storage):
    """An object store, and a folder for this process alone; `made` creates one."""

    home: Path
    objects: Objects
    lock: IO[bytes] = field(repr=False)
    search_seconds: ClassVar[float] = 600.0

    @classmethod
    def made(cls, home: Path, objects: Objects) -> SharedStorage:
        """Creates one with a new folder for this process. Raises OSError."""
        while True:
            root = home / SCRATCH / secrets.token_hex(8)
            root.mkdir(parents=True, mode=0o700)
            lock = (root / LOCK).open("wb")
            fcntl.flock(lock, fcntl.LOCK_EX)
            if (root / LOCK).exists():  # else another process has just removed it as a dead one's
                return cls(root, home, objects, lock)
            lock.close()

    @property
    def executors(self) -> Path:
        return self.home / "executors"

    def prepare(self) -> None:
        """Removes what killed processes left, too."""
        super().prepare()
        for folder in (self.home / SCRATCH).iterdir():
            with suppress(OSError), (folder / LOCK).open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
                _remove(folder)
        self.objects.prepare()

    def check(self) -> None:
        self.objects.check()

    def close(self) -> None:
        _remove(self.root)
        self.lock.close()

    def request(self, id: str) -> Request:
        return _request(self.objects, _name(id, REQUEST))

    def recording(self, id: str) -> Object:
        return self.objects.object(_name(id, "recording"))

    def left(self, id: str, stage: str, accepted: str, name: str) -> Object:
        if not accepted:
            raise FileNotFoundError(name)
        return self.objects.object(_name(id, "stages", stage, accepted, name))

    def note(self, id: str, name: str) -> str:
        return self.objects.read(_name(id, name)).decode()

    def write_note(self, id: str, name: str, text: str) -> None:
        self.objects.write(_name(id, name), text.encode())

    def gather(self, id: str, accepted: Mapping[str, str]) -> None:
        folder = self.job(id)
        there = self.objects.find(_name(id))
        if REQUEST not in there:
            raise FileNotFoundError(id)
        folder.path.mkdir(exist_ok=True, mode=0o700)
        needless = {"recording"} if accepted.get(Stage.DECODE) else set()
        for name in there.keys() - needless - {path.name for path in folder.path.iterdir()}:
            if "/" not in name:
                self.objects.get(_name(id, name), folder.path / name)
        for stage, attempt in accepted.items():
            if attempt and not folder.stage(stage).is_dir():
                prefix = f"stages/{stage}/{attempt}/"
                self._fetch(id, folder, stage, [name for name in there if name.startswith(prefix)])

    def _fetch(self, id: str, folder: JobFolder, stage: str, names: list[str]) -> None:
        """Fetches what an attempt elsewhere left, all at once."""
        if not names:
            raise FileNotFoundError(stage)
        attempt = folder.new_attempt()
        try:
            for name in names:
                self.objects.get(_name(id, name), attempt / name.rpartition("/")[2])
            folder.accept(attempt, folder.stage(stage))
        finally:
            shutil.rmtree(attempt, ignore_errors=True)

    def publish(self, id: str, stage: str, attempt: Path) -> bool:
        for file in attempt.iterdir():
            self.objects.put(_name(id, "stages", stage, attempt.name, file.name), file)
        return True

    def withdraw(self, id: str, stage: str, attempt: str) -> None:
        self.objects.delete(_name(id, "stages", stage, attempt))

    def finish(self, id: str, accepted: Mapping[str, str]) -> None:
        lasting = {f"{stage}/{accepted.get(stage)}" for stage in LASTING if accepted.get(stage)}
        for name in self.objects.find(_name(id, "stages")):
            if name.rpartition("/")[0] not in lasting:
                self.objects.delete_one(_name(id, "stages", name))

    def size_bytes(self, id: str) -> int:
        return sum(found.size_bytes for found in self.objects.find(_name(id)).values())

    def leave(self, id: str) -> None:
        super().discard(id)

    def admit(self, id: str) -> JobFolder:
        """Publishes the largest file first, since smaller ones that waited for it for hours would look
        abandoned, and the request last, since it marks the job complete."""
        source = self.root / "incoming" / id
        files = sorted(source.iterdir(), key=lambda file: (file.name == REQUEST, -file.stat().st_size))
        for file in files:
            self.objects.put(_name(id, file.name), file)
        super().discard(id)
        return self.job(id)

    def discard(self, id: str) -> None:
        """Deletes an upload's info first: a request that is still adding to the upload checks for it."""
        super().discard(id)
        self.objects.delete_one(f"uploads/{id}/{INFO}")
        for name in ("jobs", "uploads"):
            self.objects.delete(f"{name}/{id}")

    def ids(self) -> set[str]:
        return super().ids() | set(filter(is_id, self.objects.folders("jobs")))

    def changed(self, id: str) -> float:
        there = self.objects.find(_name(id)).values()
        return max([super().changed(id), *(found.changed for found in there)])


def _remove(folder: Path) -> None:
    """Removes the lock last: nobody would clear away a folder without one."""
    for path in folder.glob("*"):
        if path.name != LOCK:
            shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _name(id: str, *rest: str) -> str:
    return "/".join(("jobs", id, *rest))


@lru_cache(maxsize=REMEMBERED)
def _request(objects: Objects, name: str) -> Request:
    return Request.from_json(objects.read(name).decode())
