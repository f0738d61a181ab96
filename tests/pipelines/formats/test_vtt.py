from __future__ import annotations

import html
import re

from hypothesis import given

from pipelines.formats import vtt
from pipelines.formats.cue_cutting import clock, cues
from pipelines.text import joined
from pipelines.types import Transcript
from tests.pipelines.formats.sample import sample
from tests.pipelines.formats.strategies import transcripts

CUE = re.compile(
    r"(\d{2,}:\d\d:\d\d\.\d{3}) --> (\d{2,}:\d\d:\d\d\.\d{3})\n<v ([^\n>]+)>([^<]*)</v>",
)


def read(text: str) -> list[tuple[str, str, str, str]]:
    """Start, end, voice and payload of every cue, by a reader that knows nothing of the writer."""
    header, *blocks = re.split(r"\n\n+", text.rstrip("\n"))
    assert header == "WEBVTT"
    found = [CUE.fullmatch(block) for block in blocks]
    assert all(found), blocks
    return [(m[1], m[2], html.unescape(m[3]), html.unescape(m[4])) for m in found if m]


def test_sample() -> None:
    assert read(vtt.serialize(sample()))[1:3] == [
        ("00:00:03.400", "00:00:07.400", "Anchor", "Joining me is Ana Ruiz,\na lecturer at Basel. Welcome."),
        ("00:00:07.900", "00:00:11.500", "Ana Ruiz", "Thank you very much. It a big step,"),
    ]


@given(transcripts())
def test_any_transcript_is_read_back(transcript: Transcript) -> None:
    expected = [
        (clock(cue.start), clock(cue.end), visible(cue.name), visible(joined(cue.words)))
        for cue in cues(transcript)
    ]
    found = [
        (start, end, name, text.replace("\n", ""))
        for start, end, name, text in read(vtt.serialize(transcript))
    ]
    assert [(s, e, n, t.replace(" ", "")) for s, e, n, t in found] == [
        (s, e, n, t.replace(" ", "")) for s, e, n, t in expected
    ]


def visible(text: str) -> str:
    """What html.unescape makes of an escaped text: it drops what HTML does not allow."""
    return html.unescape(html.escape(text.replace("\0", "\ufffd"), quote=False))


@given(transcripts())
def test_an_arrow_stands_only_in_the_times(transcript: Transcript) -> None:
    text = vtt.serialize(transcript)
    assert text.count("-->") == len(cues(transcript))
