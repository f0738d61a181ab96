"""Hearing with the real libraries and the test Whisper, which knows the words of the clip."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pytest
from rapidfuzz.distance import Levenshtein

from pipelines.engines.whisper.long_form import TOLERANCE
from pipelines.errors import CancelledError, OptionError
from pipelines.protocols import Transcriber
from pipelines.text.normalization import units
from pipelines.types import SAMPLE_RATE, Audio, Heard, HeardWord, Media, Span
from tests.pipelines.engines.conftest import CLIP, Spoken

pytestmark = pytest.mark.engine
MOST_ERRORS = 0.05  # of the words
MEAN_TIME_ERROR = 0.3


def reference() -> tuple[HeardWord, ...]:
    """When each word of the clip was rendered."""
    rows = (line.split() for line in (CLIP / "clip.ctm").read_text("utf-8").splitlines())
    return tuple(HeardWord(r[4], float(r[2]), float(r[2]) + float(r[3]), 1.0) for r in rows)


def spelt(words: Sequence[HeardWord]) -> list[str]:
    return [" ".join(units(word.text)) for word in words]


def error_rate(said: Sequence[HeardWord], heard: Sequence[HeardWord]) -> float:
    return Levenshtein.distance(spelt(said), spelt(heard)) / len(said)


def pairs(said: Sequence[HeardWord], heard: Sequence[HeardWord]) -> Iterator[tuple[HeardWord, HeardWord]]:
    """The words of both that stand against one another."""
    for block in Levenshtein.opcodes(spelt(said), spelt(heard)):
        if block.tag == "equal":
            yield from zip(
                said[block.src_start : block.src_end], heard[block.dest_start : block.dest_end], strict=True
            )


def time_error(said: Sequence[HeardWord], heard: Sequence[HeardWord]) -> float:
    """Mean absolute error of the starts and ends of those words that were heard right."""
    return statistics.fmean(
        error for a, b in pairs(said, heard) for error in (abs(a.start - b.start), abs(a.end - b.end))
    )


def assembled(pieces: Sequence[Audio]) -> Audio:
    samples = np.concatenate([piece.samples for piece in pieces])
    duration = len(samples) / SAMPLE_RATE
    return Audio(samples, Media("a.wav", "", 0, "wav", "pcm_s16le", SAMPLE_RATE, 1, duration))


def moved(speech: Sequence[Span], by: float) -> list[Span]:
    return [Span(span.start + by, span.end + by) for span in speech]


def made(samples: Sequence[float] | np.ndarray[tuple[int], np.dtype[np.float64]]) -> Audio:
    media = Media("a.wav", "", 0, "wav", "pcm_s16le", SAMPLE_RATE, 1, len(samples) / SAMPLE_RATE)
    return Audio(np.asarray(samples, np.float32), media)


def test_it_hears_the_words(heard: Heard) -> None:
    assert error_rate(reference(), heard.words) <= MOST_ERRORS
    assert heard.language == "en"


def test_it_hears_when(heard: Heard) -> None:
    assert time_error(reference(), heard.words) <= MEAN_TIME_ERROR


def test_words_are_as_promised(heard: Heard, clip: Spoken) -> None:
    assert all(word.text == word.text.strip() and word.text for word in heard.words)
    assert all(0 <= word.start <= word.end <= clip.audio.duration for word in heard.words)
    assert all(0 <= word.confidence <= 1 for word in heard.words)
    assert all(a.start <= b.start for a, b in pairwise(heard.words))
    assert statistics.fmean(word.confidence for word in heard.words) > 0.8


def test_it_says_who_heard(heard: Heard, engine: Transcriber) -> None:
    assert heard.engine == engine.info
    assert heard.engine.engine in {"whisper", "faster-whisper"}
    assert heard.engine.model == "whisper-clip"
    assert len(heard.engine.model_sha256) == 64
    assert heard.engine.version


def test_the_same_again(heard: Heard, engine: Transcriber, clip: Spoken) -> None:
    first = [span for span in clip.speech if span.end < 22]
    again = engine.transcribe(clip.audio, first, "en")
    assert error_rate([w for w in reference() if w.end < 22], again.words) <= MOST_ERRORS
    assert again == engine.transcribe(clip.audio, first, "en")


def test_a_longer_recording(engine: Transcriber, clip: Spoken) -> None:
    """Three times the clip, with half a minute of silence and music between: nothing is heard in those."""
    t = np.arange(30 * SAMPLE_RATE) / SAMPLE_RATE
    chord = made(0.05 * sum(np.sin(2 * np.pi * f * t) for f in (220.0, 277.2, 329.6)) * (1 + np.sin(t)))
    silence = made(np.zeros(30 * SAMPLE_RATE + 7))
    parts = [clip.audio, chord, clip.audio, silence, clip.audio]
    starts = [sum(part.duration for part in parts[:k]) for k in (0, 2, 4)]
    speech = [span for start in starts for span in moved(clip.speech, start)]
    said = [HeardWord(w.text, w.start + s, w.end + s, 1.0) for s in starts for w in reference()]
    heard = engine.transcribe(assembled(parts), speech, "en")
    assert error_rate(said, heard.words) <= MOST_ERRORS
    assert time_error(said, heard.words) <= MEAN_TIME_ERROR
    for before, after in pairwise(starts):
        gap = (before + clip.audio.duration + TOLERANCE, after - TOLERANCE)
        assert not [w for w in heard.words if gap[0] < (w.start + w.end) / 2 < gap[1]]


def test_the_language_is_detected(engine: Transcriber, clip: Spoken) -> None:
    heard = engine.transcribe(clip.audio, [s for s in clip.speech if s.end < 16], "")
    assert heard.language == "en"
    # One word of these few is 2 %, and which it is depends on how the processor adds in int8.
    assert error_rate([w for w in reference() if w.end < 16], heard.words) <= 2 * MOST_ERRORS


def test_an_unknown_language(engine: Transcriber, clip: Spoken) -> None:
    with pytest.raises(OptionError, match="does not know the language 'tlh'"):
        engine.transcribe(clip.audio, clip.speech, "tlh")
    with pytest.raises(OptionError, match="does not know the language 'yue'"):  # only large-v3 does
        engine.transcribe(clip.audio, clip.speech, "yue")


def test_a_misleading_term_is_not_written(engine: Transcriber, clip: Spoken) -> None:
    first = [span for span in clip.speech if span.end < 16]
    said = [word for word in reference() if word.end < 16]
    heard = engine.transcribe(clip.audio, first, "en", terms=("Zanzibar", "deeper tunnel", "<|endoftext|>"))
    assert error_rate(said, heard.words) <= MOST_ERRORS
    assert not {"zanzibar", "tunnel"} & set(spelt(heard.words))


def test_no_speech(engine: Transcriber, clip: Spoken) -> None:
    assert engine.transcribe(clip.audio, [], "en").words == ()
    assert engine.transcribe(clip.audio, [], "").words == ()


@pytest.mark.parametrize("samples", [1, 159, 161, 1601, 7_777])
def test_hardly_any_audio(engine: Transcriber, samples: int) -> None:
    """Noise of odd lengths: it may be taken for a word, but breaks nothing."""
    recording = made(np.random.default_rng(1).standard_normal(samples) * 0.1)
    heard = engine.transcribe(recording, [Span(0, recording.duration)], "en")
    assert all(0 <= word.start <= word.end <= recording.duration for word in heard.words)


def test_it_can_be_stopped(engine: Transcriber, clip: Spoken) -> None:
    def stop(fraction: float) -> None:
        raise CancelledError("The work was stopped.")

    with pytest.raises(CancelledError):
        engine.transcribe(clip.audio, clip.speech[:1], "en", stop)


def test_nothing_reaches_the_screen(
    engine: Transcriber, clip: Spoken, capfd: pytest.CaptureFixture[str]
) -> None:
    engine.transcribe(clip.audio, [s for s in clip.speech if s.end < 5], "", terms=("Estmark",))
    assert capfd.readouterr() == ("", "")


def test_both_hear_the_same(heard_by: dict[str, Heard]) -> None:
    one, other = (heard.words for heard in heard_by.values())
    assert error_rate(one, other) <= MOST_ERRORS
    assert time_error(one, other) <= MEAN_TIME_ERROR
