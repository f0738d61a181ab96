"""The engines that play back a script."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engines.fake import (
    FakeAligner,
    FakeDetector,
    FakeDiarizer,
    FakeTranscriber,
    Line,
    script_audio,
)
from pipelines.protocols import Diarizer, ForcedAligner, SpeechDetector, Transcriber
from pipelines.types import SAMPLE_RATE, Span, SpeakerCount

SCRIPT = (
    Line("anna", 0.0, 2.0, "who is there"),
    Line("ben", 2.5, 3.0, "me"),
    Line("anna", 2.75, 4.0, "thank you very much"),
)
EVERYWHERE = [Span(0.0, 10.0)]


def test_the_fakes_are_engines() -> None:
    detector: SpeechDetector = FakeDetector(SCRIPT)
    transcriber: Transcriber = FakeTranscriber(SCRIPT)
    diarizer: Diarizer = FakeDiarizer(SCRIPT)
    aligner: ForcedAligner = FakeAligner()
    engines = {engine.info.engine for engine in (detector, transcriber, diarizer, aligner)}
    assert engines == {"fake"}


def test_audio_is_as_long_as_the_script() -> None:
    audio = script_audio(SCRIPT)
    assert audio.duration == audio.media.duration == 4.0
    assert audio.samples.shape == (4 * SAMPLE_RATE,)
    assert audio.samples.dtype == np.float32


def test_an_empty_script_is_empty_audio() -> None:
    assert script_audio(()).duration == 0.0
    assert FakeDetector(()).detect(script_audio(())) == ()


def test_speech_is_where_the_lines_are_and_overlapping_lines_are_one_stretch() -> None:
    assert FakeDetector(SCRIPT).detect(script_audio(SCRIPT)) == (Span(0.0, 2.0), Span(2.5, 4.0))


def test_words_are_evenly_spaced_in_their_line() -> None:
    words = Line("anna", 1.0, 2.0, "one two three four").words()
    assert [(word.text, word.start, word.end) for word in words] == [
        ("one", 1.0, 1.25),
        ("two", 1.25, 1.5),
        ("three", 1.5, 1.75),
        ("four", 1.75, 2.0),
    ]


def test_without_errors_every_word_is_heard_in_order_of_time() -> None:
    heard = FakeTranscriber(SCRIPT).transcribe(script_audio(SCRIPT), EVERYWHERE, "")
    assert [word.text for word in heard.words] == ["who", "is", "there", "me", "thank", "you", "very", "much"]
    assert heard.language == "en"


def test_nothing_is_heard_outside_speech() -> None:
    heard = FakeTranscriber(SCRIPT).transcribe(script_audio(SCRIPT), [Span(2.4, 2.8)], "de")
    assert [word.text for word in heard.words] == ["me"]
    assert heard.language == "de"


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_the_word_error_rate_is_the_one_asked_for(rate: float) -> None:
    script = (Line("anna", 0.0, 1000.0, " ".join(f"w{i}" for i in range(2000))),)
    heard = FakeTranscriber(script, word_error_rate=rate).transcribe(
        script_audio(script), [Span(0, 1000)], "en"
    )
    said = {word.text: word for word in script[0].words()}
    untouched = sum(said.get(word.text) == word for word in heard.words)
    assert untouched / 2000 == pytest.approx(1 - rate, abs=0.03)


@given(seed=st.integers(), rate=st.floats(0.0, 1.0))
def test_errors_depend_on_the_seed_alone_and_keep_the_order(seed: int, rate: float) -> None:
    audio = script_audio(SCRIPT)
    first, second = (
        FakeTranscriber(SCRIPT, rate, seed).transcribe(audio, EVERYWHERE, "en").words for _ in range(2)
    )
    assert first == second
    assert all(before.start <= after.start for before, after in itertools.pairwise(first))


def test_speakers_come_in_order_of_appearance_with_one_voice_each() -> None:
    diarization = FakeDiarizer(SCRIPT).diarize(script_audio(SCRIPT), EVERYWHERE, SpeakerCount())
    assert diarization.speakers == ("anna", "ben")
    assert diarization.embeddings.tolist() == [[1.0, 0.0], [0.0, 1.0]]
    assert [(s.start, s.end, s.speaker) for s in diarization.segments] == [
        (0.0, 2.0, "anna"),
        (2.5, 3.0, "ben"),
        (2.75, 4.0, "anna"),
    ]


def test_the_voice_in_front_is_the_one_that_began_last() -> None:
    diarization = FakeDiarizer(SCRIPT).diarize(script_audio(SCRIPT), EVERYWHERE, SpeakerCount())
    assert [(s.start, s.end) for s in diarization.exclusive] == [(0.0, 2.0), (2.5, 2.75), (2.75, 4.0)]


@given(seed=st.integers(), error=st.floats(0.0, 2.0))
def test_shifted_edges_stay_ordered_and_exclusive(seed: int, error: float) -> None:
    diarizer = FakeDiarizer(SCRIPT, error, seed)
    diarization = diarizer.diarize(script_audio(SCRIPT), EVERYWHERE, SpeakerCount())
    front = diarization.exclusive
    assert all(0.0 <= segment.start < segment.end for segment in diarization.segments)
    assert all(before.end <= after.start for before, after in itertools.pairwise(front))


def test_the_aligner_fills_each_stretch() -> None:
    placed = FakeAligner().place(script_audio(SCRIPT), [(Span(0.0, 1.0), ("a", "b")), (Span(1.0, 1.5), ())])
    assert [[(word.text, word.end) for word in words] for words in placed] == [[("a", 0.5), ("b", 1.0)], []]
