"""HTML: one page that needs no server, made of page.html, page.css and page.js in this folder.

It loads nothing else: a content security policy allows only this style, this script and the recording.
Every text of the transcript goes through `plain`.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from string import Template

from pipelines.formats.markup import TurnMarkup, note, plain
from pipelines.formats.names import display_names, one_line
from pipelines.formats.timeline import axis, bars, minutes
from pipelines.types import Evidence, Finding, FindingKind, Role, Speaker, Transcript, Turn

COLOURS = 7
"""The number of speaker colours in page.css; further speakers reuse them."""

_KEY = {
    FindingKind.NOT_SPOKEN: '<del class="not_spoken">not spoken</del>',
    FindingKind.REPEATED: '<del class="repeated">written twice</del>',
    FindingKind.MISSING: '<ins class="missing">missing</ins>',
    FindingKind.DIFFERS: '<span class="differs">heard otherwise</span>',
}
_TOGGLE = (
    '<fieldset class="reading"><legend>Reading</legend>'
    '<label><input type="radio" name="reading" id="supplied" checked>Supplied</label>'
    '<label><input type="radio" name="reading" id="corrected">Corrected</label></fieldset>'
)


def serialize(transcript: Transcript, audio_uri: str = "") -> str:
    """Returns the page. `audio_uri` locates the recording: a relative reference or a `data:` URI.

    Without one, the page lets the reader open the recording.
    """
    page = _Page(transcript)
    style, script = _asset("page.css"), _asset("page.js")
    return Template(_asset("page.html")).substitute(
        policy=_policy(style, script),
        style=style,
        script=script,
        title=plain(transcript.media.name),
        language=plain(transcript.language),
        duration=f"{page.duration:.3f}",
        length=minutes(page.duration),
        audio=f' src="{plain(audio_uri)}"' if audio_uri else "",
        facts=page.facts(),
        warnings=page.warnings(),
        speakers="\n".join(map(page.speaker, transcript.speakers)),
        axis=page.axis(),
        strip=bars(page.spans(), page.duration),
        key=page.key(),
        turns="\n".join(page.turns()),
        findings=page.findings(),
        engines=page.engines(),
        toggle=_TOGGLE if transcript.corrections else "",
    )


def _asset(name: str) -> str:
    return files("pipelines.formats").joinpath(name).read_text("utf-8")


def _policy(style: str, script: str) -> str:
    """Allows only this style and script, and media beside the page, inside it, or chosen by the reader."""
    return (
        f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)};"
        " media-src 'self' file: data: blob:; base-uri 'none'; form-action 'none'"
    )


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


class _Page:
    """The parts of the page that depend on the transcript."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._names = display_names(transcript.speakers)
        self._colours = {speaker: f"s{index % COLOURS}" for index, speaker in enumerate(self._names)}
        self._roles = {speaker.id: speaker.role for speaker in transcript.speakers}
        self.duration = max([transcript.media.duration, *(turn.end for turn in transcript.turns)])

    def facts(self) -> str:
        media = self._transcript.media
        facts = [
            minutes(self.duration),
            f"{len(self._transcript.speakers)} speakers",
            f"{len(self._transcript.turns)} turns",
            f"language {self._transcript.language}",
        ]
        channels = {1: "mono", 2: "stereo"}.get(media.channels, f"{media.channels} channels")
        sound = f" · {media.container} / {media.codec} · {media.sample_rate_hz / 1000:g} kHz"
        technical = f'<span class="technical">{plain(sound)} {channels}</span>'
        return " · ".join(map(plain, facts)) + technical

    def warnings(self) -> str:
        items = "".join(f"<li>{plain(notice.message)}</li>" for notice in self._transcript.warnings)
        return f'<ul class="warnings">{items}</ul>\n' if items else ""

    def spans(self, speaker: str = "") -> Iterator[tuple[float, float, str]]:
        """The turns of one speaker, or of all, as coloured spans."""
        for turn in self._transcript.turns:
            if speaker in {"", turn.speaker}:
                yield turn.start, turn.end, self._colours.get(turn.speaker, "")

    def speaker(self, speaker: Speaker) -> str:
        name = self._names[speaker.id]
        about = " · ".join(filter(None, [_role(speaker.role, name), one_line(speaker.affiliation)]))
        lane = bars(self.spans(speaker.id), self.duration)
        return (
            f'<div class="speaker {self._colours[speaker.id]}">'
            f'<div class="who"><h3><bdi>{plain(name)}</bdi></h3><p>{plain(about)}</p></div>'
            f'<div class="lane">{lane}<div class="head"></div></div>'
            f'<p class="talk">{minutes(speaker.talk_time)} <small>{self._share(speaker)}</small></p>'
            f"{_evidence(speaker)}</div>"
        )

    def _share(self, speaker: Speaker) -> str:
        total = sum(other.talk_time for other in self._transcript.speakers)
        share = f"{speaker.talk_time / total:.0%} · " if total else ""
        return f"{share}{speaker.turn_count} turn{'s' * (speaker.turn_count != 1)}"

    def axis(self) -> str:
        """The positions of the findings, and the time axis."""
        marks = [(finding.start, finding.end, finding.kind.value) for finding in self._transcript.findings]
        where = f'<p>Findings</p><div class="lane where">{bars(marks, self.duration)}</div>' if marks else ""
        return f'<div class="axis">{where}{axis(self.duration)}</div>'

    def key(self) -> str:
        counts = Counter(finding.kind for finding in self._transcript.findings)
        items = "".join(
            f"<li><b>{counts[kind]}</b> {mark}</li>" for kind, mark in _KEY.items() if counts[kind]
        )
        return f'<ul class="key" aria-label="Findings">{items}</ul>' if items else ""

    def turns(self) -> Iterator[str]:
        """Yields the turns with every token: those between two turns belong to the earlier one."""
        markup = TurnMarkup(self._transcript)
        turns, count = self._transcript.turns, len(self._transcript.tokens)
        starts = [0, *(turn.token_start for turn in turns[1:]), count]
        if not turns:
            yield _article("", "", markup.write(0, count))
        for turn, start, end in zip(turns, starts, starts[1:], strict=False):
            yield self._turn(turn, markup.write(start, end))

    def _turn(self, turn: Turn, text: str) -> str:
        role = self._roles.get(turn.speaker, Role.UNKNOWN)
        name = self._names.get(turn.speaker, turn.speaker)
        header = (
            f'<h3><bdi>{plain(name)}</bdi></h3><p class="role">{_role(role, name)}</p>{_time(turn.start)}'
        )
        return _article(self._colours.get(turn.speaker, ""), header, text)

    def findings(self) -> str:
        found = self._transcript.findings
        if not found:
            return ""
        items = "".join(map(_finding, found))
        title = f"<summary><h2>All {len(found)} findings</h2></summary>"
        return f'<details class="findings">{title}<ol>{items}</ol></details>'

    def engines(self) -> str:
        """Provenance: the engine of each stage, and the recording."""
        media = self._transcript.media
        items = [
            _provenance(stage.capitalize(), f"{e.engine} {e.version}, model {e.model}", e.model_sha256)
            for stage, e in self._transcript.engines
        ]
        return f"<dl>{''.join(items)}{_provenance('Recording', media.name, media.sha256)}</dl>"


