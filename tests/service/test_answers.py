from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TypeVar

from hypothesis import example, given, settings
from hypothesis import strategies as st
from openai.types.audio import (
    Transcription,
    TranscriptionDiarized,
    TranscriptionTextDeltaEvent,
    TranscriptionTextDoneEvent,
    TranscriptionTextSegmentEvent,
    TranscriptionVerbose,
)
from openai.types.audio.transcription import UsageDuration
from pydantic import BaseModel

from pipelines import formats
from pipelines.text import join_tokens
from pipelines.types import Match, Transcript
from service.openai import answers as compatible
from service.openai.answers import LONGEST, MEDIA_TYPES, Granularity, ResponseFormat, Wish
from tests.pipelines.formats.sample import Said, build, said, sample, speaker
from tests.pipelines.formats.strategies import transcripts

Model = TypeVar("Model", bound=BaseModel)
StreamEvent = TranscriptionTextDeltaEvent | TranscriptionTextSegmentEvent | TranscriptionTextDoneEvent
STREAM_EVENTS: dict[str, type[StreamEvent]] = {
    "transcript.text.delta": TranscriptionTextDeltaEvent,
    "transcript.text.segment": TranscriptionTextSegmentEvent,
    "transcript.text.done": TranscriptionTextDoneEvent,
}
wishes = st.builds(
    Wish, st.sampled_from(ResponseFormat), st.frozensets(st.sampled_from(Granularity)), st.booleans()
)


def read(kind: type[Model], body: str) -> Model:
    """The body as OpenAI's own type: no field missing, none of another type, and none that is not theirs."""
    return kind.model_validate_json(body, strict=True, extra="forbid")


def as_json(transcript: Transcript, wish: Wish | None = None) -> Transcription:
    return read(Transcription, compatible.serialize(transcript, wish or Wish()))


def as_verbose(transcript: Transcript, *granularities: Granularity) -> TranscriptionVerbose:
    wish = Wish(ResponseFormat.VERBOSE_JSON, frozenset(granularities))
    answer = json.loads(compatible.serialize(transcript, wish))
    assert answer.pop("task") == "transcribe"  # in OpenAI's answers, and not in its type
    return read(TranscriptionVerbose, json.dumps(answer))


def as_diarized(transcript: Transcript) -> TranscriptionDiarized:
    return read(TranscriptionDiarized, compatible.serialize(transcript, Wish(ResponseFormat.DIARIZED_JSON)))


def streamed(transcript: Transcript, wish: Wish) -> list[StreamEvent]:
    bodies = [compatible.serialize_event(event) for event in compatible.events(transcript, wish)]
    assert all(len(body.splitlines()) == 1 for body in bodies)
    return [read(STREAM_EVENTS[json.loads(body)["type"]], body) for body in bodies]


def text_of(transcript: Transcript) -> str:
    spoken = [
        token
        for turn in transcript.turns
        for token in transcript.tokens[turn.token_start : turn.token_end]
        if token.match is not Match.NOT_SPOKEN
    ]
    return join_tokens(spoken, range(len(spoken)))


def labels(transcript: Transcript) -> list[str]:
    """The speakers of the segments, one for each turn if every turn is one segment."""
    return [segment.speaker for segment in as_diarized(transcript).segments]


# --------------------------------------------------------------------------- the sample


def test_json_has_the_text_as_supplied_and_the_length_of_the_recording() -> None:
    answer = as_json(sample())
    assert answer.text.startswith("Good evening. Lks began in Geneva today. Joining me is Ana Ruiz,")
    assert "Storm" not in answer.text  # not spoken
    assert answer.usage == UsageDuration(type="duration", seconds=60.0)
    assert answer.logprobs is None


def test_text_is_a_line() -> None:
    assert compatible.serialize(sample(), Wish(ResponseFormat.TEXT)) == f"{text_of(sample())}\n"


def test_captions_are_those_of_every_other_way_to_them() -> None:
    assert compatible.serialize(sample(), Wish(ResponseFormat.SRT)) == formats.serialize(sample(), "srt")
    assert compatible.serialize(sample(), Wish(ResponseFormat.VTT)) == formats.serialize(sample(), "vtt")


