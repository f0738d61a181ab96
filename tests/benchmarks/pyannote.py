"""pyannote's speed and memory: this project's engine beside pyannote.audio itself, on the same networks.

    python -m tests.benchmarks.pyannote speed [--seconds 60] [--threads 4] [--device cpu]
    python -m tests.benchmarks.pyannote batches [--threads 4] [--device cpu]
    python -m tests.benchmarks.pyannote memory [--hours 1 3] [--threads 4] [--fast] [--no-networks]
    python -m tests.benchmarks.pyannote fast RECORDING…

`speed` and `batches` run networks of the real sizes (PyanNet as in segmentation-3.0 and community-1,
WeSpeakerResNet34) with random weights, on which speed does not depend. `speed` also makes sure that the
embeddings are the same to the last bit, and what is made of them the same.

`memory` diarizes recordings of so many hours, the clip of the tests over and over, each in a fresh process,
with the small networks of the tests: what is kept for each chunk is as large as with the real ones, and what
a chunk takes while it is computed does not depend on the recording. `--no-networks` lets random numbers stand
in for what they say, six voices taking turns, so that only the rest is run, in minutes. Printed is the peak
of the proportional set size, and without the audio itself.

`fast` prints how much changes with `fast`: the diarization error rate of the one beside the other.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from pipelines.audio import decoding as audio_files
from pipelines.engines.pyannote import Pyannote
from pipelines.engines.pyannote import embedding as embedding_stage
from pipelines.engines.pyannote import segmentation as segmentation_stage
from pipelines.engines.pyannote.batches import Batches
from pipelines.engines.pyannote.engine import FAST_STEP
from pipelines.engines.pyannote.imports import import_pyannote, silenced
from pipelines.scoring.measures import diarization_error
from pipelines.types import SAMPLE_RATE, Audio, Diarization, Samples, SpeakerCount
from tests.benchmarks.memory import PeakMemory
from tests.checkpoints import make_pyannote
from tests.pipelines.engines.stock_pyannote import Heard, differences, load_stock, run_stock

SMALL = make_pyannote.CHECKPOINTS / "pyannote-vbx"
SEED = 7
MEBIBYTE = 2**20
SIZES = (1, 2, 4, 8, 16, 32)
DIMENSION = make_pyannote.DIMENSION
STOCK_BATCHES = (32, 1)  # speakers of chunks at once: as community-1 and 3.1 ask for, and the least
ROUNDS = 2  # the faster counts

Seconds = dict[str, float]
"""Of each stage."""


@contextmanager
def real_folder() -> Iterator[Path]:
    """A pipeline folder with networks of the real sizes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "real"
        import_pyannote()
        chunks = make_pyannote.calibration_chunks()
        make_pyannote.write_folder(folder, make_pyannote.COMMUNITY, chunks, SEED, make_pyannote.REAL)
        make_pyannote.write_plda(folder / "plda", SEED)
        yield folder


def recording(seconds: float) -> Audio:
    """The clip, over and over."""
    clip, _ = audio_files.load(make_pyannote.CLIP)
    return Audio(np.resize(clip.samples, round(seconds * SAMPLE_RATE)), clip.media)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    result = work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begin, result


# --------------------------------------------------------------------------- speed


class Clock:
    """A hook of pyannote.audio that stops the time of its stages."""

    def __init__(self) -> None:
        self.began: dict[str, float] = {}
        self.ended: dict[str, float] = {}

    def __call__(self, name: str, *_: object, **__: object) -> None:
        now = time.perf_counter()
        self.began.setdefault(name, now)
        self.ended[name] = now

    def seconds(self, name: str) -> float:
        return self.ended[name] - self.began[name]


def measure_stock(pipeline: Any, samples: Samples) -> Seconds:
    """Of each stage."""
    clock = Clock()
    file = {"waveform": torch.from_numpy(samples)[None], "sample_rate": SAMPLE_RATE, "uri": "clip"}
    with silenced():
        whole, _ = timed(lambda: pipeline(file, hook=clock))
    seconds = {name: clock.seconds(name) for name in ("segmentation", "embeddings")}
    return {**seconds, "whole pipeline": whole}


