"""Whatever a user hands in: one sentence that says what to do, a status, nothing lost, no traceback."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from pipelines import cli, models
from pipelines.cli import run as run_module
from pipelines.engines.fake import FakeAligner, FakeDetector, FakeDiarizer, FakeTranscriber, Line
from pipelines.protocols import Engines
from pipelines.types import SAMPLE_RATE
from tests.acceptance import recordings

Capture = pytest.CaptureFixture[str]

SCRIPT = (
    Line("anna", 0.3, 3.0, "Good evening and welcome to the programme."),
    Line("ben", 3.4, 5.0, "Thank you for having me."),
)


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what goes wrong before any engine hears anything, or whatever it hears."""
    engines = Engines(FakeDetector(SCRIPT), FakeTranscriber(SCRIPT), FakeDiarizer(SCRIPT), FakeAligner())
    monkeypatch.setattr(run_module, "choose", lambda *named: (engines, []))


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """Something to decode, as long as the script of the fakes."""
    samples = np.random.default_rng(0).normal(0, 0.1, 5 * SAMPLE_RATE).astype(np.float32)
    return recordings.write_wav(tmp_path / "noise.wav", samples)


def refused(arguments: list[object], status: int, capsys: Capture) -> str:
    """The one sentence with which the command refuses; nothing else comes out."""
    assert cli.main([*map(str, arguments), "--quiet"]) == status
    out = capsys.readouterr()
    assert out.out == ""
    lines = [line for line in out.err.splitlines() if line]
    assert "Traceback" not in out.err
    assert lines[-1].startswith("turnwise: ")
    return lines[-1]


def result_of(folder: Path) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return result


# --------------------------------------------------------------------------- recordings that are none

Writer = Callable[[Path], object]

UNUSABLE: dict[str, tuple[Writer, str]] = {
    "missing": (lambda path: None, "There is no file"),
    "a folder": (lambda path: path.mkdir(), "is a folder"),
    "zero bytes": (lambda path: path.touch(), "is empty"),
    "not media": (lambda path: path.write_bytes(bytes(range(256)) * 40), "is not audio or video"),
    "a text": (
        lambda path: path.write_text("Good evening. " * 500, encoding="utf-8"),
        "is not audio or video",
    ),
    "a playlist of its neighbours": (
        lambda path: path.write_text("ffconcat version 1.0\nfile segment.opus\n", encoding="utf-8"),
        "is not audio or video",
    ),
    "a tenth of a second": (
        lambda path: recordings.write_wav(path, recordings.music(2)[:1600]),
        "too little",
    ),
    "silence": (lambda path: recordings.write_wav(path, np.zeros(5 * SAMPLE_RATE, np.float32)), "is silent"),
    "more than six hours": (lambda path: recordings.write_long_wav(path, 6 * 3600 + 60), "longer than 6 h"),
}


@pytest.mark.usefixtures("fakes")
@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_recording_that_cannot_be_used(kind: str, tmp_path: Path, capsys: Capture) -> None:
    write, message = UNUSABLE[kind]
    path = tmp_path / "recording.wav"
    write(path)
    assert message in refused(["run", path, "-o", tmp_path / "out"], 2, capsys)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.usefixtures("fakes")
def test_a_video_without_sound(tmp_path: Path, capsys: Capture) -> None:
    film = recordings.write_silent_film(tmp_path / "film.mp4")
    assert "has no audio track" in refused(["run", film, "-o", tmp_path / "out"], 2, capsys)


@pytest.mark.engine
def test_music_without_speech(tmp_path: Path, capsys: Capture) -> None:
    path = recordings.write_wav(tmp_path / "music.wav", recordings.music(20))
    assert "Nobody speaks" in refused(["run", path, "-o", tmp_path / "out"], 2, capsys)


# --------------------------------------------------------------------------- recordings that are unusual


