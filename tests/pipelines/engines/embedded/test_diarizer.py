from __future__ import annotations

from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pipelines import models
from pipelines.audio import decoding as audio
from pipelines.engines.embedded.agglomeration import Matrix
from pipelines.engines.embedded.diarizer import (
    JOINED_PAUSE,
    LONGEST_PIECE_FRAMES,
    SHORTEST_PIECE_FRAMES,
    EmbeddedDiarizer,
    _by_appearance,
    cut_points,
    decode,
    smooth_loudness,
)
from pipelines.engines.embedded.silero import SileroDetector
from pipelines.errors import EngineMissingError
from pipelines.formats import rttm
from pipelines.scoring.measures import diarization_error
from pipelines.types import SAMPLE_RATE, Audio, Diarization, Media, Span, SpeakerCount, SpeakerSegment

DEMO = Path(__file__).parents[3] / "data" / "demo"
ANY = SpeakerCount()


# --------------------------------------------------------------------------- cutting


def test_a_short_stretch_is_not_cut() -> None:
    assert cut_points(np.zeros(LONGEST_PIECE_FRAMES)) == []


def test_cuts_at_the_quietest_places() -> None:
    loudness = np.zeros(180)
    loudness[[60, 130]] = -40, -30
    assert cut_points(loudness) == [60, 130]


def test_a_cut_keeps_off_the_edges() -> None:
    loudness = np.zeros(120)
    loudness[[3, 50, 117]] = -60, -20, -60
    assert cut_points(loudness) == [50]


@given(arrays(np.float64, st.integers(1, 1000), elements=st.floats(-80, 20)))
def test_no_piece_is_too_long_or_too_short(loudness: Matrix) -> None:
    edges = [0, *cut_points(loudness), len(loudness)]
    lengths = [b - a for a, b in pairwise(edges)]
    assert max(lengths) <= LONGEST_PIECE_FRAMES
    assert len(lengths) == 1 or min(lengths) >= SHORTEST_PIECE_FRAMES


def test_loudness_is_smoothed_and_finite() -> None:
    mel = np.ones((50, 40), np.float32)
    mel[20] = 0
    loudness = smooth_loudness(mel)
    assert loudness.shape == (50,)
    assert np.isfinite(loudness).all()
    assert (loudness[17:24] < loudness[10]).all()  # one silent frame reaches 30 ms to either side
    assert loudness[16] == pytest.approx(loudness[10])


# --------------------------------------------------------------------------- decoding


def test_a_change_must_be_worth_its_cost() -> None:
    scores = np.array([[1.0, 0.0], [0.4, 0.5], [1.0, 0.0]])
    assert decode(scores, 0.0).tolist() == [0, 1, 0]
    assert decode(scores, 0.04).tolist() == [0, 1, 0]
    assert decode(scores, 0.06).tolist() == [0, 0, 0]


@settings(deadline=None)
@given(
    arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 3)), elements=st.integers(0, 9)),
    st.integers(0, 5),
)
def test_decoding_is_exact(scores: Matrix, cost: int) -> None:
    """Against every sequence of labels there is."""
    n, k = scores.shape

    def total(labels: tuple[int, ...]) -> float:
        changes = sum(a != b for a, b in pairwise(labels))
        return float(sum(scores[i, label] for i, label in enumerate(labels)) - cost * changes)

    best = max(total(labels) for labels in product(range(k), repeat=n))
    assert total(tuple(decode(scores, cost).tolist())) == best


# --------------------------------------------------------------------------- segments


def test_labels_are_numbered_by_appearance() -> None:
    assert _by_appearance(np.array([4, 4, 1, 7, 1])).tolist() == [0, 0, 1, 2, 1]


# --------------------------------------------------------------------------- the whole


@pytest.fixture(scope="module")
def demo() -> Audio:
    return audio.load(DEMO / "segment.opus")[0]


@pytest.fixture(scope="module")
def speech(demo: Audio) -> tuple[Span, ...]:
    return SileroDetector().detect(demo)


