"""Make the clip again: a minute of the demo segment in which three voices speak, with the times of its words.

    python -m tests.data.make_clip [FOLDER]

The test Whisper (tests/checkpoints) knows the words of this clip and no others. Writes clip.opus, clip.rttm,
clip.stm, clip.ctm (when each word was rendered), supplied.txt and supplied_truth.json to FOLDER
(tests/data/clip by default). Needs flite, sox and ffmpeg, as make_demo does.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rapidfuzz.distance import Levenshtein

from tests.data import make_demo
from tests.data.make_demo import DEMO, EFFECTS, MARK, RATE_HZ, VOICES, SpokenTurn

CLIP = Path(__file__).parent / "clip"
FIRST_TURN, LAST_TURN = 6, 12
LEAD_IN, TAIL = 0.4, 0.6


@dataclass(frozen=True, slots=True)
class RenderedWord:
    """A white-space word of a turn, and when it sounds: seconds from the start of the turn."""

    text: str
    start: float
    end: float


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else CLIP
    folder.mkdir(parents=True, exist_ok=True)
    every: list[SpokenTurn] = json.loads((DEMO / "turns.json").read_text(encoding="utf-8"))
    samples, starts, durations = make_demo.render(every)
    begin, end = starts[FIRST_TURN] - LEAD_IN, starts[LAST_TURN] + durations[LAST_TURN] + TAIL
    make_demo.encode(samples[round(begin * RATE_HZ) : round(end * RATE_HZ)], folder / "clip.opus")
    turns = every[FIRST_TURN : LAST_TURN + 1]
    times = [(start - begin, duration) for start, duration in zip(starts, durations, strict=True)]
    spoken = list(zip(times[FIRST_TURN : LAST_TURN + 1], turns, strict=True))
    write_reference(folder, spoken)
    supplied, truth = make_demo.unmarked(marked_part())
    make_demo.write(folder / "supplied.txt", [supplied.rstrip("\n ")])
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in truth)
    make_demo.write(folder / "supplied_truth.json", [f"[\n{rows}\n]"])
    print(f"{len(turns)} turns, {len(truth)} tokens, {end - begin:.1f} s -> {folder}")


def write_reference(folder: Path, spoken: Sequence[tuple[tuple[float, float], SpokenTurn]]) -> None:
    """The three files that say who speaks when, what, and when each word sounds."""
    rttm = (make_demo.rttm_line(start, duration, turn) for (start, duration), turn in spoken)
    make_demo.write(folder / "clip.rttm", (line.replace(" segment ", " clip ", 1) for line in rttm))
    stm = (make_demo.stm_line(start, duration, turn) for (start, duration), turn in spoken)
    make_demo.write(folder / "clip.stm", (line.replace("segment ", "clip ", 1) for line in stm))
    words = (
        f"clip 1 {start + word.start:.3f} {word.end - word.start:.3f} {word.text}"
        for (start, _), turn in spoken
        for word in rendered_words(turn["text"], turn["role"])
    )
    make_demo.write(folder / "clip.ctm", words)


def marked_part() -> str:
    """The clip's part of the marked text, its turns counted from 0."""
    marked = (DEMO / "supplied_marked.txt").read_text(encoding="utf-8")
    _, *pieces = MARK.split(marked)
    marks = pieces[::2]
    first = marks.index(str(FIRST_TURN))
    last = len(marks) - 1 - marks[::-1].index(str(LAST_TURN))
    return "".join(
        f"@{mark if mark == 'null' else int(mark) - FIRST_TURN} {text}"
        for mark, text in zip(marks[first : last + 1], pieces[1::2][first : last + 1], strict=True)
    )


# --------------------------------------------------------------------------- when each word was rendered


def rendered_words(text: str, role: str) -> Iterator[RenderedWord]:
    """The words of a turn as `make_demo.speak` renders it.

    flite says when each phone ends, but not which word it belongs to: the phones of the words, each spoken
    alone, are aligned with those of the turn (they differ where words run into each other).
    """
    words = text.split()
    phones = list(phone_times(text, role))
    owners = phone_owners([[name for name, _, _ in phone_times(word, role)] for word in words])
    edits = Levenshtein.opcodes([name for name, _ in owners], [name for name, _, _ in phones])
    found: list[list[int]] = [[] for _ in words]
    for edit in edits:
        for k in range(edit.dest_start, edit.dest_end):
            source = min(edit.src_start + k - edit.dest_start, max(edit.src_start, edit.src_end - 1))
            found[owners[min(source, len(owners) - 1)][1]].append(k)
    scale, shift = time_map(text, role)
    for word, members in zip(words, found, strict=True):
        start, end = phones[members[0]][1], phones[members[-1]][2]
        yield RenderedWord(word, max(0.0, start * scale - shift), end * scale - shift)


def phone_owners(names: Sequence[Sequence[str]]) -> list[tuple[str, int]]:
    """Every phone with the index of its word."""
    return [(name, word) for word, phones in enumerate(names) for name in phones]


def phone_times(text: str, role: str) -> Iterator[tuple[str, float, float]]:
    """(phone, start, end) without the pauses, in seconds of flite's own rendering."""
    command = ["flite", "-voice", VOICES[role], "-psdur", "-t", text, "none"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    start = 0.0
    for name, end in re.findall(r"(\S+):([\d.]+)", printed):
        if name != "pau":
            yield name, start, float(end)
        start = float(end)


def time_map(text: str, role: str) -> tuple[float, float]:
    """(scale, shift): a moment t of flite's rendering is at t · scale - shift of the turn.

    The effects stretch time, and what is quiet at either end is cut off.
    """
    tempo = re.search(r"tempo ([\d.]+)", EFFECTS.get(role, ""))
    scale = 1 / float(tempo[1]) if tempo else 1.0
    first, _ = make_demo.loud_range(make_demo.synthesize(text, role))
    return scale, first / RATE_HZ


if __name__ == "__main__":
    main()