def _provenance(what: str, which: str, sha256: str) -> str:
    return f"<dt>{plain(what)}</dt><dd>{plain(which)} <code>{plain(sha256[:12])}</code></dd>"


def _role(role: Role, name: str) -> str:
    """The role, unless the name already says it."""
    return "" if role is Role.UNKNOWN or name.startswith(role.value.capitalize()) else role.value.capitalize()


def _article(colour: str, header: str, text: str) -> str:
    return f'<article class="turn {colour}"><header>{header}</header><p dir="auto">{text}</p></article>'


def _evidence(speaker: Speaker) -> str:
    if not speaker.evidence:
        return ""
    items = "".join(map(_quote, speaker.evidence))
    sure = f"role {speaker.role_confidence:.0%} sure"
    sure += f", name {speaker.name_confidence:.0%} sure" if speaker.name else ""
    return f'<details class="evidence"><summary>Evidence: {sure}</summary><ul>{items}</ul></details>'


def _quote(evidence: Evidence) -> str:
    text = plain(evidence.quote)
    words = f'<span class="described">{text}</span>' if evidence.source == "structure" else f"<q>{text}</q>"
    return f'<li>{_time(evidence.start)}<span class="supports">{plain(evidence.supports)}</span>{words}</li>'


def _finding(finding: Finding) -> str:
    before, after = plain(finding.text), plain(finding.suggestion)
    marks = {
        FindingKind.NOT_SPOKEN: f"<del>{before}</del>",
        FindingKind.REPEATED: f'<del class="repeated">{before}</del>',
        FindingKind.MISSING: f"<ins>{after}</ins>",
        FindingKind.DIFFERS: f'<span class="differs">{before}</span> → {after}',
    }
    name = finding.kind.replace("_", " ").capitalize()
    kind = f'<span class="kind" title="{plain(note(finding))}">{name}</span>'
    return f'<li>{_time(finding.start)}{kind}<span class="words" dir="auto">{marks[finding.kind]}</span></li>'


def _time(time: float) -> str:
    return f'<button type="button" class="time" data-t="{time:.2f}">{minutes(time)}</button>'
