"""How many voices get the right role and name, how many none, how many a wrong one.

    python -m tests.benchmarks.roles --seeds 1-20

The hand-written broadcasts of interviews.py, with their text and with nothing but the words heard, and
the interviews of the seeded generator through alignment and attribution, with 2 to 6 voices. Seeds 1 to 20
are for reporting: tune on others.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rapidfuzz import fuzz
from rich.console import Console
from rich.table import Table

from pipelines.attribution.attribution import attribute, take_turns
from pipelines.roles.roles import assign_roles
from pipelines.types import Role, Speaker
from tests.benchmarks.aligner import bring_together
from tests.benchmarks.generator import Interview, generate
from tests.support.interviews import HELD_OUT, TUNED, Broadcast, Voice
from tests.support.scripts import interview

OWN_REPORTERS = re.compile(r"correspondent|bureau chief")
INTRODUCED = re.compile(r"(?:speak to|joined by|bring in|correspondent|bureau chief,) ([A-Z]\w+ [A-Z]\w+)")
SAME_NAME = 60
"""Letters in common, in percent, from which a name is a damaged writing of the true one."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One voice: what is right to say about it, and what was said."""

    voice: Voice
    speaker: Speaker

    @property
    def role(self) -> str:
        if self.speaker.role.value in self.voice.roles.split("|"):
            return "right"
        return "none" if self.speaker.role is Role.UNKNOWN else "wrong"

    @property
    def name(self) -> str:
        """ "right" also where nothing names the voice and it got no name."""
        if not self.speaker.name:
            return "none" if self.voice.names else "right"
        likeness = (
            fuzz.token_set_ratio(self.speaker.name.lower(), name.lower())
            for name in self.voice.names.split("|")
        )
        return "right" if max(likeness) >= SAME_NAME else "wrong"


# --------------------------------------------------------------------------- the recordings


def judge_broadcast(broadcast: Broadcast, *, supplied: bool) -> list[Judgement]:
    tokens, heard, attribution, turns = interview(broadcast.script, supplied=supplied)
    speakers = assign_roles(turns, tokens, heard, attribution, stands_in=not supplied)
    return [Judgement(broadcast.voices[speaker.id], speaker) for speaker in speakers]


def judge_interview(made: Interview) -> list[Judgement]:
    """Through the stages before, so with their errors; of a voice's labels only the one with most words."""
    tokens = bring_together(made)
    attribution = attribute(tokens, made.diarization)
    speakers = assign_roles(take_turns(tokens, attribution), tokens, made.heard, attribution)
    true = [truth.speaker for truth in made.truth]
    pairs = Counter(zip(true, attribution.speakers, strict=True))
    by_id = {speaker.id: speaker for speaker in speakers}
    return [
        Judgement(voice, by_id[max(by_id, key=lambda label: pairs[name, label])])
        for name, voice in _true_voices(made)
    ]


def _true_voices(made: Interview) -> Iterator[tuple[str, Voice]]:
    """Roles of the cast; for a guest, role and name are what the host's introduction says."""
    for index, utterance in enumerate(made.utterances):
        if any(earlier.speaker == utterance.speaker for earlier in made.utterances[:index]):
            continue
        before = made.utterances[index - 1].text if index else ""
        if utterance.role in (Role.ANALYST, Role.CORRESPONDENT):
            role = Role.CORRESPONDENT if OWN_REPORTERS.search(before) else Role.ANALYST
            yield utterance.speaker, Voice(role.value, _named(before))
        else:
            yield utterance.speaker, Voice(utterance.role.value)


def _named(text: str) -> str:
    """Whom the introduction names."""
    found = INTRODUCED.findall(text)
    return found[-1] if found else ""


# --------------------------------------------------------------------------- the figures


def tabulate(rows: Iterable[tuple[str, Sequence[Judgement]]]) -> Table:
    table = Table(title="voices with the right role and name, with none given, with a wrong one")
    headers = ("recordings", "voices", "role right", "none", "wrong", "name right", "none", "wrong")
    for header in (*headers, "confidence", "Brier"):
        table.add_column(header, justify="left" if header == "recordings" else "right")
    for title, judgements in rows:
        table.add_row(title, *_cells(judgements))
    return table


def _cells(judgements: Sequence[Judgement]) -> Iterator[str]:
    yield str(len(judgements))
    for counts in (Counter(each.role for each in judgements), Counter(each.name for each in judgements)):
        yield from (f"{counts[result] / len(judgements):.1%}" for result in ("right", "none", "wrong"))
    decided = [each for each in judgements if each.speaker.role is not Role.UNKNOWN]
    yield f"{sum(each.speaker.role_confidence for each in decided) / max(len(decided), 1):.1%}"
    errors = [(each.speaker.role_confidence - (each.role == "right")) ** 2 for each in decided]
    yield f"{sum(errors) / max(len(errors), 1):.3f}"


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parse(arguments)
    rows = []
    for title, broadcasts in (("tuned", TUNED), ("held out", HELD_OUT)):
        for supplied in (True, False):
            found = [each for item in broadcasts for each in judge_broadcast(item, supplied=supplied)]
            rows.append((f"{title}, {'text' if supplied else 'only heard'}", found))
    for damage in (0.0, 0.2, 0.4):
        made = [
            generate(seed, speakers=speakers, damage=damage)
            for seed in options.seeds
            for speakers in range(2, 7)
        ]
        rows.append(
            (f"generated, {damage:.0%} damage", [each for one in made for each in judge_interview(one)])
        )
    Console(width=130).print(tabulate(rows))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.roles", description=__doc__)
    parser.add_argument("--seeds", type=_seeds, default=_seeds("1-20"), metavar="FIRST-LAST")
    return parser.parse_args(arguments)


def _seeds(text: str) -> range:
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


if __name__ == "__main__":
    main()
