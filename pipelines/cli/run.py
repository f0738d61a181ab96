"""`turnwise run`: a recording and its text in, result files out."""

from __future__ import annotations

import os
from argparse import Namespace
from functools import partial
from pathlib import Path
from urllib.parse import quote

from pipelines import audio, files, formats, supplied
from pipelines.audio import playable
from pipelines.cli import finished, show
from pipelines.engines import AUTO, GivenDiarizer, GivenTranscriber, choose
from pipelines.errors import OptionError, TextError
from pipelines.formats import heard, rttm
from pipelines.pipeline import Stage
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
    files.check_folder(request.output, [f"result.{name}" for name in names])
    recording, transcript = work(request, text, options)
    place = relative_uri(request.audio, request.output)
    paths = formats.save(transcript, request.output, *names, recording=partial(playable, recording, place))
    show.show_notices(transcript.warnings)
    show.show_transcript(transcript, request.quiet)
    show.show_files(paths)
    return 0


def work(request: Namespace, text: Supplied | None, options: Options) -> tuple[Audio, Transcript]:
    """The long work, watched."""
    engines, notices = choose(*brought(request, options), request.device, options.language)
    show.show_notices(notices)
    with finished.kept(request.output, request.audio.name) as keep, show.progress(request.quiet) as watch:
        recording, warnings = audio.load(
            request.audio, progress=lambda fraction: watch(Stage.DECODE, fraction)
        )
        return recording, run_pipeline(recording, text, engines, options, watch, keep, warnings)


def brought(request: Namespace, options: Options) -> tuple[str | Transcriber, str | Diarizer]:
    """For each engine its name, or what takes its place because the user brought its result along.

    Raises OptionError where an engine is named as well, and TextError where a file cannot be used.
    """
    asr: str | Transcriber = options.asr
    diarizer: str | Diarizer = options.diarizer
    if request.heard is not None:
        _check_alone("--heard", "--asr", options.asr)
        asr = GivenTranscriber(heard.parse(finished.read(request.heard)))
    if request.diarization is not None:
        _check_alone("--diarization", "--diarizer", options.diarizer)
        segments = rttm.parse(finished.read(request.diarization))
        diarizer = GivenDiarizer(segments, request.diarization.name)
    return asr, diarizer


def _check_alone(option: str, other: str, named: str) -> None:
    if named != AUTO:
        raise OptionError(f"{option} brings along what {other} {named} would find: leave one of them out.")


def relative_uri(path: Path, folder: Path) -> str:
    """`path` as a page in `folder` refers to it."""
    try:
        return quote(os.fsencode(os.path.relpath(path.resolve(), folder.resolve())))
    except ValueError:  # on another drive
        return path.resolve().as_uri()


def parse_formats(text: str) -> tuple[str, ...]:
    """Names of formats, each once, json first. Raises OptionError for a name that is none."""
    names = dict.fromkeys(["json", *(name.strip().lower() for name in text.split(",") if name.strip())])
    for name in names:
        formats.find(name)
    return tuple(names)


def glossary_terms(path: Path | None) -> tuple[str, ...]:
    """One term on a line, each once. Raises TextError where the file cannot be read."""
    if path is None:
        return ()
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_GLOSSARY_BYTES + 1).decode("utf-8-sig")
    except OSError as error:
        raise TextError(f"The glossary {path} cannot be read ({error.strerror}): check its name.") from None
    except UnicodeDecodeError:
        raise TextError(f"{path} is not UTF-8 text: save the glossary as such, one term on a line.") from None
    if len(text) > LARGEST_GLOSSARY_BYTES:
        raise TextError(f"{path} is larger than 1 MiB, the limit for a glossary: leave the common words out.")
    return terms(text.splitlines())
