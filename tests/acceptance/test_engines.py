"""`turnwise run` with Whisper, in both libraries, and pyannote.audio: real processes, the repo's checkpoints.

Their models folder holds the embedded models and those of tests/checkpoints: a Whisper that hears the words
of the clip, as `whisper:clip` and, converted, as `faster-whisper:clip`, and a pyannote pipeline that knows
nothing, as `pyannote:random`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pipelines import models
from pipelines.formats import result
from pipelines.scoring import references
from pipelines.scoring.scoring import score
from pipelines.types import Transcript
from tests.acceptance.recordings import DEMO
from tests.checkpoints.convert_whisper import convert

pytestmark = [pytest.mark.acceptance, pytest.mark.engine]

TURNWISE = Path(sys.executable).with_name("turnwise")
CHECKPOINTS = Path(__file__).parents[1] / "checkpoints"
CLIP = Path(__file__).parents[1] / "data" / "clip"
RECORDINGS = {"clip": CLIP / "clip.opus", "demo": DEMO / "segment.opus"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(models.folder() / "embedded", folder / "embedded")
    (folder / "whisper").mkdir()
    shutil.copy(CHECKPOINTS / "whisper-clip.pt", folder / "whisper" / "clip.pt")
    convert(CHECKPOINTS / "whisper-clip.pt", folder / "faster-whisper" / "clip")
    shutil.copytree(CHECKPOINTS / "pyannote-vbx", folder / "pyannote" / "random")
    return folder


def run(folder: Path, recording: str, output: Path, *options: str) -> tuple[Transcript, str]:
    """The result of a recording with its text, and what was written to stderr."""
    path = RECORDINGS[recording]
    text = path.with_name("supplied.txt")
    process = subprocess.run(
        [TURNWISE, "run", path, "--text", text, "-o", output, "--formats", "json", *options],
        env=os.environ | {models.FOLDER_VARIABLE: str(folder)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return result.parse((output / "result.json").read_text("utf-8")), process.stderr


@pytest.mark.parametrize("asr", ["whisper", "faster-whisper"])
def test_the_clip_is_heard_and_all_of_its_turns_are_exact(asr: str, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("meeteval", reason="the extra `score` is not installed")
    transcript, errors = run(folder, "clip", tmp_path, "--asr", asr, "--diarizer", "embedded")
    assert [line for line in errors.splitlines() if "done after" not in line] == []
    assert dict(transcript.engines)["transcribe"].engine == asr
    assert transcript.language == "en"
    reference = references.load([CLIP / "clip.stm"])
    found = score(transcript, reference, references.load_truth(CLIP / "supplied_truth.json"))
    values = {row.label: row.value for row in found.table}
    assert values["WER of what was heard"] <= 5.0
    assert values["turn changes"] == values["turn changes, exact"] == 6
    assert values["turn changes, false"] == 0
    assert values["tokens with the right speaker"] == 100.0


@pytest.mark.parametrize("asr", ["whisper", "faster-whisper", "pocketsphinx"])
def test_every_engine_gets_through_the_demo(asr: str, folder: Path, tmp_path: Path) -> None:
    """Whisper knows a third of its words, and pyannote nothing: nothing is lost all the same."""
    transcript, _ = run(folder, "demo", tmp_path, "--asr", asr, "--diarizer", "pyannote")
    engines = dict(transcript.engines)
    assert engines["transcribe"].engine == asr
    assert (engines["diarize"].engine, engines["diarize"].model) == ("pyannote", "random")
    text = (DEMO / "supplied.txt").read_text(encoding="utf-8")
    assert [aligned.token.text for aligned in transcript.tokens] == text.split()
    schema = json.loads(
        (resources.files("pipelines") / "formats" / "result.schema.json").read_text(encoding="utf-8")
    )
    result: dict[str, Any] = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    jsonschema.validate(result, schema)


def test_auto_takes_the_best_and_says_so(folder: Path, tmp_path: Path) -> None:
    transcript, errors = run(folder, "clip", tmp_path)
    engines = dict(transcript.engines)
    assert (engines["transcribe"].engine, engines["transcribe"].model) == ("faster-whisper", "clip")
    assert engines["diarize"].engine == "pyannote"
    assert "turnwise: --asr faster-whisper, the best that is ready" in errors
    assert "turnwise: --diarizer pyannote, the best that is ready" in errors
    assert "Better" not in errors
    said = [line for line in errors.splitlines() if "done after" not in line]
    assert all(line.startswith("turnwise: ") for line in said)  # and no library says anything


def test_stages_are_brought_along_from_one_engine_to_another(folder: Path, tmp_path: Path) -> None:
    first, _ = run(folder, "clip", tmp_path / "first", "--asr", "whisper", "--diarizer", "none")
    heard = str(tmp_path / "first" / "result.json")
    second, _ = run(folder, "clip", tmp_path / "second", "--heard", heard, "--diarizer", "embedded")
    assert second.heard == first.heard
    assert len(first.speakers) == 1
    assert len(second.speakers) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--asr", "whisper:nothing"), "nothing"),
        (("--asr", "whisper", "--language", "tlh"), "language"),
        (("--asr", "whisper", "--device", "cuda"), "--device cuda"),
        (("--asr", f"whisper:{CLIP / 'supplied.txt'}"), "supplied.txt"),
        (("--asr", f"faster-whisper:{CHECKPOINTS / 'pyannote-vbx'}"), "pyannote-vbx"),
        (("--diarizer", f"pyannote:{CLIP}"), "config.yaml"),
        (("--diarizer", f"pyannote:{CHECKPOINTS / 'whisper-clip.pt'}"), "whisper-clip.pt"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_sentence(
    options: tuple[str, ...], message: str, folder: Path, tmp_path: Path
) -> None:
    process = subprocess.run(
        [TURNWISE, "run", CLIP / "clip.opus", "-o", tmp_path, *options],
        env=os.environ | {models.FOLDER_VARIABLE: str(folder)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    lines = [line for line in process.stderr.splitlines() if "done after" not in line]
    assert process.returncode in {2, 3}
    assert lines[-1].startswith("turnwise: ")
    assert message in lines[-1]
    assert "Traceback" not in process.stderr
    assert not list(tmp_path.glob("result.*"))
