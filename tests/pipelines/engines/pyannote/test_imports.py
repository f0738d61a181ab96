"""pyannote.audio is imported on any build of torch, in silence, without telemetry, sockets or torchcodec."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from pipelines.engines.pyannote import imports

ROOT = Path(__file__).resolve().parents[4]
SCRIPT = """
import json, socket, sys, threading

def refuse(*_: object, **__: object) -> None:
    raise AssertionError("a socket was opened")

socket.socket.connect = refuse
socket.create_connection = socket.getaddrinfo = refuse

from pathlib import Path
from pipelines.audio import load
from pipelines.engines.pyannote import Pyannote
from pipelines.types import SAMPLE_RATE, Audio, SpeakerCount

audio, _ = load(Path("tests/data/clip/clip.opus"))
audio = Audio(audio.samples[: 15 * SAMPLE_RATE], audio.media)
before = threading.active_count()
found = Pyannote("tests/checkpoints/pyannote-vbx").diarize(audio, (), SpeakerCount())
print(json.dumps({
    "speakers": len(found.speakers) > 0,
    "telemetry": [name for name in sys.modules if name.startswith("opentelemetry")],
    "torchcodec": [name for name in sys.modules if name.startswith("torchcodec")],
    "threads": threading.active_count() - before,
}))
"""


@pytest.mark.engine
def test_a_whole_run_is_silent_and_calls_nobody() -> None:
    """In a process of its own, in which every warning is an error."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"}
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=environment,
    )
    assert run.stderr == ""
    assert json.loads(run.stdout) == {"speakers": True, "telemetry": [], "torchcodec": [], "threads": 0}


def test_what_pyannote_uses_of_torchaudio_is_the_real_thing() -> None:
    imports.import_pyannote()
    for module, name in (
        ("compliance.kaldi", "fbank"),
        ("functional", "resample"),
        ("transforms", "MFCC"),
    ):
        assert getattr(import_module(f"torchaudio.{module}"), name).__module__.startswith("torchaudio.")


def test_importing_again_changes_nothing() -> None:
    imports.import_pyannote()
    before = set(sys.modules)
    imports.import_pyannote()
    assert set(sys.modules) == before


@pytest.fixture
def torchaudio(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Nothing of torchaudio in the process; what is imported instead, in order."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torchaudio._extension", ModuleType("before"))
    return []


def test_a_torchaudio_that_fits_is_taken_as_it_is(
    torchaudio: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "import_module", torchaudio.append)
    imports.import_torchaudio()
    assert torchaudio == ["torchaudio"]
    assert sys.modules["torchaudio._extension"].__name__ == "before"


@pytest.mark.parametrize("error", [OSError("libc10_cuda.so"), RuntimeError("different CUDA versions")])
def test_one_that_does_not_is_taken_without_its_native_libraries(
    torchaudio: list[str], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def import_it(name: str) -> None:
        torchaudio.append(name)
        if len(torchaudio) == 1:
            raise error

    monkeypatch.setattr(imports, "import_module", import_it)
    imports.import_torchaudio()
    assert torchaudio == ["torchaudio", "torchaudio"]
    extension = sys.modules["torchaudio._extension"]
    assert not extension._IS_TORCHAUDIO_EXT_AVAILABLE
    with pytest.raises(RuntimeError, match="native"):
        extension.fail_if_no_align(test_importing_again_changes_nothing)()


def test_a_torchaudio_that_is_not_there_says_so(
    torchaudio: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def import_it(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(imports, "import_module", import_it)
    with pytest.raises(ModuleNotFoundError):
        imports.import_torchaudio()


def test_what_pyannote_prints_goes_to_the_log(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    imports.import_pyannote()
    with caplog.at_level("DEBUG"):
        vars(import_module(imports.PRINTING[0]))["print"]("Found only", 2, "clusters.")
    assert capsys.readouterr() == ("", "")
    assert "Found only 2 clusters." in caplog.text
