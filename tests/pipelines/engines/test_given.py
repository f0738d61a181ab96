"""Stages that the user brings along, or skips."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipelines.engines.fake import FakeDetector, FakeDiarizer, FakeTranscriber, Line, script_audio
from pipelines.engines.given import GivenDiarizer, GivenTranscriber, OneVoice, check_fit
from pipelines.errors import TextError
from pipelines.protocols import Engines
from pipelines.types import EngineInfo, Heard, HeardWord, Span, SpeakerCount, SpeakerSegment

AUDIO = script_audio([Line("a", 0.0, 10.0, "")], "talk.wav")
SPEECH = (Span(1.0, 4.0), Span(5.0, 9.0))
ENGINE = EngineInfo("whisper", "1", "small", "abc")
HEARD = Heard((HeardWord("Yes.", 1.0, 2.0, 0.9),), "en", ENGINE)
SEGMENTS = (SpeakerSegment(1.0, 6.0, "ben"), SpeakerSegment(5.0, 9.0, "anna"))


def test_words_come_as_they_were_heard() -> None:
    done: list[float] = []
    assert GivenTranscriber(HEARD).transcribe(AUDIO, SPEECH, "", done.append) == HEARD
    assert done == [1.0]
    assert GivenTranscriber(HEARD).info == ENGINE


@pytest.mark.parametrize(("asked", "language"), [("", "en"), ("de", "de")])
def test_words_of_no_language_are_of_the_one_asked_for(asked: str, language: str) -> None:
    unnamed = Heard(HEARD.words, "", ENGINE)
    assert GivenTranscriber(unnamed).transcribe(AUDIO, SPEECH, asked).language == language


def test_speakers_come_as_they_are_and_the_last_to_begin_is_in_front() -> None:
    found = GivenDiarizer(SEGMENTS, "truth.rttm").diarize(AUDIO, SPEECH, SpeakerCount())
    assert found.segments == SEGMENTS
    assert found.exclusive == (SpeakerSegment(1.0, 5.0, "ben"), SpeakerSegment(5.0, 9.0, "anna"))
    assert found.speakers == ("ben", "anna")
    assert found.embeddings.shape == (2, 0)
    assert (found.engine.engine, found.engine.model) == ("given", "truth.rttm")


def test_what_belongs_to_a_longer_recording_is_refused() -> None:
    late = Heard((HeardWord("Yes.", 12.5, 13.0, 0.9),), "en", ENGINE)
    script = FakeDetector(()), FakeTranscriber(()), FakeDiarizer(())
    with pytest.raises(TextError, match=r"until 13\.0 s, but talk\.wav ends at 10\.0 s"):
        check_fit(replace(Engines(*script), transcriber=GivenTranscriber(late)), AUDIO)
    longer = GivenDiarizer((SpeakerSegment(0.0, 30.0, "a"),), "x")
    with pytest.raises(TextError, match="give the file that belongs"):
        check_fit(replace(Engines(*script), diarizer=longer), AUDIO)
    check_fit(Engines(*script), AUDIO)


def test_all_speech_is_one_voice() -> None:
    found = OneVoice().diarize(AUDIO, SPEECH, SpeakerCount())
    assert [(segment.start, segment.end) for segment in found.exclusive] == [(1.0, 4.0), (5.0, 9.0)]
    assert found.speakers == ("speaker_1",)
    assert OneVoice().info.engine == "none"
