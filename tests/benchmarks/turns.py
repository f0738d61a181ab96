"""Our attribution beside four baselines, on the same aligned tokens and the same diarization.

    python -m tests.benchmarks.turns --seeds 1-20 --damage 0.2
    python -m tests.benchmarks.turns --segment FOLDER

The first makes interviews with the seeded generator; seeds 1 to 20 are for reporting: tune on others. The
second takes a real segment through the engines that `auto` chooses: a folder with segment.opus,
supplied.txt, supplied_truth.json and turns.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipelines.alignment.alignment import align
from pipelines.alignment.placement import place
from pipelines.attribution.attribution import attribute
from pipelines.audio.decoding import load as load_audio
from pipelines.engines.choice import choose
from pipelines.scoring import references
from pipelines.scoring.measures import Detection, ErrorRate, TokenScore, TurnScore, token_score
from pipelines.supplied import parsing as supplied
from pipelines.types import AlignedToken, Diarization, Heard, Match, SpeakerCount
from tests.benchmarks.aligner import bring_together
from tests.benchmarks.baselines import BASELINES
from tests.benchmarks.damage import Origin
from tests.benchmarks.dialogue import SHORT_ANSWERS
from tests.benchmarks.generator import Interview, Repeat, Truth, generate

OURS = "Turnwise"


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One recording: what the attribution is given, and what is true of every token."""

    tokens: tuple[AlignedToken, ...]
    heard: Heard
    diarization: Diarization
    truth: tuple[Truth, ...]
    repeats: tuple[Repeat, ...] = ()


def from_interview(interview: Interview) -> Case:
    tokens = bring_together(interview)
    return Case(tokens, interview.heard, interview.diarization, interview.truth, interview.repeats)


def from_segment(folder: Path) -> Case:
    """A real recording, by the same engines and stages as in `pipelines.pipeline.run`."""
    engines, _ = choose("auto", "auto")
    audio, _ = load_audio(folder / "segment.opus")
    speech = engines.detector.detect(audio)
    heard = engines.transcriber.transcribe(audio, speech, "en")
    tokens = align(
        supplied.load(folder / "supplied.txt").tokens,
        heard.words,
        speech=speech,
        duration=audio.duration,
    )
    if engines.aligner:
        tokens = place(tokens, audio, engines.aligner, heard.language)
    diarization = engines.diarizer.diarize(audio, speech, SpeakerCount())
    return Case(tokens, heard, diarization, tuple(_truths(folder)))


def _truths(folder: Path) -> Iterator[Truth]:
    turns = references.load([folder / "turns.json"]).turns
    for token in references.load_truth(folder / "supplied_truth.json"):
        if token.turn is None:
            yield Truth(None, "", Origin.HEADING)
        else:
            yield Truth(token.turn, turns[token.turn].speaker, Origin.SPOKEN)


def measure(case: Case) -> dict[str, TokenScore]:
    """The scores of every method, by its name; a baseline whose package is missing is left out."""
    true = settle(case.truth, case.repeats, [token.match is Match.NOT_SPOKEN for token in case.tokens])
    return {name: token_score(true, labels) for name, labels in _methods(case)}


def _methods(case: Case) -> Iterator[tuple[str, Sequence[str]]]:
    yield OURS, attribute(case.tokens, case.diarization).speakers
    for name, baseline in BASELINES.items():
        try:
            yield name, baseline(case.tokens, case.heard, case.diarization)
        except ImportError:
            continue


def settle(truth: Sequence[Truth], repeats: Iterable[Repeat], unspoken: Sequence[bool]) -> list[str]:
    """True speaker of every token, "" for unspoken ones, where two answers are right the one that was given.

    Two are where a line is shown twice and said once (either copy was said), and at a stray word that
    nobody said (unspoken, or a part of its turn).
    """
    true = [each.speaker for each in truth]
    for repeat in repeats:
        first, second = unspoken[repeat.start : repeat.middle], unspoken[repeat.middle : repeat.end]
        if sum(first) > sum(second):
            speakers = true[repeat.start : repeat.middle]
            true[repeat.start : repeat.end] = [""] * len(speakers) + speakers
    for index, each in enumerate(truth):
        if each.origin is Origin.EXTRA and unspoken[index]:
            true[index] = ""
    return true


# --------------------------------------------------------------------------- sums


def total(scores: Iterable[TokenScore]) -> TokenScore:
    """All recordings as one."""
    return reduce(_add, scores)


def _add(left: TokenScore, right: TokenScore) -> TokenScore:
    speakers, turns, unspoken = left.speakers, left.turns, left.unspoken
    return TokenScore(
        ErrorRate(speakers.errors + right.speakers.errors, speakers.total + right.speakers.total),
        TurnScore(
            turns.true + right.turns.true,
            turns.exact + right.turns.exact,
            turns.within_one + right.turns.within_one,
            turns.false + right.turns.false,
        ),
        Detection(
            unspoken.predicted + right.unspoken.predicted,
            unspoken.true + right.unspoken.true,
            unspoken.both + right.unspoken.both,
        ),
    )


# --------------------------------------------------------------------------- the command


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parse(arguments)
    cases = [from_segment(options.segment)] if options.segment else list(_generated(options))
    title = f"{len(cases)} interviews, {options.speakers} speakers, damage {options.damage:.0%}"
    if options.segment:
        title = f"{options.segment.name}: {len(cases[0].tokens)} tokens"
    results = [measure(case) for case in cases]
    scores = {name: total(result[name] for result in results) for name in results[0]}
    Console(width=140).print(tabulate(title, scores))
    for name in BASELINES.keys() - scores.keys():
        print(f"{name}: not measured, its package is missing: see tests/benchmarks/requirements.txt")


def _generated(options: argparse.Namespace) -> Iterator[Case]:
    for seed in options.seeds:
        yield from_interview(
            generate(
                seed,
                speakers=options.speakers,
                damage=options.damage,
                short_answers=options.short_answers,
            )
        )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.turns", description=__doc__)
    parser.add_argument("--seeds", type=_seeds, default=_seeds("1-20"), metavar="FIRST-LAST")
    parser.add_argument("--damage", type=float, default=0.2, help="share of tokens damaged, 0 to 0.4")
    parser.add_argument("--speakers", type=int, default=4)
    parser.add_argument(
        "--short-answers", type=float, default=SHORT_ANSWERS, help="share of one to three words"
    )
    parser.add_argument("--segment", type=Path, metavar="FOLDER", help="a real segment instead")
    return parser.parse_args(arguments)


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def tabulate(title: str, scores: dict[str, TokenScore]) -> Table:
    table = Table(title=title)
    headers = (
        "method",
        "changes",
        "exact",
        "within one",
        "false",
        "missed",
        "F1",
        "tokens right",
        "headings P / R / F1",
    )
    for header in headers:
        table.add_column(header, justify="left" if header == "method" else "right")
    for name, score in scores.items():
        table.add_row(name, *_cells(score))
    return table


def _cells(score: TokenScore) -> tuple[str, ...]:
    turns, unspoken = score.turns, score.unspoken
    return (
        str(turns.true),
        f"{turns.exact} ({turns.exact / max(1, turns.true):.1%})",
        f"{turns.within_one} ({turns.within_one / max(1, turns.true):.1%})",
        str(turns.false),
        str(turns.missed),
        f"{turns.f1:.3f}",
        f"{1 - score.speakers.rate:.2%}",
        f"{unspoken.precision:.3f} / {unspoken.recall:.3f} / {unspoken.f1:.3f}",
    )


if __name__ == "__main__":
    main()
