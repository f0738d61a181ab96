"""Results of finished stages: kept in the output folder until all are done, to be supplied to the next run.

    out/heard.json          words recognised    --heard out/heard.json
    out/diarization.rttm    who speaks when     --diarization out/diarization.rttm

They remain only if a run ended before its result was written, for whatever reason. An older file of that name
belongs to somebody: it stays, and ours is out/heard-2.json.
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
    """Writes the results that were not supplied; if the block fails, says how to use those that are kept."""
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
    why = "" if path.name in (HEARD, DIARIZATION) else ", under a new name because the usual one was taken"
    return Notice("kept", f"{path} is kept{why}: continue from there with {option} {path}.")
