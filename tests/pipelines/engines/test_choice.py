"""Names become engines; `auto` takes the best that is ready and says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from pipelines import models
from pipelines.engines import choice
from pipelines.engines.choice import DIARIZERS, TRANSCRIBERS, Entry, check_name, choose
from pipelines.engines.embedded.diarizer import EmbeddedDiarizer
from pipelines.engines.embedded.pocketsphinx import PocketSphinx, PocketSphinxAligner
from pipelines.engines.embedded.silero import SileroDetector
from pipelines.engines.fake import FakeDiarizer, FakeTranscriber
from pipelines.engines.given import OneVoice
from pipelines.errors import EngineMissingError, ModelCorruptError, ModelUnusableError, OptionError
from pipelines.models import locating

EMPTY = sha256().hexdigest()
EMBEDDED = [model for model in models.MODELS.values() if model.name in ("silero-vad", "d-vector")]


class Probe(FakeTranscriber):
    """Remembers how it was made; `check` raises what it is told to."""

    def check(self) -> None:
        raise ModelUnusableError("This is a zip archive without a model.")


def probe(model: str, device: str) -> FakeTranscriber:
    """An engine that is always ready, and whose script says what it was made with."""
    return FakeTranscriber((), seed=len(model) + len(device))


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every embedded model were here, and nothing else."""
    monkeypatch.setenv(models.FOLDER_VARIABLE, str(tmp_path))
    monkeypatch.setattr(models, "read", lambda name: b"")


@pytest.fixture
def better(monkeypatch: pytest.MonkeyPatch, weights: None) -> Callable[..., None]:
    """Puts one more engine at the top of the table."""

    def put(library: str = "", here: tuple[str, ...] = ("large", "small")) -> None:
        entry = Entry("better", "the best there is", probe, library=library, suggested="small")
        monkeypatch.setattr(choice, "TRANSCRIBERS", (entry, *TRANSCRIBERS))
        available = models.available
        monkeypatch.setattr(
            models,
            "available",
            lambda kind, language="": list(here) if kind == "better" else available(kind, language),
        )

    return put


@pytest.mark.usefixtures("weights")
def test_auto_says_what_it_took_and_why() -> None:
    engines, notices = choose()
    assert isinstance(engines.detector, SileroDetector)
    assert isinstance(engines.transcriber, PocketSphinx)
    assert isinstance(engines.diarizer, EmbeddedDiarizer)
    assert isinstance(engines.aligner, PocketSphinxAligner)
    assert engines.together
    assert [notice.code for notice in notices] == ["asr_auto", "diarizer_auto"]
    assert notices[0].message.startswith("--asr pocketsphinx, the best that is ready: English only")


def test_auto_says_in_one_line_what_would_be_better(better: Callable[..., None]) -> None:
    better(here=())
    assert choose()[1][0].message.endswith(" Better: better (turnwise models pull better:small).")
    better(library="no_such_library")
    advice = "Better: better (pip install 'turnwise[better]' and turnwise models pull better:small)."
    assert choose()[1][0].message.endswith(advice)


def test_auto_takes_the_best_with_its_best_model(better: Callable[..., None]) -> None:
    better()
    engines, notices = choose(device="cpu")
    assert engines.transcriber == probe("large", "cpu")
    assert notices[0].message == "--asr better, the best that is ready: the best there is."


