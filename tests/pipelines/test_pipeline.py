"""The stages together, with engines that play back a script; and what happens when one of them fails."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from itertools import pairwise

import pytest
from jsonschema import Draft202012Validator

from pipelines import formats
from pipelines.engines.fake import (
    FakeAligner,
    FakeDetector,
    FakeDiarizer,
    FakeTranscriber,
    Line,
    script_audio,
)
from pipelines.engines.given import GivenDiarizer, GivenTranscriber
from pipelines.errors import CancelledError, EngineError, NoSpeechError, TextError
from pipelines.formats import result
from pipelines.pipeline import PLAN, STEPS, Decoded, Given, Stage, Text, run
from pipelines.protocols import Engines, Progress, no_progress
from pipelines.supplied import parsing as supplied
from pipelines.text import join_words
from pipelines.types import (
    Audio,
    Diarization,
    EngineInfo,
    Heard,
    HeardWord,
    Match,
    Options,
    Role,
    Span,
    SpeakerCount,
    SpeakerSegment,
    Transcript,
)

SCRIPT = (
    Line(
        "anna", 0.5, 6.5, "good evening the talks on the river began in basel today and we can now speak to"
    ),
    Line("anna", 6.6, 10.5, "ben roe who is a lecturer in law at the university of basel"),
    Line("anna", 10.6, 13.0, "is it a peace plan that they are talking about"),
    Line("ben", 13.4, 14.0, "not yet"),
    Line("anna", 14.5, 16.5, "so what is it that they want"),
    Line("ben", 16.8, 22.0, "i think they want to find out what the other side wants and that takes time"),
    Line("anna", 22.6, 24.5, "ben roe many thanks for your time"),
)
TEXT = """Good evening. The lks on the river began in Basel today,, and we can now speak to Ben Roe, who is a
Who will pay for the new lock gates?
lecturer in law at the University of Basel. Is it a peace plan that nd they are talking about?? Not yet.
So what is it that they want? I think they want to find out what the other side wants and that takes time.
Ben Roe, many thanks for your time.
"""
SUPPLIED = supplied.parse(TEXT.encode())


def engines(script: Sequence[Line] = SCRIPT) -> Engines:
    return Engines(
        FakeDetector(script),
        FakeTranscriber(script, word_error_rate=0.1, seed=1),
        FakeDiarizer(script, edge_error=0.2, seed=1),
    )


def transcribe(
    text: str | None = TEXT, made_by: Engines | None = None, speakers: SpeakerCount | None = None
) -> Transcript:
    read = None if text is None else supplied.parse(text.encode())
    options = Options(speakers=speakers or SpeakerCount())
    return run(script_audio(SCRIPT), read, made_by or engines(), options)


def codes(transcript: Transcript) -> list[str]:
    return [warning.code for warning in transcript.warnings]


# --------------------------------------------------------------------------- all goes well


def test_a_text_gets_its_turns() -> None:
    transcript = transcribe()
    assert [(turn.speaker, turn.text.split()[0], turn.text.split()[-1]) for turn in transcript.turns] == [
        ("anna", "Good", "about??"),
        ("ben", "Not", "yet."),
        ("anna", "So", "want?"),
        ("ben", "I", "time."),
        ("anna", "Ben", "time."),
    ]
    assert [speaker.id for speaker in transcript.speakers] == ["anna", "ben"]
    assert transcript.speakers[0].role is Role.ANCHOR
    assert codes(transcript) == []


def test_nothing_that_was_supplied_is_lost() -> None:
    transcript = transcribe()
    assert transcript.supplied == SUPPLIED
    assert tuple(token.token for token in transcript.tokens) == SUPPLIED.tokens
    assert len(transcript.attribution.speakers) == len(SUPPLIED.tokens)
    heading = [token.token.text for token in transcript.tokens if token.match is Match.NOT_SPOKEN]
    assert join_words(heading) == "Who will pay for the new lock gates?"


def test_the_three_readings() -> None:
    transcript = transcribe()
    assert transcript.supplied.text == TEXT
    assert transcript.heard.words[0].text == "good"
    assert "who is a lecturer in law at the University of Basel." in transcript.corrected
    assert transcript.corrected.splitlines() == [turn.corrected for turn in transcript.turns]


def test_the_glossary_reaches_the_corrected_reading() -> None:
    spelled = TEXT.replace("Basel today", "Bassell today").replace(
        "University of Basel", "University of Bassell"
    )
    plain = run(script_audio(SCRIPT), supplied.parse(spelled.encode()), engines())
    helped = run(script_audio(SCRIPT), plain.supplied, engines(), Options(glossary=("Basel",)))
    assert "University of Bassell." in plain.corrected
    assert "University of Basel." in helped.corrected


@pytest.mark.parametrize("text", ["今天天气很好。\n是的\n我们明天去港口看桥。\n好", None])
def test_a_script_without_spaces_gets_none(text: str | None) -> None:
    """In all readings and formats, be the text supplied or heard."""
    script = (
        Line("anna", 0.5, 2.5, "今天 天气 很 好。"),
        Line("ben", 3.0, 3.5, "是的"),
        Line("anna", 4.0, 6.5, "我们 明天 去 港口 看 桥。"),
        Line("ben", 7.0, 7.5, "好"),
    )
    read = None if text is None else supplied.parse(text.encode())
    made_by = Engines(FakeDetector(script), FakeTranscriber(script), FakeDiarizer(script))
    transcript = run(script_audio(script), read, made_by, Options(language="zh"))
    assert [turn.text for turn in transcript.turns] == [
        "今天天气很好。",
        "是的",
        "我们明天去港口看桥。",
        "好",
    ]
    written = "".join(formats.serialize(transcript, name) for name in ("txt", "vtt", "srt", "stm", "seglst"))
    readings = (transcript.corrected, transcript.supplied.text, written)
    assert not any(re.search(r"[\u4e00-\u9fff] [\u4e00-\u9fff]", reading) for reading in readings)


def test_engines_are_on_record() -> None:
    info = {
        name: EngineInfo("fake", "1", name, "") for name in ("detector", "transcriber", "diarizer", "aligner")
    }
    assert dict(transcribe().engines) == {
        "detect": info["detector"],
        "transcribe": info["transcriber"],
        "diarize": info["diarizer"],
    }
    aligned = transcribe(made_by=replace(engines(), aligner=FakeAligner()))
    assert dict(aligned.engines)["align"] == info["aligner"]


def test_forced_alignment_moves_times_only() -> None:
    plain, aligned = transcribe(), transcribe(made_by=replace(engines(), aligner=FakeAligner()))
    assert [token.token for token in aligned.tokens] == [token.token for token in plain.tokens]
    assert [token.match for token in aligned.tokens] == [token.match for token in plain.tokens]


def test_the_same_input_gives_the_same_bytes() -> None:
    assert result.serialize(transcribe()) == result.serialize(transcribe())


@pytest.mark.parametrize("text", [TEXT, None, "Something else altogether, in a text of another recording."])
def test_every_result_follows_the_schema(text: str | None) -> None:
    schema = json.loads(files("pipelines.formats").joinpath("result.schema.json").read_text("utf-8"))
    written = result.serialize(transcribe(text))
    Draft202012Validator(schema).validate(json.loads(written))
    assert result.serialize(result.parse(written)) == written


# --------------------------------------------------------------------------- without a text


def test_without_a_text_the_words_heard_stand_in() -> None:
    transcript = transcribe(None)
    assert transcript.supplied.format == "heard"
    assert transcript.supplied.text == join_words([word.text for word in transcript.heard.words])
    assert all(token.match is Match.MATCHED for token in transcript.tokens)
    for token, word in zip(transcript.tokens, transcript.heard.words, strict=True):
        assert transcript.supplied.text[token.token.char_start : token.token.char_end] == word.text
        assert (token.start, token.end) == pytest.approx((word.start, word.end))
    assert [turn.speaker for turn in transcript.turns] == ["anna", "ben", "anna", "ben", "anna"]
    assert codes(transcript) == []


def test_speech_without_a_word() -> None:
    silent = replace(engines(), transcriber=FakeTranscriber(()))
    transcript = transcribe(None, silent)
    assert (transcript.tokens, transcript.turns, transcript.corrected) == ((), (), "")
    assert len(transcribe(TEXT, silent).tokens) == len(SUPPLIED.tokens)


# --------------------------------------------------------------------------- warnings


def test_a_text_of_another_recording_is_warned_of() -> None:
    other = (
        "Ministers met by the sea. Prices rose again in March, say farmers who sell rye and barley abroad."
    )
    transcript = transcribe(other)
    assert codes(transcript) == ["low_match"]
    assert "%" in transcript.warnings[0].message


def test_nothing_is_dropped_where_hardly_a_word_was_recognised() -> None:
    foreign = "Министры встретились у моря, сообщает агентство."
    transcript = transcribe(foreign)
    assert {token.match for token in transcript.tokens} == {Match.NOT_SPOKEN}
    assert (transcript.corrections, transcript.corrected) == ((), foreign)


def test_a_text_of_more_than_the_recording_is_corrected_all_the_same() -> None:
    unspoken = "Ministers met by the sea and prices rose again in March, say farmers who sell rye. " * 20
    transcript = transcribe(TEXT + unspoken)
    assert codes(transcript) == ["low_match"]
    assert "farmers" not in transcript.corrected
    assert "Basel" in transcript.corrected


def test_more_speakers_asked_for_than_found() -> None:
    transcript = transcribe(speakers=SpeakerCount(3, 3))
    assert codes(transcript) == ["fewer_speakers"]
    assert transcript.warnings[0].message == "3 speakers were requested and 2 found."


def test_no_words_at_all_are_said_to_be_none() -> None:
    transcript = run(script_audio(SCRIPT), None, replace(engines(), transcriber=FakeTranscriber(())))
    assert codes(transcript) == ["no_words"]


# --------------------------------------------------------------------------- progress


def test_every_stage_reports_from_0_to_1_in_order() -> None:
    seen: list[tuple[Stage, float]] = []
    run(
        script_audio(SCRIPT),
        SUPPLIED,
        engines(),
        watch=lambda stage, fraction: seen.append((stage, fraction)),
    )
    stages = [stage for stage in Stage if stage is not Stage.DECODE]
    for stage in stages:
        fractions = [fraction for reported, fraction in seen if reported is stage]
        assert (fractions[0], fractions[-1]) == (0.0, 1.0)
        assert all(before <= after for before, after in pairwise(fractions))
    first = {stage: seen.index((stage, 0.0)) for stage in stages}
    last = {stage: max(at for at, report in enumerate(seen) if report[0] is stage) for stage in stages}
    beside = {Stage.TRANSCRIBE, Stage.DIARIZE}  # at the same time
    for before, after in pairwise(stages):
        assert {before, after} == beside or last[before] < first[after]
    assert last[Stage.TRANSCRIBE] < first[Stage.ALIGN]


# --------------------------------------------------------------------------- failures


@dataclass(frozen=True, slots=True)
class FailingTranscriber(FakeTranscriber):
    """Fails with `error`, after `ready` if there is one."""

    error: BaseException = field(default_factory=lambda: EngineError("The model is out of order."))
    ready: threading.Event | None = None

    def transcribe(
        self,
        audio: Audio,
        speech: Sequence[Span],
        language: str,
        progress: Progress = no_progress,
        terms: Sequence[str] = (),
    ) -> Heard:
        assert self.ready is None or self.ready.wait(30)
        raise self.error


@dataclass(frozen=True, slots=True)
class FailingDiarizer(FakeDiarizer):
    def diarize(
        self, audio: Audio, speech: Sequence[Span], count: SpeakerCount, progress: Progress = no_progress
    ) -> Diarization:
        raise EngineError("Out of memory")


@dataclass(frozen=True, slots=True)
class EndlessDiarizer(FakeDiarizer):
    """Works until it is told to stop, if not for ever."""

    begun: threading.Event = field(default_factory=threading.Event)
    stopped: threading.Event = field(default_factory=threading.Event)

    def diarize(
        self, audio: Audio, speech: Sequence[Span], count: SpeakerCount, progress: Progress = no_progress
    ) -> Diarization:
        self.begun.set()
        try:
            for _ in range(1_000_000):
                progress(0.5)
        except CancelledError:
            self.stopped.set()
            raise
        raise AssertionError("nobody stopped this")


def test_a_failed_diarization_leaves_the_transcription() -> None:
    transcript = transcribe(made_by=replace(engines(), diarizer=FailingDiarizer(SCRIPT)))
    assert codes(transcript) == ["diarization_failed"]
    assert "Out of memory" in transcript.warnings[0].message
    assert [turn.speaker for turn in transcript.turns] == ["speaker_1"]
    assert transcript.tokens == transcribe().tokens
    assert transcript.heard == transcribe().heard
    assert dict(transcript.engines)["diarize"].engine == "fake"


class FailingAligner(FakeAligner):
    def place(self, audio: Audio, requests: Sequence[tuple[Span, tuple[str, ...]]]) -> list[list[HeardWord]]:
        raise EngineError("Out of memory")


def test_a_failed_forced_alignment_leaves_the_transcript() -> None:
    transcript = transcribe(made_by=replace(engines(), aligner=FailingAligner()))
    assert codes(transcript) == ["alignment_failed"]
    assert "Out of memory" in transcript.warnings[0].message
    assert transcript.tokens == transcribe().tokens


def test_an_interrupt_stops_both_engines() -> None:
    diarizer = EndlessDiarizer(SCRIPT)
    transcriber = FailingTranscriber(SCRIPT, error=KeyboardInterrupt(), ready=diarizer.begun)
    with pytest.raises(KeyboardInterrupt):
        transcribe(made_by=replace(engines(), transcriber=transcriber, diarizer=diarizer))
    assert diarizer.stopped.is_set()
    assert not any(thread.name.startswith("diarize") for thread in threading.enumerate())


@dataclass(frozen=True, slots=True)
class PatientDiarizer(FakeDiarizer):
    """Ends after `ready`; tells when it has begun."""

    ready: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)

    def diarize(
        self, audio: Audio, speech: Sequence[Span], count: SpeakerCount, progress: Progress = no_progress
    ) -> Diarization:
        self.begun.set()
        assert self.ready.wait(30)
        progress(0.5)
        return FakeDiarizer(self.script).diarize(audio, speech, count, progress)


@pytest.mark.parametrize("error", [EngineError("The model is out of order."), MemoryError()])
@pytest.mark.parametrize("first", ["transcribe", "diarize"])
def test_what_has_begun_runs_to_its_end_and_is_kept_although_the_other_fails(
    error: Exception, first: str
) -> None:
    kept: list[Heard | Diarization] = []
    diarizer = PatientDiarizer(SCRIPT)
    transcriber = FailingTranscriber(SCRIPT, error=error, ready=diarizer.begun)
    if first == "diarize":
        diarizer.ready.set()
    else:  # well after the failure
        threading.Timer(0.1, diarizer.ready.set).start()
    failing = replace(engines(), transcriber=transcriber, diarizer=diarizer)
    with pytest.raises(type(error)):
        run(script_audio(SCRIPT), SUPPLIED, failing, keep=kept.append)
    (diarization,) = kept
    assert isinstance(diarization, Diarization)
    assert diarization.speakers == ("anna", "ben")


def test_what_has_not_begun_does_not_begin_after_a_failure() -> None:
    diarizer = PatientDiarizer(SCRIPT)
    failing = replace(engines(), transcriber=FailingTranscriber(SCRIPT), diarizer=diarizer, together=False)
    with pytest.raises(EngineError):
        transcribe(made_by=failing)
    assert not diarizer.begun.is_set()


@pytest.mark.parametrize("stage", ["transcribe", "diarize"])
def test_what_belongs_to_a_longer_recording_is_told_before_any_engine_works(stage: str) -> None:
    late = SCRIPT[-1].end + 60
    words = Heard((HeardWord("late", late, late + 1, 0.9),), "en", EngineInfo("", "", "", ""))
    begun: list[Stage] = []
    given = (
        replace(engines(), transcriber=GivenTranscriber(words))
        if stage == "transcribe"
        else replace(engines(), diarizer=GivenDiarizer((SpeakerSegment(0.0, late, "a"),), "x"))
    )
    with pytest.raises(TextError, match="give the file that belongs to this recording"):
        run(script_audio(SCRIPT), SUPPLIED, given, watch=lambda stage, _: begun.append(stage))
    assert set(begun) == {Stage.DETECT}


# --------------------------------------------------------------------------- the plan


def test_the_plan_has_every_stage_once_and_after_what_it_needs() -> None:
    assert [stage for row in PLAN for stage in row] == list(Stage)
    assert STEPS.keys() == set(Stage) - {Stage.DECODE}
    there = {Audio, Engines, Options, Text, Decoded}
    for row in PLAN[1:]:
        assert all(set(STEPS[stage].needs) <= there for stage in row)
        there |= {STEPS[stage].leaves for stage in row}


def test_a_step_sees_what_it_needs_and_nothing_else() -> None:
    assert Given({int: 3})[int] == 3
    with pytest.raises(KeyError):
        _ = Given({int: 3})[str]
    with pytest.raises(TypeError):
        _ = Given({int: "3"})[int]


@pytest.mark.parametrize("together", [True, False])
def test_engines_run_one_after_the_other_where_memory_is_short(together: bool) -> None:
    order: list[str] = []

    def watch(stage: Stage, fraction: float) -> None:
        order.append(f"{stage} {fraction:.0f}")

    run(script_audio(SCRIPT), SUPPLIED, replace(engines(), together=together), watch=watch)
    if not together:
        assert order.index("transcribe 1") < order.index("diarize 0")
    assert {"transcribe 1", "diarize 1"} <= set(order)


class EnglishAligner(FakeAligner):
    def knows(self, language: str) -> bool:
        return language == "en"

    def place(self, audio: Audio, requests: Sequence[tuple[Span, tuple[str, ...]]]) -> list[list[HeardWord]]:
        raise EngineError("It was asked.")


@pytest.mark.parametrize(("language", "asked"), [("en", ["alignment_failed"]), ("de", [])])
def test_an_aligner_is_not_asked_for_languages_that_it_does_not_know(language: str, asked: list[str]) -> None:
    made_by = replace(engines(), aligner=EnglishAligner())
    spoken = run(script_audio(SCRIPT), SUPPLIED, made_by, Options(language=language))
    assert codes(spoken) == asked


def test_silence_is_no_recording_to_work_on() -> None:
    with pytest.raises(NoSpeechError, match=r"quiet\.wav"):
        run(script_audio((), "quiet.wav"), SUPPLIED, engines(()))
