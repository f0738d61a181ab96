"""Make pyannote folders again whose networks have random weights: real files, small, that know nothing.

    python -m tests.checkpoints.make_pyannote [FOLDER]

Writes pyannote-vbx (as community-1: VBx with a PLDA) and pyannote-ahc (as 3.1: agglomerative clustering, its
parts named by hub addresses) to FOLDER (tests/checkpoints by default).

The architectures are the real ones: a PyanNet, of fewer and narrower layers, and WeSpeaker's ResNet34 on 16
mel bands in place of 80. A ResNet34 has 5.3 million weights; here those of its convolutions are overlapping
views of one array of 40 000 random numbers, which PyTorch's files allow. What random networks say means
nothing, but it changes with the audio: the statistics of batch normalization, the directions of the last
layer and the shares of the classes are taken from the clip (tests/data/clip), so that it has turns and
several speakers. Another processor or number of threads gives other last bits.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from pipelines.audio.decoding import load
from pipelines.engines.pyannote.imports import import_pyannote, silenced
from pipelines.types import SAMPLE_RATE

CHECKPOINTS = Path(__file__).parent
CLIP = CHECKPOINTS.parent / "data" / "clip" / "clip.opus"
VBX_SEED, AHC_SEED = 7, 4  # with which there are three and four speakers on the clip
CHUNK_SAMPLES = 10 * SAMPLE_RATE
CALIBRATION_HOP_SAMPLES = 5 * SAMPLE_RATE
SHARES = (0.16, 0.27, 0.25, 0.23, 0.03, 0.03, 0.03)
"""How often each set of speakers is to be the likeliest: nobody, 1, 2, 3, 1+2, 1+3, 2+3."""
POOL_NUMBERS = 40_000
ROW_STRIDE = 131
STRETCHES, FRAMES = 5, 590
COMPONENTS = 5
DIMENSION, LDA_DIMENSION = 256, 128


@dataclass(frozen=True, slots=True)
class Sizes:
    """What is free in the architectures."""

    width: int  # of the PyanNet's LSTM and linear layers
    layers: int  # of the LSTM
    mel_bands: int  # that the ResNet34 sees


SMALL = Sizes(width=24, layers=2, mel_bands=16)
REAL = Sizes(width=128, layers=4, mel_bands=80)
"""Those of segmentation-3.0, wespeaker-voxceleb-resnet34-LM and community-1."""

COMMUNITY = """\
dependencies:
  pyannote.audio: 4.0.0
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: VBxClustering
    segmentation: $model/segmentation
    segmentation_batch_size: 32
    embedding: $model/embedding
    embedding_batch_size: 32
    embedding_exclude_overlap: true
    plda: $model/plda
params:
  clustering:
    threshold: 0.6
    Fa: 0.07
    Fb: 0.8
  segmentation:
    min_duration_off: 0.0
"""

LEGACY = """\
version: 3.1.0
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: AgglomerativeClustering
    embedding: pyannote/wespeaker-voxceleb-resnet34-LM
    embedding_batch_size: 32
    embedding_exclude_overlap: true
    segmentation: pyannote/segmentation-3.0
    segmentation_batch_size: 32
params:
  clustering:
    method: centroid
    min_cluster_size: 12
    threshold: 0.7045654963945799
  segmentation:
    min_duration_off: 0.0
"""


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else CHECKPOINTS
    import_pyannote()
    chunks = calibration_chunks()
    write_folder(folder / "pyannote-vbx", COMMUNITY, chunks, VBX_SEED)
    write_plda(folder / "pyannote-vbx" / "plda", VBX_SEED)
    write_folder(folder / "pyannote-ahc", LEGACY, chunks, AHC_SEED)


def calibration_chunks() -> torch.Tensor:
    """Chunks of the clip, shape (n, 1, CHUNK_SAMPLES)."""
    audio, _ = load(CLIP)
    samples = audio.samples
    starts = range(0, len(samples) - CHUNK_SAMPLES, CALIBRATION_HOP_SAMPLES)
    return torch.from_numpy(np.stack([samples[start : start + CHUNK_SAMPLES] for start in starts])[:, None])


def write_folder(
    folder: Path, configuration: str, chunks: torch.Tensor, seed: int, sizes: Sizes = SMALL
) -> None:
    for part in ("segmentation", "embedding"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(configuration, encoding="utf-8")
    with silenced():
        segmentation = make_segmentation(chunks, seed, sizes)
        write_network(segmentation, segmentation.state_dict(), folder / "segmentation")
        write_network(*make_embedding(chunks, seed, sizes), folder / "embedding")


def make_segmentation(chunks: torch.Tensor, seed: int, sizes: Sizes) -> Any:
    """A PyanNet for three speakers per chunk, at most two of them at once."""
    from pyannote.audio.core.task import Problem, Resolution, Specifications  # noqa: PLC0415
    from pyannote.audio.models.segmentation import PyanNet  # noqa: PLC0415

    torch.manual_seed(seed)
    network = PyanNet(
        sincnet={"stride": 10},
        lstm={
            "hidden_size": sizes.width,
            "num_layers": sizes.layers,
            "bidirectional": True,
            "monolithic": True,
            "dropout": 0.5,
        },
        linear={"hidden_size": sizes.width, "num_layers": 2},
    )
    network.specifications = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=10.0,
        min_duration=None,
        warm_up=(0.0, 0.0),
        classes=["speaker#1", "speaker#2", "speaker#3"],
        powerset_max_classes=2,
        permutation_invariant=True,
    )
    network.build()  # type: ignore[no-untyped-call]
    network.eval()
    remember_longer(network.lstm)
    share_out(network, chunks)
    return network


def remember_longer(lstm: torch.nn.LSTM) -> None:
    """Open the forget gates, so that what the network says does not change with every frame."""
    width = lstm.hidden_size
    with torch.no_grad():
        for name, parameter in lstm.named_parameters():
            if name.startswith("bias_ih"):
                parameter[:width] -= 2.5  # input gate
                parameter[width : 2 * width] += 4.0  # forget gate
            elif name.startswith("weight"):
                parameter.mul_(1.5)


def share_out(network: Any, chunks: torch.Tensor) -> None:
    """Scale and shift the classifier so that each class is the likeliest in its part of the clip's frames."""
    classifier = network.classifier
    with torch.no_grad():
        torch.nn.init.normal_(classifier.weight)
        classifier.bias.zero_()
        scores = network(chunks).reshape(-1, len(SHARES))
        logits = (scores - scores.mean(dim=1, keepdim=True)).double()
        classifier.weight /= logits.std(dim=0)[:, None].float()
        logits = logits / logits.std(dim=0)
        bias = -logits.mean(dim=0)
        for _ in range(2000):
            now = torch.nn.functional.one_hot((logits + bias).argmax(dim=1), len(SHARES)).double().mean(dim=0)
            bias += 0.05 * (torch.tensor(SHARES) - now)
        classifier.bias.copy_(bias)


