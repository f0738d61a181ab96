from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from pipelines.errors import TextError
from pipelines.formats import rttm
from pipelines.types import SpeakerSegment, Transcript
from tests.pipelines.formats.sample import sample
from tests.pipelines.formats.strategies import transcripts

meeteval_io = pytest.importorskip("meeteval.io", reason="the extra `score` is not installed")
LINE = "SPEAKER a 1 0.5 1.25 <NA> <NA> S1 <NA> <NA>\n"


def test_sample() -> None:
    assert (
        rttm.serialize(sample()).splitlines()[1] == "SPEAKER interview_7 1 7.900 3.600 <NA> <NA> S2 <NA> <NA>"
    )


@given(transcripts())
def test_any_transcript_round_trips(transcript: Transcript) -> None:
    text = rttm.serialize(transcript)
    assert all(len(line.split(" ")) == 10 for line in text.splitlines())
    expected = [
        (round(turn.start, 3), round(turn.end, 3), turn.speaker.replace(" ", "_"))
        for turn in transcript.turns
        if round(turn.end * 1000) > round(turn.start * 1000)
    ]
    assert [(s.start, s.end, s.speaker) for s in rttm.parse(text)] == expected


@given(transcripts())
def test_meeteval_reads_it(transcript: Transcript) -> None:
    text = rttm.serialize(transcript)
    lines = meeteval_io.RTTM.parse(text, parse_float=float).lines
    theirs = [(round(x.begin_time, 3), round(x.begin_time + x.duration, 3), x.speaker_id) for x in lines]
    assert theirs == [(s.start, s.end, s.speaker) for s in rttm.parse(text)]


def test_pyannote_reads_it(tmp_path: Path) -> None:
    util = pytest.importorskip("pyannote.database.util", reason="the extra `score` is not installed")
    path = tmp_path / "result.rttm"
    path.write_text(
        rttm.serialize(replace(sample(), media=replace(sample().media, name='a "b" c.ogg'))), "utf-8"
    )
    ((recording, annotation),) = util.load_rttm(path).items()
    assert recording == "a_b_c"
    tracks = [
        (segment.start, segment.end, label) for segment, _, label in annotation.itertracks(yield_label=True)
    ]
    rounded = [(round(start, 3), round(end, 3), label) for start, end, label in tracks]
    assert rounded == [(turn.start, turn.end, turn.speaker) for turn in sample().turns]


def test_lines_come_back_in_order_of_their_start() -> None:
    later = LINE.replace("0.5", "9").replace("S1", "S2")
    assert rttm.parse(f";; a comment\n\n{later}{LINE}") == (
        SpeakerSegment(0.5, 1.75, "S1"),
        SpeakerSegment(9.0, 10.25, "S2"),
    )


def test_other_lines_and_nine_fields_are_understood() -> None:
    info = "SPKR-INFO a 1 <NA> <NA> <NA> unknown S1 <NA> <NA>\n"
    assert rttm.parse(info + LINE.replace(" <NA>\n", "\n")) == (SpeakerSegment(0.5, 1.75, "S1"),)


def test_an_empty_file_is_no_speech() -> None:
    assert rttm.parse("") == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hello", "Line 1 is not RTTM"),
        (LINE + LINE.replace("0.5", "soon"), "Line 2 of this RTTM has times"),
        (LINE.replace("1.25", "-1"), "are not seconds"),
        (LINE.replace("1.25", "nan"), "are not seconds"),
        (LINE.replace("1.25", "inf"), "are not seconds"),
        (LINE.replace("0.5", "1e308").replace("1.25", "1e308"), "are not seconds"),
        (LINE + LINE.replace(" a ", " b "), "mixes 2 recordings"),
    ],
)
def test_bad_lines_are_refused(text: str, reason: str) -> None:
    with pytest.raises(TextError, match=reason):
        rttm.parse(text)


def test_more_than_a_thousand_speakers_are_refused() -> None:
    lines = [LINE.replace("S1", f"S{number}") for number in range(rttm.MOST_SPEAKERS + 1)]
    assert len(rttm.parse("".join(lines[1:]))) == 1000
    with pytest.raises(
        TextError, match="names 1001 speakers, more than 1000: the speaker is the eighth field"
    ):
        rttm.parse("".join(lines))
