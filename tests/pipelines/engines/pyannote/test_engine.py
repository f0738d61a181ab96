"""The pyannote engine on folders of random weights: beside pyannote.audio itself, and where things fail."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Mapping
from importlib import metadata
from importlib.resources import as_file, files
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines import models
from pipelines.audio.decoding import load
from pipelines.engines import device
from pipelines.engines.pyannote import Pyannote, engine
from pipelines.engines.pyannote.clustering import Clusterer
from pipelines.engines.pyannote.imports import import_pyannote
from pipelines.errors import (
    CancelledError,
    EngineMemoryError,
    EngineMissingError,
    ModelUnusableError,
    OptionError,
)
from pipelines.protocols import Diarizer
from pipelines.types import SAMPLE_RATE, Audio, Diarization, Media, Samples, SpeakerCount
from tests.checkpoints.make_pyannote import CHECKPOINTS, CLIP
from tests.pipelines.engines.stock_pyannote import differences, load_stock, run_stock, segments

NAMES = ("pyannote-vbx", "pyannote-ahc")
SECONDS = 16
ANY = SpeakerCount()


def recording(samples: Samples) -> Audio:
    media = Media("clip.opus", "", 0, "ogg", "opus", SAMPLE_RATE, 1, len(samples) / SAMPLE_RATE)
    return Audio(samples, media)


@pytest.fixture(scope="module")
def clip() -> Samples:
    return load(CLIP)[0].samples[: SECONDS * SAMPLE_RATE]


@pytest.fixture(scope="module", params=NAMES)
def pyannote(request: pytest.FixtureRequest) -> Pyannote:
    """Loaded once for all tests."""
    return Pyannote(str(CHECKPOINTS / request.param), "cpu")


@pytest.fixture(scope="module")
def found(pyannote: Pyannote, clip: Samples) -> Diarization:
    return pyannote.diarize(recording(clip), (), ANY)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model that may be broken."""
    return Path(shutil.copytree(CHECKPOINTS / "pyannote-vbx", tmp_path / "mine"))


def test_it_is_an_engine() -> None:
    diarizer: Diarizer = Pyannote("community-1")
    assert diarizer


# --------------------------------------------------------------------------- beside pyannote.audio


def test_the_output_is_that_of_pyannote_itself(pyannote: Pyannote, clip: Samples, found: Diarization) -> None:
    stages = pyannote.load()
    stock = run_stock(load_stock(CHECKPOINTS / pyannote.info.model), clip)
    segmentation = stages.segmenter.segment(clip, lambda _: None)
    assert np.array_equal(segmentation.active, stock.segmentation)
    embeddings = stages.embedder.embed(clip, segmentation, lambda _: None)
    assert np.array_equal(embeddings, stock.embeddings)
    assert not differences(stock, found)
    assert len(found.segments) > len(found.speakers) > 1


@pytest.mark.parametrize(
    ("setting", "count"),
    [
        ({"embedding_exclude_overlap": False}, {}),
        ({"segmentation_step": 0.25}, {"num_speakers": 2}),
    ],
)
def test_so_it_is_with_other_settings(
    folder: Path, clip: Samples, setting: Mapping[str, Any], count: Mapping[str, int]
) -> None:
    path = folder / "config.yaml"
    lines = "".join(f"    {name}: {str(value).lower()}\n" for name, value in setting.items())
    text = path.read_text(encoding="utf-8").replace("    embedding_exclude_overlap: true\n", "")
    path.write_text(text.replace("    clustering: VBx", f"{lines}    clustering: VBx"), encoding="utf-8")
    number = count.get("num_speakers", 0)
    ours = Pyannote(str(folder), "cpu").diarize(
        recording(clip), (), SpeakerCount(number, number) if number else ANY
    )
    stock = run_stock(load_stock(folder), clip, count)
    assert not differences(stock, ours)
    assert not number or len(ours.speakers) == number


# --------------------------------------------------------------------------- what it gives


def test_what_is_found_is_in_order(found: Diarization) -> None:
    assert list(found.segments) == sorted(found.segments, key=lambda segment: segment.start)
    assert all(a.end <= b.start for a, b in pairwise(found.exclusive))
    assert all(0 <= segment.start < segment.end <= SECONDS for segment in found.segments)
    first = dict.fromkeys(segment.speaker for segment in found.segments)
    assert tuple(first) == found.speakers == tuple(f"speaker_{i + 1}" for i in range(len(first)))


