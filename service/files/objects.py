"""Objects in a store that all machines can reach, through obstore: an S3-compatible bucket, or a folder.

An object is there whole or not at all, and is written once: a rewrite gets another name. (Two small ones of a
job are exceptions: why it failed, and its stage's message.) Names are ours, never a user's.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from pipelines.files import is_full, whole

if TYPE_CHECKING:
    from obstore import ObjectMeta

CONNECT_SECONDS, REQUEST_SECONDS = 5, 35
"""How long connecting to a server may take, and one request with its answer."""
TRIES, TRYING_SECONDS = 3, 10
"""How often a request is sent, and how long after the first try the last one may begin: none takes more than
45 seconds in all."""
PART_BYTES = 5 * 2**20
"""How much of an object one request sends; S3 takes at most 10,000 parts, only the last of them smaller."""
BLOCK_BYTES = 4 * 2**20
"""How much of an object one request reads."""


class AwayError(Exception):
    """The store cannot be reached, or refuses: nothing is lost, and a retry may help."""


@dataclass(frozen=True)
class Objects:
    """The objects at one address. Every method may block and raises AwayError, or FileNotFoundError where an
    object to be read is missing."""

    url: str  # s3://bucket/folder or file:///folder
    endpoint: str = ""

    @cached_property
    def _store(self) -> LocalStore | S3Store:
        """Credentials and region come from the environment."""
        if self._folder:
            return LocalStore(self._folder)
        return S3Store.from_url(
            self.url,
            config={"endpoint": self.endpoint} if self.endpoint else {},
            client_options={
                "allow_http": True,
                "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
                "timeout": timedelta(seconds=REQUEST_SECONDS),
            },
            retry_config={
                "max_retries": TRIES - 1,
                "retry_timeout": timedelta(seconds=TRYING_SECONDS),
            },
            disable_bulk_delete=True,  # not every server can
        )

    @cached_property
    def _folder(self) -> Path | None:
        parts = urlsplit(self.url)
        return Path(parts.path) if parts.scheme == "file" else None

    def prepare(self) -> None:
        """Makes the folder if it is missing; a bucket must exist."""
        if self._folder:
            with _reaching():
                self._folder.mkdir(parents=True, exist_ok=True)
        self.check()

    def check(self) -> None:
        """Raises AwayError unless the folder, or the bucket, is there and accessible."""
        with _reaching():
            if self._folder and not self._folder.is_dir():
                raise AwayError("there is no such folder")
            list(self._store.list("nothing"))

    def put(self, name: str, path: Path) -> None:
        """Stores a file as an object."""
        self._send(name, path)

    def write(self, name: str, content: bytes) -> None:
        self._send(name, content)

    def _send(self, name: str, content: Path | bytes) -> None:
        with self._reaching():
            if not self._folder:
                self._store.put(name, content, chunk_size=PART_BYTES, max_concurrency=1)
                return
            self.check()  # otherwise the folder would be made
            place = self._folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            with whole(place) as part:  # flushed to the disk, as by servers
                part.write_bytes(content) if isinstance(content, bytes) else shutil.copyfile(content, part)

    def get(self, name: str, path: Path) -> None:
        """Fetches an object into a file, whole or not at all. Raises OSError where the disk is full."""
        found = self.object(name)
        with whole(path) as part, part.open("wb") as file:
            file.writelines(found.blocks(0, found.size_bytes))

    def find(self, prefix: str) -> dict[str, Object]:
        """All objects under a prefix, by the rest of their names."""
        with _reaching():
            found = [self._object(entry) for page in self._store.list(prefix) for entry in page]
        if not found:
            self.check()
        return {each.name[len(prefix) + 1 :]: each for each in found if not _is_part(each.name)}

    def folders(self, prefix: str) -> set[str]:
        """The names of the folders directly under a prefix."""
        with _reaching():
            found = self._store.list_with_delimiter(prefix)["common_prefixes"]
        if not found:
            self.check()
        return {path.rpartition("/")[2] for path in found}

    def object(self, name: str) -> Object:
        """Raises FileNotFoundError."""
        with self._reaching():
            return self._object(self._store.head(name))

    def _object(self, entry: ObjectMeta) -> Object:
        return Object(self, entry["path"], entry["size"], entry["last_modified"].timestamp())

    def read(self, name: str, span: tuple[int, int] | None = None) -> bytes:
        """A whole object, or the bytes [start, end) of it."""
        with self._reaching():
            return bytes(self._store.get(name, options={"range": span} if span else {}).bytes())

    def delete(self, prefix: str) -> None:
        """Deletes all objects under a prefix, if there are any."""
        for found in self.find(prefix).values():
            self.delete_one(found.name)
        if self._folder:
            _drop(self._folder / prefix)

    def delete_one(self, name: str) -> None:
        with suppress(FileNotFoundError), self._reaching():
            self._store.delete(name)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Raises AwayError, not FileNotFoundError, where the whole store is missing."""
        try:
            with _reaching():
                yield
        except FileNotFoundError:
            self.check()
            raise


@dataclass(frozen=True, slots=True)
class Object:
    """One object; it is read like a file."""

    objects: Objects = field(repr=False)
    name: str
    size_bytes: int
    changed: float  # seconds since 1970

    def read_bytes(self) -> bytes:
        return b"".join(self.blocks(0, self.size_bytes))

    def blocks(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes [start, end), a block at a time."""
        for begin in range(start, end, BLOCK_BYTES):
            yield self.objects.read(self.name, (begin, min(begin + BLOCK_BYTES, end)))


@contextmanager
def _reaching() -> Iterator[None]:
    """Turns the store's errors, but not a full disk, into AwayError; a server's own text is left out."""
    try:
        yield
    except BaseError as error:
        said = str(error).partition("\n")[0].partition("<")[0].rpartition(" - ")[2]
        raise AwayError(said.strip(": ")) from error
    except FileNotFoundError:
        raise
    except OSError as error:
        if is_full(error):
            raise
        raise AwayError(error.strerror or type(error).__name__) from error


def _is_part(name: str) -> bool:
    """Whether it is an unfinished object in a folder, still being written or left by a dead process."""
    return name.rpartition("/")[2].startswith(".")


def _drop(folder: Path) -> None:
    """Removes empty folders, which S3 does not have, and unfinished objects; others may be doing the same."""
    for place, _, names in os.walk(folder, topdown=False):
        for path in (*(Path(place) / name for name in names), Path(place)):
            with suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
