"""Letter-to-sound rules, checked by hand and against the dictionary."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from pipelines.engines.embedded.pronunciation import CHARACTERS, RULES, look_up, pronounce

PHONES = {
    *("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"),
    *("B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N", "NG"),
    *("P", "R", "S", "SH", "T", "TH", "V", "W", "Y", "Z", "ZH"),
}


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("hegseth", "HH EH G S EH TH"),
        ("zelenskyy", "Z EH L EH N S K IY"),
        ("lavrov", "L AE V R AA V"),
        ("starmer", "S T AA R M ER"),
        ("knight", "N AY T"),
        ("phones", "F OW N Z"),
        ("nation", "N AE SH AH N"),
        ("chained", "CH EY N D"),
        ("tables", "T AE B AH L Z"),
        ("queen", "K W IY N"),
        ("dodges", "D AA JH IH Z"),
    ],
)
def test_rules_by_hand(word: str, phones: str) -> None:
    assert pronounce(word, {}) == phones


@pytest.mark.parametrize(
    ("word", "phones"),
    [("jd", "JH EY D IY"), ("bbc", "B IY B IY S IY"), ("g7", "JH IY S EH V AH N"), ("x", "EH K S")],
)
def test_without_a_vowel_it_is_spelled(word: str, phones: str) -> None:
    assert pronounce(word, {}) == phones


def test_what_is_known_is_taken_from_the_dictionary() -> None:
    assert pronounce("kyiv", {"kyiv": "K IY V"}) == "K IY V"


@pytest.mark.parametrize(
    ("word", "known", "phones"),
    [
        ("kyiv's", {"kyiv": "K IY V"}, "K IY V Z"),
        ("dw's", {}, "D IY D AH B AH L Y UW Z"),
        ("nato's", {"nato": "N EY T OW"}, "N EY T OW Z"),
        ("trump's", {"trump": "T R AH M P"}, "T R AH M P S"),
        ("marx's", {"marx": "M AA R K S"}, "M AA R K S IH Z"),
        ("sanctions'", {"sanctions": "S AE NG K SH AH N Z"}, "S AE NG K SH AH N Z IH Z"),
    ],
)
def test_possessives(word: str, known: dict[str, str], phones: str) -> None:
    assert pronounce(word, known) == phones


@pytest.mark.parametrize(
    ("accented", "plain"), [("löfflmann", "lofflmann"), ("Éire", "eire"), ("naïve", "naive")]
)
def test_accents_and_case_do_not_matter(accented: str, plain: str) -> None:
    assert pronounce(accented, {}) == pronounce(plain, {})


@pytest.mark.parametrize("word", ["", "--", "中文", "'", "'s", "…", "𑇐"])
def test_nothing_to_pronounce(word: str) -> None:
    assert pronounce(word, {}) == ""


@given(st.text(max_size=20))
def test_every_word_has_phones_of_the_model_or_none(word: str) -> None:
    assert set(pronounce(word, {}).split()) <= PHONES


@given(st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=15))
def test_every_run_of_letters_can_be_said(word: str) -> None:
    assert pronounce(word, {})


def test_tables_hold_nothing_but_phones() -> None:
    assert {phone for _, phones in RULES for phone in phones.split()} <= PHONES
    assert {phone for phones in CHARACTERS.values() for phone in phones.split()} <= PHONES
    assert len(CHARACTERS) == 36


def test_look_up_finds_words_and_the_stems_of_possessives(tmp_path: Path) -> None:
    dictionary = tmp_path / "a.dict"
    dictionary.write_text("the DH AH\nthe(2) DH IY\n\nkyiv K IY V\nqueen K W IY N\n", encoding="utf-8")
    found = look_up({"the", "kyiv's", "absent"}, dictionary)
    assert found == {"the": "DH AH", "kyiv": "K IY V"}


@pytest.mark.engine
def test_rules_come_near_the_dictionary() -> None:
    """The dictionary as the oracle: names and words alike, drawn once for all."""
    pocketsphinx = pytest.importorskip("pocketsphinx")
    lines = Path(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict")).read_text("utf-8").splitlines()
    entries = [line.split(maxsplit=1) for line in lines if re.match("[a-z]{4,} ", line)]
    sample = random.Random(3).sample(entries, 3000)
    errors = sum(Levenshtein.distance(phones.split(), pronounce(word, {}).split()) for word, phones in sample)
    assert errors / sum(len(phones.split()) for _, phones in sample) < 0.22
