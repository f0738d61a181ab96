from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pipelines.errors import TextError
from pipelines.formats import result
from pipelines.types import Match, Transcript
from tests.pipelines.formats.sample import sample
from tests.pipelines.formats.strategies import transcripts

SCHEMA: dict[str, Any] = json.loads(
    files("pipelines.formats").joinpath("result.schema.json").read_text("utf-8")
)


def written(transcript: Transcript) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(result.serialize(transcript))
    return parsed


def test_sample_round_trips() -> None:
    assert result.parse(result.serialize(sample())) == sample()


@given(transcripts())
def test_any_transcript_round_trips_to_the_millisecond(transcript: Transcript) -> None:
    text = result.serialize(transcript)
    parsed = result.parse(text)
    assert result.serialize(parsed) == text
    assert parsed.supplied == transcript.supplied
    assert parsed.attribution.speakers == transcript.attribution.speakers
    assert all(
        abs(a.start - b.start) <= 0.0005001 for a, b in zip(parsed.tokens, transcript.tokens, strict=True)
    )


@given(transcripts())
def test_any_transcript_follows_the_schema(transcript: Transcript) -> None:
    Draft202012Validator(SCHEMA).validate(written(transcript))


@given(transcripts())
def test_rounding_keeps_the_order_of_times(transcript: Transcript) -> None:
    tokens = written(transcript)["tokens"]
    assert [token["start"] for token in tokens] == sorted(token["start"] for token in tokens)
    assert [token["end"] for token in tokens] == sorted(token["end"] for token in tokens)


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["schema"]["const"] == result.SCHEMA


def test_every_field_of_the_schema_is_described_and_required() -> None:
    objects = [SCHEMA, *SCHEMA["$defs"].values(), *SCHEMA["properties"].values()]
    for item in objects:
        assert item.get("description")
        for name, member in item.get("properties", {}).items():
            assert member.get("description"), name
        if "properties" in item:
            assert item["additionalProperties"] is False
            assert sorted(item["required"]) == sorted(item["properties"])


def test_the_schema_refuses_a_spoken_token_without_speaker() -> None:
    wrong = written(sample())
    wrong["tokens"][0]["speaker"] = None
    assert not Draft202012Validator(SCHEMA).is_valid(wrong)
    wrong = written(sample())
    wrong["surprise"] = 1
    assert not Draft202012Validator(SCHEMA).is_valid(wrong)


def test_tokens_say_what_was_heard_and_who_spoke() -> None:
    tokens = {token["text"]: token for token in written(sample())["tokens"]}
    assert (tokens["Lks"]["heard"], tokens["Lks"]["speaker"]) == ("talks", "S1")
    assert (tokens["Storm"]["heard"], tokens["Storm"]["speaker"]) == ("", None)
    assert tokens["Good"]["cue"] is None
    assert tokens[">>"]["kind"] == "change"


def test_offsets_point_into_the_supplied_reading() -> None:
    value = written(sample())
    text = value["readings"]["supplied"]
    assert all(text[t["char_start"] : t["char_end"]] == t["text"] for t in value["tokens"])


def test_one_line_per_token() -> None:
    assert sum('"char_start"' in line for line in result.serialize(sample()).splitlines()) == len(
        sample().tokens
    )


def test_times_and_confidences_are_rounded() -> None:
    precise = replace(sample().tokens[0], start=-0.0, end=1.00049, confidence=0.123456)
    token = written(replace(sample(), tokens=(precise, *sample().tokens[1:])))["tokens"][0]
    assert (str(token["start"]), token["end"], token["confidence"]) == ("0.0", 1.0, 0.1235)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ("{" * 100_000, "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "`schema` is null"),
        ('{"schema": "turnwise/9"}', "turnwise/9"),
        ('{"schema": "turnwise/1"}', "'readings' is missing"),
        (result.serialize(sample()).replace('"start": 0.6', '"start": NaN', 1), "nan"),
        (result.serialize(sample()).replace('"start": 0.6', '"start": 1e999', 1), "inf"),
        (result.serialize(sample()).replace('"start": 0.6', '"start": "soon"', 1), "soon"),
        (result.serialize(sample()).replace('"match": "matched"', '"match": "maybe"', 1), "maybe"),
        (result.serialize(sample()).replace('"token_start": 0', '"token_start": 0.5', 1), "a whole number"),
        (result.serialize(sample()).replace('"token_start": 0', '"token_start": true', 1), "a whole number"),
    ],
)
def test_what_is_no_result_is_refused(text: str, reason: str) -> None:
    with pytest.raises(TextError, match=reason):
        result.parse(text)


@given(st.data())
def test_a_broken_result_is_refused_or_read_never_more(data: st.DataObject) -> None:
    value = written(sample())
    key = data.draw(st.sampled_from(sorted(set(value) - {"schema"})))
    value[key] = data.draw(
        st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x, max_size=2))
    )
    with suppress(TextError):
        result.parse(json.dumps(value))


def test_an_unspoken_token_has_no_speaker() -> None:
    parsed = result.parse(result.serialize(sample()))
    for token, label in zip(parsed.tokens, parsed.attribution.speakers, strict=True):
        assert (label == "") == (token.match is Match.NOT_SPOKEN)
