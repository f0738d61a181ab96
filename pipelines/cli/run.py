"""`turnwise run`: a recording and its text in, result files out."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from urllib.parse import quote

from pipelines import audio, files, formats, supplied
from pipelines.audio import playable
from pipelines.cli import finished, show
from pipelines.engines import AUTO, GivenDiarizer, GivenTranscriber, choose
from pipelines.errors import OptionError
from pipelines.formats import heard, rttm
from pipelines.pipeline import Keep, Stage
from pipelines.pipeline import run as run_pipeline
from pipelines.protocols import Diarizer, Transcriber
from pipelines.text import check_known
from pipelines.types import Audio, Options, Supplied, Transcript, speaker_count, terms

LARGEST_GLOSSARY_BYTES = 2**20


def run(request: Namespace) -> int:
    """Cheap checks first, then the long work, then all files at once."""
    options = Options(
        language=check_known(request.language),
        speakers=speaker_count(request.speakers, request.min_speakers, request.max_speakers),
        glossary=glossary_terms(request.glossary),
        asr=request.asr,
        diarizer=request.diarizer,
    )
    names = parse_formats(request.formats)
    text = supplied.load(request.text) if request.text else None
    results = [f"result.{name}" for name in names]
    _check_apart(request, [request.output / name for name in results])
    files.check_folder(request.output, results)
    with finished.kept(request) as keep:
        recording, transcript = work(request, text, options, keep)
        sound = partial(playable, recording, relative_uri(request.audio, request.output))
        paths = formats.save(transcript, request.output, *names, recording=sound)
    show.show_notices(transcript.warnings)
    show.show_transcript(transcript, request.quiet)
    show.show_files(paths)
    return 0


def _check_apart(request: Namespace, results: Sequence[Path]) -> None:
    """Raises OptionError where a result would take the place of a file that was given."""
    places = {os.path.realpath(path) for path in results}
    for path in (request.audio, request.text, request.heard, request.diarization, request.glossary):
        if path and os.path.realpath(path) in places:
            raise OptionError(f"The results would replace {path}: choose another folder for them.")


def work(request: Namespace, text: Supplied | None, options: Options, keep: Keep) -> tuple[Audio, Transcript]:
    """Does the long work, with progress."""
    engines, notices = choose(*brought(request, options), request.device, options.language)
    show.show_notices(notices)
    with show.progress(request.quiet) as watch:
        recording, warnings = audio.load(
            request.audio, progress=lambda fraction: watch(Stage.DECODE, fraction)
        )
        return recording, run_pipeline(recording, text, engines, options, watch, keep, warnings)


def brought(request: Namespace, options: Options) -> tuple[str | Transcriber, str | Diarizer]:
    """Returns each engine's name, or what replaces it because the user supplied its result.

    Raises OptionError if an engine is named as well, and TextError if a file cannot be used.
    """
    asr: str | Transcriber = options.asr
    diarizer: str | Diarizer = options.diarizer
    if request.heard is not None:
        _check_alone("--heard", "--asr", options.asr)
        asr = GivenTranscriber(heard.parse(files.read_text(request.heard, "file")))
    if request.diarization is not None:
        _check_alone("--diarization", "--diarizer", options.diarizer)
        segments = rttm.parse(files.read_text(request.diarization, "file"))
        diarizer = GivenDiarizer(segments, request.diarization.name)
    return asr, diarizer


def _check_alone(option: str, other: str, named: str) -> None:
    if named != AUTO:
        raise OptionError(f"{option} supplies what {other} {named} would find: leave one of them out.")


def relative_uri(path: Path, folder: Path) -> str:
    """Returns `path` as a page in `folder` refers to it."""
    try:
        return quote(os.fsencode(os.path.relpath(path.resolve(), folder.resolve())))
    except ValueError:  # on another drive
        return path.resolve().as_uri()


def parse_formats(text: str) -> tuple[str, ...]:
    """Returns names of formats, each once, json first. Raises OptionError for an unknown name."""
    names = dict.fromkeys(["json", *(name.strip().lower() for name in text.split(",") if name.strip())])
    for name in names:
        formats.find(name)
    return tuple(names)


def glossary_terms(path: Path | None) -> tuple[str, ...]:
    """Reads one term per line, each once. Raises TextError if the file cannot be read."""
    if path is None:
        return ()
    text = files.read_text(path, "glossary", LARGEST_GLOSSARY_BYTES, "leave the common words out")
    return terms(text.splitlines())
