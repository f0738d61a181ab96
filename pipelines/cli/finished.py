"""Stages that are done: kept in the results' folder until all of them are, and brought along again.

    out/heard.json          what was heard      --heard out/heard.json
    out/diarization.rttm    who speaks when     --diarization out/diarization.rttm

They lie there only where a run ended before its result, whatever ended it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines import files
from pipelines.cli import show
from pipelines.errors import TextError
from pipelines.formats import heard, rttm
from pipelines.pipeline import Keep
from pipelines.types import Diarization, Heard, Notice

HEARD, DIARIZATION = "heard.json", "diarization.rttm"
OPTIONS = {HEARD: "--heard", DIARIZATION: "--diarization"}
LARGEST_BYTES = 2**28


@contextmanager
def kept(folder: Path, recording: str) -> Iterator[Keep]:
    """Writes what is handed over; when the work has failed, says what there is and how to go on with it."""
    written: list[Path] = []

    def keep(found: Heard | Diarization) -> None:
        if isinstance(found, Heard):
            written.extend(files.write_files(folder, {HEARD: heard.serialize(found)}))
        else:
            text = rttm.serialize_segments(found.segments, recording)
            written.extend(files.write_files(folder, {DIARIZATION: text}))

    try:
        yield keep
    except BaseException:
        show.show_notices([_advice(path) for path in written])
        raise
    for path in written:
        path.unlink(missing_ok=True)


def _advice(path: Path) -> Notice:
    return Notice("kept", f"{path} is kept: go on from there with {OPTIONS[path.name]} {path}.")


def read(path: Path) -> str:
    """The text of a stage's file. Raises TextError where it cannot be read."""
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise TextError(f"{path} is larger than 256 MiB: no recording has that many words.")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise TextError(f"{path} cannot be read ({error.strerror}): check its name.") from None
    except UnicodeDecodeError:
        raise TextError(f"{path} is not UTF-8 text: give a heard.json, result.json or RTTM file.") from None
