"""References come in from three formats; a wrong one is told what is wrong with it."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import TextError
from pipelines.scoring.references import (
    Identity,
    Reference,
    ReferenceTurn,
    TokenTruth,
    load,
    load_truth,
    parse,
    parse_truth,
)
from pipelines.types import Role, SpeakerSegment

TURNS = json.dumps(
    [
        {"role": "anchor", "speaker": "A", "text": "Good evening."},
        {"role": "analyst", "speaker": "B", "text": "Hello.", "name": "Georg Löfflmann"},
        {"speaker": "A", "text": "Thank you."},
    ]
)
STM = "talk 1 A 0.0 1.5 Good evening.\ntalk 1 B 1.5 2.0 Hello.\n"
RTTM = "SPEAKER talk 1 0.0 1.5 <NA> <NA> A <NA> <NA>\nSPEAKER talk 1 1.5 0.5 <NA> <NA> B <NA> <NA>\n"


def test_each_format_gives_what_it_holds() -> None:
    segments = (SpeakerSegment(0.0, 1.5, "A"), SpeakerSegment(1.5, 2.0, "B"))
    turns = (ReferenceTurn("A", "Good evening."), ReferenceTurn("B", "Hello."))
    assert parse(RTTM, ".rttm") == Reference(segments=segments)
    assert parse(STM, ".stm") == Reference(segments=segments, turns=turns)
    found = parse(TURNS, ".json")
    assert found.turns[:2] == turns
    assert found.segments == ()
    assert dict(found.identities) == {
        "A": Identity(Role.ANCHOR, ""),
        "B": Identity(Role.ANALYST, "Georg Löfflmann"),
    }


def test_files_complete_each_other(tmp_path: Path) -> None:
    (tmp_path / "talk.rttm").write_text(RTTM, encoding="utf-8")
    (tmp_path / "turns.json").write_text(TURNS, encoding="utf-8")
    both = load([tmp_path / "talk.rttm", tmp_path / "turns.json"])
    assert len(both.segments) == 2
    assert len(both.turns) == 3
    assert len(both.identities) == 2


def test_truth_about_the_supplied_text(tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    path.write_text('[{"token": "Good", "turn": 0}, {"token": "News", "turn": null}]', encoding="utf-8")
    assert load_truth(path) == (TokenTruth("Good", 0), TokenTruth("News", None))


@pytest.mark.parametrize(
    ("text", "suffix", "problem"),
    [
        ("{", ".json", "not JSON"),
        ("{}", ".json", "list of objects"),
        ("[1]", ".json", "list of objects"),
        ('[{"text": "Yes."}]', ".json", "'speaker'"),
        ('[{"speaker": "A"}]', ".json", "'text'"),
        ('[{"speaker": "A", "text": 7}]', ".json", "'text'"),
        ('[{"speaker": "A", "text": "", "role": "boss"}]', ".json", "use one of anchor"),
        ("[" * 100_000, ".json", "not JSON"),
        ("SPEAKER", ".rttm", "not RTTM"),
        ("talk 1", ".stm", "not STM"),
        ("Hello.", ".txt", ".rttm, .stm or .json"),
        ("Hello.", "", ".rttm, .stm or .json"),
    ],
)
def test_a_wrong_reference_is_told_what_is_wrong(text: str, suffix: str, problem: str) -> None:
    with pytest.raises(TextError, match=problem):
        parse(text, suffix)


@pytest.mark.parametrize(
    "entry",
    [
        '{"token": "a"}',
        '{"token": "a", "turn": "0"}',
        '{"token": "a", "turn": -1}',
        '{"token": "a", "turn": true}',
        '{"token": "a", "turn": 0.5}',
        '{"turn": 0}',
    ],
)
def test_a_wrong_truth_is_told_what_is_wrong(entry: str) -> None:
    with pytest.raises(TextError, match=r"^(token|entry) 0 of the"):
        parse_truth(f"[{entry}]")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(TextError, match=r"cannot be read \(no such file"):
        load([tmp_path / "nothing.stm"])
    with pytest.raises(TextError, match=r"cannot be read \(is a directory\)"):
        load([tmp_path])
    (tmp_path / "latin.json").write_bytes(b"\xff\xfe\xe9")
    with pytest.raises(TextError, match="save it as UTF-8"):
        load([tmp_path / "latin.json"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["speaker", "text", "role", "turn", "token", "name"]), inner)
    ),
    max_leaves=8,
)


@given(JSON)
def test_any_json_is_read_or_refused(document: object) -> None:
    for read in (lambda text: parse(text, ".json"), parse_truth):
        with suppress(TextError):
            read(json.dumps(document))
