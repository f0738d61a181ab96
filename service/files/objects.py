"""Objects in a store that all machines reach, over fsspec: a bucket of an S3-compatible server, or a folder.

An object is there whole or not at all, and is written once: whatever is written again gets another name. (Two
small ones of a job are exceptions: why it failed, and what its stage said.) Names are ours, never a user's.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import fsspec

from pipelines.errors import OptionError
from service.files.disk import whole

CONNECT_SECONDS, READ_SECONDS = 5, 30
"""How long a server may take to be reached, and between two pieces of an answer."""
TRIES = 3
"""How often one request is sent."""
SLOWEST_BYTES = 2**18
"""How much it must take in a second of what is sent: the libraries would wait for ever."""
NAMELESS = (None, "us-east-1", "aws-global")
"""Regions that are not named when a bucket is made."""
PART_BYTES = 8 * 2**20
"""What is sent of a large object at a time; S3 takes at most 10,000 parts, and none but the last below 5
MiB."""
BLOCK_BYTES = 4 * 2**20
"""What is held of an object at a time while it is sent on."""


class AwayError(Exception):
    """The store cannot be reached, or refuses: nothing is lost, and trying again may help."""


@dataclass(frozen=True)
class Objects:
    """The objects under one address. Every method may block, and raises AwayError; FileNotFoundError where
    an object that it reads is not there."""

    url: str  # s3://bucket/folder or file:///folder
    endpoint: str = ""

    @cached_property
    def _files(self) -> Any:
        """Credentials are looked for where the S3 libraries do; nothing is kept that others may change."""
        if urlsplit(self.url).scheme == "file":
            return fsspec.filesystem("file", auto_mkdir=True)
        try:
            made = fsspec.filesystem("s3", **_s3(self.endpoint))
        except ImportError:
            raise OptionError(
                "TURNWISE_STORAGE_URL names S3, which is not installed: run pip install 'turnwise[s3]'."
            ) from None
        made.retries = 1  # its own tries, around those of the library below it
        return made

    @property
    def _root(self) -> str:
        parts = urlsplit(self.url)
        return f"{parts.netloc}{parts.path}".rstrip("/")

    @property
    def _bucket(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def _is_folder(self) -> bool:
        return urlsplit(self.url).scheme == "file"

    def prepare(self) -> None:
        """Makes the folder, or the bucket, if it is not there."""
        with _reaching():
            if self._is_folder:
                Path(self._root).mkdir(parents=True, exist_ok=True)
                return
            try:
                self._files.info(self._bucket)
            except FileNotFoundError:
                region = self._files.s3.meta.region_name
                with suppress(FileExistsError):  # somebody else was faster
                    self._files.mkdir(self._bucket, region_name=None if region in NAMELESS else region)

    def check(self) -> None:
        """Whether the folder, or the bucket, can be reached."""
        with self._reaching():
            self._files.info(self._root if self._is_folder else self._bucket)

    def put(self, name: str, path: Path) -> None:
        """A file becomes an object."""
        with self._reaching(), self._place(name) as place:
            self._files.put_file(str(path), place, **self._sending(path.stat().st_size))

    def write(self, name: str, content: bytes) -> None:
        with self._reaching(), self._place(name) as place:
            self._files.pipe_file(place, content, **self._sending(len(content)))

    def get(self, name: str, path: Path) -> None:
        """An object becomes a file, which is there whole or not at all. Raises OSError where the disk is
        full."""
        with whole(path) as part:
            with self._reaching():
                size_bytes = self._files.info(self._path(name))["size"]
                self._files.get_file(self._path(name), str(part))
            if part.stat().st_size != size_bytes:
                raise AwayError("the connection broke off")

    def find(self, prefix: str) -> dict[str, Object]:
        """All objects under a name: the rest of their names → themselves."""
        skipped = len(self._path(prefix)) + 1
        with self._reaching():
            found = self._files.find(self._path(prefix), detail=True, **self._strict)
            if not found and self._is_gone():
                raise FileNotFoundError(prefix)
        return {
            path[skipped:]: Object(self, f"{prefix}/{path[skipped:]}", info["size"], _changed(info))
            for path, info in found.items()
            if not _is_part(path)
        }

    def folders(self, prefix: str) -> set[str]:
        """The next parts of the names under a name."""
        with suppress(FileNotFoundError), self._reaching():
            found = self._files.ls(self._path(prefix), detail=False)
            return {path.rstrip("/").rpartition("/")[2] for path in found}
        return set()

    def object(self, name: str) -> Object:
        """Raises FileNotFoundError."""
        with self._reaching():
            info = self._files.info(self._path(name))
        return Object(self, name, info["size"], _changed(info))

    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes:
        with self._reaching():
            content: bytes = self._files.cat_file(self._path(name), start=start, end=end)
        return content

    def delete(self, prefix: str) -> None:
        """All objects under a name; none is fine."""
        for found in self.find(prefix).values():
            self.delete_one(found.name)
        if self._is_folder:
            _drop(Path(self._path(prefix)))

    def delete_one(self, name: str) -> None:
        with suppress(FileNotFoundError), self._reaching():
            self._files.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextmanager
    def _place(self, name: str) -> Iterator[str]:
        """Where to write an object. In a folder it gets its name when all of it is through to the disk, as
        servers do that by themselves."""
        if not self._is_folder:
            yield self._path(name)
            return
        if self._is_gone():  # or it would be made
            raise FileNotFoundError(name)
        with whole(Path(self._path(name))) as part:
            yield str(part)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """An object is not missing where all of them are."""
        with _reaching():
            try:
                yield
            except FileNotFoundError as error:
                if self._is_gone() or _code(error.__cause__) == "NoSuchBucket":
                    raise AwayError("there is nothing at this address any more") from error
                raise

    def _is_gone(self) -> bool:
        """Whether a folder is, as when it lies on another machine's disk."""
        return self._is_folder and not Path(self._root).is_dir()

    def _sending(self, size_bytes: int) -> dict[str, Any]:
        """How long sending so much may take, tries together, and how much is held of it."""
        if self._is_folder:
            return {}
        seconds = CONNECT_SECONDS + READ_SECONDS + size_bytes / SLOWEST_BYTES
        return {"timeout": seconds, "chunksize": PART_BYTES}

    def end_broken(self, begun_before: float) -> None:
        """Away with parts of large objects whose sender died: no list of objects has them, and they stay."""
        if self._is_folder:
            return
        with self._reaching():
            for broken in self._files.list_multipart_uploads(self._bucket):
                ours = f"{self._bucket}/{broken['Key']}".startswith(self._path(""))
                if ours and broken["Initiated"].timestamp() < begun_before:
                    place = {"Bucket": self._bucket, "Key": broken["Key"], "UploadId": broken["UploadId"]}
                    self._files.call_s3("abort_multipart_upload", **place)

    @property
    def _strict(self) -> dict[str, Any]:
        """A folder that cannot be read is not empty, as fsspec has it."""
        return {"on_error": _raise} if self._is_folder else {}