def measure_ours(engine: Pyannote, audio: Audio) -> Seconds:
    stages = engine.load()
    found, segmentation = timed(lambda: stages.segmenter.segment(audio.samples, lambda _: None))
    embedded, _ = timed(lambda: stages.embedder.embed(audio.samples, segmentation, lambda _: None))
    whole, _ = timed(lambda: engine.diarize(audio, (), SpeakerCount()))
    return {"segmentation": found, "embeddings": embedded, "whole pipeline": whole}


def fastest(rounds: Sequence[Seconds]) -> Seconds:
    return {stage: min(each[stage] for each in rounds) for stage in rounds[0]}


def speed(seconds: float, device: str) -> None:
    """The engines in turns, so that what else the machine does troubles all of them."""
    audio = recording(seconds)
    with real_folder() as folder:
        engine = Pyannote(str(folder), device)
        stock = {batch: load_stock(folder, embedding_batch_size=batch) for batch in STOCK_BATCHES}
        for pipeline in stock.values():
            pipeline.to(torch.device(device))
        compare(run_stock(stock[STOCK_BATCHES[0]], audio.samples), engine, audio)
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(measure_ours(engine, audio))
            theirs.append({batch: measure_stock(stock[batch], audio.samples) for batch in STOCK_BATCHES})
    columns = {batch: fastest([each[batch] for each in theirs]) for batch in STOCK_BATCHES}
    print_speed(fastest(ours), columns, seconds)


def compare(stock: Heard, engine: Pyannote, audio: Audio) -> None:
    """On a processor the embeddings must be equal to the last bit."""
    stages = engine.load()
    segmentation = stages.segmenter.segment(audio.samples, lambda _: None)
    embeddings = stages.embedder.embed(audio.samples, segmentation, lambda _: None)
    off = np.abs(stock.embeddings - embeddings)[segmentation.speaks].max()
    changed = differences(stock, engine.diarize(audio, (), SpeakerCount()))
    print(f"embeddings: largest difference {off:g}; else different: {', '.join(changed) or 'nothing'}")
    if not torch.cuda.is_available():
        assert np.array_equal(stock.embeddings, embeddings)
        assert not changed


def print_speed(ours: Seconds, stock: dict[int, Seconds], seconds: float) -> None:
    table = Table(title=f"{seconds:g} s of audio, {torch.get_num_threads()} threads: seconds")
    headings = [f"stock, {batch} at once" for batch in stock], [f"of {batch} at once" for batch in stock]
    for name in ("", *headings[0], "here", *headings[1]):
        table.add_column(name, justify="right")
    for stage, mine in ours.items():
        theirs = [column[stage] for column in stock.values()]
        table.add_row(
            stage, *(f"{x:.2f}" for x in theirs), f"{mine:.2f}", *(f"{x / mine:.1f} ×" for x in theirs)
        )
    Console(width=110).print(table)


# --------------------------------------------------------------------------- batches


def batches(device: str) -> None:
    """Seconds per chunk in batches of each size."""
    audio = recording(10 + max(SIZES) - 1)
    table = Table(title=f"seconds per chunk on {device}, {torch.get_num_threads()} threads")
    for name in ("chunks at once", "segmentation", "embedding"):
        table.add_column(name, justify="right")
    with real_folder() as folder:
        stages = Pyannote(str(folder), device).load()
        segmentation = stages.segmenter.segment(audio.samples, lambda _: None)
        for size in SIZES:
            stages.segmenter.batches = Batches(size)
            stages.embedder.batches = Batches(size)
            found, _ = timed(lambda: stages.segmenter.segment(audio.samples, lambda _: None))
            embedded, _ = timed(lambda: stages.embedder.embed(audio.samples, segmentation, lambda _: None))
            table.add_row(str(size), *(f"{x / segmentation.windows.chunks:.3f}" for x in (found, embedded)))
    Console().print(table)
    print(f"taken: {segmentation_stage.CHUNKS_AT_ONCE}, {embedding_stage.CHUNKS_AT_ONCE}")


# --------------------------------------------------------------------------- memory


@dataclass(frozen=True, slots=True)
class Footprint:
    """Of one recording; the peak with the audio and all libraries."""

    audio_bytes: int
    peak_bytes: int
    seconds: float
    segments: int