@pytest.mark.engine
@pytest.mark.parametrize(("rate_hz", "channels"), [(8000, 1), (96_000, 1), (48_000, 8)])
def test_any_sample_rate_and_number_of_channels(rate_hz: int, channels: int, tmp_path: Path) -> None:
    path = recordings.write_wav(tmp_path / "part.wav", recordings.speech(0, 12), rate_hz, channels)
    assert cli.main(["run", str(path), "-o", str(tmp_path / "out"), "--formats", "json", "--quiet"]) == 0
    result = result_of(tmp_path / "out")
    assert result["media"]["sample_rate_hz"] == rate_hz
    assert result["media"]["channels"] == channels
    assert len(result["heard"]) > 10


@pytest.mark.engine
def test_a_recording_that_breaks_off_is_used_as_far_as_it_goes(tmp_path: Path, capsys: Capture) -> None:
    part = tmp_path / "part.flac"
    soundfile.write(part, recordings.speech(0, 24), SAMPLE_RATE)
    part.write_bytes(part.read_bytes()[: part.stat().st_size // 2])
    assert cli.main(["run", str(part), "-o", str(tmp_path / "out"), "--formats", "json", "--quiet"]) == 0
    assert "breaks off" in capsys.readouterr().err
    result = result_of(tmp_path / "out")
    assert "truncated" in [warning["code"] for warning in result["warnings"]]
    assert result["heard"]


@pytest.mark.engine
def test_more_speakers_asked_for_than_there_are(tmp_path: Path) -> None:
    path = recordings.write_wav(tmp_path / "part.wav", recordings.speech(0, 12))
    command = ["run", str(path), "-o", str(tmp_path / "out"), "--formats", "json", "--quiet"]
    assert cli.main([*command, "--speakers", "40"]) == 0
    assert 1 <= len(result_of(tmp_path / "out")["speakers"]) <= 40


# --------------------------------------------------------------------------- texts

TEXTS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "white space": (b" \r\n\t\n", "is empty"),
    "binary": (bytes(range(256)) * 20, "binary data"),
    "a PDF": (b"%PDF-1.7\n" + bytes(range(256)), "not plain text"),
    "only punctuation": (b"... -- !!! ??\n", "holds no words"),
    "50 MB": (b"and so on " * 5_000_000, "larger than"),
    "broken JSON": (b'{"segments": [', "JSON"),
}


@pytest.mark.usefixtures("fakes")
@pytest.mark.parametrize("kind", TEXTS)
def test_a_text_that_cannot_be_used(kind: str, noise: Path, tmp_path: Path, capsys: Capture) -> None:
    data, message = TEXTS[kind]
    path = tmp_path / ("supplied.json" if "JSON" in kind else "supplied.txt")
    path.write_bytes(data)
    assert message in refused(["run", noise, "--text", path, "-o", tmp_path / "out"], 2, capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("fakes")
def test_a_text_that_is_missing(noise: Path, tmp_path: Path, capsys: Capture) -> None:
    message = refused(["run", noise, "--text", tmp_path / "no.txt", "-o", tmp_path / "out"], 2, capsys)
    assert "no.txt cannot be read" in message


SENTENCES = "Good evening and welcome to the programme. Thank you for having me, señor."
ODD_TEXTS: dict[str, tuple[str, str]] = {
    "Latin-1": (SENTENCES, "latin-1"),
    "UTF-16": (SENTENCES, "utf-16"),
    "UTF-8 with a mark": (SENTENCES, "utf-8-sig"),
    "right to left": ("مساء الخير وأهلا بكم في البرنامج. شكرا لاستضافتي.", "utf-8"),
    "Chinese": ("大家晚上好，欢迎收看本期节目。谢谢你们邀请我。", "utf-8"),
    "one word": ("Good", "utf-8"),
    "only marks": (">> ♪ [Music] >> hello", "utf-8"),
}


@pytest.mark.usefixtures("fakes")
@pytest.mark.parametrize("kind", ODD_TEXTS)
def test_an_unusual_text_comes_back_whole(kind: str, noise: Path, tmp_path: Path) -> None:
    text, encoding = ODD_TEXTS[kind]
    path = tmp_path / "supplied.txt"
    path.write_bytes(text.encode(encoding))
    assert cli.main(["run", str(noise), "--text", str(path), "-o", str(tmp_path / "out"), "--quiet"]) == 0
    supplied = result_of(tmp_path / "out")["readings"]["supplied"]
    assert supplied.removeprefix("\ufeff") == text


@pytest.mark.engine
def test_a_text_of_another_recording_is_told(tmp_path: Path, capsys: Capture) -> None:
    recording = recordings.write_wav(tmp_path / "part.wav", recordings.speech(0, 24))
    other = tmp_path / "other.txt"
    other.write_text(
        "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be"
        " in want of a wife. However little known the feelings or views of such a man may be on his first"
        " entering a neighbourhood, this truth is so well fixed in the minds of the surrounding families.",
        encoding="utf-8",
    )
    command = ["run", str(recording), "--text", str(other), "-o", str(tmp_path / "out"), "--quiet"]
    assert cli.main(command) == 0
    assert "check that text and recording belong together" in capsys.readouterr().err
    assert "low_match" in [warning["code"] for warning in result_of(tmp_path / "out")["warnings"]]


@pytest.mark.usefixtures("fakes")
def test_a_script_tag_in_the_text_stays_text(noise: Path, tmp_path: Path) -> None:
    attack = 'Good evening <script>alert("1")</script> and welcome "><img src=x onerror=alert(1)> to it.'
    path = tmp_path / "supplied.txt"
    path.write_text(attack, encoding="utf-8")
    assert cli.main(["run", str(noise), "--text", str(path), "-o", str(tmp_path / "out"), "--quiet"]) == 0
    page = (tmp_path / "out" / "result.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "<img" not in page
    assert result_of(tmp_path / "out")["readings"]["supplied"] == attack


# --------------------------------------------------------------------------- output and models


@pytest.mark.usefixtures("fakes")
@pytest.mark.parametrize("folder", ["/proc", "/dev/null", "noise.wav", "noise.wav/out"])
def test_an_output_folder_that_cannot_be_written(
    folder: str, noise: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(noise.parent)
    assert "choose another folder" in refused(["run", noise, "-o", folder], 4, capsys)
    assert noise.is_file()


@pytest.fixture
def own_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder of the test's own, with the real files."""
    folder = tmp_path / "models"
    shutil.copytree(models.folder() / "embedded", folder / "embedded")
    monkeypatch.setenv(models.FOLDER_VARIABLE, str(folder))
    return folder


@pytest.mark.engine
@pytest.mark.parametrize("model", models.select(["embedded"]), ids=lambda model: model.name)
def test_a_model_with_one_flipped_byte(
    model: models.Model, own_models: Path, noise: Path, tmp_path: Path, capsys: Capture
) -> None:
    path = own_models / model.path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x01
    path.write_bytes(data)
    message = refused(["run", noise, "-o", tmp_path / "out"], 3, capsys)
    assert "is damaged" in message
    assert "`turnwise models pull embedded`" in message


@pytest.mark.engine
def test_models_are_listed_and_verified(own_models: Path, capsys: Capture) -> None:
    assert cli.main(["models", "verify"]) == 0
    assert capsys.readouterr().out == "silero-vad: present\nd-vector: present\n"
    assert cli.main(["models", "pull", "embedded"]) == 0
    assert capsys.readouterr().out == f"the models are in {own_models}\n"
    (own_models / models.MODELS["d-vector"].path).unlink()
    assert cli.main(["models", "list", "embedded"]) == 0
    assert re.search("d-vector +missing", capsys.readouterr().out)
    assert cli.main(["models", "verify"]) == 0
    assert capsys.readouterr().out == "silero-vad: present\n"
    assert cli.main(["models", "verify", "embedded"]) == 3
    assert "turnwise: " in capsys.readouterr().err


def test_a_model_that_there_is_not(capsys: Capture) -> None:
    for action in ("list", "pull", "verify"):
        assert cli.main(["models", action, "gpt"]) == 2
        assert "There is no model 'gpt'" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--asr", "--diarizer"])
def test_an_engine_that_there_is_not(option: str, noise: Path, tmp_path: Path, capsys: Capture) -> None:
    message = refused(["run", noise, "-o", tmp_path / "out", option, "siri"], 2, capsys)
    assert message.startswith("turnwise: There is no engine 'siri': choose auto, or one of: ")
