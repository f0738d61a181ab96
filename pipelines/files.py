"""Result files: all of them, or none and what was there before.

check_folder(folder, names)     before the long work: can these files be written there?
write_files(folder, contents)   after it: every file beside its place first, then all renamed into place
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from pipelines.errors import OutputError

MINIMUM_FREE_BYTES = 64 * 2**20
"""Free space asked for before the work begins: the results of a day of speech fit in it."""


def check_folder(folder: Path, names: Collection[str]) -> None:
    """Makes the folder and proves that files called `names` can be written into it.

    Raises OutputError where they cannot, or where less than MINIMUM_FREE_BYTES are free.
    """
    blocked = [name for name in names if (folder / name).is_dir()]
    if blocked:
        raise OutputError(f"{folder / blocked[0]} is a folder where a file is to be written: move it away.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = _beside(folder, "probe")
        probe.touch()
        probe.unlink()
        free_bytes = shutil.disk_usage(folder).free
    except OSError as error:
        raise _unwritable(folder, error) from error
    if free_bytes < MINIMUM_FREE_BYTES:
        raise OutputError(
            f"{folder} has {free_bytes // 2**20} MiB of free space left, fewer than the"
            f" {MINIMUM_FREE_BYTES // 2**20} needed: free some, or choose another folder."
        )


def write_files(folder: Path, contents: Mapping[str, str]) -> list[Path]:
    """Writes contents[name] as UTF-8 to folder/name and returns the paths, in order.

    Nothing already in the folder is touched until every new file is complete on the disk. Raises OutputError.
    """
    parts = {name: _beside(folder, name) for name in contents}
    try:
        for name, part in parts.items():
            _write_through(part, contents[name])
        return [part.replace(folder / name) for name, part in parts.items()]
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)


def _beside(folder: Path, name: str) -> Path:
    return folder / f".{name}.{os.getpid()}.part"


def _write_through(path: Path, content: str) -> None:
    """Through to the disk: a full one must be noticed now, not after the old file is gone."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _unwritable(folder: Path, error: OSError) -> OutputError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OutputError(
            f"The disk of {folder} is full, and what was there is as it was: free some space and run again."
        )
    return OutputError(
        f"Nothing can be written to {folder} ({error.strerror or error}): choose another folder."
    )
