"""Make the demo segment again: the recording, its reference, and the damaged text with its truth.

    python tests/data/make_demo.py [FOLDER]

Reads turns.json (what is said, by whom) and supplied_marked.txt (the damaged text by hand; a mark "@3"
says that the tokens after it belong to turn 3, "@null" that they are not spoken) in tests/data/demo.
Writes segment.opus, segment.rttm, segment.stm, supplied.txt and supplied_truth.json to FOLDER (the same
folder by default). Needs flite, sox and ffmpeg on the PATH (Debian packages of those names).
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import wave
from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict

import numpy as np
import numpy.typing as npt

DEMO = Path(__file__).parent / "demo"
RATE_HZ = 16_000
BIT_RATE = "24k"
SEED = 20
LEAD_IN, TAIL, SHORTEST_GAP, LONGEST_GAP = 0.6, 1.0, 0.2, 0.7
QUIET = 300  # of 32768: anything below at either end is not speech
HISS = 12  # of 32768, so that pauses are not digital silence

VOICES = {"anchor": "slt", "narrator": "rms", "analyst": "awb", "correspondent": "kal16"}
EFFECTS = {
    "analyst": "tempo 1.04",
    "correspondent": "pitch -120 tempo 0.97 highpass 250 lowpass 3600",  # on a narrow line
}

MARK = re.compile(r"@(\d+|null)[ \n]")

Samples = npt.NDArray[np.int16]


class SpokenTurn(TypedDict):
    role: str
    speaker: str
    name: str
    affiliation: str
    text: str


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DEMO
    folder.mkdir(parents=True, exist_ok=True)
    turns: list[SpokenTurn] = json.loads((DEMO / "turns.json").read_text(encoding="utf-8"))
    samples, starts, durations = render(turns)
    encode(samples, folder / "segment.opus")
    times = list(zip(starts, durations, turns, strict=True))
    write(folder / "segment.rttm", (rttm_line(start, duration, turn) for start, duration, turn in times))
    write(folder / "segment.stm", (stm_line(start, duration, turn) for start, duration, turn in times))
    supplied, truth = unmarked((DEMO / "supplied_marked.txt").read_text(encoding="utf-8"))
    write(folder / "supplied.txt", [supplied.rstrip("\n")])
    rows = ",\n".join(json.dumps(row, ensure_ascii=False) for row in truth)
    write(folder / "supplied_truth.json", [f"[\n{rows}\n]"])
    print(f"{len(turns)} turns, {len(truth)} tokens, {len(samples) / RATE_HZ:.1f} s -> {folder}")


def unmarked(marked: str) -> tuple[str, list[dict[str, str | int | None]]]:
    """The text without its marks, and for each white-space token the turn it belongs to."""
    _, *pieces = MARK.split(marked)
    truth: list[dict[str, str | int | None]] = []
    for turn, text in zip(pieces[::2], pieces[1::2], strict=True):
        truth.extend({"token": token, "turn": json.loads(turn)} for token in text.split())
    return "".join(pieces[1::2]), truth


def render(turns: list[SpokenTurn]) -> tuple[Samples, list[float], list[float]]:
    """The whole segment, and the start and duration of every turn in it."""
    random = np.random.default_rng(SEED)
    spoken = [speak(turn["text"], turn["role"]) for turn in turns]
    gaps = random.uniform(SHORTEST_GAP, LONGEST_GAP, len(turns) - 1)
    durations = [len(samples) / RATE_HZ for samples in spoken]
    starts = list(np.cumsum([LEAD_IN, *(np.array(durations[:-1]) + gaps)]).round(3).tolist())
    mix = np.zeros(round((starts[-1] + durations[-1] + TAIL) * RATE_HZ), np.int32)
    for start, samples in zip(starts, spoken, strict=True):
        first = round(start * RATE_HZ)
        mix[first : first + len(samples)] += samples
    mix += random.integers(-HISS, HISS + 1, len(mix))
    return mix.clip(-32768, 32767).astype(np.int16), starts, durations


def speak(text: str, role: str) -> Samples:
    """One turn in its role's voice, without silence at either end."""
    samples = synthesize(text, role)
    first, last = loud_range(samples)
    return samples[first:last]


def synthesize(text: str, role: str) -> Samples:
    """One turn as the synthesizer renders it, with its role's effects."""
    with tempfile.TemporaryDirectory() as folder:
        raw, finished = Path(folder, "raw.wav"), Path(folder, "finished.wav")
        run("flite", "-voice", VOICES[role], "-t", text, "-o", raw)
        effects = EFFECTS.get(role, "").split()
        run("sox", "-R", raw, "-r", RATE_HZ, "-c", "1", "-b", "16", finished, *effects, "norm", "-6")
        return read_wave(finished)


def loud_range(samples: Samples) -> tuple[int, int]:
    """[first, last) of what is not quiet."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > QUIET)
    return int(loud[0]), int(loud[-1]) + 1


def read_wave(path: Path) -> Samples:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def encode(samples: Samples, path: Path) -> None:
    """Opus in Ogg, with nothing in it that differs from one run to the next."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "segment.wav")
        with wave.open(str(source), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE_HZ)
            file.writeframes(samples.tobytes())
        codec = ("-c:a", "libopus", "-b:a", BIT_RATE, "-map_metadata", "-1")
        exact = ("-fflags", "+bitexact", "-flags:a", "+bitexact")
        run("ffmpeg", "-v", "error", "-y", "-i", source, *codec, *exact, path)


def rttm_line(start: float, duration: float, turn: SpokenTurn) -> str:
    return f"SPEAKER segment 1 {start:.3f} {duration:.3f} <NA> <NA> {turn['speaker']} <NA> <NA>"


def stm_line(start: float, duration: float, turn: SpokenTurn) -> str:
    return f"segment 1 {turn['speaker']} {start:.3f} {start + duration:.3f} {turn['text']}"


def write(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def run(program: str, *arguments: object) -> None:
    if shutil.which(program) is None:
        sys.exit(f"{program} is not installed; install the Debian packages flite, sox and ffmpeg.")
    subprocess.run([program, *map(str, arguments)], check=True)


if __name__ == "__main__":
    main()