class Turns:
    """Stands in for a segmentation network: two at once, for stretches of a second."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(SEED)

    def __call__(self, chunks: Samples) -> Any:
        seconds = self._random.random((len(chunks), 10, 3)) < 0.4
        return seconds.repeat(59, axis=1)[:, :589].astype(np.uint8)


class SixVoices:
    """Stands in for a speaker network."""

    width = DIMENSION
    silence = 0.0

    def __init__(self) -> None:
        self._voices = torch.randn(6, DIMENSION)

    def pool(self, chunks: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        which = torch.randint(6, masks.shape[:2])
        return self._voices[which] + 0.5 * torch.randn(*masks.shape[:2], DIMENSION)

    def finish(self, pooled: torch.Tensor) -> torch.Tensor:
        return pooled


def footprint(hours: float, threads: int, fast: bool, networks: bool) -> Footprint:
    torch.set_num_threads(threads)
    engine = Pyannote(str(SMALL), "cpu", fast)
    stages = engine.load()
    if not networks:
        stages.segmenter._score = Turns()  # type: ignore[method-assign]
        stages.embedder._voices = SixVoices()
    audio = recording(hours * 3600)
    with PeakMemory() as watched:
        seconds, diarization = timed(lambda: engine.diarize(audio, (), SpeakerCount()))
    return Footprint(audio.samples.nbytes, watched.reset(), seconds, len(diarization.segments))


def memory(hours: Sequence[float], threads: int, fast: bool, networks: bool) -> None:
    table = Table(title="MB")
    for name in ("hours", "audio", "peak", "peak without audio", "beside the first", "minutes", "segments"):
        table.add_column(name, justify="right")
    first = 0.0
    for each in hours:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            found = pool.submit(footprint, each, threads, fast, networks).result()
        without = (found.peak_bytes - found.audio_bytes) / MEBIBYTE
        first = first or without
        table.add_row(
            f"{each:g}",
            f"{found.audio_bytes / MEBIBYTE:.0f}",
            f"{found.peak_bytes / MEBIBYTE:.0f}",
            f"{without:.0f}",
            f"{100 * (without / first - 1):+.1f} %",
            f"{found.seconds / 60:.1f}",
            str(found.segments),
        )
    Console(width=110).print(table)


# --------------------------------------------------------------------------- fast


def fast_change(recordings: Sequence[Path]) -> None:
    """The error rate of `fast` where the other is taken for the truth, with networks that know nothing."""
    table = Table(title=f"a chunk every {FAST_STEP:g} of its length beside one every 0.1")
    for name in ("recording", "model", "seconds", "fast", "difference", "speakers", "fast"):
        table.add_column(name, justify="right")
    for path, model in product(recordings, (SMALL, SMALL.with_name("pyannote-ahc"))):
        audio, _ = audio_files.load(path)
        (usual_seconds, usual), (fast_seconds, fast) = (
            diarized(model, is_fast, audio) for is_fast in (False, True)
        )
        table.add_row(
            path.name,
            model.name,
            f"{usual_seconds:.1f}",
            f"{fast_seconds:.1f}",
            f"{100 * diarization_error(usual.segments, fast.segments).rate:.1f} %",
            str(len(usual.speakers)),
            str(len(fast.speakers)),
        )
    Console(width=110).print(table)


def diarized(model: Path, is_fast: bool, audio: Audio) -> tuple[float, Diarization]:
    engine = Pyannote(str(model), "cpu", is_fast)
    engine.load()
    return timed(lambda: engine.diarize(audio, (), SpeakerCount()))


def main() -> None:
    parser = argparse.ArgumentParser(description="pyannote's speed and memory")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("speed", "batches", "memory", "fast"):
        command = commands.add_parser(name)
        command.add_argument("--threads", type=int, default=torch.get_num_threads())
        if name in ("speed", "batches"):
            command.add_argument("--device", default="cpu")
        if name == "speed":
            command.add_argument("--seconds", type=float, default=60)
        if name == "memory":
            command.add_argument("--hours", type=float, nargs="+", default=[1, 3])
            command.add_argument("--fast", action="store_true")
            command.add_argument("--no-networks", action="store_true")
        if name == "fast":
            command.add_argument("recordings", type=Path, nargs="+")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    if arguments.command == "speed":
        speed(arguments.seconds, arguments.device)
    elif arguments.command == "batches":
        batches(arguments.device)
    elif arguments.command == "memory":
        memory(arguments.hours, arguments.threads, arguments.fast, not arguments.no_networks)
    else:
        fast_change(arguments.recordings)


if __name__ == "__main__":
    main()
