"""Whether two revisions write the same bytes: every result file of the demo, a segment and 20 interviews.

    python -m tests.benchmarks.same_bytes REVISION [--segment FOLDER] [--seeds 1-20]

`turnwise run` of REVISION, checked out beside, and of the working tree, on the same files. An interview
of the generator comes with its text, its simulated heard.json and its RTTM; its sound is the demo's,
repeated, since only speech detection and forced alignment listen to it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import wave
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from pipelines import audio
from pipelines.formats import heard, rttm
from pipelines.types import SAMPLE_RATE, Samples
from tests.benchmarks.generator import generate

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "tests" / "data" / "demo"
FORMATS = "json,txt,vtt,srt,rttm,stm,ctm,seglst,ttml,html"
COMMAND = "import sys; from service.cli import main; sys.exit(main())"


def write_interview(folder: Path, seed: int, speech: Samples) -> list[str]:
    """The files of one interview, and the arguments of `turnwise run` that name them."""
    folder.mkdir()
    interview = generate(seed, damage=0.2)
    samples = np.resize(speech, int((interview.duration + 1.0) * SAMPLE_RATE))
    with wave.open(str(folder / "sound.wav"), "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes((samples * 32767).astype("<i2").tobytes())
    (folder / "text.txt").write_text(interview.supplied.text, "utf-8")
    (folder / "heard.json").write_text(heard.serialize(interview.heard), "utf-8")
    (folder / "given.rttm").write_text(
        rttm.serialize_segments(interview.diarization.segments, "sound.wav"), "utf-8"
    )
    names = {"--text": "text.txt", "--heard": "heard.json", "--diarization": "given.rttm"}
    return [
        str(folder / "sound.wav"),
        *(word for option, name in names.items() for word in (option, str(folder / name))),
    ]


def run(checkout: Path, arguments: Sequence[str], out: Path) -> dict[str, bytes]:
    """What `turnwise run` of that checkout writes, by the files' names; `out` is emptied again."""
    command = [sys.executable, "-P", "-c", COMMAND, "run", *arguments, "-o", str(out)]
    subprocess.run(
        [*command, "--formats", FORMATS, "--quiet"],
        check=True,
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    written = {path.name: path.read_bytes() for path in sorted(out.iterdir())}
    for path in out.iterdir():
        path.unlink()
    return written


@contextmanager
def checked_out(revision: str, folder: Path) -> Iterator[Path]:
    """That revision of this project in a folder of its own."""
    git = ["git", "-C", str(ROOT), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", str(folder), revision], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True)


def inputs(folder: Path, segments: Sequence[Path], seeds: Sequence[int]) -> Iterator[tuple[str, list[str]]]:
    """A name and the arguments of `turnwise run` for each recording."""
    for segment in segments:
        yield segment.name, [str(segment / "segment.opus"), "--text", str(segment / "supplied.txt")]
    speech = audio.load(DEMO / "segment.opus")[0].samples
    for seed in seeds:
        yield f"interview {seed}", write_interview(folder / str(seed), seed, speech)


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints a line for each recording; ends with status 1 where a byte differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.same_bytes", description=__doc__)
    parser.add_argument("revision")
    parser.add_argument("--segment", type=Path, help="a folder with segment.opus and supplied.txt")
    parser.add_argument("--seeds", default="1-20", metavar="FIRST-LAST")
    options = parser.parse_args(arguments)
    first, _, last = options.seeds.partition("-")
    segments = [DEMO, *([options.segment.resolve()] if options.segment else [])]
    different = 0
    with (
        tempfile.TemporaryDirectory() as name,
        checked_out(options.revision, Path(name) / "before") as before,
    ):
        folder = Path(name)
        for title, words in inputs(folder, segments, range(int(first), int(last or first) + 1)):
            old, new = (run(checkout, words, folder / "out") for checkout in (before, ROOT))
            changed = [file for file in sorted(old.keys() | new.keys()) if old.get(file) != new.get(file)]
            different += bool(changed)
            print(f"{title}: {len(new)} files, {', '.join(changed) or 'all the same'}", flush=True)
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
