"""What a pull puts together is what the engines load: the repository's own checkpoints, served by a hub."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.audio import decoding as audio
from pipelines.engines.pyannote import Pyannote
from pipelines.engines.whisper.openai_whisper import Whisper
from pipelines.models import locating as models
from pipelines.models.fetching import FOLDER_VARIABLE
from pipelines.models.manifest import MODELS, Address, Hub, Model
from pipelines.types import Audio, SpeakerCount
from tests.support.hub_server import Holding, HubServer, serve

pytestmark = [pytest.mark.acceptance, pytest.mark.engine]

TESTS = Path(__file__).resolve().parents[1]
CHECKPOINTS = TESTS / "checkpoints"
TOKEN = "hf_member"


def holding(folder: Path, gated: bool = False, **more: bytes) -> Holding:
    """A repository with the files of a folder, and `config_yaml` for its config.yaml."""
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
    files |= {name.replace("_", "."): data for name, data in more.items()}
    return Holding(files, gated=gated, members={TOKEN})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    """The hub and OpenAI's storage, with small models under the names of the large ones."""
    with serve() as running:
        running.tokens = {TOKEN}
        community, agglomerative = CHECKPOINTS / "pyannote-vbx", CHECKPOINTS / "pyannote-ahc"
        config = (agglomerative / "config.yaml").read_bytes()
        running.repositories = {
            "pyannote/speaker-diarization-community-1": holding(community, gated=True),
            "pyannote/speaker-diarization-3.1": Holding({"config.yaml": config}, gated=True, members={TOKEN}),
            "pyannote/segmentation-3.0": holding(agglomerative / "segmentation", gated=True),
            "pyannote/wespeaker-voxceleb-resnet34-LM": holding(agglomerative / "embedding"),
        }
        running.files["/clip.pt"] = (CHECKPOINTS / "whisper-clip.pt").read_bytes()
        monkeypatch.setattr(models, "MODELS", {name: small(model, running) for name, model in MODELS.items()})
        monkeypatch.setenv("no_proxy", "*")
        monkeypatch.setenv("HF_ENDPOINT", running.address)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "models"))
        yield running


def small(model: Model, server: HubServer) -> Model:
    """The same model, whose weights are those that the server has."""
    if isinstance(model.source, Hub):
        parts = tuple(replace(part, sums={}) for part in model.source.repositories)
        return replace(model, source=Hub(parts))
    if model.name == "whisper:tiny":
        data = server.files["/clip.pt"]
        return replace(
            model,
            size_bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            source=Address(f"{server.address}/clip.pt"),
        )
    return model


@pytest.fixture
def beginning() -> Audio:
    """The clip's first seconds."""
    clip, _ = audio.load(TESTS / "data" / "clip" / "clip.opus")
    return Audio(clip.samples[:80_000], clip.media)


@pytest.mark.parametrize("name", ["3.1", "community-1"])
def test_pyannote_loads_what_was_pulled(name: str, server: HubServer, beginning: Audio) -> None:
    models.pull([f"pyannote:{name}"])
    engine = Pyannote(name, "cpu")
    engine.check()
    assert engine.info.model == name
    assert engine.info.model_sha256 == models.sha256(models.find(f"pyannote:{name}"))
    engine.diarize(beginning, [], SpeakerCount())


def test_whisper_finds_what_was_pulled(server: HubServer) -> None:
    models.pull(["whisper:tiny"])
    engine = Whisper("tiny", "cpu")
    engine.check()
    (tiny,) = models.select(["whisper:tiny"])
    assert engine.info.model_sha256 == tiny.sha256
