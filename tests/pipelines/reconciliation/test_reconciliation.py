"""Each kind of finding on a dictation: see tests/support/timelines.py for how to read one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.alignment.alignment import align
from pipelines.reconciliation.reconciliation import find
from pipelines.types import Finding, FindingKind, HeardWord, Match, Span, Token
from tests.support.timelines import COLUMN, dictate


def found(text: str) -> list[tuple[str, str, str]]:
    """Kind, text and suggestion of every finding."""
    return [(finding.kind.value, finding.text, finding.suggestion) for finding in findings(text)]


def findings(text: str) -> tuple[Finding, ...]:
    tokens, words, _ = dictate(text)
    return find(tokens, words, "en")


def test_nothing_is_found_where_text_and_recording_agree() -> None:
    assert found("the barges are waiting , {for} days") == []
    assert find((), (), "en") == ()


# --------------------------------------------------------------------------- in the text only


def test_text_that_was_not_said_is_one_finding_with_its_place() -> None:
    (finding,) = findings("the talks (Storm) (warning) go on")
    assert finding.kind is FindingKind.NOT_SPOKEN
    assert (finding.token_start, finding.token_end) == (2, 4)
    assert (finding.text, finding.suggestion) == ("Storm warning", "")
    assert finding.start == finding.end == pytest.approx(COLUMN * len("thetalks"))
    assert finding.confidence == pytest.approx(0.9)


def test_caption_marks_are_no_findings_of_their_own() -> None:
    assert found("the talks >> ANNA: go on") == []
    assert found("the talks >> (Storm) go on") == [("not_spoken", ">> Storm", "")]


@pytest.mark.parametrize(
    "text",
    [
        "the barges are waiting / (The) (barges,) (are) (waiting) for days",
        "so (the) (barges,) (are) (waiting) / The barges are waiting for days",
        "the barges / (the) (barges) (are) (waiting) / are waiting for days",
        "(the) (barges) / (the) (barges) (are) (waiting) / the barges are waiting / for days",
    ],
)
def test_a_line_shown_twice_is_repeated(text: str) -> None:
    ((kind, _, _),) = found(text)
    assert kind == "repeated"


def test_most_of_a_line_shown_twice_is_not_a_copy() -> None:
    assert [kind for kind, _, _ in found("the barges are waiting (the) (barges) (were) for")] == [
        "not_spoken"
    ]


@pytest.mark.parametrize("text", ["on {the} the river", "on the {the} river"])
def test_a_word_written_twice_without_room_for_a_second(text: str) -> None:
    assert found(text) == [("repeated", "the", "")]
    (finding,) = findings(text)
    assert dictate(text).tokens[finding.token_start].match is Match.INTERPOLATED


@pytest.mark.parametrize(
    "text",
    [
        "on the {the} _ river",  # room for a second one, behind
        "on _ {the} the river",  # or in front
        "on the {the}",  # nothing is known about the end
        "on the the river",  # both were heard
        "on {the} {the} river",  # none was
        "that is it. {It} is late",  # one ends a sentence, the other begins the next
        "on , {,} the river",  # nothing that could be said
    ],
)
def test_words_that_may_have_been_said_twice(text: str) -> None:
    assert found(text) == []


# --------------------------------------------------------------------------- in the recording only


def test_words_that_the_text_leaves_out() -> None:
    (finding,) = findings("they met <for> <two> <hours> in Basel")
    assert (finding.kind, finding.text) == (FindingKind.MISSING, "")
    assert finding.suggestion == "for two hours"
    assert (finding.token_start, finding.token_end) == (2, 2)
    assert finding.start == pytest.approx(COLUMN * len("theymet"))
    assert finding.end == pytest.approx(COLUMN * len("theymetfortwohours"))


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("<so> <then> <listen> they met", ["so then listen"]),
        ("they met <so> <that> <was> <it>", ["so that was it"]),
        ("they <uh> <uh> met", []),  # a recogniser hears two words for one
        ("they <~uh> <~the> <~of> met", []),  # noise
        ("they {met} {in} {Basel} <for> <two> <hours> today", []),  # badly heard, not left out
        ("they {met} <for> <two> <long> <hours> today", ["for two long hours"]),
        ("they (HEADING) <for> <two> <hours> met", ["for two hours"]),
    ],
)
def test_what_counts_as_left_out(text: str, missing: list[str]) -> None:
    assert [suggestion for kind, _, suggestion in found(text) if kind == "missing"] == missing


# --------------------------------------------------------------------------- in both


def test_words_heard_otherwise() -> None:
    assert found("Lks|talks are aimed|named at") == [
        ("differs", "Lks", "talks"),
        ("differs", "aimed", "named"),
    ]
    (finding,) = findings("so Lks|talks are")
    assert finding.confidence == pytest.approx(0.9)
    assert (finding.token_start, finding.token_end) == (1, 2)


def test_neighbours_heard_otherwise_are_one_finding() -> None:
    assert found("at the NA|nato TO|summit now") == [("differs", "NA TO", "nato summit")]


def test_words_heard_without_certainty_prove_nothing() -> None:
    assert found("so Kyiv|~keep are") == []
    assert found("so Kyiv|~keep Basel|basil are") == []


# --------------------------------------------------------------------------- anything


def test_findings_come_in_the_order_of_the_text() -> None:
    text = "(Storm) Lks|talks <so> <that> <was> on {on} (News) a <b> <c> <d>"
    assert [(finding.token_start, finding.kind.value) for finding in findings(text)] == [
        (0, "not_spoken"),
        (1, "differs"),
        (2, "missing"),
        (3, "repeated"),
        (4, "not_spoken"),
        (6, "missing"),
    ]


TEXTS = st.lists(st.sampled_from(["the", "The", "talks.", ",", "Basel", "begin", "2", ">>"]), max_size=14)


@settings(max_examples=150, deadline=None)
@given(TEXTS, TEXTS)
def test_any_alignment_has_findings_within_the_text(supplied: Sequence[str], heard: Sequence[str]) -> None:
    words = [HeardWord(text, float(at), at + 0.9, 0.9) for at, text in enumerate(heard)]
    end = len(heard) + 1.0
    tokens = align([Token(text, 0, 1) for text in supplied], words, speech=[Span(0, end)], duration=end)
    for finding in find(tokens, words, "en"):
        assert 0 <= finding.token_start <= finding.token_end <= len(tokens)
        assert (finding.token_start == finding.token_end) is (finding.kind is FindingKind.MISSING)
        assert finding.start <= finding.end
        assert 0.0 <= finding.confidence <= 1.0
        assert finding.text == " ".join(supplied[finding.token_start : finding.token_end])
