"""The page is read back with Python's own HTML parser; tests/acceptance/test_page.py asks a browser."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

import pytest
from hypothesis import given

from pipelines.formats import html
from pipelines.formats.markup import plain
from pipelines.types import Finding, FindingKind, Notice, Transcript
from tests.pipelines.formats.sample import build, said, sample, speaker, words_of
from tests.pipelines.formats.strategies import transcripts

HOSTILE = '<script>document.documentElement.dataset.hacked="yes"</script>'
VOID = {"meta", "input", "br"}


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text, the tags around it from the outside in, all their classes, the innermost's attributes."""

    text: str
    tags: tuple[str, ...]
    classes: frozenset[str]
    attributes: dict[str, str | None]


@dataclass
class Page(HTMLParser):
    """Every piece of text and every start tag of a page."""

    pieces: list[Piece] = field(default_factory=list)
    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    stack: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append((tag, dict(attrs)))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        classes = {name for _, attributes in self.stack for name in (attributes.get("class") or "").split()}
        innermost = self.stack[-1][1] if self.stack else {}
        self.pieces.append(Piece(data, tuple(tag for tag, _ in self.stack), frozenset(classes), innermost))


def read(transcript: Transcript, audio_uri: str = "") -> Page:
    page = Page()
    page.feed(html.serialize(transcript, audio_uri))
    page.close()
    assert not page.stack
    return page


def words(page: Page, hidden: set[str]) -> str:
    """The text of the turns without white space and without the elements of some classes."""
    turns = [piece for piece in page.pieces if "turn" in piece.classes and "header" not in piece.tags]
    kept = [piece.text for piece in turns if not piece.classes & hidden]
    return "".join("".join(kept).split())


def visible(text: str) -> str:
    """What is left of a text in a page, without white space."""
    parser = Page()
    parser.feed(f"<p>{plain(text)}</p>")
    parser.close()
    return "".join("".join(piece.text for piece in parser.pieces).split())


def hostile() -> Transcript:
    """A script tag wherever a text can stand."""
    plain_ = build(
        said("S1", f"Hello {HOSTILE}|<i> </p></article>"), (speaker("S1", name=HOSTILE, affiliation=HOSTILE),)
    )
    finding = Finding(FindingKind.MISSING, 1, 1, 1.0, 1.2, "", HOSTILE, 0.5)
    differs = Finding(FindingKind.DIFFERS, 1, 2, 1.0, 1.2, HOSTILE, '" onclick="alert(1)', 0.5)
    return replace(
        plain_,
        language='en"><script>',
        media=replace(plain_.media, name=HOSTILE, codec=HOSTILE),
        findings=(finding, differs),
        warnings=(Notice("code", HOSTILE),),
    )


@given(transcripts())
def test_every_supplied_token_is_there_once_and_in_order(transcript: Transcript) -> None:
    expected = "".join(visible(token.token.text) for token in transcript.tokens)
    assert words(read(transcript), hidden={"now", "missing"}) == expected


def test_the_corrected_reading_is_there() -> None:
    expected = "".join(word.text for turn in words_of(sample()) for word in turn)
    assert words(read(sample()), hidden={"was", "missing", "aside"}) == expected.replace(" ", "")


@given(transcripts())
def test_nothing_in_a_transcript_becomes_markup(transcript: Transcript) -> None:
    page = read(transcript, "a.webm")
    assert sum(tag == "script" for tag, _ in page.elements) == 1
    for _, attributes in page.elements:
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        assert not {"src", "href"} & set(attributes) or attributes.get("src") == "a.webm"


def test_a_script_tag_stays_text_wherever_it_stands() -> None:
    page = read(hostile())
    assert sum(tag == "script" for tag, _ in page.elements) == 1
    assert [tag for tag, _ in page.elements if tag == "i"] == []
    texts = [piece.text for piece in page.pieces if HOSTILE in piece.text]
    assert len(texts) >= 6
    assert any(attributes.get("data-note", "") for _, attributes in page.elements)
    assert all("onclick" not in attributes for _, attributes in page.elements)


def test_the_audio_uri_cannot_leave_its_attribute() -> None:
    page = read(sample(), '"><script>alert(1)</script>')
    assert sum(tag == "script" for tag, _ in page.elements) == 1
    (audio,) = [attributes for tag, attributes in page.elements if tag == "audio"]
    assert audio["src"] == '"><script>alert(1)</script>'


def test_the_policy_allows_exactly_this_style_and_script() -> None:
    page = read(sample())
    policy = (
        next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy") or ""
    )
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        text = "".join(piece.text for piece in page.pieces if piece.tags[-1:] == (tag,))
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_the_page_refers_to_nothing_outside_itself() -> None:
    text = html.serialize(sample())
    assert not re.search(r"https?:|url\(|@import|<link|<img|<iframe", text)


def test_findings_are_marked_with_what_was_heard() -> None:
    pieces = read(sample()).pieces
    marked = {(name, piece.text) for piece in pieces if "turn" in piece.classes for name in piece.classes}
    assert ("differs", "Lks") in marked
    assert ("missing", "for us") in marked
    assert ("not_spoken", "Storm warning") in marked
    assert ("repeated", "thank you") in marked
    assert ("aside", ">>") in marked
    assert ("now", "Talks") in marked
    notes = [attributes.get("data-note") for _, attributes in read(sample()).elements]
    assert "Heard: “talks”\n90% sure" in notes
    assert "Supplied: “Lks”\nheard clearly, and near in spelling" in notes


def test_words_carry_their_times_and_unspoken_ones_do_not() -> None:
    times = {
        piece.text: piece.attributes.get("data-t")
        for piece in read(sample()).pieces
        if "turn" in piece.classes
    }
    assert (times["Geneva"], times["Talks"], times["for us"]) == ("2.60", "1.40", "11.00")
    assert times["Storm warning"] is None


def test_speakers_have_role_name_affiliation_and_talk_time() -> None:
    text = " ".join(piece.text for piece in read(sample()).pieces if "speaker" in piece.classes)
    for expected in ("Anchor", "Ana Ruiz", "Analyst · University of Basel", "0:04", "33% · 1 turn"):
        assert expected in text
    assert "Joining me is Ana Ruiz, a lecturer" in text


def test_many_missing_words_are_shortened_in_the_text_only() -> None:
    heard = " ".join(f"w{n}" for n in range(40))
    finding = Finding(FindingKind.MISSING, 3, 3, 1.0, 9.0, "", heard, 0.5)
    text = html.serialize(replace(sample(), findings=(finding,)))
    assert ">w0 w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11 … 28 more<" in text
    assert f"“{heard}”" in text


def test_without_corrections_there_is_no_choice_of_readings() -> None:
    assert 'id="corrected"' in html.serialize(sample())
    assert 'id="corrected"' not in html.serialize(replace(sample(), corrections=()))


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_a_transcript_without_turns_still_shows_its_text(seconds: float) -> None:
    bare = replace(sample(), turns=(), speakers=(), media=replace(sample().media, duration=seconds))
    assert "Geneva" in words(read(bare), hidden=set())


def test_a_page_of_an_hour_is_light() -> None:
    script = [
        item for n in range(200) for item in said(f"S{n % 2}", "one two three four five six seven eight " * 5)
    ]
    assert len(html.serialize(build(script))) < 60 * len(script)