def make_embedding(chunks: torch.Tensor, seed: int, sizes: Sizes) -> tuple[Any, dict[str, torch.Tensor]]:
    """A WeSpeaker ResNet34 and its state, the large weights in it views of one array."""
    from pyannote.audio.models.embedding.wespeaker import WeSpeakerResNet34  # noqa: PLC0415

    torch.manual_seed(seed)
    network = WeSpeakerResNet34(num_mel_bins=sizes.mel_bands)
    network.specifications = embedding_specifications()
    pool = torch.randn(POOL_NUMBERS)
    shared = {
        name: view(pool, parameter.shape, 97 * number)
        for number, (name, parameter) in enumerate(network.named_parameters())
        if parameter.dim() > 1
    }
    network.load_state_dict(shared, strict=False)
    del shared["resnet.seg_1.weight"]
    normalize_batches(network, chunks)
    look_at_differences(network, chunks)
    return network, {**network.state_dict(), **shared}


def embedding_specifications() -> Any:
    from pyannote.audio.core.task import Problem, Resolution, Specifications  # noqa: PLC0415

    return Specifications(
        problem=Problem.REPRESENTATION,
        resolution=Resolution.CHUNK,
        duration=10.0,
        min_duration=2.0,
        classes=["voice#1", "voice#2"],
    )


def view(pool: torch.Tensor, shape: torch.Size, offset: int) -> torch.Tensor:
    """A weight of this shape whose rows are stretches of `pool` that begin ROW_STRIDE numbers apart."""
    row = shape[1:].numel()
    space = POOL_NUMBERS - (shape[0] - 1) * ROW_STRIDE - row
    strides = [ROW_STRIDE, *torch.empty(shape[1:], device="meta").stride()]
    return pool.as_strided(shape, strides, offset % space)


def normalize_batches(network: Any, chunks: torch.Tensor) -> None:
    """Take the statistics of batch normalization from the clip."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.reset_running_stats()
            module.momentum = None  # the plain mean
            module.train()
    with torch.no_grad():
        network(chunks)
    network.eval()


def look_at_differences(network: Any, chunks: torch.Tensor) -> None:
    """Let the last layer see, from random sides, what differs most between stretches of the clip, each
    direction as much as the others (principal components, whitened)."""
    linear = network.resnet.seg_1
    with torch.no_grad():
        masks = torch.eye(STRETCHES).repeat_interleave(FRAMES // STRETCHES, dim=1).expand(len(chunks), -1, -1)
        pooled = network.resnet.pool(network.forward_frames(chunks), weights=masks).reshape(
            -1, linear.in_features
        )
        middle = pooled.mean(dim=0)
        _, sizes, directions = torch.linalg.svd(pooled - middle, full_matrices=False)
        whitened = directions[:COMPONENTS] / sizes[:COMPONENTS, None]
        linear.weight.copy_(torch.randn(DIMENSION, COMPONENTS) @ whitened)
        linear.bias.copy_(-linear.weight @ middle)


def write_network(network: Any, state: dict[str, torch.Tensor], folder: Path) -> None:
    """A checkpoint as pyannote.audio's training leaves it."""
    checkpoint: dict[str, Any] = {
        "epoch": 0,
        "global_step": 0,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": state,
        "hyper_parameters": dict(network.hparams),
        "hparams_name": "kwargs",
    }
    network.on_save_checkpoint(checkpoint)
    checkpoint["pyannote.audio"]["versions"]["torch"] = torch.torch_version.TorchVersion("2.8.0")
    torch.save(checkpoint, folder / "pytorch_model.bin")


def write_plda(folder: Path, seed: int) -> None:
    """A PLDA that looks at random directions, the first of them most."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    np.savez(
        folder / "xvec_transform.npz",
        mean1=np.zeros(DIMENSION, np.float32),
        mean2=np.zeros(LDA_DIMENSION, np.float32),
        lda=orthonormal(random, DIMENSION)[:, :LDA_DIMENSION],
    )
    np.savez(
        folder / "plda.npz",
        mu=np.zeros(LDA_DIMENSION, np.float32),
        tr=orthonormal(random, LDA_DIMENSION),
        psi=np.geomspace(20, 0.1, LDA_DIMENSION).astype(np.float32),
    )


def orthonormal(random: np.random.Generator, size: int) -> npt.NDArray[np.float32]:
    matrix, _ = np.linalg.qr(random.normal(size=(size, size)))
    return matrix.astype(np.float32)


if __name__ == "__main__":
    main()
