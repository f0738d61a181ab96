"""The optimisation against enumeration of every sequence; the attribution on recordings drawn as text."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.attribution.attribution import SpeakerModel, attribute, take_turns
from pipelines.text import join_tokens
from pipelines.types import AlignedToken, Attribution, Diarization, Match, SpeakerSegment, Token, TokenKind
from tests.benchmarks.generator import generate
from tests.support.timelines import ENGINE, draw_tokens, draw_voices, read_voices


def heard(said: str, *voices: str) -> list[str]:
    tokens = draw_tokens(said)
    return read_voices(tokens, attribute(tokens, draw_voices(*voices)))


# --------------------------------------------------------------------------- the optimisation

State = tuple[int, bool]  # a voice, and whether the diarization missed it


def log_probability(model: SpeakerModel, states: Sequence[State]) -> float:
    """Of one sequence, up to a constant, written down from the description of the model alone."""
    total = 0.0
    for row, (voice, missed) in enumerate(states):
        total += model.evidence[row, voice + missed * model.speakers]
        before = states[row - 1] if row else None
        if before is not None:
            change = 1 / (1 + np.exp(-model.odds[row]))
            total += np.log(1 - change if before[0] == voice else change)
        if missed and before != (voice, True):
            total -= model.entry[row, voice]
    return total


def every_sequence(model: SpeakerModel) -> dict[tuple[State, ...], float]:
    states = list(product(range(model.speakers), (False, True)))
    return {
        sequence: log_probability(model, sequence) for sequence in product(states, repeat=len(model.odds))
    }


@st.composite
def models(draw: st.DrawFn) -> SpeakerModel:
    voices = draw(st.integers(1, 3))
    tokens = draw(st.integers(1, {1: 7, 2: 5, 3: 4}[voices]))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return SpeakerModel(
        evidence=-random.exponential(2.0, (tokens, 2 * voices)),
        odds=random.normal(-1.0, 3.0, tokens),
        entry=random.exponential(2.0, (tokens, voices)),
    )


@settings(max_examples=150, deadline=None)
@given(models())
def test_decoding_finds_the_best_of_all_sequences(model: SpeakerModel) -> None:
    sequences = every_sequence(model)
    path = model.decode()
    reached = max(value for states, value in sequences.items() if [voice for voice, _ in states] == path)
    assert reached == pytest.approx(max(sequences.values()))


@settings(max_examples=150, deadline=None)
@given(models())
def test_posteriors_are_shares_of_the_probability_of_all_sequences(model: SpeakerModel) -> None:
    expected = np.zeros((len(model.odds), model.speakers))
    for states, value in every_sequence(model).items():
        for row, (voice, _) in enumerate(states):
            expected[row, voice] += np.exp(value)
    assert model.posterior() == pytest.approx(expected / expected.sum(axis=1, keepdims=True))


# --------------------------------------------------------------------------- the dense method


def prices(model: SpeakerModel, row: int) -> npt.NDArray[np.float64]:
    """Of going from any state to any other at a token, shape (2k, 2k), each written down by itself."""
    same = np.eye(model.speakers, dtype=bool)
    between = np.logaddexp(0.0, np.where(same, model.odds[row], -model.odds[row]))
    entering = between + model.entry[row]
    return np.block([[between, entering], [between, np.where(same, between, entering)]])


def first(model: SpeakerModel) -> npt.NDArray[np.float64]:
    return np.asarray(model.evidence[0] - np.concatenate([np.zeros(model.speakers), model.entry[0]]))


def dense_decode(model: SpeakerModel) -> list[int]:
    value, origins = first(model), []
    for row in range(1, len(model.evidence)):
        reached = value[:, None] - prices(model, row)
        origins.append(reached.argmax(axis=0))
        value = reached.max(axis=0) + model.evidence[row]
    path = [int(value.argmax())]
    for origin in reversed(origins):
        path.append(int(origin[path[-1]]))
    return [state % model.speakers for state in reversed(path)]


def dense_posterior(model: SpeakerModel) -> npt.NDArray[np.float64]:
    seen = np.exp(model.evidence)
    forward, backward = np.empty_like(seen), np.ones_like(seen)
    forward[0] = np.exp(first(model))
    for row in range(1, len(seen)):
        forward[row] = forward[row - 1] @ np.exp(-prices(model, row)) * seen[row]
        forward[row] /= forward[row].sum()
    for row in range(len(seen) - 1, 0, -1):
        backward[row - 1] = np.exp(-prices(model, row)) @ (backward[row] * seen[row])
        backward[row - 1] /= backward[row - 1].sum()
    joint = (forward * backward).reshape(len(seen), 2, -1).sum(axis=1)
    return np.asarray(joint / joint.sum(axis=1, keepdims=True))


@st.composite
def larger_models(draw: st.DrawFn) -> SpeakerModel:
    """Up to nine voices, some of them alike; evidence and odds from mild to extreme."""
    voices, tokens = draw(st.integers(1, 9)), draw(st.integers(1, 40))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([0.5, 3.0, 12.0]))
    like = draw(st.lists(st.integers(0, voices - 1), min_size=voices, max_size=voices))
    evidence = -random.exponential(scale, (tokens, 2, voices))[:, :, like]
    entry = random.exponential(scale, (tokens, voices))[:, like]
    return SpeakerModel(evidence.reshape(tokens, -1), random.normal(-3.0, scale, tokens), entry)


@settings(max_examples=300, deadline=None)
@given(larger_models())
def test_labels_and_posteriors_are_those_of_the_dense_method(model: SpeakerModel) -> None:
    """Every pair of states has its own price there, so time and memory grow with the square of the voices."""
    assert model.decode() == dense_decode(model)
    assert np.abs(model.posterior() - dense_posterior(model)).max() < 1e-9


@pytest.mark.parametrize(("count", "voices", "megabytes"), [(1_000, 300, 50), (10_000, 30, 30)])
def test_memory_grows_with_tokens_times_voices(count: int, voices: int, megabytes: int) -> None:
    """The second is a twentieth of what has to fit into 600 MB."""
    said = draw_tokens("word ")[0]
    tokens = [replace(said, start=0.3 * at, end=0.3 * at + 0.3) for at in range(count)]
    segments = tuple(SpeakerSegment(3.0 * at, 3.0 * at + 3.0, f"v{at % voices}") for at in range(count // 10))
    speakers = tuple(f"v{at}" for at in range(voices))
    found = Diarization(segments, segments, speakers, np.zeros((voices, 0), np.float32), ENGINE)
    tracemalloc.start()
    try:
        attribute(tokens, found)
        assert tracemalloc.get_traced_memory()[1] < megabytes * 1_000_000
    finally:
        tracemalloc.stop()


# --------------------------------------------------------------------------- where a turn ends


def test_a_short_answer_between_two_long_turns_survives() -> None:
    assert heard(
        "and what do you make of it?  Nothing.  Then what happens after the summit ends in Riyadh?",
        "anna |============================           ==========================================",
        "ben  |                             ========                                            ",
    ) == [
        "anna: and what do you make of it?",
        "ben: Nothing.",
        "anna: Then what happens after the summit ends in Riyadh?",
    ]


def test_a_stray_segment_inside_a_sentence_makes_no_change() -> None:
    assert heard(
        "the barges have been waiting for eleven weeks on the river",
        "anna |=========================   ==============================",
        "ben  |                         ===                              ",
    ) == ["anna: the barges have been waiting for eleven weeks on the river"]


@pytest.mark.parametrize("columns", [-2, -1, 0, 1, 2])
def test_an_edge_up_to_0_2_seconds_off_lands_on_the_end_of_the_sentence(columns: int) -> None:
    asked, answered = "and that is all we know so far. ", "She thinks there is more behind it than that"
    edge = len(asked) + columns
    assert heard(
        asked + answered,
        "anna |" + edge * "=",
        "ben  |" + edge * " " + "=" * (len(asked + answered) - edge),
    ) == [f"anna: {asked.strip()}", f"ben: {answered}"]


def test_overlapping_segments() -> None:
    assert heard(
        "and that is all we know so far. She thinks there is more behind it than that",
        "anna |===================================                                    ",
        "ben  |                             ==========================================",
    ) == ["anna: and that is all we know so far.", "ben: She thinks there is more behind it than that"]


# --------------------------------------------------------------------------- what diarization missed

MISSED = (
    "And is it still a plan for peace? {}Yes. {}So what comes after that? It will fail, I think, and soon."
)


def missed_answer(mark: str) -> tuple[tuple[AlignedToken, ...], Attribution]:
    """The diarization gives the answer to whoever asked; ben speaks only later."""
    said = MISSED.format(mark, mark)
    columns = MISSED.format("", "")
    later = columns.index("It will")
    tokens = draw_tokens(said)
    voices = draw_voices(f"anna |{'=' * later}", f"ben |{' ' * later}{'=' * (len(columns) - later)}")
    return tokens, attribute(tokens, voices)


def test_an_answer_that_the_diarization_missed_is_found_between_caption_marks() -> None:
    assert read_voices(*missed_answer(">>")) == [
        "anna: And is it still a plan for peace?",
        "ben: Yes.",
        "anna: So what comes after that?",
        "ben: It will fail, I think, and soon.",
    ]


def test_without_marks_it_is_lost_but_not_believed_like_the_rest() -> None:
    """Words alone do not outweigh a diarization that heard one voice all the while: this is the limit."""
    tokens, found = missed_answer("")
    assert read_voices(tokens, found)[0].startswith("anna: And is it still a plan for peace? Yes. So what")
    answer = next(index for index, token in enumerate(tokens) if token.token.text == "Yes.")
    assert found.confidence[answer] < min(found.confidence[: answer - 1])


@pytest.mark.parametrize("columns", [-3, 0, 3])
def test_a_caption_mark_settles_where_the_change_is(columns: int) -> None:
    said = "and that is what we know so far >>she thinks there is more behind it than that"
    edge = said.index(">>") + columns
    assert heard(said, "anna |" + edge * "=", "ben  |" + edge * " " + "=" * (len(said) - 2 - edge)) == [
        "anna: and that is what we know so far",
        "ben: she thinks there is more behind it than that",
    ]


# --------------------------------------------------------------------------- little to go by


def test_without_any_diarization_there_is_one_speaker() -> None:
    assert heard("so it begins. >>Does it? Yes.") == ["speaker_1: so it begins. Does it? Yes."]


def test_one_voice_says_everything_wherever_it_was_heard() -> None:
    assert heard("so it begins.  Does it? Yes.", "anna |   ==") == ["anna: so it begins. Does it? Yes."]


def test_a_voice_without_segments_says_nothing() -> None:
    assert heard("so it begins.  Does it? Yes.", "anna |=====  =====", "ghost |") == [
        "anna: so it begins. Does it? Yes."
    ]


def test_no_tokens() -> None:
    assert attribute((), draw_voices("anna |===")) == Attribution((), ())
    assert take_turns((), Attribution((), ())) == ()


def test_tokens_that_nobody_said_have_no_speaker() -> None:
    tokens = [
        replace(token, match=Match.NOT_SPOKEN, confidence=0.7) for token in draw_tokens("pasted heading")
    ]
    found = attribute(tokens, draw_voices("anna |======="))
    assert found == Attribution(("", ""), (0.7, 0.7))
    assert take_turns(tokens, found) == ()


def test_speech_far_from_any_voice_still_has_a_speaker() -> None:
    tokens = [
        replace(token, start=token.start + 9e4, end=token.end + 9e4) for token in draw_tokens("far away")
    ]
    found = attribute(tokens, draw_voices("anna |===", "ben |    ="))
    assert len(set(found.speakers)) == 1
    assert np.isfinite(found.confidence).all()


# --------------------------------------------------------------------------- anything at all

WORDS = st.sampled_from(["and", "Yes.", "what?", ",", "", "Thank", "you", "?!", "世", "\u202e"])


@st.composite
def aligned(draw: st.DrawFn) -> tuple[AlignedToken, ...]:
    """Any tokens with times that never decrease, many of them of no length."""
    tokens: list[AlignedToken] = []
    now = 0.0
    for text in draw(st.lists(WORDS, max_size=25)):
        kind = draw(st.sampled_from([TokenKind.WORD] * 5 + list(TokenKind)))
        match = draw(st.sampled_from(Match)) if kind is TokenKind.WORD else Match.NOT_SPOKEN
        start = now + draw(st.sampled_from([0.0, 0.0, 0.4, 70.0]))
        now = start + (0.0 if match is Match.NOT_SPOKEN else draw(st.sampled_from([0.0, 0.3, 500.0])))
        pair = (0, 1) if match in (Match.MATCHED, Match.DIFFERS) else (0, 0)
        confidence = draw(st.floats(0, 1))
        tokens.append(AlignedToken(Token(text, 0, len(text), kind), match, start, now, *pair, confidence))
    return tuple(tokens)


@st.composite
def diarizations(draw: st.DrawFn) -> Diarization:
    """Ordered segments that may overlap, of no length too, and voices that have none."""
    speakers = tuple(draw(st.lists(st.sampled_from("abcd"), unique=True)))
    segments: list[SpeakerSegment] = []
    start = 0.0
    for speaker in draw(st.lists(st.sampled_from(speakers), max_size=8)) if speakers else ():
        start += draw(st.floats(0, 30))
        segments.append(SpeakerSegment(start, start + draw(st.floats(0, 60)), speaker))
    no_embeddings = np.zeros((len(speakers), 0), np.float32)
    return Diarization(tuple(segments), tuple(segments), speakers, no_embeddings, ENGINE)


@settings(max_examples=150, deadline=None)
@given(aligned(), diarizations())
def test_every_spoken_token_has_a_speaker_and_a_turn(
    tokens: tuple[AlignedToken, ...], voices: Diarization
) -> None:
    found = attribute(tokens, voices)
    spoken = [index for index, token in enumerate(tokens) if token.match is not Match.NOT_SPOKEN]
    assert [index for index, label in enumerate(found.speakers) if label] == spoken
    assert set(found.speakers) <= {"", *(voices.speakers or ("speaker_1",))}
    assert len(found.confidence) == len(tokens)
    assert all(0.0 <= value <= 1.0 for value in found.confidence)  # and so no NaN

    turns = take_turns(tokens, found)
    assert spoken == [
        index
        for turn in turns
        for index in range(turn.token_start, turn.token_end)
        if found.speakers[index] == turn.speaker
    ]
    assert all(left.speaker != right.speaker for left, right in pairwise(turns))
    assert all(left.token_end <= right.token_start for left, right in pairwise(turns))
    for turn in turns:
        said = [index for index in range(turn.token_start, turn.token_end) if found.speakers[index]]
        assert said[0] == turn.token_start
        assert said[-1] == turn.token_end - 1
        assert (turn.start, turn.end) == (tokens[said[0]].start, tokens[said[-1]].end)
        assert turn.text == join_tokens(tokens, said)


def test_probabilities_of_long_recordings_do_not_vanish() -> None:
    said = "And is it so?  Yes, it is.  Well then, that is all for today.  "
    anna = "=============               =================================  "
    ben_ = "               ===========                                     "
    tokens = draw_tokens(720 * said)
    assert len(tokens) > 10_000
    found = attribute(tokens, draw_voices("anna |" + 720 * anna, "ben |" + 720 * ben_))
    assert len(take_turns(tokens, found)) == 2 * 720 + 1
    assert all(0.9 < value <= 1.0 for value in found.confidence)


def test_words_heard_right_have_the_right_speaker_on_a_simulated_interview() -> None:
    """The whole model at once; the figures are made by tests/benchmarks/turns.py."""
    interview = generate(1003, damage=0.0)
    tokens = [
        AlignedToken(
            Token(word.text, 0, len(word.text)), Match.MATCHED, word.start, word.end, at, at + 1, 1.0
        )
        for at, word in enumerate(word for said in interview.utterances for word in said.words)
    ]
    speakers = [said.speaker for said in interview.utterances for _ in said.words]
    turns = take_turns(tokens, attribute(tokens, interview.diarization))
    changes = [index for index, (a, b) in enumerate(pairwise(speakers), start=1) if a != b]
    found = [turn.token_start for turn in turns[1:]]
    assert len(set(found) & set(changes)) >= 0.8 * len(changes)
    assert len(set(found) - set(changes)) <= 2
