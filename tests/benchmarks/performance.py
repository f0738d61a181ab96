"""Time and memory: alignment alone on long texts.

    python -m tests.benchmarks.performance --words 2000 20000 200000

Texts for the alignment are made by the seeded generator, with 20 % of the tokens damaged; each size runs in a
fresh process. Memory is the proportional set size of all processes together, sampled every 50 ms.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context

from rich.console import Console
from rich.table import Table

from pipelines.alignment import align
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
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as fresh:
        costs = list(fresh.map(measure_alignment, options.words))
    Console(width=110).print(alignment_table(costs))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.performance", description=__doc__)
    parser.add_argument("--words", type=int, nargs="+", default=[2_000, 20_000, 200_000])
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
