"""Files of the user and our own: read up to a limit, written whole or not at all.

read_bytes, read_text           a user's file, or one sentence about what is wrong with it
whole, write_whole, flush       one file, flushed to disk, in its place only when it is complete
check_folder, write_files       results: checked before the long work, then written all or none
write_new                       a file that takes no other's place
is_full                         whether an error means that there is no space left
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from tempfile import TemporaryFile

from pipelines.errors import OutputError, TextError

LIMIT_BYTES = 2**28
MINIMUM_FREE_BYTES = 64 * 2**20
"""Free space required before the work begins: the results of a day of speech fit in it."""


def read_bytes(path: Path, what: str, limit_bytes: int = LIMIT_BYTES, remedy: str = "") -> bytes:
    """Reads a user's file, `what` in messages. Raises TextError if it cannot be read or is too large."""
    try:
        with path.open("rb") as file:
            data = file.read(limit_bytes + 1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise TextError(
            f"The {what} {path} cannot be read ({reason}): check its name and permissions."
        ) from None
    if len(data) > limit_bytes:
        limit = f"{limit_bytes / 2**20:.3g} MiB, the limit for a {what}"
        raise TextError(f"{path.name} is larger than {limit}: {remedy or 'check that it is the right file'}.")
    return data


def read_text(path: Path, what: str, limit_bytes: int = LIMIT_BYTES, remedy: str = "") -> str:
    """Does the same for a file that must be UTF-8; drops a byte order mark."""
    return decode(read_bytes(path, what, limit_bytes, remedy), f"The {what} {path}")


def decode(data: bytes, name: str) -> str:
    """Decodes UTF-8. Raises TextError, which begins with `name`, for anything else."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        message = f"{name} is not UTF-8 text: check that it is the right file, and save it as UTF-8."
        raise TextError(message) from None


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yields where to write a file: beside its place, to which it moves once the block has ended and it is on
    disk. If the block fails, the old file stays. Raises OSError."""
    part = path.with_name(f".part-{secrets.token_hex(8)}")
    try:
        yield part
        flush(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    flush(path.parent)


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes a file, text as UTF-8 with its own line ends. Raises OSError; makes no folder."""
    with whole(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def flush(path: Path) -> None:
    """Flushes a file or folder to disk. Raises OSError, except where folders cannot be flushed, as on some
    network drives."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def check_folder(folder: Path, names: Collection[str]) -> None:
    """Makes the folder and checks that files called `names` can be written into it.

    Raises OutputError if they cannot, or if less than MINIMUM_FREE_BYTES are free.
    """
    blocked = [name for name in names if (folder / name).is_dir()]
    if blocked:
        raise OutputError(f"{folder / blocked[0]} is a folder where a file is to be written: move it away.")
    with _told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            flush(folder)
        free_bytes = shutil.disk_usage(folder).free
    if free_bytes < MINIMUM_FREE_BYTES:
        raise OutputError(
            f"{folder} has {free_bytes // 2**20} MiB of free space left, less than the"
            f" {MINIMUM_FREE_BYTES // 2**20} needed: free some, or choose another folder."
        )


def write_files(folder: Path, contents: Mapping[str, str]) -> list[Path]:
    """Writes contents[name] as UTF-8 to folder/name, makes the folder, and returns the paths in order.

    Nothing already in the folder is touched until every new file is complete on the disk. Raises OutputError.
    """
    paths = [folder / name for name in contents]
    with _told(folder), ExitStack() as stack:
        folder.mkdir(parents=True, exist_ok=True)
        parts = [stack.enter_context(whole(path)) for path in paths]
        for part, content in zip(parts, contents.values(), strict=True):
            part.write_bytes(content.encode())
            flush(part)
    return paths


def write_new(path: Path, content: str) -> Path:
    """Writes a new file and returns its path: a free one such as "heard-2.json" if the name is taken.

    Never touches an existing file. Raises OutputError.
    """
    with _told(path.parent):
        place = _claim(path)
        try:
            write_whole(place, content)
        except BaseException:
            place.unlink(missing_ok=True)
            raise
    return place


def _claim(path: Path) -> Path:
    place = path
    for number in count(2):
        with suppress(FileExistsError):
            place.touch(exist_ok=False)
            break
        place = path.with_stem(f"{path.stem}-{number}")
    return place


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Turns errors of the file system into one sentence."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        message = f"Nothing can be written to {folder} ({reason}): choose another folder."
        if is_full(error):
            message = (
                f"The disk of {folder} is full, and nothing there was changed: free space and run again."
            )
        raise OutputError(message) from error


def is_full(error: OSError) -> bool:
    """Whether the disk is full, or the share of it that this user may have."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
