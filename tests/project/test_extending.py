"""A new engine, and a new format, are a file and an entry: the command, the stages and the API take both."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

from pipelines import cli
from pipelines.engines import TRANSCRIBERS, Entry
from pipelines.engines.fake import FakeDetector, FakeTranscriber, Line
from pipelines.formats import FORMATS, Format
from pipelines.pipeline import Stage
from pipelines.protocols import Transcriber, no_progress
from pipelines.types import SAMPLE_RATE, Transcript
from service.api.job_routes import FormatName
from service.api.shapes import check_engines, parse_options
from service.api.system_routes import list_engines
from service.openai.form import parse
from service.work.stage_process import answer
from tests.acceptance.recordings import write_wav
from tests.service.test_stage_process import asked, decoded, recording

SCRIPT = (Line("a", 0.0, 4.0, "a toy hears these words"),)


def shout(transcript: Transcript) -> str:
    return " ".join(word.text for word in transcript.heard.words).upper()


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An entry for each."""
    toy: Entry[Transcriber] = Entry(
        "toy", "hears what its script says", lambda model, device: FakeTranscriber(SCRIPT)
    )
    monkeypatch.setattr("pipelines.models.read", lambda name: b"")
    monkeypatch.setattr("pipelines.engines.choice.SileroDetector", lambda: FakeDetector(SCRIPT))
    monkeypatch.setitem(FORMATS, "shout", Format(shout))
    TRANSCRIBERS.append(toy)
    yield
    TRANSCRIBERS.remove(toy)


def test_the_command_takes_both(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 5 * SAMPLE_RATE).astype(np.float32)
    path = write_wav(tmp_path / "noise.wav", noise)
    out = tmp_path / "out"
    engines = ["--asr", "toy", "--diarizer", "none"]
    assert cli.main(["run", str(path), "-o", str(out), *engines, "--formats", "shout", "--quiet"]) == 0
    assert (out / "result.shout").read_text() == "A TOY HEARS THESE WORDS"


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
    listed = asyncio.run(list_engines("")).asr[-1]
    assert (listed.name, listed.ready) == ("toy", True)
    assert TypeAdapter(FormatName).validate_python("shout") == "shout"
