"""Objects in a store that all machines reach, over obstore: a bucket of an S3-compatible server, or a folder.

An object is there whole or not at all, and is written once: whatever is written again gets another name. (Two
small ones of a job are exceptions: why it failed, and what its stage said.) Names are ours, never a user's.
"""

from __future__ import annotations

import errno
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

from pipelines.files import whole

if TYPE_CHECKING:
    from obstore import ObjectMeta

CONNECT_SECONDS, REQUEST_SECONDS = 5, 35
"""How long a server may take to be reached, and one request with its answer."""
TRIES, TRYING_SECONDS = 3, 10
"""How often one request is sent, and how long after the first try the last one may begin: none takes more
than 45 seconds in all."""
PART_BYTES = 5 * 2**20
"""What is sent of an object in one request; S3 takes at most 10,000 parts, and none but the last that is
smaller."""
BLOCK_BYTES = 4 * 2**20
"""What is asked for of an object in one request."""


class AwayError(Exception):
    """The store cannot be reached, or refuses: nothing is lost, and trying again may help."""


@dataclass(frozen=True)
class Objects:
    """The objects under one address. Every method may block, and raises AwayError; FileNotFoundError where
    an object that it reads is not there."""

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
        """Makes the folder if it is not there; a bucket must be."""
        if self._folder:
            with _reaching():
                self._folder.mkdir(parents=True, exist_ok=True)
        self.check()

    def check(self) -> None:
        """Whether the folder, or the bucket, is there and lets us in."""
        with _reaching():
            if self._folder and not self._folder.is_dir():
                raise AwayError("there is no such folder")
            list(self._store.list("nothing"))

    def put(self, name: str, path: Path) -> None:
        """A file becomes an object."""
        self._send(name, path)

    def write(self, name: str, content: bytes) -> None:
        self._send(name, content)

    def _send(self, name: str, content: Path | bytes) -> None:
        with self._reaching():
            if not self._folder:
                self._store.put(name, content, chunk_size=PART_BYTES, max_concurrency=1)
                return
            self.check()  # or the folder would be made
            place = self._folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            with whole(place) as part:  # through to the disk, as with servers
                part.write_bytes(content) if isinstance(content, bytes) else shutil.copyfile(content, part)

    def get(self, name: str, path: Path) -> None:
        """An object becomes a file, which is there whole or not at all. Raises OSError where the disk is
        full."""
        found = self.object(name)
        with whole(path) as part, part.open("wb") as file:
            file.writelines(found.blocks(0, found.size_bytes))

    def find(self, prefix: str) -> dict[str, Object]:
        """All objects under a name: the rest of their names → themselves."""
        with _reaching():
            found = [self._object(entry) for page in self._store.list(prefix) for entry in page]
        if not found:
            self.check()
        return {each.name[len(prefix) + 1 :]: each for each in found if not _is_part(each.name)}

    def folders(self, prefix: str) -> set[str]:
        """The next parts of the names under a name."""
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
        """All of it, or the bytes from one place in it to before another one."""
        with self._reaching():
            return bytes(self._store.get(name, options={"range": span} if span else {}).bytes())

    def delete(self, prefix: str) -> None:
        """All objects under a name; none is fine."""
        for found in self.find(prefix).values():
            self.delete_one(found.name)
        if self._folder:
            _drop(self._folder / prefix)

    def delete_one(self, name: str) -> None:
        with suppress(FileNotFoundError), self._reaching():
            self._store.delete(name)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """An object is not missing where all of them are."""
        try:
            with _reaching():
                yield
        except FileNotFoundError:
            self.check()
            raise


@dataclass(frozen=True, slots=True)
class Object:
    """One object; it is read as a file is."""

    objects: Objects = field(repr=False)
    name: str
    size_bytes: int
    changed: float  # seconds since 1970

    def read_bytes(self) -> bytes:
        return b"".join(self.blocks(0, self.size_bytes))

    def blocks(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to before `end`, a few at a time."""
        for begin in range(start, end, BLOCK_BYTES):
            yield self.objects.read(self.name, (begin, min(begin + BLOCK_BYTES, end)))


@contextmanager
def _reaching() -> Iterator[None]:
    """A full disk is no fault of a store's. What a server said is not passed on."""
    try:
        yield
    except BaseError as error:
        said = str(error).partition("\n")[0].partition("<")[0].rpartition(" - ")[2]
        raise AwayError(said.strip(": ")) from error
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise AwayError(error.strerror or type(error).__name__) from error


def _is_part(name: str) -> bool:
    """Whether it is on its way to become an object in a folder, or was when a process died."""
    return name.rpartition("/")[2].startswith(".")


def _drop(folder: Path) -> None:
    """A folder without objects, as S3 does not have them, and what never became one; others may be at it,
    too."""
    for place, _, names in os.walk(folder, topdown=False):
        for path in (*(Path(place) / name for name in names), Path(place)):
            with suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
