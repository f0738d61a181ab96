"""The real pip downloads from a folder that stands in for the registry: nothing leaves the machine."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from pathlib import Path

import pytest

from pipelines.errors import ModelFetchError
from pipelines.models.wheels import Wheel, fetch_member

METADATA = "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.5\nRequires-Dist: missing-dependency\n"
WEIGHTS = bytes(range(256)) * 64


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheel:
    index = tmp_path / "index"
    index.mkdir()
    path = index / "tiny_weights-1.5-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_weights/weights.pt", WEIGHTS)
        archive.writestr("tiny_weights-1.5.dist-info/METADATA", METADATA)
        archive.writestr("tiny_weights-1.5.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("tiny_weights-1.5.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    data = path.read_bytes()
    return Wheel("tiny-weights==1.5", hashlib.sha256(data).hexdigest())


def fetch(wheel: Wheel) -> bytes:
    return fetch_member(wheel, "tiny_weights/weights.pt")


def test_gives_the_member_without_installing_the_wheel(wheel: Wheel) -> None:
    assert fetch(wheel) == WEIGHTS
    with pytest.raises(ModuleNotFoundError):
        __import__("tiny_weights")


def test_refuses_another_file_under_that_name(wheel: Wheel) -> None:
    other = Wheel(wheel.requirement, "0" * 64)
    with pytest.raises(ModelFetchError, match=r"tiny-weights==1\.5 is not that release"):
        fetch(other)


def test_names_what_could_not_be_downloaded(wheel: Wheel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_FIND_LINKS")
    with pytest.raises(ModelFetchError, match=r"tiny-weights==1\.5 could not be downloaded \(.+\): check"):
        fetch(wheel)


def test_says_what_to_do_without_pip(wheel: Wheel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\necho "$0: No module named pip" >&2\nexit 1\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(ModelFetchError, match=r"pip is missing.*ensurepip"):
        fetch(wheel)
