"""TTML captions with an agent for every speaker.

Specification: W3C, "Timed Text Markup Language 2 (TTML2)", https://www.w3.org/TR/ttml2/, section 14 for
`ttm:agent`, `ttm:name` and `ttm:role`; our own roles begin with `x-`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

from pipelines.formats.cue_cutting import Cue, clock, cues, wrap
from pipelines.formats.names import display_names
from pipelines.types import Role, Transcript

_NAMESPACES = (
    'xmlns="http://www.w3.org/ns/ttml" xmlns:ttp="http://www.w3.org/ns/ttml#parameter"'
    ' xmlns:ttm="http://www.w3.org/ns/ttml#metadata"'
)
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def serialize(transcript: Transcript) -> str:
    """The corrected reading as cues: one `p` each, with its agent and role."""
    names = display_names(transcript.speakers)
    agents = {speaker: f"speaker-{number}" for number, speaker in enumerate(names, 1)}
    roles = {speaker.id: speaker.role for speaker in transcript.speakers}
    head = "".join(
        f'<ttm:agent xml:id="{agents[speaker]}" type="person">'
        f'<ttm:name type="full">{escape(_clean(name))}</ttm:name></ttm:agent>\n'
        for speaker, name in names.items()
    )
    body = "".join(_paragraph(cue, agents, roles) for cue in cues(transcript))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<tt {_NAMESPACES} ttp:timeBase="media" xml:lang={quoteattr(_clean(transcript.language))}>\n'
        f"<head><metadata>\n{head}</metadata></head>\n<body><div>\n{body}</div></body>\n</tt>\n"
    )


def _paragraph(cue: Cue, agents: Mapping[str, str], roles: Mapping[str, Role]) -> str:
    speaker = ""
    if cue.speaker in agents:
        speaker = f' ttm:agent="{agents[cue.speaker]}" ttm:role="x-{roles[cue.speaker].value}"'
    text = "<br/>".join(escape(_clean(line)) for line in wrap(cue.words))
    return f'<p begin="{clock(cue.start)}" end="{clock(cue.end)}"{speaker}>{text}</p>\n'


def _clean(text: str) -> str:
    """Characters that XML 1.0 forbids, even as references, become U+FFFD."""
    return _NOT_XML.sub("\ufffd", text)
