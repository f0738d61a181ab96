"""A new engine, and a new format, are a file and an entry: the command, the stages and the API take both.

Weights of its own are one more entry, in the manifest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

from pipelines import cli, models
from pipelines.engines import TRANSCRIBERS, Entry, choose
from pipelines.engines.fake import FakeDetector, FakeTranscriber, Line
from pipelines.engines.model_engine import ModelEngine
from pipelines.errors import EngineMissingError, ModelCorruptError
from pipelines.formats import FORMATS, Format
from pipelines.models.manifest import Member, Model
from pipelines.models.wheels import Wheel
from pipelines.pipeline import Stage
from pipelines.protocols import Progress, Transcriber, no_progress
from pipelines.types import SAMPLE_RATE, Audio, Heard, Span, Transcript
from service.api.job_routes import FormatName
from service.api.shapes import check_engines, parse_options
from service.api.system_routes import list_engines
from service.openai.form import parse
from service.work.stage_process import answer
from tests.acceptance.recordings import write_wav
from tests.service.test_stage_process import asked, decoded, recording

SCRIPT = (Line("a", 0.0, 4.0, "a toy hears these words"),)
WEIGHTS = b"weights say other words"
TRAINED = Model(
    name="trained:small",
    kind="trained",
    identity="A toy's weights",
    licence="MIT",
    path="trained/small.bin",
    size_bytes=len(WEIGHTS),
    sha256=hashlib.sha256(WEIGHTS).hexdigest(),
    source=Member(Wheel("toys==1.0", ""), "small.bin"),
)


class Trained(ModelEngine):
    """Says what its weights say."""

    family = "trained"
    distributions = ("numpy",)

    def transcribe(
        self,
        audio: Audio,
        speech: Sequence[Span],
        language: str,
        progress: Progress = no_progress,
        terms: Sequence[str] = (),
    ) -> Heard:
        script = [Line("a", 0.0, 4.0, self._path.read_text())]
        heard = FakeTranscriber(script).transcribe(audio, speech, language, progress)
        return replace(heard, engine=self.info)


def shout(transcript: Transcript) -> str:
    return " ".join(word.text for word in transcript.heard.words).upper()


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """An entry for each."""
    toy: Entry[Transcriber] = Entry(
        "toy", "hears what its script says", lambda model, device: FakeTranscriber(SCRIPT)
    )
    monkeypatch.setattr("pipelines.models.read", lambda name: b"")
    monkeypatch.setattr("pipelines.engines.choice.SileroDetector", lambda: FakeDetector(SCRIPT))
    monkeypatch.setitem(FORMATS, "shout", Format(shout))
    trained: Entry[Transcriber] = Entry("trained", "says what its weights say", Trained, suggested="small")
    monkeypatch.setenv(models.FOLDER_VARIABLE, str(tmp_path / "models"))
    monkeypatch.setitem(models.MODELS, TRAINED.name, TRAINED)
    monkeypatch.setattr("pipelines.models.fetching.fetch_member", lambda wheel, member: WEIGHTS)
    TRANSCRIBERS.extend([toy, trained])
    yield
    TRANSCRIBERS.remove(toy)
    TRANSCRIBERS.remove(trained)


def shouted(folder: Path, asr: str) -> str:
    """What the command makes of five seconds of noise."""
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 5 * SAMPLE_RATE).astype(np.float32)
    path = write_wav(folder / "noise.wav", noise)
    out = folder / "out"
    engines = ["--asr", asr, "--diarizer", "none"]
    assert cli.main(["run", str(path), "-o", str(out), *engines, "--formats", "json,shout", "--quiet"]) == 0
    return (out / "result.shout").read_text()


def test_the_command_takes_both(tmp_path: Path) -> None:
    assert shouted(tmp_path, "toy") == "A TOY HEARS THESE WORDS"


@pytest.mark.parametrize("asr", ["trained", "trained:small"])
def test_the_command_fetches_and_names_weights(
    tmp_path: Path, asr: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(EngineMissingError, match="turnwise models pull trained:small"):
        choose(asr)
    assert cli.main(["models", "pull", "trained"]) == cli.main(["models", "list"]) == 0
    assert "trained:small                    present" in capsys.readouterr().out
    assert shouted(tmp_path, asr) == "WEIGHTS SAY OTHER WORDS"
    engine = json.loads((tmp_path / "out" / "result.json").read_text())["heard_by"]
    assert (engine["engine"], engine["model"], engine["model_sha256"]) == ("trained", "small", TRAINED.sha256)


def test_damaged_weights_are_found_before_the_work(tmp_path: Path) -> None:
    cli.main(["models", "pull", "trained"])
    (tmp_path / "models" / TRAINED.path).write_bytes(b"other words")
    with pytest.raises(ModelCorruptError, match="turnwise models pull trained:small"):
        choose("trained")


def test_the_stages_take_both(tmp_path: Path) -> None:
    folder = decoded(tmp_path / "job", recording(5.0))
    for stage in tuple(Stage)[1:]:
        request = asked(folder, stage, "pipelines.engines.choice:choose") | {"asr": "toy", "diarizer": "none"}
        assert answer(request, no_progress) == {"done": {}}
        folder.accept(Path(request["attempt"]), folder.stage(stage))
    assert (folder.stage(Stage.STORE) / "result.shout").read_text() == "A TOY HEARS THESE WORDS"


def test_the_api_takes_both() -> None:
    check_engines(parse_options(json.dumps({"asr": "toy"})), ours=True)
    assert parse([("model", "toy")]).options.asr == "toy"
    toy, trained = list_engines("").asr[-2:]
    assert (toy.name, toy.ready) == ("toy", True)
    check_engines(parse_options(json.dumps({"asr": "trained:small"})), ours=True)
    assert (trained.ready, [(model.name, model.ready) for model in trained.models]) == (
        False,
        [("trained:small", False)],
    )
    assert TypeAdapter(FormatName).validate_python("shout") == "shout"
