from __future__ import annotations

import pytest

from pipelines.roles.conversation import read_conversation
from pipelines.roles.phrases import ENGLISH
from pipelines.roles.turn_order import Exchange, question_strengths
from tests.support.scripts import interview

FILL = "the river rose again and nobody on the coast had seen so much water before that night"


def clues(script: str) -> dict[str, set[str]]:
    made = interview(script)
    conversation = read_conversation(made.turns, made.tokens, made.heard)
    found = Exchange(conversation, question_strengths(conversation, ENGLISH), ENGLISH).clues()
    return {
        turn.speaker: {clue.kind for clue in found if clue.speaker == turn.speaker} for turn in made.turns
    }


def strengths(script: str) -> tuple[float, ...]:
    made = interview(script)
    return question_strengths(read_conversation(made.turns, made.tokens, made.heard), ENGLISH)


def test_who_asks_and_who_is_asked() -> None:
    found = clues(f"A: Is it over?\nB: {FILL}.\nA: Why not?\nB: {FILL}.")
    assert {"opens", "asks"} <= found["A"]
    assert {"asked"} <= found["B"]


def test_a_report_is_long_read_and_asked_by_nobody() -> None:
    report = " ".join([FILL.capitalize() + "."] * 4)
    assert "reports" in clues(f"A: Good evening.\nN: {report}\nA: Is it over?\nB: {FILL}.")["N"]
    assert "reports" not in clues(f"A: Good evening.\nN: I think {report} I told you.\nA: Yes?\nB: No.")["N"]


def test_a_clip_is_short_and_inside_a_report() -> None:
    found = clues(
        f"A: Hello.\nN: {FILL}. {FILL}. {FILL}.\nC: I have lost my boat.\nN: {FILL}. {FILL}.\nA: Bye."
    )
    assert "clip" in found["C"]
    assert "clip" not in found["N"]


def test_one_asked_by_many_faces_the_press() -> None:
    found = clues(f"M: {FILL}.\nQ: Why?\nM: {FILL}.\nR: When was it?\nM: {FILL}.\nS: Who did it?\nM: {FILL}.")
    assert "faces_the_press" in found["M"]
    assert all("of_the_press" in found[voice] or "brief" in found[voice] for voice in "QRS")


def test_one_voice_has_no_structure() -> None:
    assert clues(f"A: {FILL}? {FILL}.") == {"A": set()}


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("A: Is it over?\nB: No.", (1.0, 0.0)),
        ("A: Over to you. Nina?\nB: No.", (0.0, 0.0)),
        ("A: Who did it? Let's take a look at the case.\nB: No.", (0.3, 0.0)),
        ("A: what is the latest there\nB: it is over", (0.8, 0.0)),
        ("A: nobody knows what is next\nB: it is over", (0.0, 0.0)),
    ],
)
def test_the_strength_of_a_question(script: str, expected: tuple[float, ...]) -> None:
    assert strengths(script) == expected


def test_one_question_mark_says_nothing_about_turns_without_punctuation() -> None:
    script = "A: what is the latest there\nB: it is over\nA: what is the latest there\nB: it is over"
    assert strengths(script) == (0.8, 0.0, 0.8, 0.0)
    assert strengths(f"{script}\nA: really?") == (0.8, 0.0, 0.8, 0.0, 1.0)


def test_a_turn_whose_sentences_end_without_a_question_mark_asks_nothing() -> None:
    assert strengths("A: What is the latest there.\nB: it is over") == (0.0, 0.0)


def test_a_turn_that_lost_its_punctuation_is_no_question() -> None:
    assert (
        strengths("A: It is over.\nB: nobody said what is next\nA: what is the latest there\nB: No.")[2]
        == 0.0
    )
