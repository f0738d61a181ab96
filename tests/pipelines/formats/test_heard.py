"""Words heard, written and read: our own format, a result, and what Whisper and its relatives write."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import TextError
from pipelines.formats import heard, result
from pipelines.formats.heard import UNSURE, parse, serialize
from pipelines.types import EngineInfo, Heard, HeardWord
from tests.pipelines.formats.sample import sample

ENGINE = EngineInfo("whisper", "1", "small", "abc")
HEARD = Heard((HeardWord("Thank", 0.5, 0.75, 0.9), HeardWord("you.", 0.75, 1.0, 0.8)), "en", ENGINE)

SECONDS = st.floats(0, 1e5).map(lambda x: round(x, 3))
WORDS = st.builds(
    lambda text, start, duration, confidence: HeardWord(text, start, start + duration, confidence),
    st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1),
    st.integers(0, 10**6).map(float),
    st.integers(0, 10).map(float),
    st.floats(0, 1).map(lambda x: round(x, 4)),
)


def test_what_is_written_can_be_read() -> None:
    assert parse(serialize(HEARD)) == HEARD
    assert parse(serialize(Heard((), "de", ENGINE))) == Heard((), "de", ENGINE)


@given(st.lists(WORDS))
def test_whatever_was_heard_comes_back(words: list[HeardWord]) -> None:
    ordered = Heard(tuple(sorted(words, key=lambda word: word.start)), "en", ENGINE)
    assert parse(serialize(ordered)) == ordered


def test_a_result_holds_what_was_heard() -> None:
    transcript = result.parse(result.serialize(sample()))
    assert parse(result.serialize(transcript)) == transcript.heard


YES = {"word": " Yes.", "start": 1, "end": 2}


@pytest.mark.parametrize(
    "document",
    [
        {"language": "en", "segments": [{"words": [YES | {"probability": 0.7}]}]},
        {"language": "english", "words": [YES | {"score": 0.7}]},
        {"language": "en", "segments": [{"words": [{"word": "2"}, YES | {"score": 0.7}]}]},
    ],
    ids=["whisper", "verbose_json", "whisperX"],
)
def test_the_json_of_whisper_and_its_relatives(document: object) -> None:
    found = parse(json.dumps(document))
    assert found == Heard((HeardWord("Yes.", 1.0, 2.0, 0.7),), "en", heard.UNKNOWN)


@pytest.mark.parametrize(
    ("said", "tag"), [("dutch", "nl"), ("Japanese", "ja"), ("javanese", "jv"), ("pt-BR", "pt-BR"), (None, "")]
)
def test_openais_json_names_languages_in_english(said: str | None, tag: str) -> None:
    assert parse(json.dumps({"language": said, "words": [YES]})).language == tag


def test_a_word_without_a_probability_is_unsure() -> None:
    (word,) = parse('{"words": [{"word": "a", "start": 0, "end": 1}]}').words
    assert word.confidence == UNSURE


def test_lone_surrogates_become_replacements() -> None:
    odd = "a\ud800b"
    engine = {"engine": odd, "version": "", "model": "", "model_sha256": ""}
    words = [{"word": odd, "start": 0, "end": 1}]
    found = parse(json.dumps({"language": odd, "engine": engine, "words": words}))
    assert (found.words[0].text, found.language, found.engine.engine) == ("a\ufffdb",) * 3
    assert parse(serialize(found).encode().decode()) == found


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Hello?", "Expecting value"),
        ("[]", "it is not an object"),
        ("{}", "neither words nor segments"),
        ('{"segments": [{"text": "Yes."}]}', "word_timestamps"),
        ('{"words": [{"start": 0, "end": 1}]}', "'word'"),
        ('{"words": [{"word": "a", "start": 2, "end": 1}]}', "not a word with times"),
        ('{"words": [{"word": "a", "start": -2, "end": 1}]}', "not a word with times"),
        ('{"words": [{"word": 3, "start": 0, "end": 1}]}', "not a word with times"),
        ('{"words": [{"word": "a", "start": NaN, "end": 1}]}', "is not a number"),
        ('{"words": [{"word": "a", "start": "0", "end": 1}]}', "is not a number"),
        ('{"words": [3]}', ""),
        ('{"segments": [3]}', ""),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_other_files_are_told_what_is_wrong(text: str, why: str) -> None:
    with pytest.raises(TextError, match="This is not a file of recognised words") as error:
        parse(text)
    assert why in str(error.value)
