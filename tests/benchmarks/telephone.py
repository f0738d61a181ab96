"""The phone call that ships with pyannote.audio: how many of its 13 turns come out right with each diarizer.

    python -m tests.benchmarks.telephone [--asr NAME] [--diarizer NAME …]

The supplied text is that of its STM without the speakers. A turn (a line of the STM) is right if every one
of its words has its speaker, the result's speakers being paired with the true ones as well as can be. Besides
the diarizers named, each also told that there are two speakers, stands the truth (the RTTM beside the
recording, as --diarization takes it): what is lost there, the words have lost.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pipelines.audio import decoding as audio
from pipelines.engines.choice import choose
from pipelines.engines.given import GivenDiarizer
from pipelines.formats import rttm, stm
from pipelines.formats.stm import Utterance
from pipelines.pipeline import run
from pipelines.protocols import Diarizer
from pipelines.scoring.measures import best_names
from pipelines.supplied import parsing as supplied
from pipelines.types import Options, SpeakerCount, Transcript

TWO = SpeakerCount(2, 2)


def sample_folder() -> Path:
    """Where pyannote.audio keeps its sample; it is not imported."""
    package = find_spec("pyannote.audio")
    if package is None or package.origin is None:
        raise SystemExit("pyannote.audio is not installed: pip install 'turnwise[pyannote]'")
    return Path(package.origin).parent / "sample"


def turns_right(transcript: Transcript, truth: Sequence[Utterance]) -> list[bool]:
    """For each utterance whether all of its words have its speaker."""
    owners = [number for number, utterance in enumerate(truth) for _ in utterance.text.split()]
    labels = transcript.attribution.speakers
    if len(owners) != len(labels):
        raise ValueError(f"{len(labels)} tokens came out of {len(owners)}")
    said = Counter(
        (truth[owner].speaker, label) for owner, label in zip(owners, labels, strict=True) if label
    )
    paired = best_names(said)
    right = [True] * len(truth)
    for owner, label in zip(owners, labels, strict=True):
        right[owner] &= paired.get(label) == truth[owner].speaker
    return right


def rows(asr: str, diarizers: Sequence[str]) -> Iterator[tuple[str, Transcript, list[bool]]]:
    folder = sample_folder()
    recording, _ = audio.load(folder / "sample.wav")
    truth = stm.parse((folder / "sample.stm").read_text(encoding="utf-8"))
    text = supplied.parse(" ".join(utterance.text for utterance in truth).encode())
    segments = rttm.parse((folder / "sample.rttm").read_text(encoding="utf-8"))
    for name in diarizers:
        for told, count in (("", SpeakerCount()), (", told that there are 2", TWO)):
            engines, _ = choose(asr, name)
            transcript = run(recording, text, engines, Options("en", count))
            yield name + told, transcript, turns_right(transcript, truth)
    given: Diarizer = GivenDiarizer(segments, "sample.rttm")
    engines, _ = choose(asr, given)
    transcript = run(recording, text, engines, Options("en"))
    yield "the truth (sample.rttm)", transcript, turns_right(transcript, truth)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--asr", default="auto")
    parser.add_argument("--diarizer", nargs="*", default=["none", "embedded"])
    options = parser.parse_args()
    table = Table("diarizer", "voices", "turns right", "wrong", title=f"phone call, --asr {options.asr}")
    for name, transcript, right in rows(options.asr, options.diarizer):
        wrong = ", ".join(str(number + 1) for number, each in enumerate(right) if not each)
        voices = str(len(set(transcript.attribution.speakers) - {""}))
        table.add_row(name, voices, f"{sum(right)} of {len(right)}", wrong)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
