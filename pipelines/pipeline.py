"""The stages in order.

audio ──detect──► speech ──┬─transcribe─► Heard ───────┐
                           └─diarize────► Diarization ─┤
supplied text ────────────────────────────────align────┴─attribute──► roles ──► reconcile ──► Transcript
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from threading import Event

from pipelines.alignment import align
from pipelines.attribution import attribute, take_turns
from pipelines.correction import correct, read
from pipelines.engines.base import Engines, ForcedAligner, Progress, no_progress
from pipelines.engines.given import one_voice
from pipelines.errors import CancelledError, EngineError, ModelError, NoSpeechError
from pipelines.placement import place
from pipelines.reconciliation import find
from pipelines.recovery import recover
from pipelines.roles import assign_roles
from pipelines.types import (
    AlignedToken,
    Audio,
    Correction,
    Diarization,
    EngineInfo,
    Finding,
    Heard,
    Match,
    Notice,
    Span,
    SpeakerCount,
    Supplied,
    Token,
    TokenKind,
    Transcript,
    Turn,
    join_words,
)


class Stage(StrEnum):
    """The stages in order; TRANSCRIBE and DIARIZE run at the same time."""

    DECODE = "decode"  # reported by whoever loads the audio
    DETECT = "detect"
    TRANSCRIBE = "transcribe"
    DIARIZE = "diarize"
    ALIGN = "align"
    ATTRIBUTE = "attribute"
    ROLES = "roles"
    RECONCILE = "reconcile"


Watch = Callable[[Stage, float], None]
"""Told how far a stage is, as a fraction; may be called from more than one thread."""


def unwatched(stage: Stage, fraction: float) -> None:
    """For callers who do not watch."""


Keep = Callable[[Heard | Diarization], None]
"""Handed what an engine found as soon as it is there, so that it outlives a failure of the other one."""


def forget(found: Heard | Diarization) -> None:
    """For callers who keep the transcript only."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a user may say about a recording. `language` is a BCP 47 tag, "" to detect it."""

    language: str = ""
    speakers: SpeakerCount = field(default_factory=SpeakerCount)
    glossary: tuple[str, ...] = ()


LOW_MATCH = 0.35
"""Share of the supplied words below which the text is probably of another recording, or hardly a word was
recognised; where it is that low of the words heard too, more true words than pasted ones look unspoken."""


def run(
    audio: Audio,
    supplied: Supplied | None,
    engines: Engines,
    options: Options | None = None,
    watch: Watch = unwatched,
    keep: Keep = forget,
) -> Transcript:
    """The transcript of a recording and its text; without a text, of what was heard.

    A failed diarization costs the speakers, not the transcript, and failed forced alignment some times: both
    become a warning.
    Raises NoSpeechError where nobody speaks, EngineError where recognition fails, OptionError for a
    language that no engine knows.
    """
    options = options or Options()
    with _reported(watch, Stage.DETECT) as progress:
        speech = find_speech(audio, engines, progress)
    heard, diarization, warnings = _listen(audio, speech, engines, options, watch, keep)
    if supplied is None:
        supplied = as_supplied(heard)
    with _reported(watch, Stage.ALIGN):
        aligned = put_in_time(supplied, heard, speech, audio, engines)
    with _reported(watch, Stage.ATTRIBUTE):
        attribution = attribute(aligned.tokens, diarization)
        turns = take_turns(aligned.tokens, attribution)
    with _reported(watch, Stage.ROLES):
        speakers = assign_roles(turns, aligned.tokens, heard, attribution)
    with _reported(watch, Stage.RECONCILE):
        reading = reconcile(aligned.tokens, turns, heard, options)
    return Transcript(
        media=audio.media,
        language=heard.language,
        supplied=supplied,
        heard=heard,
        engines=provenance(engines, heard, diarization),
        tokens=aligned.tokens,
        attribution=attribution,
        turns=reading.turns,
        speakers=speakers,
        findings=reading.findings,
        corrections=reading.corrections,
        corrected=reading.corrected,
        warnings=(*warnings, *aligned.warnings, *doubts(aligned, len(speakers), options)),
    )


