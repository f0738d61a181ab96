from __future__ import annotations

import json

import pytest
from hypothesis import given

from pipelines.formats import seglst
from pipelines.types import Transcript
from tests.pipelines.formats.sample import sample
from tests.pipelines.formats.strategies import transcripts

meeteval_io = pytest.importorskip("meeteval.io", reason="the extra `score` is not installed")


def test_sample() -> None:
    assert json.loads(seglst.serialize(sample()))[1] == {
        "session_id": "interview_7",
        "speaker": "S2",
        "start_time": 7.9,
        "end_time": 11.5,
        "words": "Thank you very much. It a big step,",
    }


@given(transcripts())
def test_meeteval_takes_it(transcript: Transcript) -> None:
    # meeteval reads JSON with simplejson, which it does not install; everything after that is its own.
    lines = meeteval_io.STM.new(meeteval_io.SegLST(json.loads(seglst.serialize(transcript)))).lines
    assert [line.transcript for line in lines] == [turn.corrected for turn in transcript.turns]
    assert [line.speaker_id for line in lines] == [turn.speaker for turn in transcript.turns]
