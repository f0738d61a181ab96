"""Stages that are done: kept in the results' folder until all of them are, and brought along again.

    out/heard.json          what was heard      --heard out/heard.json
    out/diarization.rttm    who speaks when     --diarization out/diarization.rttm

They lie there only where a run ended before its result was written, whatever ended it. A file of that name
that was there before is somebody's: it stays, and ours is out/heard-2.json.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.cli import show
from pipelines.files import write_new
from pipelines.formats import heard, rttm
from pipelines.pipeline import Keep
from pipelines.types import Diarization, Heard, Notice

HEARD, DIARIZATION = "heard.json", "diarization.rttm"


@contextmanager
def kept(request: Namespace) -> Iterator[Keep]:
    """Writes what is handed over and was not brought along; where the block fails, says what there is and how
    to go on with it."""
    written: list[tuple[Path, str]] = []

    def keep(found: Heard | Diarization) -> None:
        if isinstance(found, Heard):
            brought, name, option, text = request.heard, HEARD, "--heard", heard.serialize(found)
        else:
            brought, name, option = request.diarization, DIARIZATION, "--diarization"
            text = rttm.serialize_segments(found.segments, request.audio.name)
        if brought is None:
            written.append((write_new(request.output / name, text), option))

    try:
        yield keep
    except BaseException:
        show.show_notices([_advice(path, option) for path, option in written])
        raise
    for path, _ in written:
        path.unlink(missing_ok=True)


def _advice(path: Path, option: str) -> Notice:
    why = "" if path.name in (HEARD, DIARIZATION) else ", under a new name since there was such a file"
    return Notice("kept", f"{path} is kept{why}: go on from there with {option} {path}.")