# --------------------------------------------------------------------------- one stage each
# For whoever runs them apart, with what they need read from a disk: the service does.


@dataclass(frozen=True, slots=True)
class Aligned:
    """The tokens in time, and what could not be done for that."""

    tokens: tuple[AlignedToken, ...]
    warnings: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """The findings, the changes made for them, the corrected reading, and the turns in that reading."""

    findings: tuple[Finding, ...]
    corrections: tuple[Correction, ...]
    corrected: str
    turns: tuple[Turn, ...]


def find_speech(audio: Audio, engines: Engines, progress: Progress = no_progress) -> tuple[Span, ...]:
    """Where somebody speaks. Raises NoSpeechError where nobody does."""
    speech = engines.detector.detect(audio, progress)
    if not speech:
        raise NoSpeechError(f"Nobody speaks in {audio.media.name}: check that it is the right recording.")
    return speech


def transcribe(
    audio: Audio,
    speech: Sequence[Span],
    engines: Engines,
    options: Options,
    progress: Progress = no_progress,
) -> Heard:
    """What is heard. Raises EngineError, or OptionError for a language that the engine does not know."""
    return engines.transcriber.transcribe(audio, speech, options.language, progress, options.glossary)


def diarize(
    audio: Audio,
    speech: Sequence[Span],
    engines: Engines,
    options: Options,
    progress: Progress = no_progress,
) -> tuple[Diarization, tuple[Notice, ...]]:
    """Who speaks when; where the engine fails, all is one speaker's and a warning says so."""
    try:
        return engines.diarizer.diarize(audio, speech, options.speakers, progress), ()
    except (EngineError, ModelError, MemoryError) as error:
        return one_voice(speech, engines.diarizer.info), (without_speakers(error),)


def as_supplied(heard: Heard) -> Supplied:
    """What was heard, as if it had been supplied."""
    tokens: list[Token] = []
    start = 0
    for word in heard.words:
        tokens.append(Token(word.text, start, start + len(word.text)))
        start += len(word.text) + 1
    return Supplied(" ".join(word.text for word in heard.words), tuple(tokens), "heard", "utf-8")


def put_in_time(
    supplied: Supplied, heard: Heard, speech: Sequence[Span], audio: Audio, engines: Engines
) -> Aligned:
    """The supplied tokens on the recording, those not heard by forced alignment where there is an aligner."""
    tokens = align(
        supplied.tokens, heard.words, speech=speech, duration=audio.duration, language=heard.language
    )
    return _placed(tokens, audio, engines.aligner, heard.language)


def reconcile(
    tokens: Sequence[AlignedToken], turns: tuple[Turn, ...], heard: Heard, options: Options
) -> Reading:
    """Where text and recording disagree, and the corrected reading: unchanged where little was recognised."""
    findings = find(tokens, heard.words, heard.language)
    if max(_shares(tokens, heard)) < LOW_MATCH:
        text = join_words([token.token.text for token in tokens if token.token.kind is TokenKind.WORD])
        return Reading(findings, (), text, tuple(replace(turn, corrected=turn.text) for turn in turns))
    corrections = correct(tokens, turns, findings, heard.words, options.glossary, heard.language)
    return Reading(findings, corrections, *read(tokens, turns, corrections))


def provenance(
    engines: Engines, heard: Heard, diarization: Diarization
) -> tuple[tuple[str, EngineInfo], ...]:
    """The engine of every stage that has one."""
    made = [
        (Stage.DETECT.value, engines.detector.info),
        (Stage.TRANSCRIBE.value, heard.engine),
        (Stage.DIARIZE.value, diarization.engine),
    ]
    aligner = [(Stage.ALIGN.value, engines.aligner.info)] if engines.aligner is not None else []
    return (*made, *aligner)


