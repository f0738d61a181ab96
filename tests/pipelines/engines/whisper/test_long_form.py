"""What the two Whisper engines share, with a recogniser that only pretends."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engines.whisper.long_form import (
    DETECTION_SECTIONS,
    TOLERANCE,
    LongFormTranscriber,
    Recognizer,
    clean,
    is_spoken,
)
from pipelines.engines.whisper.sections import LONGEST_SAMPLES
from pipelines.errors import CancelledError, EngineMemoryError, OptionError
from pipelines.types import SAMPLE_RATE, Audio, EngineInfo, HeardWord, Media, Samples, Span

HOURS_6 = 6 * 3600.0


def recording(duration: float) -> Audio:
    """Silence that takes no memory, whatever its length."""
    samples = np.broadcast_to(np.float32(0), round(duration * SAMPLE_RATE))
    return Audio(samples, Media("a.wav", "", 0, "wav", "pcm_s16le", SAMPLE_RATE, 1, duration))


class Pretender:
    """Hears "word" from 1 s to 2 s of every piece; notes what it was given."""

    def __init__(
        self, languages: Sequence[str] = ("en", "fr", "jw"), batch: int = 4, room: int = 100
    ) -> None:
        self.languages = languages
        self.sections_at_once = batch
        self.room = room  # pieces that the memory is enough for
        self.given: list[tuple[list[int], str, tuple[str, ...]]] = []
        self.asked: list[int] = []
        self.likely = [{"en": 0.6, "fr": 0.4}]

    def detect(self, samples: Samples) -> dict[str, float]:
        self.asked.append(len(samples))
        return self.likely[(len(self.asked) - 1) % len(self.likely)]

    def recognize(
        self, pieces: Sequence[Samples], language: str, terms: Sequence[str]
    ) -> list[list[HeardWord]]:
        if len(pieces) > self.room:
            raise EngineMemoryError("The memory is not enough.")
        self.given.append(([len(piece) for piece in pieces], language, tuple(terms)))
        return [[HeardWord(" word", 1.0, 2.0, 0.5)] for _ in pieces]

    def shrink(self) -> bool:
        smaller = self.sections_at_once > 1
        self.sections_at_once = max(1, self.sections_at_once // 2)
        return smaller


class Pretended(LongFormTranscriber):
    def __init__(self, recognizer: Recognizer) -> None:
        super().__init__("small", "cpu")
        self.recognizer = recognizer
        self.calls: list[str] = []

    @property
    def info(self) -> EngineInfo:
        return EngineInfo("pretended", "1", "small", "")

    def check(self) -> None:
        self.calls.append("check")

    def _load(self) -> Recognizer:
        self.calls.append("load")
        return self.recognizer


SPEECH = [Span(20.0 * k, 20.0 * k + 10.0) for k in range(12)]  # two in a section of 20.8 s


def test_sections_go_together_and_words_come_back_in_order() -> None:
    pretender = Pretender()
    heard = Pretended(pretender).transcribe(recording(240), SPEECH, "en-GB", terms=("Estmark",))
    assert [len(lengths) for lengths, _, _ in pretender.given] == [4, 2]
    assert {(language, terms) for _, language, terms in pretender.given} == {("en", ("Estmark",))}
    assert [word.text for word in heard.words] == ["word"] * 6
    assert [word.start for word in heard.words] == pytest.approx([1.0, *(40 * k + 0.8 for k in range(1, 6))])
    assert heard.language == "en"


def test_the_model_is_checked_and_loaded_once() -> None:
    engine = Pretended(Pretender())
    for _ in range(2):
        engine.transcribe(recording(20), SPEECH[:1], "en")
    assert engine.calls == ["check", "load"]


def test_no_speech_no_words() -> None:
    pretender = Pretender()
    fractions: list[float] = []
    heard = Pretended(pretender).transcribe(recording(20), [], "", fractions.append)
    assert (heard.words, heard.language) == ((), "und")
    assert not pretender.given
    assert fractions == [1.0]
    assert Pretended(pretender).transcribe(recording(20), [], "fr-CA").language == "fr"


def test_an_unknown_language_is_said_even_without_speech() -> None:
    with pytest.raises(OptionError, match="does not know the language 'de'"):
        Pretended(Pretender()).transcribe(recording(20), [], "de")


# --------------------------------------------------------------------------- language


def test_the_language_is_looked_for_in_the_whole_recording() -> None:
    pretender = Pretender()
    pretender.likely = [{"fr": 0.9, "en": 0.1}, {"fr": 0.2, "en": 0.8}, {"fr": 0.3, "en": 0.7}]
    speech = [Span(20.0 * k, 20.0 * k + 10 + k / 10) for k in range(20)]  # two in a section
    heard = Pretended(pretender).transcribe(recording(400), speech, "")
    assert heard.language == "en"
    assert len(pretender.asked) == DETECTION_SECTIONS
    assert pretender.asked == sorted(pretender.asked)
    assert pretender.asked[0] == pytest.approx((20.1 + 3 * 0.2) * SAMPLE_RATE, abs=2)
    assert pretender.asked[-1] > (23.5 + 3 * 0.2) * SAMPLE_RATE


def test_a_short_one_is_asked_once() -> None:
    pretender = Pretender()
    Pretended(pretender).transcribe(recording(20), SPEECH[:1], "")
    assert len(pretender.asked) == 1


def test_an_english_model_is_not_asked() -> None:
    pretender = Pretender(languages=("en",))
    assert Pretended(pretender).transcribe(recording(20), SPEECH[:1], "").language == "en"
    assert not pretender.asked
    with pytest.raises(OptionError, match="knows English only"):
        Pretended(pretender).transcribe(recording(20), SPEECH[:1], "fr")


def test_whispers_own_code_becomes_a_tag() -> None:
    assert Pretended(Pretender()).transcribe(recording(20), SPEECH[:1], "jv-Latn").language == "jv"


# --------------------------------------------------------------------------- progress and memory


def test_progress_rises_to_one() -> None:
    fractions: list[float] = []
    Pretended(Pretender(batch=1)).transcribe(recording(240), SPEECH, "en", fractions.append)
    assert fractions == sorted(fractions)
    assert fractions[:6] == pytest.approx([k / 6 for k in range(1, 7)], abs=0.01)
    assert fractions[-1] == 1.0


def test_whoever_watches_can_stop_it() -> None:
    def stop(fraction: float) -> None:
        raise CancelledError("The work was stopped.")

    pretender = Pretender(batch=1)
    with pytest.raises(CancelledError):
        Pretended(pretender).transcribe(recording(240), SPEECH, "en", stop)
    assert len(pretender.given) == 1


@pytest.mark.parametrize(("room", "sizes"), [(100, [4, 2]), (3, [2, 2, 2]), (1, [1] * 6)])
def test_short_memory_makes_smaller_steps(room: int, sizes: list[int]) -> None:
    pretender = Pretender(room=room)
    heard = Pretended(pretender).transcribe(recording(240), SPEECH, "en")
    assert [len(lengths) for lengths, _, _ in pretender.given] == sizes
    assert len(heard.words) == 6


def test_too_little_for_one_is_an_error() -> None:
    with pytest.raises(EngineMemoryError):
        Pretended(Pretender(room=0)).transcribe(recording(240), SPEECH, "en")


def test_what_is_handed_over_does_not_grow_with_the_recording() -> None:
    pretender = Pretender()
    speech = [Span(30.0 * k, 30.0 * k + 28.0) for k in range(int(HOURS_6 / 30))]
    heard = Pretended(pretender).transcribe(recording(HOURS_6), speech, "en")
    assert len(heard.words) == pytest.approx(HOURS_6 / 30, abs=2)
    assert max(sum(lengths) for lengths, _, _ in pretender.given) <= 4 * LONGEST_SAMPLES


# --------------------------------------------------------------------------- words


def word(text: str, start: float, end: float, confidence: float = 0.5) -> HeardWord:
    return HeardWord(text, start, end, confidence)


def test_words_are_stripped_and_those_that_nobody_says_dropped() -> None:
    said = [word(" Well,", 1, 2), word(" …", 2, 2.1), word(" ", 2, 3), word(" ♪", 3, 4), word(" 50", 4, 5)]
    assert [w.text for w in clean(said, [Span(0, 10)], 10)] == ["Well,", "50"]


@pytest.mark.parametrize("text", ["a", "É", "5", "&", "%", "$", "+", "語"])
def test_what_can_be_said(text: str) -> None:
    assert is_spoken(text)


@pytest.mark.parametrize("text", ["", "...", "—", "♪♪", "[]", "?!"])
def test_what_cannot_be_said(text: str) -> None:
    assert not is_spoken(text)


def test_words_outside_of_speech_are_dropped() -> None:
    speech = [Span(2, 4), Span(8, 9)]
    said = [word("a", 1, 1.7), word("b", 1, 1.9), word("c", 5, 7), word("d", 4.1, 5), word("e", 9.3, 12)]
    assert [w.text for w in clean(said, speech, 20)] == ["b", "d"]


def test_a_word_over_a_pause_keeps_to_where_most_of_it_is() -> None:
    speech = [Span(2, 4), Span(8, 9)]
    first, second = clean([word("a", 3, 8.2), word("b", 3.9, 8.8)], speech, 20)
    assert (first.start, first.end) == (3, 4 + TOLERANCE)
    assert (second.start, second.end) == (8 - TOLERANCE, 8.8)


def test_words_stay_inside_the_recording() -> None:
    (only,) = clean([word("a", -1, 12)], [Span(0, 10)], 10)
    assert (only.start, only.end) == (0, 10)


@pytest.mark.parametrize(("given", "kept"), [(1.0001, 1.0), (-1e-9, 0.0), (float("nan"), 0.0), (0.3, 0.3)])
def test_confidences_are_probabilities(given: float, kept: float) -> None:
    (only,) = clean([word("a", 1, 2, given)], [Span(0, 10)], 10)
    assert only.confidence == kept


TIMES = st.floats(-5, 40)


@given(
    st.lists(st.tuples(st.text(max_size=4), TIMES, st.floats(0, 6), st.floats()), max_size=30),
    st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5)), max_size=8),
)
def test_clean_words_keep_the_rules(
    said: list[tuple[str, float, float, float]], lengths: list[tuple[float, float]]
) -> None:
    speech, at = [], 0.0
    for pause, length in lengths:
        speech.append(Span(at + pause, at + pause + length))
        at += pause + length
    duration = at + 1
    cleaned = clean([word(t, s, s + length, c) for t, s, length, c in said], speech, duration)
    assert all(w.text == w.text.strip() and w.text and 0 <= w.confidence <= 1 for w in cleaned)
    assert all(0 <= w.start <= w.end <= duration for w in cleaned)
    assert all(a.start <= b.start for a, b in pairwise(cleaned))
    for w in cleaned:
        assert any(s.start - TOLERANCE <= w.start and w.end <= s.end + TOLERANCE + 1e-9 for s in speech) or (
            w.start == w.end  # pushed out by the word before it
        )


@given(st.lists(st.floats(0, 30), max_size=20))
def test_good_words_stay_as_they_are(starts: list[float]) -> None:
    said = [word("word", start, start + 0.1) for start in sorted(starts)]
    assert clean(said, [Span(0, 40)], 40) == tuple(said)
