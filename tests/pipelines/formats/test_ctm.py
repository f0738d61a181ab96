from __future__ import annotations

import pytest
from hypothesis import given

from pipelines.formats import ctm
from pipelines.types import Transcript
from tests.pipelines.formats.sample import build, said, sample, words_of
from tests.pipelines.formats.strategies import transcripts

meeteval_io = pytest.importorskip("meeteval.io", reason="the extra `score` is not installed")


def test_sample() -> None:
    lines = ctm.serialize(sample()).splitlines()
    assert lines[2] == "interview_7 1 1.400 0.400 Talks 0.950"
    assert "interview_7 1 10.700 0.800 step, 0.950" in lines


def test_punctuation_that_stands_alone_is_no_word() -> None:
    assert [line.split()[4] for line in ctm.serialize(build(said("A", "well – yes"))).splitlines()] == [
        "well",
        "yes",
    ]


@given(transcripts())
def test_meeteval_reads_it(transcript: Transcript) -> None:
    text = ctm.serialize(transcript)
    theirs = [(line.word, line.begin_time) for line in meeteval_io.CTM.parse(text, parse_float=float).lines]
    words = [word for turn in words_of(transcript) for word in turn if any(map(str.isalnum, word.text))]
    assert theirs == [("".join(word.text.split()), round(word.start, 3)) for word in words]
