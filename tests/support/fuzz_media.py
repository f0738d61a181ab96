"""Decodes damaged recordings for as long as it is told, as the service does, and counts how they end.

    python -m tests.support.fuzz_media --minutes 10
    python -m tests.support.fuzz_media --only 1234

The second command tells more about one of them. Beside them lie a neighbour's recording, a home and an
address, of which nothing may be touched; after every 50 an intact recording shows that decoding still works.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.audio import decoding as audio
from service.work.decode_process import MEDIA, SAMPLES
from tests.support.decoding import Ending, decode
from tests.support.hostile import mutation, real
from tests.support.surroundings import Surroundings, surroundings

BATCH = 50
LIMITS = {"duration": 600.0, "decode_time": 30.0, "processor_time": 30.0, "memory_bytes": 2**31}


@dataclass
class Counts:
    """How the recordings ended, and what went wrong that must not."""

    codes: Counter[str] = field(default_factory=Counter)
    signals: dict[int, str] = field(default_factory=dict)  # by the number of the recording
    crashed: list[int] = field(default_factory=list)  # by a mistake of ours
    hung: list[int] = field(default_factory=list)
    leaked: list[int] = field(default_factory=list)  # more than the recording's own sound came out
    touched: set[str] = field(default_factory=set)
    intact: Counter[bool] = field(default_factory=Counter)

    @property
    def bad(self) -> bool:
        return bool(self.crashed or self.hung or self.leaked or self.touched or self.intact[False])

    def __str__(self) -> str:
        done, failed = self.codes["done"], self.codes - Counter(done=self.codes["done"])
        files = sum(self.codes.values()) + len(self.signals) + len(self.crashed) + len(self.hung)
        reasons = ", ".join(f"{code} {count}" for code, count in failed.most_common())
        return (
            f"files {files}; ok {done}; failed by code {failed.total()} ({reasons}); "
            f"died by signal {_listed(self.signals)}; crashed {_listed(self.crashed)}; "
            f"hung {_listed(self.hung)}; touched outside {_listed(self.touched)}; "
            f"neighbour's sound in {_listed(self.leaked)}; "
            f"intact recordings decoded in between {self.intact[True]} of {self.intact.total()}"
        )


def _listed(things: Collection[object]) -> str:
    """How many, and which."""
    return f"{len(things)} {things}" if things else "0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first recording")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--only", type=int, help="the number of the only recording")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, surroundings(Path(folder) / "around") as around:
        if arguments.only is not None:
            ending = decode_mutation(arguments.only, around, Path(folder))
            print(ending.status, ending.answers, ending.errors, sep="\n")
            return
        counts = fuzz(arguments.minutes, arguments.first, arguments.processes, around, Path(folder))
    print(counts)
    sys.exit(counts.bad)


def fuzz(minutes: float, first: int, processes: int, around: Surroundings, folder: Path) -> Counts:
    counts, end = Counts(), time.monotonic() + 60 * minutes
    decode_intact(around, folder, counts)
    mutation(first, folder)  # makes what all of them are made of, once
    with ThreadPoolExecutor(processes) as pool:
        while time.monotonic() < end:
            numbers = range(first, first + BATCH)
            list(pool.map(lambda number: count(number, around, folder, counts), numbers))
            first += BATCH
            counts.touched |= around.touched()
            decode_intact(around, folder, counts)
    return counts


def count(number: int, around: Surroundings, folder: Path, counts: Counts) -> None:
    try:
        ending = decode_mutation(number, around, folder)
    except subprocess.TimeoutExpired:
        counts.hung.append(number)
        return
    written = {path.name: path.read_bytes() for path in ending.folder.iterdir()}
    counts.touched |= {str(ending.folder / name) for name in written.keys() - {SAMPLES, MEDIA}}
    if around.leaked(*written.values(), str(ending.answers).encode()):
        counts.leaked.append(number)
    if ending.status < 0:
        counts.signals[number] = signal.Signals(-ending.status).name
    elif ending.status > 0:
        counts.crashed.append(number)
    else:
        counts.codes[ending.code] += 1
    shutil.rmtree(ending.folder)


def decode_mutation(number: int, around: Surroundings, folder: Path) -> Ending:
    path = around.upload(str(number), mutation(number, folder))
    try:
        return decode(path, folder / str(number), around.environment, around.uploads, **LIMITS)
    finally:
        path.unlink()


def decode_intact(around: Surroundings, folder: Path, counts: Counts) -> None:
    path = around.upload("intact", real(folder, ".flac"))
    ending = decode(path, folder / "intact", around.environment, around.uploads, **LIMITS)
    counts.intact[ending.samples == audio.load(path)[0].samples.astype("<f4").tobytes()] += 1
    shutil.rmtree(ending.folder)
    counts.touched |= around.touched()


if __name__ == "__main__":
    main()
