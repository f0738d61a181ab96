"""How many short turns the embedded diarizer misses, and how far off its edges are: what `simulation` copies.

    python -m tests.benchmarks.short_turns --voices DIR

DIR holds compose.py and libri/SPEAKER-*.flac. Conversations of four readers, a quarter of the turns cut to
0.5 to 1.5 s; seeds 501 to 560. A turn is missed where its own voice has less than 30 % of its time.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from pipelines.audio.decoding import load
from pipelines.engines.embedded.diarizer import EmbeddedDiarizer
from pipelines.engines.embedded.silero import SileroDetector
from pipelines.formats import rttm
from pipelines.types import SpeakerCount, SpeakerSegment
from tests.benchmarks.diarization import compare_edges

SEEDS = range(501, 561)
SHORT = 1.0  # seconds
MISSED = 0.3  # share of a turn


def compose(voices: Path, seed: int, stem: Path) -> Path:
    options = ["--speakers", "4", "--turns", "40", "--short", "0.25", "--seed", str(seed)]
    command = [
        sys.executable,
        str(voices / "compose.py"),
        str(stem),
        "--from",
        str(voices / "libri"),
        *options,
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return stem.with_suffix(".wav")


def overlap(a: SpeakerSegment, b: SpeakerSegment) -> float:
    return max(0.0, min(a.end, b.end) - max(a.start, b.start))


def coverage(
    turns: Sequence[SpeakerSegment], found: Sequence[SpeakerSegment]
) -> Iterator[tuple[float, float]]:
    """Length of each turn, and the share of it that its own voice was given."""
    shared: Counter[tuple[str, str]] = Counter()
    for turn in turns:
        for segment in found:
            shared[turn.speaker, segment.speaker] += overlap(turn, segment)  # type: ignore[assignment]
    voice: dict[str, str] = {}
    for (speaker, label), _ in shared.most_common():
        if speaker not in voice and label not in voice.values():
            voice[speaker] = label
    for turn in turns:
        own = sum(overlap(turn, segment) for segment in found if segment.speaker == voice.get(turn.speaker))
        yield turn.end - turn.start, own / (turn.end - turn.start)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--voices", type=Path, required=True, metavar="DIR", help="compose.py and libri/")
    voices: Path = parser.parse_args(arguments).voices
    shares: list[float] = []
    errors: list[float] = []
    diarizer, detector = EmbeddedDiarizer(), SileroDetector()
    with TemporaryDirectory() as folder:
        for seed in SEEDS:
            recording = compose(voices, seed, Path(folder) / str(seed))
            turns = rttm.parse(recording.with_suffix(".rttm").read_text(encoding="utf-8"))
            audio, _ = load(recording)
            found = diarizer.diarize(audio, detector.detect(audio), SpeakerCount()).exclusive
            shares += [share for length, share in coverage(turns, found) if length < SHORT]
            errors += compare_edges(turns, found).errors
    missed = sum(share < MISSED for share in shares)
    print(f"turns under {SHORT:g} s: {len(shares)}, missed {missed} ({100 * missed / len(shares):.0f} %)")
    print("edges, seconds off: median {:.2f}, 90 % within {:.2f}".format(*np.percentile(errors, [50, 90])))


if __name__ == "__main__":
    main()
