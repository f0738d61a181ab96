"""A voice embedding for each local speaker of each chunk: identical bits for about a third of the work.

pyannote.audio runs each chunk through the speaker network once for each of its local speakers, even silent
ones; only the last layers take into account where the speaker is active:

    stock                                    here
    chunk ─ fbank ─ ResNet ─ pool 1 ─ linear    chunk ─ fbank ─ ResNet ┬ pool 1 ┐
    chunk ─ fbank ─ ResNet ─ pool 2 ─ linear                           ├ pool 2 ├ linear
    chunk ─ fbank ─ ResNet ─ pool 3 ─ linear                           └ pool 3 ┘

Chunks in which nobody speaks are left out altogether. The frames of a chunk and the values pooled from them
are the same bits in a batch of any size (measured on the processor). Those of the linear layer are not, so it
gets its rows in the same batches as in pyannote.audio.

Nothing can be shared between chunks: the features are centred over the chunk, and the network pads its ends,
so the same second of audio has different frames in every chunk.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from pipelines.engines.pyannote.batches import Batches
from pipelines.engines.pyannote.imports import silenced
from pipelines.engines.pyannote.segmentation import Segmentation
from pipelines.types import SAMPLE_RATE, Samples

if TYPE_CHECKING:
    import torch

CHUNKS_AT_ONCE = {"cpu": 1, "cuda": 32}
"""On a processor, larger batches were slower (tests/benchmarks/pyannote.py)."""

Embeddings = npt.NDArray[np.float32]
Masks = npt.NDArray[np.float32]


class Voices(Protocol):
    """A speaker network in two steps, so that the first is done once per chunk."""

    width: int  # of a pooled vector
    silence: float  # every value of the pooled vector of a silent speaker

    def pool(self, chunks: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """(n, samples) and (n, speakers, frames) → (n, speakers, width)"""
        ...

    def finish(self, pooled: torch.Tensor) -> torch.Tensor:
        """(rows, width) → (rows, dimension)"""
        ...


class ResNetVoices:
    """WeSpeaker's ResNets: the frames of a chunk once, then pooled for each speaker."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self._resnet = network.resnet
        self.width = int(network.resnet.seg_1.in_features)
        self.silence = 0.0

    def pool(self, chunks: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        frames = self._network.forward_frames(chunks[:, None])
        pooled: torch.Tensor = self._resnet.pool(frames, weights=masks)
        return pooled

    def finish(self, pooled: torch.Tensor) -> torch.Tensor:
        finished: torch.Tensor = self._resnet.seg_1(pooled)
        return finished


class WholeVoices:
    """Any other network: once for each speaker that speaks."""

    def __init__(self, network: Any) -> None:
        self._network = network
        self.width = int(network.dimension)
        self.silence = 1.0  # anything but a zero vector

    def pool(self, chunks: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        speaking = masks.any(dim=2)
        which, _ = speaking.nonzero(as_tuple=True)
        pooled = masks.new_full((*speaking.shape, self.width), self.silence)
        pooled[speaking] = self._network(chunks[which, None], weights=masks[speaking])
        return pooled

    def finish(self, pooled: torch.Tensor) -> torch.Tensor:
        return pooled


def _voices(network: Any) -> Voices:
    resnet: Any = getattr(network, "resnet", None)
    shared = hasattr(network, "forward_frames") and hasattr(resnet, "pool") and hasattr(resnet, "seg_1")
    return ResNetVoices(network) if shared and not resnet.two_emb_layer else WholeVoices(network)


class Embedder:
    """A speaker network on its device."""

    def __init__(self, network: Any, device: str, exclude_overlap: bool, rows_at_once: int) -> None:
        """`rows_at_once`: pyannote.audio's batch size, in local speakers."""
        self.dimension = int(network.dimension)
        self._voices = _voices(network.to(device))
        self._device = device
        self._rows = rows_at_once
        self._least_samples = _least_samples(network, device) if exclude_overlap else None
        self.batches = Batches(CHUNKS_AT_ONCE[device])

    def embed(
        self, samples: Samples, segmentation: Segmentation, done: Callable[[float], None]
    ) -> Embeddings:
        """Embeddings, shape (chunks, speakers, dimension), finite; those of silent speakers are meaningless.

        `done` takes the fraction of chunks finished, rising to 1.
        """
        chunks, _, speakers = segmentation.active.shape
        embeddings = np.empty((chunks, speakers, self.dimension), np.float32)
        for start in range(0, chunks, self._rows):  # this many chunks make a whole number of batches of rows
            end = min(start + self._rows, chunks)
            shape = end - start, speakers, self._voices.width
            pooled: Embeddings = np.full(shape, self._voices.silence, np.float32)

            def work(first: int, last: int, pooled: Embeddings = pooled, start: int = start) -> None:
                chosen = [chunk for chunk in range(first, last) if segmentation.active[chunk].any()]
                if chosen:
                    pooled[np.array(chosen) - start] = self._pool(samples, segmentation, chosen)

            self.batches.run(start, end, work, lambda last: done(last / chunks))
            embeddings[start:end] = self._finish(pooled)
        return embeddings

    def _pool(self, samples: Samples, segmentation: Segmentation, chosen: Sequence[int]) -> Embeddings:
        import torch  # noqa: PLC0415

        parts = np.stack([segmentation.windows.cut(samples, chunk) for chunk in chosen])
        masks = np.stack([self._masks(segmentation, chunk) for chunk in chosen])
        with torch.inference_mode():
            pooled = self._voices.pool(
                torch.from_numpy(parts).to(self._device), torch.from_numpy(masks).to(self._device)
            )
            return np.asarray(pooled.cpu().numpy())

    def _masks(self, segmentation: Segmentation, chunk: int) -> Masks:
        """The frames to use for each speaker, shape (speakers, frames): those where nobody else speaks, if
        the recipe asks for it and they are long enough."""
        active = segmentation.active[chunk].astype(np.float32)
        if self._least_samples is not None:
            alone = active * (active.sum(axis=1, keepdims=True) < 2)
            chunk_samples = segmentation.windows.chunk_duration * SAMPLE_RATE
            least_frames = math.ceil(len(active) * self._least_samples / chunk_samples)
            active = np.where(alone.sum(axis=0) > least_frames, alone, active)
        return np.ascontiguousarray(active.T)

    def _finish(self, pooled: Embeddings) -> Embeddings:
        import torch  # noqa: PLC0415

        rows = torch.from_numpy(pooled.reshape(-1, self._voices.width)).to(self._device)
        with torch.inference_mode():
            finished = torch.cat([self._voices.finish(part) for part in torch.split(rows, self._rows)])
        return np.asarray(finished.cpu().numpy()).reshape(*pooled.shape[:2], self.dimension)


def _least_samples(network: Any, device: str) -> int:
    """The shortest audio that the network accepts, found by trial, as in pyannote.audio."""
    import torch  # noqa: PLC0415
    from pyannote.audio.pipelines.speaker_verification import (  # noqa: PLC0415
        PyannoteAudioPretrainedSpeakerEmbedding,
    )

    with silenced(), torch.random.fork_rng(devices=[]):
        return int(PyannoteAudioPretrainedSpeakerEmbedding(network, torch.device(device)).min_num_samples)
