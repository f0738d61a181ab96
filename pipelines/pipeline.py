"""The plan of a run: its stages, what each needs and leaves, and how it runs.

audio ──detect──► Detected ──┬─transcribe─► Heard ────┐
                             └─diarize────► Diarized ─┤
supplied text ─────────────────────────────────align──┴─attribute─► roles ─► reconcile ─► store ─► Transcript

`run` runs the steps in memory; the service runs each in a process and keeps its output as a file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Event
from typing import Generic, TypeVar

from pipelines.alignment import LOW_MATCH, align, covered_share, force_align, matched_share
from pipelines.attribution import attribute, take_turns
from pipelines.engines import check_fit, one_voice
from pipelines.errors import CancelledError, EngineError, ModelError, NoSpeechError
from pipelines.protocols import Engines, Progress, no_progress
from pipelines.reconciliation import correct, find, read, uncorrected
from pipelines.roles import assign_roles
from pipelines.supplied import HEARD, stand_in
from pipelines.types import (
    AlignedToken,
    Attribution,
    Audio,
    Correction,
    Diarization,
    EngineInfo,
    Finding,
    Heard,
    Media,
    Notice,
    Options,
    Span,
    Speaker,
    Supplied,
    Transcript,
    Turn,
)


class Stage(StrEnum):
    """The stages in order."""

    DECODE = "decode"  # done by the caller, who opens the recording
    DETECT = "detect"
    TRANSCRIBE = "transcribe"
    DIARIZE = "diarize"
    ALIGN = "align"
    ATTRIBUTE = "attribute"
    ROLES = "roles"
    RECONCILE = "reconcile"
    STORE = "store"


PLAN: tuple[tuple[Stage, ...], ...] = (
    (Stage.DECODE,),
    (Stage.DETECT,),
    (Stage.TRANSCRIBE, Stage.DIARIZE),
    (Stage.ALIGN,),
    (Stage.ATTRIBUTE,),
    (Stage.ROLES,),
    (Stage.RECONCILE,),
    (Stage.STORE,),
)
"""The order of the stages. Those of one row run at the same time if there is enough memory, else in sequence.
If one fails, another that has already started runs to its end, and its output is kept."""

Watch = Callable[[Stage, float], None]
"""Receives the progress of a stage as a fraction; may be called from several threads."""


def unwatched(stage: Stage, fraction: float) -> None:
    """Ignores progress."""


Keep = Callable[[Heard | Diarization], None]
"""Receives an engine's result as soon as it is there, so that it survives a failure of the other engine."""


def forget(found: Heard | Diarization) -> None:
    """Keeps nothing but the transcript."""


def run(
    audio: Audio,
    supplied: Supplied | None,
    engines: Engines,
    options: Options | None = None,
    watch: Watch = unwatched,
    keep: Keep = forget,
    notices: Sequence[Notice] = (),
) -> Transcript:
    """Returns the transcript of a recording and its text; without a text, of the recognised words.

    `notices` are those of the decoder. A failed diarization costs the speakers, not the transcript; failed
    forced alignment costs some times: both become a warning.
    Raises NoSpeechError if nobody speaks, EngineError if recognition fails, TextError if a supplied result
    belongs to another recording, OptionError for a language that no engine knows.
    """
    values: dict[type, object] = {
        Audio: audio,
        Text: Text(supplied),
        Engines: engines,
        Options: options or Options(),
        Decoded: Decoded(audio.media, tuple(notices)),
    }
    under_way = _Run(values, watch, keep)
    for stages in PLAN[1:]:
        under_way.do_all(stages)
    return Given(values)[Transcript]


@dataclass(frozen=True, slots=True)
class Text:
    """The supplied text, if any."""

    supplied: Supplied | None


@dataclass(frozen=True, slots=True)
class Decoded:
    media: Media
    warnings: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class Detected:
    speech: tuple[Span, ...]
    together: bool  # whether there is enough memory to transcribe and diarize at the same time
    engine: EngineInfo


@dataclass(frozen=True, slots=True)
class Diarized:
    diarization: Diarization
    warnings: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class Aligned:
    """The text with its tokens in time, and warnings about what failed.

    `format` and `encoding` as in `Supplied`; `engine` is the aligner's, None where there is none.
    """

    text: str
    format: str
    encoding: str
    tokens: tuple[AlignedToken, ...]
    warnings: tuple[Notice, ...]
    engine: EngineInfo | None

    @property
    def supplied(self) -> Supplied:
        return Supplied(self.text, tuple(token.token for token in self.tokens), self.format, self.encoding)

    @property
    def stands_in(self) -> bool:
        """Whether there was no text, and the words heard stand in for it."""
        return self.format == HEARD


