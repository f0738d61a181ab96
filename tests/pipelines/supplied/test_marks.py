import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.supplied import lines as captions
from pipelines.supplied import marks
from pipelines.types import TokenKind


def found(text: str, captioned: bool = False) -> list[tuple[str, TokenKind | None]]:
    lines = list(captions.split_lines(text))
    return [
        (text[mark.start : mark.end], mark.kind)
        for marks_ in marks.find(text, lines, captioned)
        for mark in marks_
    ]


def labels(text: str, captioned: bool = False) -> list[str]:
    return [content for content, kind in found(text, captioned) if kind is TokenKind.LABEL]


def changes(text: str, captioned: bool = False) -> list[str]:
    return [content for content, kind in found(text, captioned) if kind is TokenKind.CHANGE]


def sounds(text: str) -> list[str]:
    return [content for content, kind in found(text) if kind is TokenKind.SOUND]


@pytest.mark.parametrize(
    "line",
    ["ANCHOR: Good evening.", "Narrator: The barges wait.", "Speaker 1: Hello.", "Q: Why?", "Mr. Smith: No."],
)
def test_a_part_or_an_honorific_is_a_label(line: str) -> None:
    assert labels(line) == [line[: line.index(":") + 1]]


@pytest.mark.parametrize(
    "line",
    [
        "Note: this is new.",
        "He said: never.",
        "10:30 is late",
        "the anchor: he waits",
        "Breaking: talks open",
        "https://a.b",
        "NATO: what next",
        "Talks: a first look",
        "ANCHOR:no space",
    ],
)
def test_a_colon_alone_makes_no_label(line: str) -> None:
    assert labels(line) == []


@pytest.mark.parametrize(
    "name", ["Ingrid Halloran:", "HALLORAN:", "Ingrid van der Berg:", "主持人：", "المذيع:"]
)
def test_a_name_that_recurs_is_a_label(name: str) -> None:
    assert labels(f"{name} yes\n{name} no") == [name, name]
    assert labels(f"{name} yes") == []


def test_a_heading_that_recurs_is_no_label() -> None:
    assert labels("Note: one\nNote: two\nUpdate: three\nUpdate: four") == []


def test_capitals_are_a_label_in_captions() -> None:
    assert labels("HALLORAN: yes", captioned=True) == ["HALLORAN:"]
    assert labels("Halloran: yes", captioned=True) == []


def test_after_a_change_a_name_is_a_label() -> None:
    text = ">> Ingrid: yes. >> TOBIAS: no. >>> In other news: nothing"
    assert labels(text) == ["Ingrid:", "TOBIAS:"]
    assert changes(text) == [">>", ">>", ">>>"]


def test_changes() -> None:
    assert changes(">>Hello &gt;&gt; you > there") == [">>", "&gt;&gt;"]
    assert changes("- Yes.", captioned=True) == ["-"]
    assert changes("<i>– Yes.</i>", captioned=True) == ["–"]
    assert changes("-5 degrees", captioned=True) == []
    assert changes("-- and so on", captioned=True) == []
    assert changes("well - yes", captioned=True) == []


def test_dashes_in_plain_text_need_a_pattern() -> None:
    assert changes("- one slip\nand then\nmore\nand more\n") == []
    assert changes("- Yes.\n- No.\n\nand more\n") == ["-", "-"]


def test_sounds() -> None:
    assert sounds("[Music] so (applause) he (DW) said[laughs] ♪ la la ♪ so ♪") == (
        ["[Music]", "(applause)", "[laughs]", "♪ la la ♪", "♪"]
    )
    assert sounds("(the harbor) [" + "long " * 20 + "]") == []


def test_markup_is_no_text() -> None:
    assert found(r"{\an8}<i>Yes</i> <00:00:01.500><c.red> no</c> 3 < 4", captioned=True) == (
        [(tag, None) for tag in (r"{\an8}", "<i>", "</i>", "<00:00:01.500>", "<c.red>", "</c>")]
    )
    assert found("<i>Yes</i>") == []


def test_the_name_in_a_voice_tag_is_a_label_until_it_changes() -> None:
    text = "<v.loud Ann Lee>one\n<v Ann Lee>two\n<v Bo>three</v>\n<v Ann Lee>four"
    assert labels(text, captioned=True) == ["Ann Lee", "Bo", "Ann Lee"]


@given(st.text(alphabet="<>v/i{}\\[]()♪-–:&gt; ANCHOR\nabé好：", max_size=80), st.booleans())
def test_marks_are_ordered_and_apart(text: str, captioned: bool) -> None:
    lines = list(captions.split_lines(text))
    for line, inside in zip(lines, marks.find(text, lines, captioned), strict=True):
        edges = [line.start, *(edge for mark in inside for edge in (mark.start, mark.end)), line.end]
        assert edges == sorted(edges)
