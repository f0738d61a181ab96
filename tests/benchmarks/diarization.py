"""How well the embedded diarizer counts, tells apart and places speakers, beside spectral clustering.

    python -m tests.benchmarks.diarization --voices DIR [--sessions 12]
    python -m tests.benchmarks.diarization --recording FILE      # its reference, FILE.rttm, beside it

DIR holds compose.py and libri/SPEAKER-*.flac, one reader each. The readers, in order, go to tuning and to
the report by turns; the constants of the diarizer were chosen on sessions of the first half (seeds 1 to 32),
and this command composes those of the second half: seeds from 101 on, with 3, 4, 5 and 6 speakers in turn.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from rich.console import Console
from rich.table import Table

from pipelines.audio.decoding import load
from pipelines.engines.embedded import diarizer as embedded
from pipelines.engines.embedded.agglomeration import cluster
from pipelines.engines.embedded.silero import SileroDetector
from pipelines.formats import rttm
from pipelines.scoring.measures import DiarizationError, diarization_error
from pipelines.types import Audio, Span, SpeakerCount, SpeakerSegment
from tests.benchmarks import spectral

FIRST_SEED = 101
SPEAKERS = (3, 4, 5, 6)
TURNS = (24, 28, 32, 36, 40)
AS_IT_IS = ["compose.py as it is"]
"""24 turns at most, 15 % of them short; from seed 601 on. The others are 24 to 40 turns, 20 % short."""
CONDITIONS = {
    AS_IT_IS[0]: AS_IT_IS,
    "clean": [],
    "level ±12 dB": ["--gain", "12"],
    "2 on the phone": ["--phone", "2"],
    "noise 10 dB": ["--snr", "10"],
    "overlap 0.5 s": ["--overlap", "0.5"],
}
CLUSTERINGS = {"debiased similarity": cluster, "NME-SC": spectral.cluster}
FAR = 0.5
COLLAR = 0.25


@dataclass(frozen=True, slots=True)
class Edges:
    """Changes of speaker: those found within FAR, how far off their two edges were, and invented ones."""

    true: int
    errors: tuple[float, ...]
    false: int

    @property
    def found(self) -> int:
        return len(self.errors) // 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """One session."""

    true_speakers: int
    found_speakers: int
    strict: DiarizationError
    collar: DiarizationError
    edges: Edges


def changes(segments: Sequence[SpeakerSegment]) -> list[tuple[float, float]]:
    """(end of one speaker, start of the next) at every change."""
    return [(a.end, b.start) for a, b in pairwise(segments) if a.speaker != b.speaker]


def compare_edges(reference: Sequence[SpeakerSegment], found: Sequence[SpeakerSegment]) -> Edges:
    true, guessed = changes(reference), changes(found)
    errors: list[float] = []
    for change in true:
        near = min(guessed, key=lambda guess: _distance(change, guess), default=None)
        if near and _distance(change, near) <= FAR:
            errors += [abs(change[0] - near[0]), abs(change[1] - near[1])]
    false = sum(all(_distance(change, guess) > FAR for change in true) for guess in guessed)
    return Edges(len(true), tuple(errors), false)


def _distance(a: tuple[float, float], b: tuple[float, float]) -> float:
    return abs(sum(a) - sum(b)) / 2


def diarize(audio: Audio, speech: Sequence[Span], reference: Sequence[SpeakerSegment]) -> Outcome:
    found = embedded.EmbeddedDiarizer().diarize(audio, speech, SpeakerCount())
    return Outcome(
        len({segment.speaker for segment in reference}),
        len(found.speakers),
        diarization_error(reference, found.segments),
        diarization_error(reference, found.segments, COLLAR),
        compare_edges(reference, found.exclusive),
    )


def outcomes(recording: Path) -> dict[str, Outcome]:
    """One outcome per clustering; the reference is the RTTM beside the recording."""
    audio, _ = load(recording)
    reference = rttm.parse(recording.with_suffix(".rttm").read_text(encoding="utf-8"))
    speech = SileroDetector().detect(audio)
    result = {}
    for name, clustering in CLUSTERINGS.items():
        with patch.object(embedded, "cluster", clustering):
            result[name] = diarize(audio, speech, reference)
    return result


def compose(voices: Path, readers: Path, seed: int, options: Sequence[str], stem: Path) -> Path:
    """A session by compose.py; its RTTM lies beside it."""
    number = seed - FIRST_SEED
    shape = ["--speakers", str(SPEAKERS[number % 4])]
    if options != AS_IT_IS:
        shape += ["--turns", str(TURNS[number % 5]), "--short", "0.2", *options]
    command = [sys.executable, str(voices / "compose.py"), str(stem), "--from", str(readers)]
    subprocess.run([*command, "--seed", str(seed), *shape], check=True, stdout=subprocess.DEVNULL)
    return stem.with_suffix(".wav")


def second_half(voices: Path, folder: Path) -> Path:
    """A folder of links to every second reader, none of whom was tuned on."""
    folder.mkdir()
    for path in sorted((voices / "libri").glob("*.flac"))[1::2]:
        (folder / path.name).symlink_to(path.resolve())
    return folder


def measure_voices(voices: Path, session_count: int, table: Table) -> None:
    with TemporaryDirectory() as name:
        readers = second_half(voices, Path(name) / "readers")
        for number, (condition, options) in enumerate(CONDITIONS.items()):
            first = FIRST_SEED + (500 if options == AS_IT_IS else 0)
            sessions = [
                outcomes(compose(voices, readers, seed, options, Path(name) / f"{number}-{seed}"))
                for seed in range(first, first + session_count)
            ]
            for clustering in CLUSTERINGS:
                add_row(table, condition, clustering, [session[clustering] for session in sessions])


def add_row(table: Table, condition: str, clustering: str, sessions: Sequence[Outcome]) -> None:
    strict, collar = [session.strict for session in sessions], [session.collar for session in sessions]
    errors = [error for session in sessions for error in session.edges.errors]
    right = sum(session.found_speakers == session.true_speakers for session in sessions)
    table.add_row(
        condition,
        clustering,
        f"{right} of {len(sessions)}",
        percent(strict, lambda error: error.confusion),
        percent(strict, lambda error: error.missed + error.false_alarm + error.confusion),
        percent(collar, lambda error: error.missed + error.false_alarm + error.confusion),
        f"{sum(s.edges.found for s in sessions)} of {sum(s.edges.true for s in sessions)}",
        str(sum(s.edges.false for s in sessions)),
        f"{sum(errors) / max(1, len(errors)):.2f}",
        f"{max(errors, default=0.0):.2f}",
    )


def percent(errors: Iterable[DiarizationError], part: Callable[[DiarizationError], float]) -> str:
    """A share of all speech of all sessions."""
    errors = list(errors)
    return f"{100 * sum(map(part, errors)) / sum(error.total for error in errors):.2f}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--voices", type=Path, metavar="DIR", help="compose.py and libri/")
    parser.add_argument("--sessions", type=int, default=12, metavar="N", help="per condition (12)")
    parser.add_argument("--recording", type=Path, metavar="FILE", help="one recording, its .rttm beside it")
    request = parser.parse_args(arguments)
    table = Table("condition", "clustering", "speakers", "confusion %", "DER 0 %", "DER 0.25 %")
    for heading in ("changes", "false", "edge s", "worst s"):
        table.add_column(heading)
    if request.recording:
        for clustering, outcome in outcomes(request.recording).items():
            add_row(table, request.recording.name, clustering, [outcome])
    if request.voices:
        measure_voices(request.voices, request.sessions, table)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
