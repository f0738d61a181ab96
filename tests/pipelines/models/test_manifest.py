"""The table of models: complete, and in agreement with the libraries that the models are for."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

import pytest

from pipelines.models.manifest import (
    _EMBEDDED,
    _FASTER_WHISPER,
    _PYANNOTE,
    _WHISPER,
    FASTER_WHISPER,
    MODELS,
    SYNONYMS,
    WHISPER,
    Address,
    Hub,
    Member,
    Model,
    Repository,
)

LICENCES = {"MIT", "Apache-2.0", "CC-BY-4.0", "MIT AND CC-BY-4.0"}


@pytest.mark.parametrize("model", MODELS.values(), ids=lambda model: model.name)
def test_every_model_is_described(model: Model) -> None:
    assert model.size_bytes > 0
    assert model.licence in LICENCES
    assert model.identity
    assert PurePosixPath(model.path).parts[0] == model.kind
    assert not {".", ".."} & set(Path(model.path).parts)
    assert (len(model.sha256) == 64) is not isinstance(model.source, Hub)


def test_names_and_places_are_unique() -> None:
    assert len(MODELS) == len(_EMBEDDED) + len(_WHISPER) + len(_FASTER_WHISPER) + len(_PYANNOTE)
    assert len({each.path for each in MODELS.values()}) == len(MODELS)
    assert not MODELS.keys() & {each.kind for each in MODELS.values()}
    assert not SYNONYMS.keys() & MODELS.keys()
    assert set(SYNONYMS.values()) <= MODELS.keys()


def test_wheels_are_pinned_and_addresses_are_secure() -> None:
    for each in MODELS.values():
        if isinstance(each.source, Member):
            assert len(each.source.wheel.sha256) == 64
        if isinstance(each.source, Address):
            assert each.source.url.startswith("https://")
            assert each.sha256 in each.source.url


def repositories(model: Model) -> tuple[Repository, ...]:
    return model.source.repositories if isinstance(model.source, Hub) else ()


def test_weights_of_the_hub_have_whole_sums() -> None:
    parts = [part for each in MODELS.values() for part in repositories(each)]
    sums = [sha256 for part in parts for sha256 in part.sums.values()]
    assert all(re.fullmatch("[0-9a-f]{64}", each) for each in sums)
    assert len(set(sums)) == len(sums)
    assert {part.name for part in parts if not part.sums} == {
        "distil-whisper/distil-large-v3.5-ct2",
        "Systran/faster-whisper-large-v1",
        "Systran/faster-distil-whisper-large-v2",
        "pyannote/speaker-diarization-3.1",  # holds no weights
    }


def test_only_pyannote_is_gated() -> None:
    assert {each.name for each in MODELS.values() if each.gated} == {"pyannote:community-1", "pyannote:3.1"}


def test_openai_whisper_says_the_same() -> None:
    """Names, addresses and sums, all of them, are those that the installed library would use itself."""
    whisper = pytest.importorskip("whisper")
    ours = {each.name: each.source.url for each in MODELS.values() if isinstance(each.source, Address)}
    names = {
        SYNONYMS.get(f"{WHISPER}:{name}", f"{WHISPER}:{name}"): url for name, url in whisper._MODELS.items()
    }
    assert ours == names


def test_faster_whisper_says_the_same() -> None:
    utils = pytest.importorskip("faster_whisper.utils")
    ours = {
        each.name: each.source.repositories[0].name
        for each in MODELS.values()
        if each.kind == FASTER_WHISPER and isinstance(each.source, Hub)
    }
    theirs = {
        SYNONYMS.get(f"{FASTER_WHISPER}:{name}", f"{FASTER_WHISPER}:{name}"): repository
        for name, repository in utils._MODELS.items()
    }
    assert ours == theirs


def test_the_page_of_models_has_all_of_them() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "models.md").read_text(encoding="utf-8")
    for model in MODELS.values():
        assert f"{model.name.rpartition(':')[2]} {model.size_bytes / 1e6:.0f}" in page
