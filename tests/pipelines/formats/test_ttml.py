from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given

from pipelines.formats import ttml
from pipelines.formats.cue_cutting import clock, cues
from pipelines.text import joined
from pipelines.types import Transcript
from tests.pipelines.formats.sample import sample
from tests.pipelines.formats.strategies import transcripts

TT = "{http://www.w3.org/ns/ttml}"
TTM = "{http://www.w3.org/ns/ttml#metadata}"
XML = "{http://www.w3.org/XML/1998/namespace}"


def read(transcript: Transcript) -> ElementTree.Element:
    return ElementTree.fromstring(ttml.serialize(transcript).encode())


def test_agents_have_names_and_cues_have_agents_and_roles() -> None:
    root = read(sample())
    agents = {agent.get(f"{XML}id"): agent.findtext(f"{TTM}name") for agent in root.iter(f"{TTM}agent")}
    assert list(agents.values()) == ["Anchor", "Ana Ruiz", "Jon Berg"]
    spoken = [
        (agents[p.get(f"{TTM}agent")], p.get(f"{TTM}role"), p.get("begin")) for p in root.iter(f"{TT}p")
    ]
    assert spoken[1:4] == [
        ("Anchor", "x-anchor", "00:00:03.400"),
        ("Ana Ruiz", "x-analyst", "00:00:07.900"),
        ("Anchor", "x-anchor", "00:00:12.000"),
    ]
    assert root.get(f"{XML}lang") == "en"


def test_lines_break() -> None:
    second = list(read(sample()).iter(f"{TT}p"))[1]
    assert (second.text, second[0].tag, second[0].tail) == (
        "Joining me is Ana Ruiz,",
        f"{TT}br",
        "a lecturer at Basel. Welcome.",
    )


@given(transcripts())
def test_any_transcript_is_valid_xml_with_every_cue(transcript: Transcript) -> None:
    paragraphs = list(read(transcript).iter(f"{TT}p"))
    for cue, paragraph in zip(cues(transcript), paragraphs, strict=True):
        assert (paragraph.get("begin"), paragraph.get("end")) == (clock(cue.start), clock(cue.end))
        assert len("".join(paragraph.itertext()).replace(" ", "")) == len(joined(cue.words).replace(" ", ""))


@given(transcripts())
def test_every_agent_that_is_named_exists(transcript: Transcript) -> None:
    root = read(transcript)
    agents = {agent.get(f"{XML}id") for agent in root.iter(f"{TTM}agent")}
    assert {p.get(f"{TTM}agent") for p in root.iter(f"{TT}p")} - {None} <= agents