def test_each_speaker_has_a_voice(found: Diarization) -> None:
    assert found.embeddings.shape == (len(found.speakers), 256)
    assert found.embeddings.dtype == np.float32
    assert np.isfinite(found.embeddings).all()


def test_overlap_is_kept_in_segments_alone(found: Diarization) -> None:
    assert any(b.start < a.end for a, b in pairwise(found.segments))
    assert sum(s.end - s.start for s in found.exclusive) < sum(s.end - s.start for s in found.segments)


def test_who_made_it(pyannote: Pyannote, found: Diarization) -> None:
    assert found.engine == pyannote.info
    assert pyannote.info.version == metadata.version("pyannote.audio")
    assert pyannote.info.model in NAMES
    assert pyannote.info.model_sha256 == models.sha256(CHECKPOINTS / pyannote.info.model)
    assert Pyannote(str(CHECKPOINTS / NAMES[0]), fast=True).info.model == "pyannote-vbx (fast)"
    assert pyannote.weights_bytes > 1_000_000


def test_again_and_in_another_thread_it_is_the_same_and_loaded_once(
    pyannote: Pyannote, clip: Samples, found: Diarization
) -> None:
    before = pyannote.load()
    again: list[Diarization] = []
    thread = threading.Thread(target=lambda: again.append(pyannote.diarize(recording(clip), (), ANY)))
    thread.start()
    thread.join()
    assert again[0].segments == found.segments
    assert np.array_equal(again[0].embeddings, found.embeddings)
    assert pyannote.load() is before


def test_faster_with_fewer_chunks(clip: Samples) -> None:
    fast = Pyannote(str(CHECKPOINTS / NAMES[0]), "cpu", fast=True)
    segmentation = fast.load().segmenter.segment(clip, lambda _: None)
    assert segmentation.windows.chunk_step == 2.5
    assert len(segmentation.active) == 4  # instead of 7
    assert fast.diarize(recording(clip), (), ANY).segments


# --------------------------------------------------------------------------- how many speakers


@pytest.mark.parametrize(
    "count", [SpeakerCount(), SpeakerCount(3, 3), SpeakerCount(2, 5), SpeakerCount(2), SpeakerCount(1, 4)]
)
def test_the_number_of_speakers_reaches_the_clustering(
    clip: Samples, monkeypatch: pytest.MonkeyPatch, count: SpeakerCount
) -> None:
    told: list[SpeakerCount] = []
    cluster = Clusterer.cluster

    def watch(self: Clusterer, embeddings: Any, segmentation: Any, count: SpeakerCount) -> Any:
        told.append(count)
        return cluster(self, embeddings, segmentation, count)

    monkeypatch.setattr(Clusterer, "cluster", watch)
    found = Pyannote(str(CHECKPOINTS / NAMES[0]), "cpu").diarize(
        recording(clip[: 12 * SAMPLE_RATE]), (), count
    )
    assert told == [count]
    assert len(found.speakers) <= (count.maximum or 9)


# --------------------------------------------------------------------------- recordings at the edge


@pytest.mark.parametrize("samples", [0, 1, 400, SAMPLE_RATE, 10 * SAMPLE_RATE + 1])
def test_short_recordings(pyannote: Pyannote, clip: Samples, samples: int) -> None:
    found = pyannote.diarize(recording(clip[:samples]), (), ANY)
    assert all(segment.end <= samples / SAMPLE_RATE for segment in found.segments)
    assert len(found.speakers) == len(found.embeddings)
    assert np.isfinite(found.embeddings).all()


def test_where_nobody_speaks(pyannote: Pyannote, clip: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "count_speakers", lambda _: np.zeros(9, np.uint8))
    seen: list[float] = []
    found = pyannote.diarize(recording(clip), (), ANY, seen.append)
    assert (found.segments, found.exclusive, found.speakers) == ((), (), ())
    assert found.embeddings.shape == (0, 256)
    assert seen[-1] == 1.0


def test_samples_that_cannot_be_written_to(pyannote: Pyannote, clip: Samples, found: Diarization) -> None:
    frozen = clip.copy()
    frozen.flags.writeable = False
    assert pyannote.diarize(recording(frozen), (), ANY).segments == found.segments


# --------------------------------------------------------------------------- progress


