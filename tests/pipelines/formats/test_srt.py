from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given

from pipelines.formats import srt
from pipelines.formats.cue_cutting import clock, cues
from pipelines.text import joined
from pipelines.types import Transcript
from tests.pipelines.formats.sample import build, said, sample
from tests.pipelines.formats.strategies import transcripts

TIMES = re.compile(r"(\d{2,}:\d\d:\d\d,\d{3}) --> (\d{2,}:\d\d:\d\d,\d{3})")


def read(text: str) -> list[tuple[str, str, str]]:
    """Start, end and text of every cue, by a reader that knows nothing of the writer."""
    result = []
    for number, block in enumerate(re.split(r"\n\n", text.rstrip("\n")) if text else [], 1):
        index, times, payload = block.split("\n", 2)
        found = TIMES.fullmatch(times)
        assert found
        assert index == str(number)
        result.append((found[1], found[2], payload))
    return result


def test_sample() -> None:
    assert read(srt.serialize(sample()))[:3] == [
        ("00:00:00,600", "00:00:03,400", "ANCHOR: Good evening.\nTalks began in Geneva today."),
        ("00:00:03,400", "00:00:07,400", "Joining me is Ana Ruiz,\na lecturer at Basel. Welcome."),
        ("00:00:07,900", "00:00:11,500", "ANA RUIZ: Thank you very\nmuch. It a big step,"),
    ]


def test_an_arrow_in_the_text_is_no_line_of_times() -> None:
    assert srt.serialize(build(said("A", "now --> then"))).count("-->") == 1


@given(transcripts())
def test_any_transcript_is_read_back(transcript: Transcript) -> None:
    found = read(srt.serialize(transcript))
    for cue, (start, end, text) in zip(cues(transcript), found, strict=True):
        assert (start, end) == (clock(cue.start, ","), clock(cue.end, ","))
        label = f"{cue.name.upper()}: " if cue.opens else ""
        expected = label.replace("-->", "→") + joined(cue.words).replace("-->", "→")
        assert re.sub(r"[ \n]", "", text) == expected.replace(" ", "")


def test_no_turns_make_an_empty_file() -> None:
    assert srt.serialize(replace(sample(), turns=())) == ""
