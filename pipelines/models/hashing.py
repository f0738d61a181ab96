"""The SHA-256 of files and folders.

A folder's sum is that of the lines "<path> <sha256>\\n" of its files, sorted by path. Names that begin with a
dot are left out, with all below them: the notes of a desktop or of version control are not weights.
"""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path


def hash_file(path: Path) -> str:
    """Returns the file's SHA-256 in hexadecimal, streamed. Raises OSError.

    A process does not read an unchanged file (same inode, size and times) again.
    """
    status = path.stat()
    return _hash_file(path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@lru_cache(maxsize=1024)
def _hash_file(path: Path, *_status: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_folder(folder: Path) -> dict[str, str]:
    """Returns the SHA-256 of every file by its path in the folder, "/" between the parts. Raises OSError."""
    return {path: hash_file(folder / path) for path in list_files(folder)}


def list_files(folder: Path) -> list[str]:
    """Returns the sorted paths of all files below a folder, without hidden ones. Raises OSError."""
    found = []
    for parent, folders, files in os.walk(folder, onerror=_raise):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = Path(parent).relative_to(folder)
        found += [(below / name).as_posix() for name in files if not name.startswith(".")]
    return sorted(found)


def combine(sums: dict[str, str]) -> str:
    """Combines the sums of a folder's files into one."""
    lines = "".join(f"{path} {sha256}\n" for path, sha256 in sorted(sums.items()))
    return hashlib.sha256(lines.encode("utf-8", errors="surrogateescape")).hexdigest()


def hash_git_blob(path: Path) -> str:
    """Returns git's name for a file: the SHA-1 of "blob <size>\\0" and its contents. Raises OSError."""
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _raise(error: OSError) -> None:
    raise error