def test_progress_rises_from_stage_to_stage(pyannote: Pyannote, clip: Samples) -> None:
    seen: list[float] = []
    pyannote.diarize(recording(clip), (), ANY, seen.append)
    assert seen == sorted(seen)
    assert 0 < seen[0] < 0.2
    assert seen[-1] == 1.0
    assert len(seen) > 8


@pytest.mark.parametrize("when", [0.0, 0.5, 0.95])
@pytest.mark.parametrize("error", [CancelledError("stop"), RuntimeError("out of memory, says the watcher")])
def test_the_user_stops_it(pyannote: Pyannote, clip: Samples, when: float, error: Exception) -> None:
    def watch(fraction: float) -> None:
        if fraction >= when:
            raise error

    with pytest.raises(type(error)) as caught:
        pyannote.diarize(recording(clip), (), ANY, watch)
    assert caught.value is error


# --------------------------------------------------------------------------- what can be wrong


def refused(model: str, error: type[Exception], expected: str) -> None:
    """Before the long work."""
    with pytest.raises(error, match=expected) as caught:
        Pyannote(model, "cpu").check()
    assert "\n" not in str(caught.value)


def test_a_good_folder_is_fine(folder: Path) -> None:
    Pyannote(str(folder)).check()


def test_it_is_not_installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    refused(str(folder), EngineMissingError, r"pip install 'turnwise\[pyannote\]'")


def test_the_model_is_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(models.FOLDER_VARIABLE, str(tmp_path))
    refused("community-1", EngineMissingError, "turnwise models pull")


def test_a_folder_copied_into_the_models_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(models.FOLDER_VARIABLE, str(tmp_path))
    (tmp_path / "pyannote").mkdir()
    folder.rename(tmp_path / "pyannote" / "our-own")
    Pyannote("our-own").check()
    assert Pyannote("our-own").info.model == "our-own"


def test_a_model_for_another_engine(tmp_path: Path) -> None:
    whisper = tmp_path / "faster"
    whisper.mkdir()
    (whisper / "model.bin").write_bytes(b"\6\0\0\0\14\0WhisperSpec\0")
    refused(str(whisper), ModelUnusableError, "faster-whisper")


def test_a_file(folder: Path) -> None:
    refused(str(folder / "segmentation" / "pytorch_model.bin"), ModelUnusableError, "pyannote folder")


@pytest.mark.parametrize("part", ["segmentation/pytorch_model.bin", "plda/plda.npz"])
def test_a_part_is_missing(folder: Path, part: str) -> None:
    (folder / part).unlink()
    refused(str(folder), ModelUnusableError, "lacks its")


@pytest.mark.parametrize("part", ["segmentation/pytorch_model.bin", "plda/plda.npz"])
def test_a_part_is_damaged(folder: Path, clip: Samples, part: str) -> None:
    (folder / part).write_bytes((folder / part).read_bytes()[:1000])
    with pytest.raises(ModelUnusableError, match="fetch it again"):
        Pyannote(str(folder), "cpu").diarize(recording(clip), (), ANY)


def test_the_networks_are_exchanged(folder: Path, clip: Samples) -> None:
    (folder / "segmentation").rename(folder / "other")
    (folder / "embedding").rename(folder / "segmentation")
    (folder / "other").rename(folder / "embedding")
    with pytest.raises(ModelUnusableError, match="segmentation"):
        Pyannote(str(folder), "cpu").diarize(recording(clip), (), ANY)


def test_no_graphics_card(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "torch_has_cuda", lambda: False)
    with pytest.raises(OptionError, match="--device cpu"):
        Pyannote(str(folder), "cuda").check()
    with pytest.raises(OptionError, match="choose auto, cpu or cuda"):
        Pyannote(str(folder), "tpu").check()


def test_the_memory_is_not_enough(pyannote: Pyannote, clip: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 2000 bytes.")

    monkeypatch.setattr(pyannote.load().segmenter, "_score", fail)
    monkeypatch.setattr(pyannote.load().segmenter.batches, "size", 8)
    with pytest.raises(EngineMemoryError):
        pyannote.diarize(recording(clip), (), ANY)


# --------------------------------------------------------------------------- a real recording


def test_the_sample_that_pyannote_brings_along(pyannote: Pyannote) -> None:
    """30 s of a telephone call. The weights know nothing, so that only its completion says something."""
    import_pyannote()
    with as_file(files("pyannote.audio") / "sample" / "sample.wav") as path:
        audio, _ = load(path)
    assert segments(pyannote.diarize(audio, (), ANY).segments)
