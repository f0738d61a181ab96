"""Copying the models folder is the whole installation without network: sockets are forbidden here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pipelines import models
from pipelines.audio import decoding as audio
from pipelines.types import SAMPLE_RATE
from tests.acceptance.recordings import write_wav

pytestmark = [pytest.mark.acceptance, pytest.mark.engine]

TESTS = Path(__file__).resolve().parents[1]
CHECKPOINTS = TESTS / "checkpoints"
GUARD = TESTS / "acceptance" / "offline"
TURNWISE = Path(sys.executable).with_name("turnwise")
KEPT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
"""The variables that such a machine has as well."""

ENGINES = [
    pytest.param("pocketsphinx", "embedded", id="embedded"),
    pytest.param("whisper:clip", "pyannote:vbx", id="whisper and pyannote"),
    pytest.param("faster-whisper:clip", "embedded", id="faster-whisper"),
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder as a machine with network would have it: pulled models, and own ones beside them."""
    pytest.importorskip("whisper")
    pytest.importorskip("ctranslate2")
    from tests.checkpoints.convert_whisper import convert  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("prepared")
    shutil.copytree(models.folder() / "embedded", folder / "embedded")
    (folder / "whisper").mkdir()
    shutil.copy(CHECKPOINTS / "whisper-clip.pt", folder / "whisper" / "clip.pt")
    shutil.copytree(CHECKPOINTS / "pyannote-vbx", folder / "pyannote" / "vbx")
    convert(CHECKPOINTS / "whisper-clip.pt", folder / "faster-whisper" / "clip")
    return folder


@pytest.fixture(scope="module")
def copied(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same on the machine without network; the original is no more."""
    place = tmp_path_factory.mktemp("usb") / "models"
    shutil.move(prepared, place)
    return place


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip's beginning: two voices, and no more than it takes."""
    clip, _ = audio.load(TESTS / "data" / "clip" / "clip.opus")
    return write_wav(tmp_path_factory.mktemp("clip") / "clip.wav", clip.samples[: 12 * SAMPLE_RATE])


@pytest.fixture
def offline(copied: Path, tmp_path: Path) -> dict[str, str]:
    """The environment there: an empty home, no cache, no token, no socket."""
    (tmp_path / "home").mkdir()
    (tmp_path / "record").touch()
    return {name: os.environ[name] for name in KEPT if name in os.environ} | {
        "HOME": str(tmp_path / "home"),
        "PYTHONPATH": str(GUARD),
        "OFFLINE_RECORD": str(tmp_path / "record"),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "2"),  # on a busy machine more are slower
        models.FOLDER_VARIABLE: str(copied),
    }


@cache
def without_network() -> list[str]:
    """What starts a process without any network, also for its libraries' own code; empty where it may not."""
    command = ["unshare", "--map-root-user", "--net"]
    if shutil.which("unshare") is None:
        return []
    probe = subprocess.run([*command, "true"], capture_output=True, check=False)
    return command if probe.returncode == 0 else []


def start(command: list[Any], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    whole = [*without_network(), *map(str, command)]
    return subprocess.run(
        whole, env=environment, capture_output=True, text=True, encoding="utf-8", check=False
    )


def record(environment: dict[str, str]) -> str:
    return Path(environment["OFFLINE_RECORD"]).read_text(encoding="utf-8")


@pytest.mark.parametrize(("asr", "diarizer"), ENGINES)
def test_a_copied_folder_is_enough(
    asr: str, diarizer: str, recording: Path, offline: dict[str, str], tmp_path: Path
) -> None:
    output = tmp_path / "out"
    options = ["--language", "en", "--asr", asr, "--diarizer", diarizer, "--quiet"]
    process = start([TURNWISE, "run", recording, "-o", output, *options], offline)
    assert process.returncode == 0, process.stderr
    assert record(offline) == ""
    assert not list(Path(offline["HOME"]).rglob("*onnxruntime*"))  # where its telemetry keeps its diary
    result = json.loads((output / "result.json").read_text(encoding="utf-8"))
    for name, stage in ((asr, "transcribe"), (diarizer, "diarize")):
        used = result["engines"][stage]
        engine, _, model = name.partition(":")
        assert used["engine"] == engine
        assert len(used["model_sha256"]) == 64
        assert not model or used["model"] == model


def test_the_models_are_checked_there(offline: dict[str, str]) -> None:
    process = start([TURNWISE, "models", "verify"], offline)
    assert process.stdout == "silero-vad: present\nd-vector: present\n"
    assert record(offline) == ""


def test_a_pull_there_is_one_sentence(offline: dict[str, str]) -> None:
    process = start([TURNWISE, "models", "pull", "faster-whisper:tiny"], offline)
    assert process.returncode == 3
    assert process.stderr.count("\n") == 1
    assert "copy the models folder from a machine that has it" in process.stderr
    assert "Traceback" not in process.stderr
    assert record(offline) != ""


@pytest.mark.parametrize(
    "code",
    [
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import socket; socket.socket(socket.AF_INET6)",
        "import socket; socket.gethostbyname('localhost')",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9')",
        "import os, sys; os.execv(sys.executable, ['python', '-c', 'import socket; socket.socket()'])",
    ],
)
def test_the_guard_sees_every_way_out(code: str, offline: dict[str, str]) -> None:
    assert start([sys.executable, "-c", code], offline).returncode == 1
    assert record(offline).startswith("socket.")


def test_the_guard_lets_local_sockets_pass(offline: dict[str, str]) -> None:
    code = "import socket; a, b = socket.socketpair(); a.close(); b.close()"
    assert start([sys.executable, "-c", code], offline).returncode == 0
    assert record(offline) == ""