def without_speakers(error: Exception) -> Notice:
    """What a user is told when a failed diarization has cost the speakers."""
    return Notice(
        "diarization_failed",
        f"The speakers could not be told apart ({error}) and all is given to one; run it again for the rest.",
    )


def doubts(aligned: Aligned, found: int, options: Options) -> tuple[Notice, ...]:
    """What makes it doubtful: little of the text was heard, or fewer speakers were `found` than asked for."""
    share, least = _matched(aligned.tokens), options.speakers.minimum
    notices = []
    if share < LOW_MATCH and not any(notice.code == "forced" for notice in aligned.warnings):
        message = f"Only {100 * share:.0f} % of the supplied words were heard: "
        notices.append(Notice("low_match", message + "check that text and recording belong together."))
    if found < least:
        notices.append(Notice("fewer_speakers", f"{least} speakers were asked for and {found} found."))
    return tuple(notices)


@contextmanager
def _reported(watch: Watch, stage: Stage) -> Iterator[Progress]:
    watch(stage, 0.0)
    yield lambda fraction: watch(stage, fraction)
    watch(stage, 1.0)


# --------------------------------------------------------------------------- two engines at once


def _listen(
    audio: Audio, speech: Sequence[Span], engines: Engines, options: Options, watch: Watch, keep: Keep
) -> tuple[Heard, Diarization, tuple[Notice, ...]]:
    """Transcription in this thread, so that an interrupt reaches it; diarization beside it, or after it."""
    stopped = Event()

    def hear() -> Heard:
        with _reported(watch, Stage.TRANSCRIBE) as progress:
            heard = transcribe(audio, speech, engines, options, progress)
            keep(heard)
            return heard

    def tell_apart() -> tuple[Diarization, tuple[Notice, ...]]:
        with _reported(watch, Stage.DIARIZE) as progress:
            found, warnings = diarize(audio, speech, engines, options, _stoppable(progress, stopped))
            if not warnings:
                keep(found)
            return found, warnings

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="diarize") as pool:
        early = pool.submit(tell_apart) if engines.together else None
        try:
            heard = hear()
            return heard, *(early or pool.submit(tell_apart)).result()
        except BaseException:  # the pool waits for its thread before it lets go
            stopped.set()
            raise


def _stoppable(progress: Progress, stopped: Event) -> Progress:
    def report(fraction: float) -> None:
        if stopped.is_set():
            raise CancelledError("The work was stopped.")
        progress(fraction)

    return report


# --------------------------------------------------------------------------- around the stages


def _placed(
    tokens: tuple[AlignedToken, ...], audio: Audio, aligner: ForcedAligner | None, language: str
) -> Aligned:
    """The tokens with better times where there is an aligner; as they are, and a warning, where it fails."""
    if aligner is None or not aligner.knows(language):
        return Aligned(tokens, ())
    try:
        placed = place(tokens, audio, aligner, language)
        recovered = recover(placed, audio, aligner, language)
        return Aligned(recovered, (_by_force(placed),) if recovered != placed else ())
    except EngineError as error:
        message = f"Words that were not recognised lie evenly between their neighbours: {error}"
        return Aligned(tokens, (Notice("alignment_failed", message),))


def _shares(tokens: Sequence[AlignedToken], heard: Heard) -> tuple[float, float]:
    """How many of the supplied words were heard, and how many of the words heard were supplied."""
    covered = sum(token.heard_end - token.heard_start for token in tokens if token.match is Match.MATCHED)
    return _matched(tokens), covered / max(1, len(heard.words))


def _matched(tokens: Sequence[AlignedToken]) -> float:
    """Share of the supplied words that were heard as written."""
    words = [token for token in tokens if token.token.kind is TokenKind.WORD]
    return sum(token.match is Match.MATCHED for token in words) / len(words) if words else 1.0


def _by_force(tokens: Sequence[AlignedToken]) -> Notice:
    return Notice(
        "forced",
        f"Only {100 * _matched(tokens):.0f} % of the supplied words were recognised; the text was put on the"
        " recording by forced alignment, with which those words agree.",
    )