def test_verbose_json_has_sentences_with_times() -> None:
    answer = as_verbose(sample())
    assert (answer.language, answer.duration) == ("english", 60.0)
    assert answer.words is None
    assert answer.segments is not None
    first = answer.segments[0]
    assert (first.id, first.start, first.end, first.text) == (0, 0.6, 1.4, " Good evening.")
    assert first.avg_logprob == round(math.log(0.95), 4)
    assert [segment.id for segment in answer.segments] == list(range(8))
    assert answer.segments[1].text == " Lks began in Geneva today."


def test_verbose_json_has_words_where_they_are_asked_for() -> None:
    answer = as_verbose(sample(), Granularity.WORD)
    assert answer.segments is None
    assert answer.words is not None
    assert (answer.words[1].word, answer.words[1].start, answer.words[1].end) == ("evening.", 1.0, 1.4)
    assert ",," not in [word.word for word in answer.words]
    assert "Storm" not in [word.word for word in answer.words]


def test_verbose_json_has_both_where_both_are_asked_for() -> None:
    answer = as_verbose(sample(), *Granularity)
    assert answer.words
    assert answer.segments


def test_diarized_json_says_who_said_each_sentence() -> None:
    answer = as_diarized(sample())
    segments = [(segment.id, segment.speaker, segment.text) for segment in answer.segments]
    assert segments[3:6] == [
        ("seg_004", "A", "Welcome."),
        ("seg_005", "Ana Ruiz", "Thank you very much."),
        ("seg_006", "Ana Ruiz", "It a big step ,,"),
    ]
    assert (answer.task, answer.duration) == ("transcribe", 60.0)


def test_a_stream_ends_with_the_whole_text() -> None:
    *deltas, done = streamed(sample(), Wish())
    assert isinstance(done, TranscriptionTextDoneEvent)
    assert done.text == text_of(sample())
    assert {event.type for event in deltas} == {"transcript.text.delta"}


def test_a_stream_of_diarized_json_has_its_segments() -> None:
    events = streamed(sample(), Wish(ResponseFormat.DIARIZED_JSON))
    segments = [event for event in events if isinstance(event, TranscriptionTextSegmentEvent)]
    assert [each.model_dump() for each in segments] == [
        each.model_dump() for each in as_diarized(sample()).segments
    ]
    deltas = [event for event in events if isinstance(event, TranscriptionTextDeltaEvent)]
    assert [delta.segment_id for delta in deltas] == [segment.id for segment in segments]


def test_logprobs_come_if_asked_for() -> None:
    answer = as_json(sample(), Wish(logprobs=True))
    assert answer.logprobs is not None
    first = answer.logprobs[0]
    assert (first.token, first.bytes, first.logprob) == ("Good", list(b"Good"), round(math.log(0.95), 4))
    events = streamed(sample(), Wish(logprobs=True))
    deltas = [event for event in events if isinstance(event, TranscriptionTextDeltaEvent)]
    tokens = [logprob.token for delta in deltas for logprob in delta.logprobs or []]
    assert tokens == [logprob.token for logprob in answer.logprobs]


def test_every_format_has_a_media_type() -> None:
    assert set(MEDIA_TYPES) == set(ResponseFormat)


# --------------------------------------------------------------------------- segments


def pieces(transcript: Transcript) -> list[str]:
    return [segment.text for segment in as_diarized(transcript).segments]


def test_titles_and_initials_end_no_segment() -> None:
    transcript = build(said("S1", "Thank you, Dr. Ruiz. Now J. Berg."))
    assert pieces(transcript) == ["Thank you, Dr. Ruiz.", "Now J. Berg."]


def test_loose_punctuation_stays_with_its_sentence() -> None:
    assert pieces(build(said("S1", "So it is. ” Indeed."))) == ["So it is. ”", "Indeed."]


def test_a_long_pause_ends_a_segment() -> None:
    plain = build(said("S1", "one two three four"))
    tokens = tuple(
        replace(token, start=token.start + 1.0, end=token.end + 1.0) if index >= 2 else token
        for index, token in enumerate(plain.tokens)
    )
    assert pieces(plain) == ["one two three four"]
    assert pieces(replace(plain, tokens=tokens)) == ["one two", "three four"]


def test_speech_without_sentences_is_cut_before_it_takes_too_long() -> None:
    transcript = build(said("S1", "and so " * 100))
    segments = as_diarized(transcript).segments
    assert [segment.end - segment.start <= LONGEST for segment in segments] == [True] * 3
    assert segments[0].end - segments[0].start > LONGEST - 0.5


