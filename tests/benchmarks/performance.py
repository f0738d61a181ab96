"""Time and memory: of each stage on a recording with its text, and of the alignment alone on long texts.

    python -m tests.benchmarks.performance --recording FILE --text FILE
    python -m tests.benchmarks.performance --words 2000 20000 200000

Texts for the alignment are made by the seeded generator, with 20 % of the tokens damaged; each size runs in a
fresh process. Memory is the proportional set size of all processes together, sampled every 50 ms.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipelines.alignment.alignment import align
from pipelines.audio.decoding import load as load_audio
from pipelines.engines.choice import choose
from pipelines.pipeline import Stage, run
from pipelines.supplied import parsing as supplied
from pipelines.types import Options
from tests.benchmarks.generator import Interview, generate
from tests.benchmarks.memory import PeakMemory

SEED = 1
MEBIBYTE = 2**20


@dataclass(frozen=True, slots=True)
class Cost:
    """What one piece of work took; `before_bytes` was in use when it began, its input included."""

    size: int  # words
    seconds: float
    before_bytes: int
    peak_bytes: int


# --------------------------------------------------------------------------- the stages


class StageMeter:
    """Told of every stage's progress: from when to when it ran, and the most memory in use meanwhile.

    Stages may run at the same time; then both are charged with what both use.
    """

    def __init__(self, memory: PeakMemory) -> None:
        self._memory = memory
        self._lock = threading.Lock()
        self._running: set[str] = set()
        self.began: dict[str, float] = {}
        self.ended: dict[str, float] = {}
        self.peak_bytes: dict[str, int] = {}

    def watch(self, stage: str, fraction: float) -> None:
        with self._lock:
            now, peak_bytes = time.perf_counter(), self._memory.reset()
            self.began.setdefault(stage, now)
            self.ended[stage] = now
            self._running.add(stage)
            for each in self._running:
                self.peak_bytes[each] = max(self.peak_bytes.get(each, 0), peak_bytes)
            if fraction >= 1.0:
                self._running.discard(stage)


def measure_stages(recording: Path, text: Path) -> tuple[StageMeter, float]:
    """Runs the whole pipeline with the engines that `auto` chooses; also the recording's duration."""
    supplied_text = supplied.load(text)
    with PeakMemory() as memory:
        meter = StageMeter(memory)
        engines, _ = choose("auto", "auto")
        meter.watch(Stage.DECODE, 0.0)
        audio, _ = load_audio(recording, progress=lambda fraction: meter.watch(Stage.DECODE, fraction))
        run(audio, supplied_text, engines, Options(), meter.watch)
        return meter, audio.duration


def stage_table(meter: StageMeter, duration: float) -> Table:
    table = Table(title=f"{duration:.0f} s of audio, {os.cpu_count()} cores")
    for header in ("stage", "seconds", "× real time", "peak MiB"):
        table.add_column(header, justify="left" if header == "stage" else "right")
    rows = [
        (stage, began, meter.ended[stage], meter.peak_bytes[stage]) for stage, began in meter.began.items()
    ]
    whole = (min(meter.began.values()), max(meter.ended.values()), max(meter.peak_bytes.values()))
    for stage, began, ended, peak_bytes in [*rows, ("all", *whole)]:
        seconds = ended - began
        table.add_row(stage, f"{seconds:.2f}", f"{seconds / duration:.4f}", f"{peak_bytes / MEBIBYTE:.0f}")
    return table


# --------------------------------------------------------------------------- alignment


def measure_alignment(words: int) -> Cost:
    """Aligns a damaged text of so many tokens with what was heard."""
    interview = interview_of(words)
    tokens = interview.supplied.tokens[:words]
    last_turn = max(truth.turn for truth in interview.truth[:words] if truth.turn is not None)
    end = interview.utterances[last_turn].end
    heard = [word for word in interview.heard.words if word.start < end]
    with PeakMemory() as memory:
        before_bytes = memory.sample()
        began = time.perf_counter()
        align(tokens, heard, speech=interview.speech, duration=interview.duration)
        seconds = time.perf_counter() - began
        return Cost(len(tokens), seconds, before_bytes, memory.reset())


def interview_of(words: int) -> Interview:
    """An interview of at least so many tokens."""
    turns = words // 40 + 24
    while True:
        interview = generate(SEED, turns=turns)
        if len(interview.supplied.tokens) >= words:
            return interview
        turns = round(1.2 * turns)


def alignment_table(costs: Sequence[Cost]) -> Table:
    table = Table(title="alignment alone")
    for header in ("words", "seconds", "peak MiB", "of it the input", "seconds × for words ×"):
        table.add_column(header, justify="right")
    growth = ["", *(_growth(smaller, larger) for smaller, larger in pairwise(costs))]
    for cost, grown in zip(costs, growth, strict=True):
        table.add_row(
            f"{cost.size:,}",
            f"{cost.seconds:.2f}",
            f"{cost.peak_bytes / MEBIBYTE:.0f}",
            f"{cost.before_bytes / MEBIBYTE:.0f}",
            grown,
        )
    return table


def _growth(smaller: Cost, larger: Cost) -> str:
    return f"{larger.seconds / smaller.seconds:.1f} for {larger.size / smaller.size:.1f}"


# --------------------------------------------------------------------------- the command


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parse(arguments)
    if options.recording:
        Console(width=110).print(stage_table(*measure_stages(options.recording, options.text)))
    if options.words:
        Console(width=110).print(alignment_table(measure_alignments(options.words)))


def measure_alignments(sizes: Sequence[int]) -> list[Cost]:
    """Each in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as fresh:
        return list(fresh.map(measure_alignment, sizes))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.performance", description=__doc__)
    parser.add_argument("--recording", type=Path, metavar="FILE")
    parser.add_argument("--text", type=Path, metavar="FILE", help="the text of the recording")
    parser.add_argument("--words", type=int, nargs="+", default=[], help="sizes of texts to align")
    options = parser.parse_args(arguments)
    if bool(options.recording) != bool(options.text) or not (options.recording or options.words):
        parser.error("give --recording with its --text, or --words, or all three")
    return options


if __name__ == "__main__":
    main()
