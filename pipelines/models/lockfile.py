"""`lock.json` in the models folder: each model of the hub as it was pulled.

    {"version": 1, "models": {"faster-whisper:tiny": {
        "revisions": {"<repository>": "<commit>"},
        "files": {"config.json": {"sha256": "<hexadecimal>", "size_bytes": 2}}}}}

The keys are sorted, so that the same models give the same bytes: the file can be kept under version control
and put into an empty models folder, where a pull then fetches exactly those revisions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pipelines.errors import ModelCorruptError
from pipelines.files import write_whole

NAME = "lock.json"
VERSION = 1


@dataclass(frozen=True, slots=True)
class File:
    """One file as it was pulled."""

    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Pulled:
    """One model as it was pulled."""

    revisions: dict[str, str]  # repository: commit
    files: dict[str, File]  # path below the model's folder: file

    @property
    def sums(self) -> dict[str, str]:
        return {path: file.sha256 for path, file in self.files.items()}


def load(folder: Path) -> dict[str, Pulled]:
    """Returns what is locked in this models folder, by name of the model; empty without a lock.

    Raises ModelCorruptError for a lock that cannot be read: without it, damage cannot be detected.
    """
    path = folder / NAME
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelCorruptError(
            f"The lock of the models folder, {path}, cannot be read: put a copy back, or remove it and run "
            "`turnwise models pull` for each of the models again."
        ) from error


def parse(text: str) -> dict[str, Pulled]:
    """Raises ValueError, KeyError, TypeError or AttributeError for a text that is not a lock."""
    table = json.loads(text)
    if table["version"] != VERSION:
        raise ValueError("a lock of another version")
    return {str(name): _parse_model(entry) for name, entry in table["models"].items()}


def _parse_model(entry: Mapping[str, Mapping[str, Mapping[str, str]]]) -> Pulled:
    files = {
        str(path): File(str(file["sha256"]), int(file["size_bytes"])) for path, file in entry["files"].items()
    }
    return Pulled({str(name): str(commit) for name, commit in entry["revisions"].items()}, files)


def serialize(models: Mapping[str, Pulled]) -> str:
    table = {name: asdict(pulled) for name, pulled in models.items()}
    return json.dumps({"version": VERSION, "models": table}, indent=1, sort_keys=True) + "\n"


def dump(folder: Path, models: Mapping[str, Pulled]) -> None:
    """Writes the lock, whole or not at all, into an existing folder. Raises OSError."""
    write_whole(folder / NAME, serialize(models))
