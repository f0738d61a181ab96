from __future__ import annotations

from dataclasses import replace

from hypothesis import given

from pipelines.formats import txt
from pipelines.types import Transcript
from tests.pipelines.formats.sample import sample
from tests.pipelines.formats.strategies import transcripts


def test_a_paragraph_per_turn() -> None:
    assert txt.serialize(sample()) == (
        "Anchor: Good evening. Talks began in Geneva today."
        " Joining me is Ana Ruiz, a lecturer at Basel. Welcome.\n\n"
        "Ana Ruiz: Thank you very much. It a big step,\n\n"
        "Anchor: And from Riga, Jon Berg??\n\n"
        "Jon Berg: Good evening.\n"
    )


def test_a_turn_of_which_nothing_is_left_has_no_paragraph() -> None:
    """As one that is written twice: what the corrected reading drops does not come back."""
    first, *rest = sample().turns
    shorter = txt.serialize(replace(sample(), turns=(replace(first, corrected=""), *rest)))
    assert txt.serialize(sample()).endswith(shorter)
    assert len(shorter.split("\n\n")) == len(rest)


@given(transcripts())
def test_any_transcript_has_as_many_paragraphs_as_turns(transcript: Transcript) -> None:
    paragraphs = [part for part in txt.serialize(transcript).split("\n\n") if part]
    assert len(paragraphs) == len(transcript.turns)