@dataclass(frozen=True, slots=True)
class Object:
    """One object; it is read as a file is."""

    objects: Objects = field(repr=False)
    name: str
    size_bytes: int
    changed: float  # seconds since 1970

    def read_bytes(self) -> bytes:
        return self.objects.read(self.name)

    def blocks(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to before `end`, a few at a time."""
        for begin in range(start, end, BLOCK_BYTES):
            yield self.objects.read(self.name, begin, min(begin + BLOCK_BYTES, end))


def _s3(endpoint: str) -> dict[str, Any]:
    """For s3fs. Servers of other makers do not all know the checksums that Amazon's clients send since
    2025."""
    config: dict[str, Any] = {
        "connect_timeout": CONNECT_SECONDS,
        "read_timeout": READ_SECONDS,
        "retries": {"mode": "standard", "total_max_attempts": TRIES},
    }
    if endpoint:
        config |= {
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        }
    return {
        "endpoint_url": endpoint or None,
        "config_kwargs": config,
        "use_listings_cache": False,
        "max_concurrency": 1,  # of the requests for one large file
        "skip_instance_cache": True,
    }


@contextmanager
def _reaching() -> Iterator[None]:
    """What libraries raise about the way to a store has no class in common."""
    try:
        yield
    except (FileNotFoundError, OptionError, AwayError):
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise AwayError(error.strerror or type(error).__name__) from error
    except Exception as error:
        raise AwayError(type(error).__name__) from error


def _changed(info: dict[str, Any]) -> float:
    """Seconds since 1970; folders have numbers, buckets have dates."""
    written = info.get("LastModified", info.get("mtime"))
    if written is None:
        return time.time()
    return float(written if isinstance(written, int | float) else written.timestamp())


def _code(error: BaseException | None) -> str:
    """What a server called an error."""
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def _raise(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _is_part(path: str) -> bool:
    """Whether it is on its way to become an object in a folder, or was when a process died."""
    return path.rpartition("/")[2].startswith(".")


def _drop(folder: Path) -> None:
    """A folder without objects, as S3 does not have them, and what never became one; others may be at it,
    too."""
    for place, _, names in os.walk(folder, topdown=False):
        for path in (*(Path(place) / name for name in names), Path(place)):
            with suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
