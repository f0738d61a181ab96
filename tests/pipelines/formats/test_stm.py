from __future__ import annotations

import pytest
from hypothesis import given

from pipelines.errors import TextError
from pipelines.formats import stm
from pipelines.formats.names import one_line
from pipelines.formats.stm import Utterance
from pipelines.types import Transcript
from tests.pipelines.formats.sample import build, said, sample
from tests.pipelines.formats.strategies import transcripts

meeteval_io = pytest.importorskip("meeteval.io", reason="the extra `score` is not installed")
LINE = "a 1 S1 0.5 1.75 <o,f0,male> hello there\n"


def test_sample() -> None:
    assert (
        stm.serialize(sample()).splitlines()[1]
        == "interview_7 1 S2 7.900 11.500 Thank you very much. It a big step,"
    )


@given(transcripts())
def test_any_transcript_round_trips(transcript: Transcript) -> None:
    expected = [
        (turn.speaker.replace(" ", "_"), round(turn.start, 3), round(turn.end, 3), one_line(text))
        for turn, text in zip(transcript.turns, [turn.corrected for turn in transcript.turns], strict=True)
    ]
    parsed = stm.parse(stm.serialize(transcript))
    assert sorted((u.speaker, u.start, u.end, u.text) for u in parsed) == sorted(expected)


@given(transcripts())
def test_meeteval_reads_it(transcript: Transcript) -> None:
    text = stm.serialize(transcript)
    theirs = [
        (x.speaker_id, x.begin_time, x.end_time, one_line(x.transcript).removeprefix("<NA> "))
        for x in meeteval_io.STM.parse(text, parse_float=float).lines
    ]
    assert sorted(theirs) == sorted((u.speaker, u.start, u.end, u.text) for u in stm.parse(text))


def test_a_text_that_begins_like_a_label_is_kept() -> None:
    (utterance,) = stm.parse(stm.serialize(build(said("A", "<script> here"))))
    assert utterance.text == "<script> here"


def test_labels_and_comments_are_no_words() -> None:
    assert stm.parse(f';; CATEGORY "0"\n{LINE}') == (Utterance("S1", 0.5, 1.75, "hello there"),)
    assert stm.parse("a 1 S1 0.5 1.75\n") == (Utterance("S1", 0.5, 1.75, ""),)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("one two three", "Line 1 is not STM"),
        (LINE.replace("0.5", "x"), "has times"),
        (LINE.replace("1.75", "0.25"), "ends before it begins"),
        (LINE + LINE.replace("a 1", "b 1"), "mixes 2 recordings"),
    ],
)
def test_bad_lines_are_refused(text: str, reason: str) -> None:
    with pytest.raises(TextError, match=reason):
        stm.parse(text)