@dataclass(frozen=True, slots=True)
class Attributed:
    attribution: Attribution
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Assigned:
    speakers: tuple[Speaker, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """The findings, the changes made for them, the corrected reading, and the turns in that reading."""

    findings: tuple[Finding, ...]
    corrections: tuple[Correction, ...]
    corrected: str
    turns: tuple[Turn, ...]


Value = TypeVar("Value")
Left_co = TypeVar("Left_co", covariant=True)


class Given:
    """What a step may use, by type: the inputs, and what earlier steps left."""

    def __init__(self, values: Mapping[type, object], progress: Progress = no_progress) -> None:
        self._values = values
        self.progress = progress

    def __getitem__(self, kind: type[Value]) -> Value:
        value = self._values[kind]
        if not isinstance(value, kind):
            raise TypeError(f"{value!r} is not a {kind.__name__}")
        return value


@dataclass(frozen=True, slots=True)
class Step(Generic[Left_co]):
    """One stage: the types it needs, the type it leaves, and the function that runs it."""

    stage: Stage
    needs: tuple[type, ...]
    leaves: type[Left_co]
    do: Callable[[Given], Left_co]

    def run(self, load: Callable[[type], object], progress: Progress = no_progress) -> Left_co:
        """Runs the step; `load` returns what it needs, by type."""
        return self.do(Given({kind: load(kind) for kind in self.needs}, progress))


def _detect(given: Given) -> Detected:
    """Raises NoSpeechError if nobody speaks, TextError if a supplied result does not fit."""
    audio, engines = given[Audio], given[Engines]
    check_fit(engines, audio)
    speech = engines.detector.detect(audio, given.progress)
    if not speech:
        raise NoSpeechError(f"Nobody speaks in {audio.media.name}: check that it is the right recording.")
    return Detected(speech, engines.together, engines.detector.info)


def _transcribe(given: Given) -> Heard:
    """Raises EngineError, or OptionError for a language that the engine does not know."""
    options, speech = given[Options], given[Detected].speech
    return given[Engines].transcriber.transcribe(
        given[Audio], speech, options.language, given.progress, options.glossary
    )


def _diarize(given: Given) -> Diarized:
    """Finds who speaks when; if the engine fails, gives all speech to one speaker, with a warning."""
    diarizer, speech = given[Engines].diarizer, given[Detected].speech
    try:
        found = diarizer.diarize(given[Audio], speech, given[Options].speakers, given.progress)
        return Diarized(found, ())
    except (EngineError, ModelError, MemoryError) as error:
        message = f"The speakers could not be separated ({error}), so all speech is given to one: "
        notice = Notice("diarization_failed", message + "run it again to separate them.")
        return Diarized(one_voice(speech, diarizer.info), (notice,))


def _align(given: Given) -> Aligned:
    """Places the tokens on the recording; an aligner, if there is one, places those not recognised."""
    heard, audio, aligner = given[Heard], given[Audio], given[Engines].aligner
    supplied = given[Text].supplied or stand_in(heard)
    speech = given[Detected].speech
    tokens = align(
        supplied.tokens, heard.words, speech=speech, duration=audio.duration, language=heard.language
    )
    placed, warnings = force_align(tokens, audio, aligner, heard.language)
    info = aligner.info if aligner is not None else None
    return Aligned(supplied.text, supplied.format, supplied.encoding, placed, warnings, info)


def _attribute(given: Given) -> Attributed:
    tokens = given[Aligned].tokens
    attribution = attribute(tokens, given[Diarized].diarization)
    return Attributed(attribution, take_turns(tokens, attribution))


def _assign(given: Given) -> Assigned:
    aligned, attributed = given[Aligned], given[Attributed]
    speakers = assign_roles(
        attributed.turns,
        aligned.tokens,
        given[Heard],
        attributed.attribution,
        stands_in=aligned.stands_in,
    )
    return Assigned(speakers)


def _reconcile(given: Given) -> Reading:
    """Finds where text and recording disagree, and corrects the text unless little was recognised."""
    tokens, turns, heard = given[Aligned].tokens, given[Attributed].turns, given[Heard]
    findings = find(tokens, heard.words, heard.language)
    if max(matched_share(tokens), covered_share(tokens, heard.words)) < LOW_MATCH:
        return Reading(findings, (), *uncorrected(tokens, turns))
    corrections = correct(tokens, turns, findings, heard.words, given[Options].glossary, heard.language)
    return Reading(findings, corrections, *read(tokens, turns, corrections))


def _assemble(given: Given) -> Transcript:
    """Builds the transcript from what the steps left."""
    decoded, heard, diarized = given[Decoded], given[Heard], given[Diarized]
    aligned, speakers, reading = given[Aligned], given[Assigned].speakers, given[Reading]
    made = (
        (Stage.DETECT, given[Detected].engine),
        (Stage.TRANSCRIBE, heard.engine),
        (Stage.DIARIZE, diarized.diarization.engine),
        (Stage.ALIGN, aligned.engine),
    )
    doubts = _doubts(aligned, heard, len(speakers), given[Options])
    return Transcript(
        media=decoded.media,
        language=heard.language,
        supplied=aligned.supplied,
        heard=heard,
        engines=tuple((stage.value, engine) for stage, engine in made if engine is not None),
        tokens=aligned.tokens,
        attribution=given[Attributed].attribution,
        turns=reading.turns,
        speakers=speakers,
        findings=reading.findings,
        corrections=reading.corrections,
        corrected=reading.corrected,
        warnings=(*decoded.warnings, *diarized.warnings, *aligned.warnings, *doubts),
    )


_STEPS: tuple[Step[object], ...] = (
    Step(Stage.DETECT, (Audio, Engines), Detected, _detect),
    Step(Stage.TRANSCRIBE, (Audio, Engines, Options, Detected), Heard, _transcribe),
    Step(Stage.DIARIZE, (Audio, Engines, Options, Detected), Diarized, _diarize),
    Step(Stage.ALIGN, (Audio, Engines, Text, Detected, Heard), Aligned, _align),
    Step(Stage.ATTRIBUTE, (Aligned, Diarized), Attributed, _attribute),
    Step(Stage.ROLES, (Aligned, Attributed, Heard), Assigned, _assign),
    Step(Stage.RECONCILE, (Options, Aligned, Attributed, Heard), Reading, _reconcile),
    Step(
        Stage.STORE,
        (Options, Decoded, Detected, Heard, Diarized, Aligned, Attributed, Assigned, Reading),
        Transcript,
        _assemble,
    ),
)
STEPS: Mapping[Stage, Step[object]] = {step.stage: step for step in _STEPS}
"""All but DECODE."""
LEFT_BY: Mapping[type, Stage] = {step.leaves: step.stage for step in _STEPS}
"""The stage that leaves each type."""


@dataclass(frozen=True, slots=True)
class _Run:
    """The steps of one run, in memory."""

    values: dict[type, object]
    watch: Watch
    keep: Keep
    stopped: Event = field(default_factory=Event)

    def do_all(self, stages: tuple[Stage, ...]) -> None:
        """Runs the stages of one row of the plan."""
        if len(stages) == 2 and Given(self.values)[Engines].together:
            self._do_both(*stages)
        else:
            for stage in stages:
                self._do(stage)

    def _do_both(self, first: Stage, other: Stage) -> None:
        """Runs the first in this thread, so that an interrupt reaches it and stops the other one too."""
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix=other) as pool:
            beside = pool.submit(self._do, other)
            try:
                try:
                    self._do(first)
                except Exception as failure:
                    try:
                        beside.exception()  # runs to its end: its result is kept
                    except KeyboardInterrupt:
                        raise failure from None  # the failure says more
                    raise
                beside.result()
            except BaseException:  # the pool waits for its thread on exit
                self.stopped.set()
                raise

    def _do(self, stage: Stage) -> None:
        self.watch(stage, 0.0)
        left = STEPS[stage].run(self.values.__getitem__, lambda fraction: self._report(stage, fraction))
        self.values[STEPS[stage].leaves] = left
        match left:
            case Heard():
                self.keep(left)
            case Diarized(diarization, ()):
                self.keep(diarization)
        self.watch(stage, 1.0)

    def _report(self, stage: Stage, fraction: float) -> None:
        if self.stopped.is_set():
            raise CancelledError("The work was stopped.")
        self.watch(stage, fraction)


def _doubts(aligned: Aligned, heard: Heard, found: int, options: Options) -> tuple[Notice, ...]:
    """Warns if little or nothing was recognised, or fewer speakers were `found` than requested."""
    share, least = matched_share(aligned.tokens), options.speakers.minimum
    notices = []
    if share < LOW_MATCH and not any(notice.code == "forced" for notice in aligned.warnings):
        message = f"Only {100 * share:.0f} % of the supplied words were recognised: "
        notices.append(Notice("low_match", message + "check that text and recording belong together."))
    if not heard.words:
        notices.append(Notice("no_words", "No words were recognised: check that the recording has speech."))
    elif found < least and least > 1:
        notices.append(Notice("fewer_speakers", f"{least} speakers were requested and {found} found."))
    return tuple(notices)
