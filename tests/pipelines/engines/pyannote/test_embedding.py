"""Voices: a chunk goes through the network once, and the bits are pyannote.audio's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from pipelines.audio.decoding import load
from pipelines.engines.pyannote.batches import Batches
from pipelines.engines.pyannote.embedding import Embedder, Embeddings
from pipelines.engines.pyannote.networks import load_network
from pipelines.engines.pyannote.segmentation import Segmentation
from pipelines.engines.pyannote.windows import Windows
from pipelines.errors import EngineMemoryError
from pipelines.types import SAMPLE_RATE, Samples
from tests.checkpoints.make_pyannote import CHECKPOINTS, CLIP

FRAMES = 589
NETWORK = CHECKPOINTS / "pyannote-ahc" / "embedding" / "pytorch_model.bin"


@pytest.fixture(scope="module")
def network() -> Any:
    return load_network(NETWORK)


@pytest.fixture(scope="module")
def samples() -> Samples:
    return load(Path(CLIP))[0].samples[: 16 * SAMPLE_RATE]


@pytest.fixture(scope="module")
def segmentation(samples: Samples) -> Segmentation:
    """Seven chunks: two silent ones, one voice, three, two at once, and one for a single frame."""
    active = np.zeros((7, FRAMES, 3), np.uint8)
    active[1, 100:300, 0] = 1
    active[2, :200, 0] = active[2, 200:400, 1] = active[2, 400:, 2] = 1
    active[3, :400, 0] = active[3, 200:, 1] = 1
    active[5] = active[2]
    active[6, 77, 2] = 1
    return Segmentation(Windows(len(samples), 10.0, 1.0, 0.0619375, 0.016875), active, active)


def embed(
    network: Any, samples: Samples, segmentation: Segmentation, size: int = 1, alone: bool = False
) -> Embeddings:
    embedder = Embedder(network, "cpu", alone, rows_at_once=32)
    embedder.batches = Batches(size)
    return embedder.embed(samples, segmentation, lambda _: None)


def stock(
    network: Any, samples: Samples, segmentation: Segmentation, masks: npt.NDArray[np.float32]
) -> Embeddings:
    """Every local speaker of every chunk through the network, 32 at once."""
    chunks = [segmentation.windows.cut(samples, chunk) for chunk in range(len(masks))]
    rows = torch.from_numpy(np.repeat(np.stack(chunks), 3, axis=0)[:, None])
    weights = torch.from_numpy(masks.transpose(0, 2, 1).reshape(-1, FRAMES))
    with torch.inference_mode():
        parts = zip(torch.split(rows, 32), torch.split(weights, 32), strict=True)
        found = torch.cat([network(part, weights=weight) for part, weight in parts])
    return np.asarray(found.numpy()).reshape(len(masks), 3, -1)


@pytest.fixture(scope="module")
def expected(network: Any, samples: Samples, segmentation: Segmentation) -> Embeddings:
    return stock(network, samples, segmentation, segmentation.active.astype(np.float32))


@pytest.mark.parametrize("size", [1, 3])
def test_the_bits_are_the_same_whatever_the_batch(
    network: Any, samples: Samples, segmentation: Segmentation, expected: Embeddings, size: int
) -> None:
    assert np.array_equal(embed(network, samples, segmentation, size), expected)


def test_where_nobody_else_speaks_if_that_is_long_enough(
    network: Any, samples: Samples, segmentation: Segmentation
) -> None:
    masks = segmentation.active.astype(np.float32)
    masks[3, 200:400] = 0  # two at once
    expected = stock(network, samples, segmentation, masks)
    assert np.array_equal(embed(network, samples, segmentation, alone=True), expected)


def test_where_somebody_always_speaks_too_all_of_it(
    network: Any, samples: Samples, segmentation: Segmentation
) -> None:
    active = segmentation.active.copy()
    active[3] = [1, 1, 0]
    both = Segmentation(segmentation.windows, active, active)
    masks = active.astype(np.float32)[3:4]
    found = embed(network, samples, both, alone=True)[3]
    assert np.allclose(found[:2], stock(network, samples[3 * SAMPLE_RATE :], both, masks)[0, :2], atol=1e-4)


class Counting:
    """A network that counts the chunks that go through it."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self.resnet = network.resnet
        self.dimension = network.dimension
        self.chunks = 0

    def to(self, device: str) -> Counting:
        return self

    def forward_frames(self, chunks: torch.Tensor) -> torch.Tensor:
        self.chunks += len(chunks)
        frames: torch.Tensor = self._network.forward_frames(chunks)
        return frames


@pytest.mark.parametrize("size", [1, 3])
def test_a_chunk_goes_through_once_and_a_silent_one_not_at_all(
    network: Any, samples: Samples, segmentation: Segmentation, size: int
) -> None:
    counting = Counting(network)
    embed(counting, samples, segmentation, size)
    assert counting.chunks == 5


class Whole:
    """A network that is not made of two steps: the loudness under the mask."""

    dimension = 2

    def __init__(self) -> None:
        self.rows = 0

    def to(self, device: str) -> Whole:
        return self

    def __call__(self, chunks: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        assert chunks.shape[1:] == (1, 10 * SAMPLE_RATE)
        self.rows += len(chunks)
        return torch.stack([chunks[:, 0].abs().sum(dim=1), weights.sum(dim=1)], dim=1)


def test_any_other_network_hears_only_those_who_speak(samples: Samples, segmentation: Segmentation) -> None:
    whole = Whole()
    found = embed(whole, samples, segmentation, 3)
    assert whole.rows == segmentation.speaks.sum()
    assert np.array_equal(
        found[..., 1][segmentation.speaks], segmentation.active.sum(axis=1)[segmentation.speaks]
    )
    assert (np.linalg.norm(found, axis=2) > 0).all()
    assert np.isclose(found[2, 1, 0], np.abs(segmentation.windows.cut(samples, 2)).sum())


class Large(Counting):
    """One that has no memory for more than two chunks, or for none."""

    room = 2

    def forward_frames(self, chunks: torch.Tensor) -> torch.Tensor:
        if len(chunks) > self.room:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return super().forward_frames(chunks)


def test_less_at_once_where_the_memory_is_short(
    network: Any, samples: Samples, segmentation: Segmentation, expected: Embeddings
) -> None:
    large = Large(network)
    assert np.array_equal(embed(large, samples, segmentation, 32), expected)
    large.room = 0
    with pytest.raises(EngineMemoryError):
        embed(large, samples, segmentation, 32)
