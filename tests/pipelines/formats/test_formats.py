from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import OptionError
from pipelines.formats import FORMATS, serialize
from pipelines.types import Transcript
from tests.pipelines.formats.sample import sample
from tests.pipelines.formats.strategies import transcripts


def test_every_format_of_the_design_is_there() -> None:
    assert set(FORMATS) == {"json", "txt", "vtt", "srt", "rttm", "stm", "ctm", "seglst", "ttml", "html"}


def test_an_unknown_format_names_the_known_ones() -> None:
    with pytest.raises(OptionError, match="There is no format 'docx': choose from json, txt, vtt"):
        serialize(sample(), "docx")


@given(transcripts(), st.sampled_from(sorted(FORMATS)))
def test_any_transcript_can_be_written_in_any_format(transcript: Transcript, name: str) -> None:
    text = serialize(transcript, name)
    assert text == serialize(transcript, name)
    text.encode("utf-8")


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_a_file_name_that_is_no_unicode_does_no_harm(name: str) -> None:
    broken = replace(sample(), media=replace(sample().media, name="caf\udce9.ogg"))
    assert "\udce9" not in serialize(broken, name)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_nothing_said_is_no_error(name: str) -> None:
    empty = replace(sample(), tokens=(), turns=(), speakers=(), findings=(), corrections=())
    serialize(empty, name)