@pytest.mark.usefixtures("weights")
@pytest.mark.parametrize(("language", "model"), [("", "small"), ("fr", "small"), ("en", "medium.en")])
def test_english_models_are_for_english(language: str, model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def available(kind: str, language: str = "") -> list[str]:
        return ["medium.en", "small"] if language == "en" else ["small", "medium.en"]

    monkeypatch.setattr(models, "available", available)
    entry = Entry("better", "the best there is", probe, suggested="small")
    monkeypatch.setattr(choice, "TRANSCRIBERS", (entry,))
    assert choose("better", "none", "cpu", language)[0].transcriber == probe(model, "cpu")


@pytest.mark.parametrize(
    ("asr", "model"),
    [("better", "large"), ("better:small", "small"), ("better:C:/models/a.pt", "C:/models/a.pt")],
)
def test_engine_and_model_are_one_word(better: Callable[..., None], asr: str, model: str) -> None:
    better()
    assert choose(asr, "none", "cuda")[0].transcriber == probe(model, "cuda")


@pytest.mark.usefixtures("weights")
def test_an_engine_stays_loaded_where_only_the_language_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def make(model: str, device: str) -> FakeTranscriber:
        made.append(model)
        return FakeTranscriber(())

    entry = Entry("kept", "the best there is", make, suggested="small")
    monkeypatch.setattr(choice, "TRANSCRIBERS", (entry,))
    engines = [
        choose("kept:small", "embedded", "cpu", language)[0] for language in ("en", "", "en", "de", "en")
    ]
    assert made == ["small"]
    assert all(each.transcriber is engines[0].transcriber for each in engines)
    assert all(each.diarizer is engines[0].diarizer for each in engines)
    choose("kept:large", "embedded", "cpu")
    assert made == ["small", "large"]


@pytest.mark.parametrize("wanted", ["", "auto", "whisper", "whisper:small", "whisper:large", "pocketsphinx"])
def test_a_name_that_a_stranger_may_say(wanted: str) -> None:
    check_name(TRANSCRIBERS, wanted)


@pytest.mark.parametrize("wanted", ["siri", "whisper:none-such", "whisper:/etc/passwd", "pocketsphinx:en"])
def test_a_name_that_a_stranger_may_not_say(wanted: str) -> None:
    with pytest.raises(OptionError):
        check_name(TRANSCRIBERS, wanted)


@pytest.mark.usefixtures("weights")
def test_names_are_taken_without_a_word() -> None:
    engines, notices = choose("pocketsphinx", "embedded")
    assert isinstance(engines.diarizer, EmbeddedDiarizer)
    assert notices == []


@pytest.mark.usefixtures("weights")
def test_engines_are_taken_as_they_are() -> None:
    transcriber, diarizer = FakeTranscriber(()), FakeDiarizer(())
    engines, notices = choose(transcriber, diarizer)
    assert (engines.transcriber, engines.diarizer, notices) == (transcriber, diarizer, [])


@pytest.mark.usefixtures("weights")
def test_nobody_may_be_told_apart_but_only_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(choose(diarizer="none")[0].diarizer, OneVoice)
    monkeypatch.setattr(choice, "DIARIZERS", DIARIZERS[-1:])
    with pytest.raises(AssertionError):
        choose()


@pytest.mark.parametrize(
    ("asr", "diarizer", "table"), [("siri", "auto", TRANSCRIBERS), ("auto", "siri:x", DIARIZERS)]
)
@pytest.mark.usefixtures("weights")
def test_an_unknown_name_is_told_the_known_ones_and_their_limits(
    asr: str, diarizer: str, table: tuple[Entry[object], ...]
) -> None:
    with pytest.raises(OptionError, match="There is no engine 'siri'") as error:
        choose(asr, diarizer)
    assert all(f"{entry.name} ({entry.summary})" in str(error.value) for entry in table)


@pytest.mark.usefixtures("weights")
def test_an_engine_with_one_model_takes_no_name_for_it() -> None:
    for name in ("auto:x", "auto:"):
        with pytest.raises(OptionError, match=f"auto chooses the model, too: leave out {name[4:]!r}"):
            choose(name, "none")
    with pytest.raises(OptionError, match="pocketsphinx has only one model: leave out ':en'"):
        choose("pocketsphinx:en")


@pytest.mark.parametrize("library", ["no_such_library", "no_such_package.library"])
def test_what_is_not_installed_is_told_how_to_get_it(better: Callable[..., None], library: str) -> None:
    better(library=library)
    message = r"better is not installed: run pip install 'turnwise\[better\]' and turnwise models pull"
    with pytest.raises(EngineMissingError, match=message):
        choose("better")


def test_an_engine_without_a_model_is_told_where_to_get_one(better: Callable[..., None]) -> None:
    better(here=())
    with pytest.raises(EngineMissingError, match="fetch one with `turnwise models pull better:small`"):
        choose("better")


@pytest.mark.usefixtures("weights")
def test_a_model_that_cannot_be_used_is_told_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Entry("probe", "fails", lambda model, device: Probe(()))
    monkeypatch.setattr(choice, "TRANSCRIBERS", (entry,))
    for asr in ("probe", "auto"):
        with pytest.raises(ModelUnusableError):
            choose(asr)


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
    expected = {model.name: replace(model, sha256=EMPTY) for model in EMBEDDED}
    monkeypatch.setattr(locating, "MODELS", {**models.MODELS, **expected})
    for model in EMBEDDED:
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


@pytest.mark.parametrize("entry", [*TRANSCRIBERS, *DIARIZERS], ids=lambda entry: entry.name)
def test_every_model_suggested_is_one_that_can_be_pulled(entry: Entry[object]) -> None:
    if entry.suggested:
        assert f"{entry.family}:{entry.suggested}" in models.MODELS