# --------------------------------------------------------------------------- names


def test_speakers_without_a_name_are_letters_in_order_of_appearance() -> None:
    script = [*said("S2", "one"), *said("S1", "two"), *said("S3", "three"), *said("S2", "four")]
    named = (speaker("S1"), speaker("S2"), speaker("S3", name="Jon Berg"))
    assert labels(build(script, named)) == ["A", "B", "Jon Berg", "A"]


def test_a_speaker_who_is_not_in_the_list_has_a_letter_too() -> None:
    assert labels(build([*said("S2", "one"), *said("S1", "two")])) == ["A", "B"]


def test_namesakes_are_told_apart() -> None:
    script = [*said("S1", "one"), *said("S2", "two"), *said("S3", "three")]
    named = (
        speaker("S1", name="Ana Ruiz"),
        speaker("S2", name="Ana  Ruiz"),
        speaker("S3", name="Ana Ruiz 2"),
    )
    assert labels(build(script, named)) == ["Ana Ruiz", "Ana Ruiz 3", "Ana Ruiz 2"]


def test_nobody_is_called_by_the_letter_that_is_a_name() -> None:
    script = [*said("S1", "one"), *said("S2", "two")]
    assert labels(build(script, (speaker("S2", name="A"),))) == ["B", "A"]


def test_letters_do_not_end_with_z() -> None:
    script = [word for number in range(28) for word in said(f"S{number}", "word")]
    assert labels(build(script))[-3:] == ["Z", "AA", "AB"]


# --------------------------------------------------------------------------- everything


def test_lone_surrogates_become_replacements() -> None:
    transcript = build([Said("\ud800ll", "S1", "all")], (speaker("S1", name="\udfff"),))
    assert as_json(transcript).text == "\ufffdll"
    assert labels(transcript) == ["\ufffd"]
    for format in ResponseFormat:
        compatible.serialize(transcript, Wish(format, logprobs=True)).encode()


NOTHING = build([])
UNSURE = replace(sample(), tokens=tuple(replace(token, confidence=0.0) for token in sample().tokens))


@settings(deadline=None)
@given(transcripts())
@example(NOTHING)
@example(UNSURE)
def test_every_object_is_one_of_openais(transcript: Transcript) -> None:
    answer = as_json(transcript, Wish(logprobs=True))
    verbose = as_verbose(transcript, *Granularity)
    diarized = as_diarized(transcript)
    assert answer.text == verbose.text == diarized.text == text_of(transcript)
    assert verbose.segments is not None
    assert "".join(segment.text for segment in verbose.segments).removeprefix(" ") == answer.text
    written = "".join(segment.text for segment in diarized.segments)
    assert written.replace(" ", "") == answer.text.replace(" ", "")
    assert all(segment.start <= segment.end for segment in diarized.segments)


@settings(deadline=None)
@given(transcripts(), wishes)
@example(NOTHING, Wish())
@example(UNSURE, Wish(logprobs=True))
def test_every_event_is_one_of_openais(transcript: Transcript, wish: Wish) -> None:
    *events, done = streamed(transcript, wish)
    assert isinstance(done, TranscriptionTextDoneEvent)
    deltas = [event.delta for event in events if isinstance(event, TranscriptionTextDeltaEvent)]
    assert "".join(deltas) == done.text == text_of(transcript)


@settings(deadline=None)
@given(transcripts())
def test_no_segment_is_of_two_speakers_and_no_spoken_token_of_none(transcript: Transcript) -> None:
    names = compatible.speaker_labels(transcript)
    assert len(set(names.values())) == len(names)
    spoken = [
        (names[speaker], character)
        for token, speaker in zip(transcript.tokens, transcript.attribution.speakers, strict=True)
        if token.match is not Match.NOT_SPOKEN
        for character in token.token.text
    ]
    written = [
        (segment.speaker, character)
        for segment in as_diarized(transcript).segments
        for character in segment.text.replace(" ", "")
    ]
    assert written == spoken


@settings(deadline=None)
@given(transcripts(), wishes)
def test_every_answer_can_be_sent(transcript: Transcript, wish: Wish) -> None:
    body = compatible.serialize(transcript, wish)
    assert body.encode().decode() == body
