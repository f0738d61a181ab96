"""Resumable uploads: their interface, and uploads in the data folder (uploads/<id>/data and info.json).

No database is involved. The size of data is the offset, so no second number can contradict it. Bytes are only
ever appended, by one request at a time, so whatever a kill, a broken connection or a full disk leaves is a
prefix of the recording, even after a torn write; the sender asks for its size and continues from there. A
size is reported only after the data has been flushed, so it survives a power failure, too.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from pipelines.files import flush, write_whole
from service.files.storage import JobFolder, Storage, is_id, new_id

DATA, INFO = "data", "info.json"
USED = "upload.json"
"""Name of the file that tells which upload became a job's recording, if one did."""


class BusyError(Exception):
    """Another request is writing to the upload, or making a job of it."""


class GoneError(Exception):
    """The upload has just been deleted or used."""


@contextmanager
def existing() -> Iterator[None]:
    """Turns a missing file into GoneError."""
    try:
        yield
    except FileNotFoundError:
        raise GoneError from None


@dataclass(frozen=True, slots=True)
class Info:
    """What the sender said when the upload was created."""

    owner: str
    length_bytes: int
    metadata: str  # as it was sent
    name: str  # made harmless, for display
    sha256: str  # of the whole recording, "" if not announced
    created: float


class Upload(Protocol):
    """One upload. Every method may block, and raises GoneError where the upload is gone."""

    @property
    def id(self) -> str: ...

    @property
    def info(self) -> Info: ...

    def offset_bytes(self) -> int:
        """How much of it is stored for good."""

    def changed(self) -> float:
        """When data last arrived, in seconds since 1970."""

    def tail(self) -> Tail:
        """Its end, to write to. Raises BusyError, too."""

    def hand_over(self, folder: JobFolder) -> str:
        """Makes it a job's recording and returns its SHA-256; the caller holds its tail.

        The upload stays until it is discarded, once the job is safe.
        """


class Tail(Protocol):
    """The end of an upload. Every method may block, belongs in a thread, and raises GoneError. If a request
    is given up while its thread is still writing, closing waits for that."""

    def offset_bytes(self) -> int:
        """How much is stored for good."""

    def write(self, block: bytes) -> None:
        """Appends a whole block; if that fails, a part of it may stay."""

    def close(self) -> None:
        """Lets others write."""


class Uploads(Protocol):
    """All uploads; `Storage.discard` deletes one."""

    def create(self, info: Info) -> Upload:
        """A new, empty upload."""

    def find(self, id: str) -> Upload | None: ...

    def clean(self, hours: float) -> None:
        """Deletes those to which nothing was added for `hours`."""


@dataclass(frozen=True, slots=True)
class Used:
    """What is known of an upload that became a job's recording."""

    id: str
    name: str
    sha256: str


def hash_recording(folder: JobFolder, upload: Upload) -> str:
    """The SHA-256 of the recording; a file in the job's folder says which upload it was."""
    with folder.recording.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    write_whole(folder.path / USED, json.dumps(asdict(Used(upload.id, upload.info.name, sha256))))
    return sha256


@dataclass(frozen=True, slots=True)
class FolderUpload:
    """An upload whose data is a file."""

    id: str
    data: Path
    info: Info

    @existing()
    def offset_bytes(self) -> int:
        flush(self.data)
        return self.data.stat().st_size

    @existing()
    def changed(self) -> float:
        return self.data.stat().st_mtime

    def tail(self) -> FolderTail:
        return FolderTail(self)

    @existing()
    def hand_over(self, folder: JobFolder) -> str:
        """Links the file, without a copy."""
        os.link(self.data, folder.recording)
        return hash_recording(folder, self)


@dataclass(frozen=True, slots=True)
class FolderUploads:
    """Uploads in the data folder."""

    storage: Storage

    def create(self, info: Info) -> FolderUpload:
        """An upload exists once its info.json does."""
        id = new_id()
        folder = self.storage.upload(id)
        folder.mkdir(mode=0o700)
        (folder / DATA).touch(mode=0o600)
        flush(folder / DATA)
        write_whole(folder / INFO, json.dumps(asdict(info)))
        flush(folder.parent)
        return FolderUpload(id, folder / DATA, info)

    def find(self, id: str) -> FolderUpload | None:
        with suppress(FileNotFoundError):
            if is_id(id):
                folder = self.storage.upload(id)
                return FolderUpload(id, folder / DATA, Info(**json.loads((folder / INFO).read_bytes())))
        return None

    def clean(self, hours: float) -> None:
        before = time.time() - hours * 3600
        for folder in (self.storage.root / "uploads").iterdir():
            with suppress(FileNotFoundError):
                data = folder / DATA
                if (data if data.exists() else folder).stat().st_mtime < before:
                    self.storage.discard(folder.name)


class FolderTail:
    """The end of the file, locked against others while it is open."""

    def __init__(self, upload: FolderUpload) -> None:
        self._guard = threading.Lock()
        with existing():
            self._file = upload.data.open("ab", buffering=0)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise BusyError from None
        self._check()

    def offset_bytes(self) -> int:
        os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size

    def write(self, block: bytes) -> None:
        with self._guard:
            left = memoryview(block)
            while left:
                left = left[self._file.write(left) :]
            self._check()

    def close(self) -> None:
        """Unlocks explicitly, since a process that is just starting holds a copy of the file for a moment."""
        with self._guard:
            if not self._file.closed:
                os.fsync(self._file.fileno())
                fcntl.flock(self._file, fcntl.LOCK_UN)
                self._file.close()

    def _check(self) -> None:
        """Raises GoneError where the file was deleted."""
        if not os.fstat(self._file.fileno()).st_nlink:
            self._file.close()
            raise GoneError