@pytest.fixture(scope="module")
def reference() -> tuple[SpeakerSegment, ...]:
    return rttm.parse((DEMO / "segment.rttm").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def diarization(demo: Audio, speech: tuple[Span, ...]) -> Diarization:
    return EmbeddedDiarizer().diarize(demo, speech, ANY)


def changes(segments: tuple[SpeakerSegment, ...]) -> list[float]:
    return [(a.end + b.start) / 2 for a, b in pairwise(segments) if a.speaker != b.speaker]


@pytest.mark.engine
def test_the_demo_has_four_voices_and_every_change(
    diarization: Diarization, reference: tuple[SpeakerSegment, ...]
) -> None:
    assert diarization.speakers == ("speaker_1", "speaker_2", "speaker_3", "speaker_4")
    assert changes(diarization.exclusive) == pytest.approx(changes(reference), abs=0.25)
    error = diarization_error(reference, diarization.segments)
    assert error.confusion == 0
    assert error.rate < 0.05


@pytest.mark.engine
def test_the_one_word_answer_is_found(
    diarization: Diarization, reference: tuple[SpeakerSegment, ...]
) -> None:
    (answer,) = (turn for turn in reference if turn.end - turn.start < 1)
    (found,) = (s for s in diarization.exclusive if s.start < answer.end and s.end > answer.start)
    assert (found.start, found.end) == pytest.approx((answer.start, answer.end), abs=0.2)


@pytest.mark.engine
def test_the_result_is_as_the_types_promise(
    diarization: Diarization, speech: tuple[Span, ...], demo: Audio
) -> None:
    segments = diarization.exclusive
    assert diarization.segments == segments
    assert all(a.end <= b.start for a, b in pairwise(segments))
    assert list(dict.fromkeys(s.speaker for s in segments)) == list(diarization.speakers)
    assert diarization.embeddings.shape == (4, 256)
    np.testing.assert_allclose(np.linalg.norm(diarization.embeddings, axis=1), 1, rtol=1e-5)
    assert diarization.engine.model_sha256 == models.MODELS["d-vector"].sha256
    for segment in segments:
        inside = sum(max(0.0, min(segment.end, s.end) - max(segment.start, s.start)) for s in speech)
        pauses = segment.end - segment.start - inside
        assert pauses <= JOINED_PAUSE * sum(segment.start < s.start < segment.end for s in speech) + 1e-6


@pytest.mark.engine
@pytest.mark.parametrize(
    ("count", "expected"), [(SpeakerCount(2, 2), 2), (SpeakerCount(1, 3), 3), (SpeakerCount(5), 5)]
)
def test_the_number_asked_for_is_given(
    demo: Audio, speech: tuple[Span, ...], count: SpeakerCount, expected: int
) -> None:
    fractions: list[float] = []
    found = EmbeddedDiarizer().diarize(demo, speech, count, fractions.append)
    assert len(found.speakers) == expected
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


@pytest.mark.engine
def test_a_second_recording_is_as_good_as_the_first(demo: Audio, speech: tuple[Span, ...]) -> None:
    diarizer = EmbeddedDiarizer()
    first, second = (diarizer.diarize(demo, speech[:20], ANY) for _ in range(2))
    assert first.segments == second.segments
    np.testing.assert_array_equal(first.embeddings, second.embeddings)


@pytest.mark.engine
def test_one_voice_is_one_speaker(demo: Audio, speech: tuple[Span, ...]) -> None:
    narrator = [span for span in speech if span.start > 18.1 and span.end < 56.2]
    assert EmbeddedDiarizer().diarize(demo, narrator, ANY).speakers == ("speaker_1",)


@pytest.mark.engine
@pytest.mark.parametrize("span", [Span(3.0, 3.001), Span(3.0, 3.02), Span(3.0, 3.3), Span(0.0, 0.5)])
def test_very_little_speech(demo: Audio, span: Span) -> None:
    found = EmbeddedDiarizer().diarize(demo, [span], SpeakerCount(3, 3))
    assert len(found.speakers) <= 1


@pytest.mark.engine
def test_digital_silence_called_speech_is_one_speaker() -> None:
    media = Media("x.wav", "", 0, "wav", "pcm_s16le", SAMPLE_RATE, 1, 5.0)
    silence = Audio(np.zeros(5 * SAMPLE_RATE, np.float32), media)
    assert EmbeddedDiarizer().diarize(silence, [Span(0, 5)], ANY).speakers == ("speaker_1",)


def test_no_speech_needs_no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(models.FOLDER_VARIABLE, str(tmp_path))
    media = Media("x.wav", "", 0, "wav", "pcm_s16le", SAMPLE_RATE, 1, 1.0)
    recording = Audio(np.zeros(SAMPLE_RATE, np.float32), media)
    found = EmbeddedDiarizer().diarize(recording, (), ANY)
    assert (found.segments, found.exclusive, found.speakers) == ((), (), ())
    assert found.embeddings.shape == (0, 256)
    with pytest.raises(EngineMissingError, match="turnwise models pull embedded"):
        EmbeddedDiarizer().diarize(recording, [Span(0, 1)], ANY)
