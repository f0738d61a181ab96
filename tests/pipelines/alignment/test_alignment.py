"""Where the tokens of a text are in its recording.

The recordings are made of scripts (support/scripts.py): {words} were pasted in, <words> are missing from the
text. What the recogniser made of a word is told apart: {"lavrov": "love rough", "to": ""}, "" for swallowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.alignment.alignment import align
from pipelines.types import AlignedToken, HeardWord, Match, Span, Token, TokenKind
from tests.benchmarks.damage import Origin
from tests.benchmarks.generator import Interview, generate
from tests.benchmarks.turns import settle
from tests.support.scripts import interview

INTRODUCTION = "Our correspondent Anna Berg has been talking to people in Riga."

# --------------------------------------------------------------------------- what the tests are written in


def align_script(
    script: str, heard_as: Mapping[str, str] | None = None, language: str = "en"
) -> tuple[AlignedToken, ...]:
    recording = interview(script, language=language)
    said = recording.heard.words
    return align(
        [token.token for token in recording.tokens],
        [word for spoken in said for word in mishear(spoken, heard_as or {})],
        speech=speech_of(said),
        duration=said[-1].end,
        language=language,
    )


def mishear(word: HeardWord, heard_as: Mapping[str, str]) -> list[HeardWord]:
    """The words heard share the time of the one said."""
    texts = heard_as.get(word.text, word.text).split()
    step = (word.end - word.start) / max(1, len(texts))
    starts = [word.start + number * step for number in range(len(texts))]
    return [HeardWord(text, start, start + step, 0.9) for text, start in zip(texts, starts, strict=True)]


def speech_of(words: Sequence[HeardWord]) -> list[Span]:
    """Words without a pause in between as one stretch."""
    spans: list[Span] = []
    for word in words:
        if spans and word.start - spans[-1].end < 0.1:
            spans[-1] = Span(spans[-1].start, word.end)
        else:
            spans.append(Span(word.start, word.end))
    return spans


def write(text: str, kind: TokenKind = TokenKind.WORD) -> list[Token]:
    """Tokens of a text with a line for each of its lines."""
    tokens: list[Token] = []
    offset = 0
    for number, line in enumerate(text.splitlines()):
        for word in line.split():
            tokens.append(Token(word, offset, offset + len(word), kind, number))
            offset += len(word) + 1
    return tokens


def say(text: str, start: float = 0.0, pace: float = 0.3) -> list[HeardWord]:
    """Words of equal length one after the other."""
    return [
        HeardWord(word, start + index * pace, start + (index + 1) * pace, 0.9)
        for index, word in enumerate(text.split())
    ]


def runs(tokens: Sequence[AlignedToken], match: Match) -> list[str]:
    """The texts of the longest runs of tokens with this match."""
    found: list[str] = []
    before = None
    for token in tokens:
        if token.match is match:
            found += [token.token.text] if before is not match else []
            found[-1] += f" {token.token.text}" if before is match else ""
        before = token.match
    return found


def matches(tokens: Sequence[AlignedToken]) -> dict[str, Match]:
    return {token.token.text: token.match for token in tokens}


def times(tokens: Sequence[AlignedToken]) -> dict[str, tuple[float, float]]:
    """By text, to the hundredth of a second."""
    return {token.token.text: (round(token.start, 2), round(token.end, 2)) for token in tokens}


def placed(tokens: Sequence[AlignedToken]) -> list[tuple[object, ...]]:
    """All there is to know of the spoken tokens, to the hundredth of a second."""
    return [
        (
            token.token,
            token.match,
            round(token.start, 2),
            round(token.end, 2),
            token.heard_start,
            token.heard_end,
        )
        for token in tokens
        if token.match is not Match.NOT_SPOKEN
    ]


def assert_sound(result: Sequence[AlignedToken], tokens: Sequence[Token], duration: float) -> None:
    """What holds of any result."""
    assert [token.token for token in result] == list(tokens)
    assert all(0.0 <= token.start <= token.end <= duration for token in result)
    assert all(before.start <= after.start and before.end <= after.end for before, after in pairwise(result))
    assert all(token.start == token.end for token in result if token.match is Match.NOT_SPOKEN)
    assert all(0.0 <= token.confidence <= 1.0 for token in result)
    for token in result:
        heard = token.match in (Match.MATCHED, Match.DIFFERS)
        assert (token.heard_end > token.heard_start) == heard
        assert token.token.kind is TokenKind.WORD or token.match is Match.NOT_SPOKEN


# --------------------------------------------------------------------------- text that was not spoken


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("A: The talks in Geneva resume on Monday and both sides are hopeful.", id="nothing"),
        pytest.param(
            """A: The talks in Geneva resume on Monday.
               A: {Kremlin rejects new sanctions}
               A: Both sides are hopeful this time.""",
            id="between sentences",
        ),
        pytest.param(
            "A: The talks in Geneva {Kremlin rejects new sanctions} resume on Monday and both are hopeful.",
            id="inside a sentence",
        ),
        pytest.param(
            """A: {Kremlin rejects new sanctions}
               A: The talks in Geneva resume on Monday.""",
            id="first",
        ),
        pytest.param(
            """A: The talks in Geneva resume on Monday.
               A: {Kremlin rejects new sanctions}""",
            id="last",
        ),
        pytest.param(
            """A: It has snowed all day here.
               A: {Talks in Geneva resume on Monday}
               B: The talks in Geneva resume on Monday and both sides are hopeful.""",
            id="quotes the next sentence",
        ),
        pytest.param(
            """A: The talks in Geneva resume on Monday.
               A: <Nobody knows how long they will last.>
               A: Both sides are hopeful this time.""",
            id="missing from the text",
        ),
        pytest.param(
            """A: The talks in Geneva resume on Monday. <Nobody knows how long they will last.>
               A: {Kremlin rejects new sanctions on oil from Venezuela}
               B: Both sides are hopeful this time.""",
            id="pasted in next to what is missing",
        ),
    ],
)
def test_pasted_and_missing_text(script: str) -> None:
    """Every token as scripted, at its time, against its word."""
    assert placed(align_script(script)) == placed(
        [token for token in interview(script).tokens if token.match is Match.MATCHED]
    )


def test_words_that_do_not_fit_were_pasted_in() -> None:
    tokens = write("We met the minister\nwho never came to any of the many talks\nin the old town")
    before, after = say("we met the minister"), "in the old town"
    close = [*before, *say(after, start=before[-1].end + 0.2)]
    apart = [*before, *say(after, start=before[-1].end + 2.7)]

    def aligned(words: Sequence[HeardWord]) -> tuple[AlignedToken, ...]:
        return align(tokens, words, speech=[Span(0, words[-1].end)], duration=words[-1].end)

    assert runs(aligned(close), Match.NOT_SPOKEN) == ["who never came to any of the many talks"]
    assert runs(aligned(apart), Match.INTERPOLATED) == ["who never came to any of the many talks"]


def test_silence_has_no_room_for_words() -> None:
    #   heard     we met the minister               in the old town
    #   speech    ===================               ===============
    tokens = write("We met the minister\nwho never came to any of the many talks\nin the old town")
    words = [*say("we met the minister"), *say("in the old town", start=4.0)]
    result = align(tokens, words, speech=speech_of(words), duration=5.2)
    assert runs(result, Match.NOT_SPOKEN) == ["who never came to any of the many talks"]


def test_words_plainly_heard_leave_no_room_for_others() -> None:
    result = align_script(
        """A: We met the minister
           A: <she wore green boots and laughed about all our questions>
           A: {Kremlin rejects new sanctions on oil from Venezuela}
           A: in the old town"""
    )
    assert runs(result, Match.NOT_SPOKEN) == ["Kremlin rejects new sanctions on oil from Venezuela"]


def test_a_recording_of_the_middle_of_a_text() -> None:
    before, after = (" ".join(f"{word}{n}" for n in range(99)) for word in ("early", "late"))
    result = align_script(f"A: {{{before}}}\nA: The talks in Geneva resume on Monday.\nA: {{{after}}}")
    assert runs(result, Match.NOT_SPOKEN) == [before, after]


def test_marks_labels_and_sounds_are_never_spoken() -> None:
    tokens = [
        *write(">>", TokenKind.CHANGE),
        *write("ANCHOR:", TokenKind.LABEL),
        *write("[Music]", TokenKind.SOUND),
        *write("Good evening."),
    ]
    result = align(tokens, say("anchor music good evening"), speech=[], duration=1.2)
    assert [token.match for token in result] == [Match.NOT_SPOKEN] * 3 + [Match.MATCHED] * 2
    assert times(result)["Good"] == (0.6, 0.9)


def test_loose_punctuation_goes_with_the_word_in_front() -> None:
    result = align_script("A: The talks in Geneva {– Kremlin – rejects sanctions –} resume ... on Monday.")
    assert runs(result, Match.NOT_SPOKEN) == ["Kremlin – rejects sanctions –"]
    assert runs(result, Match.INTERPOLATED) == ["–", "..."]
    assert times(result)["..."] == (times(result)["resume"][1],) * 2


# --------------------------------------------------------------------------- the same words more than once


def test_an_introduction_said_and_written_twice_is_matched_twice() -> None:
    script = f"""A: {INTRODUCTION}
                 B: It has snowed all day here.
                 A: {INTRODUCTION}
                 A: She sent us this report."""
    assert placed(align_script(script)) == placed(interview(script).tokens)


@pytest.mark.parametrize("between", ["", "A: It has snowed all day and nobody goes out to vote."])
def test_of_an_introduction_written_twice_and_said_once_one_copy_was_spoken(between: str) -> None:
    result = align_script(
        f"""A: Good evening and welcome.
            A: {INTRODUCTION}
            {between}
            A: {{{INTRODUCTION}}}
            A: She sent us this report."""
    )
    assert runs(result, Match.NOT_SPOKEN) == [INTRODUCTION]


def test_an_introduction_said_twice_and_written_once_is_matched_once_and_whole() -> None:
    result = align_script(
        f"""A: Good evening and welcome.
            A: {INTRODUCTION}
            A: <{INTRODUCTION}>
            A: She sent us this report."""
    )
    assert {token.match for token in result} == {Match.MATCHED}
    copy = [token for token in result if token.token.line == 1]
    assert copy[-1].heard_end - copy[0].heard_start == len(copy)


def test_of_the_two_copies_of_a_roll_up_line_one_was_spoken() -> None:
    result = align_script(
        """A: the talks in Geneva have begun
           A: {the talks in Geneva have begun}
           A: and nobody wants to be first
           A: {and nobody wants to be first}
           A: to leave the table tonight"""
    )
    spoken = [token for token in result if token.match is Match.MATCHED]
    assert " ".join(token.token.text for token in spoken) == (
        "the talks in Geneva have begun and nobody wants to be first to leave the table tonight"
    )
    assert len({token.token.line for token in spoken}) == 3


def test_real_repetition_survives() -> None:
    script = """A: No, no, no, never again.
                B: No, no, no, never again.
                A: Never, never again."""
    assert placed(align_script(script)) == placed(interview(script).tokens)


# --------------------------------------------------------------------------- the same word, written otherwise


@pytest.mark.parametrize(
    ("written", "heard"),
    [
        ("2014", "twenty fourteen"),
        ("$3.5bn", "three point five billion dollars"),
        ("US-Russia", "us russia"),
        ("U.S.", "us"),
        ("it’s", "it's"),
        ("its", "it's"),
        ("TALKS", "talks"),
        ("talks,,", "talks"),
        ("..talks??", "talks"),
        ("Müller", "muller"),
    ],
)
def test_the_same_word_is_matched_however_it_is_written(written: str, heard: str) -> None:
    words = say(f"we heard {heard} in geneva")
    result = align(write(f"We heard {written} in Geneva"), words, speech=[], duration=words[-1].end)
    assert {token.match for token in result} == {Match.MATCHED}
    token, last = result[2], 2 + len(heard.split())
    assert (token.heard_start, token.heard_end) == (2, last)
    assert (token.start, token.end) == pytest.approx((words[2].start, words[last - 1].end))


def test_tokens_that_were_heard_as_one_word_share_its_time() -> None:
    words = say("we heard us-russia talks")
    result = align(write("We heard US Russia talks"), words, speech=[], duration=1.2)
    assert times(result)["US"] == (0.6, 0.75)
    assert times(result)["Russia"] == (0.75, 0.9)
    assert {(token.heard_start, token.heard_end) for token in result[2:4]} == {(2, 3)}


@pytest.mark.parametrize(
    ("written", "heard"),
    [
        ("eneva", "geneva"),
        ("alks", "talks"),
        ("Geneave", "geneva"),
        ("genevageneva", "geneva"),
        ("Lavrov", "love rough"),
        ("Zelensky", "selenski"),
        ("Chikwanha", "chick wanna"),
        ("rTump", "trump"),
        ("US-Rusia", "us russia"),
    ],
)
def test_a_damaged_or_misheard_word_differs_and_keeps_its_place(written: str, heard: str) -> None:
    words = say(f"so we heard that {heard} will decide on monday")
    result = align(
        write(f"So we heard that {written} will decide on Monday"), words, speech=[], duration=words[-1].end
    )
    assert runs(result, Match.DIFFERS) == [written]
    assert runs(result, Match.NOT_SPOKEN) == runs(result, Match.INTERPOLATED) == []
    span = words[4].start, words[3 + len(heard.split())].end
    assert span[0] - 0.01 <= result[4].start < result[4].end <= span[1] + 0.01


def test_swallowed_words_lie_in_the_gap_by_their_syllables() -> None:
    #   written   he said he would never sign such a deal
    #   heard     he said he ───── ───── ──── ──── a deal      1 + 2 + 1 + 1 syllables in 1.4 s
    swallowed = ["would", "never", "sign", "such"]
    result = align_script(
        "A: He said he would never sign such a deal with them.", dict.fromkeys(swallowed, "")
    )
    assert runs(result, Match.INTERPOLATED) == ["would never sign such"]
    assert times(result) | {
        "he": (0.7, 1.05),
        "would": (1.05, 1.33),
        "never": (1.33, 1.89),
        "sign": (1.89, 2.17),
        "such": (2.17, 2.45),
        "a": (2.45, 2.8),
    } == times(result)


def test_of_swallowed_and_pasted_words_side_by_side_only_the_pasted_are_left_out() -> None:
    result = align_script(
        """A: He said he would never sign.
           A: {Kremlin rejects new sanctions on oil}
           A: Both sides are hopeful this time.""",
        {"never": "", "sign": ""},
    )
    assert runs(result, Match.INTERPOLATED) == ["never sign."]
    assert runs(result, Match.NOT_SPOKEN) == ["Kremlin rejects new sanctions on oil"]


def test_a_few_words_misheard_beyond_recognition_were_spoken() -> None:
    result = align_script(
        "A: He said he would never sign such a deal with them.",
        {"never": "hum", "sign": "gobbled", "such": "quick", "would": "ox"},
    )
    assert runs(result, Match.NOT_SPOKEN) == []
    assert times(result)["a"] == (2.45, 2.8)


def test_swallowed_words_do_not_lie_in_pauses() -> None:
    result = align_script(
        """A: He said he would never sign.
           B: We heard that too.""",
        {"never": "", "sign": ""},
    )
    assert times(result)["sign."] == (1.87, 2.1)
    assert times(result)["We"] == (2.5, 2.85)


def test_a_token_of_which_a_part_was_spoken_has_the_time_of_that_part() -> None:
    #   written   we spoke about the | US-Russia talks that nobody had wanted | here today
    #   heard     we spoke about the | US                                     | here today
    words = say("we spoke about the us here today and now")
    tokens = write("We spoke about the US-Russia\ntalks that nobody had wanted\nhere today and now")
    result = align(tokens, words, speech=[], duration=words[-1].end)
    assert runs(result, Match.DIFFERS) == ["US-Russia"]
    assert times(result)["US-Russia"] == (1.2, 1.5)
    assert runs(result, Match.NOT_SPOKEN) == ["talks that nobody had wanted"]


# --------------------------------------------------------------------------- unusual input


def test_a_text_of_another_recording_is_hardly_matched() -> None:
    ours, theirs = generate(1001, damage=0.0), generate(1002, damage=0.0)
    tokens = write("The committee approved a budget for school gardens, buses and swimming lessons.\n" * 30)
    for supplied in (tokens, list(theirs.supplied.tokens)):
        result = align(supplied, ours.heard.words, speech=ours.speech, duration=ours.duration)
        assert_sound(result, supplied, ours.duration)
        assert sum(token.match is Match.MATCHED for token in result) < 0.35 * len(supplied)


@pytest.mark.parametrize(
    ("language", "text", "heard"),
    [
        ("zh", "和平谈判今天，在日内瓦。开始了", "和平 谈判 今天 在 日内瓦 开始 了"),
        ("ar", "محادثات السلام تبدأ، اليوم في جنيف", "محادثات السلام تبدأ اليوم في جنيف"),
        ("he", "שיחות השלום: מתחילות היום", "שיחות השלום מתחילות היום"),
        ("th", "การเจรจา เริ่ม", "การ เจรจา เริ่ม"),
        ("ru", "Переговоры начались!", "переговоры начались"),
    ],
)
def test_any_script(language: str, text: str, heard: str) -> None:
    words = say(heard)
    result = align(write(text), words, speech=[], duration=words[-1].end, language=language)
    assert {token.match for token in result} == {Match.MATCHED}
    assert (result[0].start, result[-1].end) == pytest.approx((0.0, words[-1].end))


@pytest.mark.parametrize(("text", "match"), [("Geneva", Match.MATCHED), ("—", Match.NOT_SPOKEN)])
def test_a_single_token(text: str, match: Match) -> None:
    (token,) = align(write(text), say("so geneva it is"), speech=[], duration=1.2)
    assert token.match is match


def test_no_tokens_and_no_words() -> None:
    assert align([], say("so geneva it is"), speech=[], duration=1.2) == ()
    assert align([], [], speech=[], duration=0.0) == ()


def test_where_nothing_was_heard_the_text_is_spread_over_the_speech() -> None:
    #  speech   ====  ====     3 of the 6 syllables before the pause
    tokens = write("We met the old ministers")
    result = align(tokens, [], speech=[Span(1.0, 1.6), Span(2.0, 2.6)], duration=5.0)
    assert {token.match for token in result} == {Match.INTERPOLATED}
    assert times(result) == {
        "We": (1.0, 1.17),
        "met": (1.17, 1.34),
        "the": (1.34, 1.51),
        "old": (1.51, 2.09),
        "ministers": (2.09, 2.6),
    }


def test_where_nothing_was_heard_and_nobody_speaks_long_enough_nothing_was_spoken() -> None:
    tokens = write("We met the old ministers of both countries in Geneva")
    result = align(tokens, [], speech=[Span(1.0, 1.2)], duration=5.0)
    assert {token.match for token in result} == {Match.NOT_SPOKEN}


@pytest.mark.parametrize(
    "moments",
    [
        pytest.param([(2.0, 2.0)] * 6, id="no length"),
        pytest.param([(n, n + 3.0) for n in range(6)], id="overlapping, and beyond the end"),
        pytest.param([(5.0 - n, 6.0 - n) for n in range(6)], id="backwards"),
        pytest.param([(-1.0, 0.5)] * 6, id="before the beginning"),
    ],
)
def test_words_at_strange_times(moments: list[tuple[float, float]]) -> None:
    texts = ["we", "met", "the", "ministers", "in", "geneva"]
    words = [HeardWord(text, *moment, 0.5) for text, moment in zip(texts, moments, strict=True)]
    tokens = write("We met the old ministers in Geneva")
    result = align(tokens, words, speech=[Span(0.0, 9.0)], duration=6.0)
    assert_sound(result, tokens, 6.0)
    assert runs(result, Match.MATCHED) == ["We met the", "ministers in Geneva"]


def test_cue_times_that_lag_change_nothing() -> None:
    interview = generate(1003)
    late = [
        replace(token, cue=Span(9.0 + index, 11.0 + index))
        for index, token in enumerate(interview.supplied.tokens)
    ]
    plain = align_interview(interview)
    cued = align(late, interview.heard.words, speech=interview.speech, duration=interview.duration)
    assert [replace(token, token=replace(token.token, cue=None)) for token in cued] == list(plain)


def make_up(count: int) -> list[str]:
    random = Random(count)
    return ["".join(random.choices("aeioubdgklmnprst", k=6)) for _ in range(count)]


LONG = make_up(20_000)
FEW = [LONG[7], LONG[8], LONG[15_000]]


@pytest.mark.parametrize(
    ("written", "heard"),
    [
        pytest.param(["the"] * 6000, ["the"] * 5000, id="one word only"),
        pytest.param(LONG, FEW, id="little heard"),
        pytest.param(FEW, LONG, id="little written"),
        pytest.param(LONG, [], id="nothing heard"),
    ],
)
def test_long_and_lopsided_texts(written: list[str], heard: list[str]) -> None:
    tokens, words = write(" ".join(written)), say(" ".join(heard))
    result = align(tokens, words, speech=[], duration=10_000.0)
    assert_sound(result, tokens, 10_000.0)
    assert sum(token.match is Match.MATCHED for token in result) == min(len(written), len(heard))


# --------------------------------------------------------------------------- any damage

TEXT = st.one_of(
    st.sampled_from(
        ["the", "Geneva", "geneva", "US-Russia", "2014", "talks,,", "alks", "—", "和平谈判", "שלום"]
    ),
    st.text(st.characters(exclude_categories=["Zs", "Cc"]), min_size=1, max_size=6),
)
MOMENT = st.floats(-1.0, 30.0) | st.sampled_from([0.0, 10.0, 20.0])


@st.composite
def token_lists(draw: st.DrawFn) -> list[Token]:
    tokens: list[Token] = []
    offset = line = 0
    for text in draw(st.lists(TEXT, max_size=25)):
        kind = draw(st.sampled_from([TokenKind.WORD] * 5 + list(TokenKind)))
        line += draw(st.booleans())
        tokens.append(Token(text, offset, offset + len(text), kind, line))
        offset += len(text) + 1
    return tokens


@st.composite
def spans(draw: st.DrawFn) -> Span:
    start, end = sorted((draw(MOMENT), draw(MOMENT)))
    return Span(start, end)


@st.composite
def heard_words(draw: st.DrawFn) -> HeardWord:
    span = draw(spans())
    return HeardWord(draw(TEXT), span.start, span.end, draw(st.floats(0.0, 1.0)))


@given(token_lists(), st.lists(heard_words(), max_size=25), st.lists(spans(), max_size=4), st.booleans())
@settings(deadline=None, max_examples=150)
def test_any_input_gives_a_sound_result(
    tokens: list[Token], words: list[HeardWord], speech: list[Span], ordered: bool
) -> None:
    if ordered:
        words.sort(key=lambda word: word.start)
        speech.sort(key=lambda span: span.start)
    assert_sound(align(tokens, words, speech=speech, duration=20.0), tokens, 20.0)


def align_interview(interview: Interview) -> tuple[AlignedToken, ...]:
    return align(
        interview.supplied.tokens, interview.heard.words, speech=interview.speech, duration=interview.duration
    )


@given(
    st.integers(1000, 9999), st.integers(2, 6), st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.4]), st.integers(2, 21)
)
@settings(deadline=None, max_examples=25)
def test_any_damage_gives_a_sound_result_and_the_text_back(
    seed: int, speakers: int, damage: float, turns: int
) -> None:
    made = generate(seed, speakers=speakers, damage=damage, turns=turns)
    result = align_interview(made)
    assert_sound(result, made.supplied.tokens, made.duration)
    text = made.supplied.text
    assert [text[token.token.char_start : token.token.char_end] for token in result] == text.split()


@pytest.mark.parametrize("damage", [0.0, 0.2, 0.4])
def test_damaged_interviews_are_read_as_they_were_made(damage: float) -> None:
    """Of six interviews: nearly all spoken tokens are in their turn, and nearly all pasted ones are found."""
    spoken = in_turn = pasted = found = called = 0
    for seed in range(1010, 1016):
        made = generate(seed, damage=damage)
        result = align_interview(made)
        unspoken = [token.match is Match.NOT_SPOKEN for token in result]
        true = settle(made.truth, made.repeats, unspoken)
        for token, truth, speaker, left_out in zip(result, made.truth, true, unspoken, strict=True):
            pasted += not speaker
            called += left_out
            found += left_out and not speaker
            if truth.turn is not None and truth.origin is Origin.SPOKEN:
                turn = made.utterances[truth.turn]
                spoken += 1
                in_turn += turn.start - 0.3 <= token.start <= token.end <= turn.end + 0.3
    assert in_turn >= 0.985 * spoken
    assert found >= 0.9 * max(pasted, called)
