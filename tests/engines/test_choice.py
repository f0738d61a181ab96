"""Names become engines; `auto` takes the best that is ready and says so."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from pipelines import models
from pipelines.engines import choice
from pipelines.engines.choice import DIARIZERS, TRANSCRIBERS, Entry, choose
from pipelines.engines.embedded import EmbeddedDiarizer
from pipelines.engines.pocketsphinx import PocketSphinx, PocketSphinxAligner
from pipelines.engines.silero import SileroDetector
from pipelines.errors import EngineMissingError, ModelCorruptError, OptionError

EMPTY = sha256().hexdigest()
BETTER = Entry("better", "the best there is", PocketSphinx, library="no_such_library")


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every model were here."""
    monkeypatch.setattr(models, "read", lambda name: b"")


@pytest.mark.usefixtures("weights")
def test_auto_says_what_it_took_and_why() -> None:
    engines, notices = choose()
    assert isinstance(engines.detector, SileroDetector)
    assert isinstance(engines.transcriber, PocketSphinx)
    assert isinstance(engines.diarizer, EmbeddedDiarizer)
    assert isinstance(engines.aligner, PocketSphinxAligner)
    assert [notice.code for notice in notices] == ["asr_auto", "diarizer_auto"]
    assert notices[0].message.startswith("--asr pocketsphinx, the best that is ready: English only")


@pytest.mark.usefixtures("weights")
def test_names_are_taken_without_a_word() -> None:
    engines, notices = choose("pocketsphinx", "embedded")
    assert isinstance(engines.diarizer, EmbeddedDiarizer)
    assert notices == []


@pytest.mark.parametrize(
    ("asr", "diarizer", "option"), [("siri", "auto", "--asr"), ("auto", "siri", "--diarizer")]
)
@pytest.mark.usefixtures("weights")
def test_an_unknown_name_is_told_the_known_ones_and_their_limits(
    asr: str, diarizer: str, option: str
) -> None:
    table = TRANSCRIBERS if option == "--asr" else DIARIZERS
    with pytest.raises(OptionError, match=f"There is no {option} 'siri'") as error:
        choose(asr, diarizer)
    assert all(f"{entry.name} ({entry.summary})" in str(error.value) for entry in table)


@pytest.mark.usefixtures("weights")
def test_auto_passes_over_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "TRANSCRIBERS", (BETTER, *TRANSCRIBERS))
    assert isinstance(choose()[0].transcriber, PocketSphinx)
    with pytest.raises(EngineMissingError, match="better is not installed: run pip install no_such_library"):
        choose(asr="better")


def test_missing_weights_are_told_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(models.FOLDER_VARIABLE, str(tmp_path))
    for diarizer in ("auto", "embedded"):
        with pytest.raises(EngineMissingError, match="turnwise models pull embedded"):
            choose(diarizer=diarizer)


@pytest.mark.parametrize("name", ["silero-vad", "d-vector"])
def test_damaged_weights_are_told_before_the_work(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(models.FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(
        models, "MODELS", {key: replace(model, sha256=EMPTY) for key, model in models.MODELS.items()}
    )
    for model in models.MODELS.values():
        (tmp_path / model.path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / model.path).touch()
    choose()
    (tmp_path / models.MODELS[name].path).write_bytes(b"x")
    with pytest.raises(ModelCorruptError, match="turnwise models pull embedded"):
        choose()


@pytest.mark.parametrize("entry", [*TRANSCRIBERS, *DIARIZERS], ids=lambda entry: entry.name)
def test_every_summary_is_one_line(entry: Entry[object]) -> None:
    assert "\n" not in entry.summary
    assert not entry.summary.endswith(".")
