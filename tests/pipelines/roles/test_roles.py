from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.roles.roles import ANCHORS, NOBODY_ASKS, ROLES, assign_roles, role_posteriors
from pipelines.text import join_words
from pipelines.types import (
    AlignedToken,
    Attribution,
    Heard,
    HeardWord,
    Match,
    Role,
    Speaker,
    Token,
    TokenKind,
    Turn,
)
from tests.support.interviews import HELD_OUT, TUNED, Broadcast
from tests.support.scripts import ENGINE, Interview, interview, turns_of

DEMO = Path(__file__).parents[2] / "data" / "demo"


def assign(made: Interview, *, stands_in: bool = False) -> dict[str, Speaker]:
    speakers = assign_roles(made.turns, made.tokens, made.heard, made.attribution, stands_in=stands_in)
    return {speaker.id: speaker for speaker in speakers}


def demo() -> Interview:
    """The demo segment, its tokens spread evenly over their turns."""
    truth = json.loads((DEMO / "supplied_truth.json").read_text(encoding="utf-8"))
    text = (DEMO / "supplied.txt").read_text(encoding="utf-8")
    segments = [line.split() for line in (DEMO / "segment.rttm").read_text(encoding="utf-8").splitlines()]
    numbers = [each["turn"] for each in truth]
    tokens: list[AlignedToken] = []
    labels: list[str] = []
    position, now = 0, 0.0
    for index, each in enumerate(truth):
        start = text.index(each["token"], position)
        position = start + len(each["token"])
        token = Token(each["token"], start, position, TokenKind.WORD, text.count("\n", 0, start))
        if each["turn"] is None:
            tokens.append(AlignedToken(token, Match.NOT_SPOKEN, now, now, 0, 0, 1.0))
            labels.append("")
            continue
        segment = segments[each["turn"]]
        step = float(segment[4]) / numbers.count(each["turn"])
        begin = float(segment[3]) + numbers[:index].count(each["turn"]) * step
        now = begin + step
        tokens.append(AlignedToken(token, Match.MATCHED, begin, now, 0, 0, 1.0))
        labels.append(segment[7])
    attribution = Attribution(tuple(labels), tuple(1.0 for _ in labels))
    return Interview(tuple(tokens), Heard((), "en", ENGINE), attribution, turns_of(tokens, labels))


# --------------------------------------------------------------------------- whole broadcasts


@pytest.mark.parametrize("broadcast", TUNED, ids=lambda broadcast: str(broadcast.title))
def test_roles_names_and_affiliations_of_a_broadcast(broadcast: Broadcast) -> None:
    for name, speaker in assign(interview(broadcast.script)).items():
        voice = broadcast.voices[name]
        assert speaker.role.value in voice.roles.split("|")
        assert speaker.name in voice.names.split("|")
        assert speaker.affiliation in voice.affiliation.split("|")


@pytest.mark.parametrize("supplied", [True, False])
@pytest.mark.parametrize("broadcast", [*TUNED, *HELD_OUT], ids=lambda broadcast: str(broadcast.title))
def test_nothing_is_invented(broadcast: Broadcast, supplied: bool) -> None:
    """No role but a right one or none, no name but a right one or none, with the text and without."""
    for name, speaker in assign(interview(broadcast.script, supplied=supplied)).items():
        voice = broadcast.voices[name]
        assert speaker.role.value in [*voice.roles.split("|"), "unknown"]
        assert speaker.name.lower() in [*voice.names.lower().split("|"), ""]


def test_the_demo_segment() -> None:
    speakers = assign(demo())
    assert {name: speaker.role.value.upper() for name, speaker in speakers.items()} == {
        name: name for name in ("ANCHOR", "NARRATOR", "ANALYST", "CORRESPONDENT")
    }
    named = {name: (speaker.name, speaker.affiliation) for name, speaker in speakers.items()}
    assert named == {
        "ANCHOR": ("", ""),
        "NARRATOR": ("", ""),
        "ANALYST": ("Ingrid Halloran", "University of Bramford"),
        "CORRESPONDENT": ("Tobias Renner", "Northline"),
    }


def test_the_quote_says_what_it_supports_and_when() -> None:
    analyst = assign(demo())["ANALYST"]
    quotes = {evidence.supports: evidence for evidence in reversed(analyst.evidence)}
    assert "Ingrid. Halloran" in quotes["name"].quote
    assert "University of Bramford" in quotes["affiliation"].quote
    assert 50 < quotes["name"].start < quotes["name"].end < 70
    assert {evidence.source for evidence in analyst.evidence} == {"supplied", "structure"}


# --------------------------------------------------------------------------- errors of the stages before


def disturb(made: Interview, random: Random, *, flips: float = 0.05, drop: bool = True) -> Interview:
    """Moves turn boundaries by one to three tokens and gives one turn to the voice before it."""
    labels = list(made.attribution.speakers)
    changes = [i for i in range(1, len(labels)) if labels[i] and labels[i - 1] and labels[i] != labels[i - 1]]
    for change in changes:
        if random.random() < flips:
            for index in range(change, min(change + random.randint(1, 3), len(labels))):
                labels[index] = labels[change - 1] if labels[index] else ""
    if drop and len(made.turns) > 6:
        turn = made.turns[random.randrange(3, len(made.turns) - 3)]
        before = labels[turn.token_start - 1]
        for index in range(turn.token_start, turn.token_end):
            labels[index] = before if labels[index] else ""
    attribution = Attribution(tuple(labels), made.attribution.confidence)
    return Interview(made.tokens, made.heard, attribution, turns_of(made.tokens, labels))


@pytest.mark.parametrize("seed", range(20))
def test_roles_survive_wrong_boundaries_and_a_lost_turn(seed: int) -> None:
    made = demo()
    before, after = assign(made), assign(disturb(made, Random(seed)))
    assert {name: speaker.role for name, speaker in after.items()} == {
        name: speaker.role for name, speaker in before.items()
    }


def test_names_survive_most_wrong_boundaries_and_lost_turns() -> None:
    made = demo()
    right = [
        assign(disturb(made, Random(seed)))[voice].name == assign(made)[voice].name
        for seed in range(20)
        for voice in ("ANALYST", "CORRESPONDENT")
    ]
    assert np.mean(right) >= 0.9


@pytest.mark.parametrize("broadcast", TUNED[:6], ids=lambda broadcast: str(broadcast.title))
def test_roles_survive_without_any_word_heard(broadcast: Broadcast) -> None:
    made = interview(broadcast.script)
    deaf = made._replace(
        heard=Heard((), "en", ENGINE),
        tokens=tuple(
            AlignedToken(each.token, Match.INTERPOLATED, each.start, each.end, 0, 0, 0.5)
            for each in made.tokens
        ),
    )
    assert {name: speaker.role for name, speaker in assign(deaf).items()} == {
        name: speaker.role for name, speaker in assign(made).items()
    }


def test_an_introduction_that_only_the_recording_holds() -> None:
    made = interview("""
A: The volcano is awake. <joining me now is anton berg who's a geologist at the university of oslo>
How bad is it?
B: For the village it is serious. I would not sleep there, and in our data it looks worse every day.
""")
    guest = assign(made)["B"]
    assert (guest.name, guest.affiliation, guest.role) == ("anton berg", "university of oslo", Role.ANALYST)
    assert {each.source for each in guest.evidence if each.supports == "name"} == {"heard"}


INTRODUCED = """
ANNA: Good evening and welcome. We can now speak to Jane Doe, who's a lecturer at Yale University. Is it over?
JANE: Yes, I think that it is over and that nobody will miss it at all.
"""


def test_words_that_nobody_recognised_name_nobody() -> None:
    """The text of another recording introduces somebody who is not in this one."""
    made = interview(INTRODUCED)
    assert assign(made)["JANE"].name == "Jane Doe"
    unheard = tuple(
        replace(token, match=Match.INTERPOLATED, heard_start=0, heard_end=0) for token in made.tokens
    )
    assert assign(made._replace(tokens=unheard))["JANE"].name == ""


def test_a_name_that_was_only_heard_must_have_been_heard_clearly() -> None:
    made = interview(INTRODUCED, supplied=False)
    assert assign(made, stands_in=True)["JANE"].name == "jane doe"
    words = tuple(replace(word, confidence=0.2) if word.text == "doe" else word for word in made.heard.words)
    unclear = made._replace(heard=replace(made.heard, words=words))
    assert assign(unclear, stands_in=True)["JANE"].name == ""


def test_a_phrase_that_is_mangled_in_the_text_is_found_as_heard_and_quoted_as_written() -> None:
    made = interview("""
A: Welcome to Newsline. Jening me now is Newsline's Oslo bureau chief, Ida Berg. What are they saying there?
B: Well, people here are waiting. I spoke to many of them, and nobody knows.
""")
    words = list(made.heard.words)
    at = next(index for index, word in enumerate(words) if word.text == "jening")
    words[at] = HeardWord("joining", words[at].start, words[at].end, 1.0)
    tokens = tuple(
        AlignedToken(each.token, Match.DIFFERS, each.start, each.end, at, at + 1, 1.0)
        if each.heard_start == at
        else each
        for each in made.tokens
    )
    reporter = assign(made._replace(heard=Heard(tuple(words), "en", ENGINE), tokens=tokens))["B"]
    assert (reporter.name, reporter.role) == ("Ida Berg", Role.CORRESPONDENT)
    assert any(each.quote.startswith("Jening me now") for each in reporter.evidence)


# --------------------------------------------------------------------------- other languages


GERMAN = """
A: Guten Abend. Was ist heute im Hafen geschehen?
B: Am Morgen ist ein Schiff gesunken. Es hatte Getreide geladen, und niemand weiß, warum es gesunken ist.
A: Gab es Verletzte?
B: Nein. Die Besatzung wurde gerettet, und das Schiff liegt jetzt auf Grund.
A: Wann wird der Hafen wieder geöffnet?
B: Das ist noch offen. Vielleicht am Freitag.
"""


def test_another_language_gets_roles_from_structure_and_no_names() -> None:
    speakers = assign(interview(GERMAN, language="de"))
    assert speakers["A"].role is Role.ANCHOR
    assert not speakers["A"].name
    assert {each.source for speaker in speakers.values() for each in speaker.evidence} == {"structure"}


def test_labels_name_speakers_in_any_language() -> None:
    speakers = assign(interview("A: [Eva Lund:] Guten Abend.\nB: [Max Roe:] Guten Abend.", language="de-AT"))
    assert [speakers[name].name for name in "AB"] == ["Eva Lund", "Max Roe"]


# --------------------------------------------------------------------------- any input


TEXTS = st.sampled_from(
    re.findall(
        r"\S+",
        """we can now speak to G Lan who's a lecturer at Queen University. thank you Anna, well so what? I'm
        Jane Doe Joining me is DW's chief, Yuri let's take a look at … ?? — é 中文
        NARRATOR: joins us and 'I'""",
    )
)


@st.composite
def recordings(draw: st.DrawFn) -> Interview:
    """Tokens of any kind at any time that never runs back, and turns that need not fit them."""
    texts = draw(st.lists(TEXTS, max_size=60))
    steps = draw(st.lists(st.floats(0, 3), min_size=len(texts), max_size=len(texts)))
    starts = np.cumsum([0.0, *steps]).tolist()
    words = [
        HeardWord(text.lower(), start, start + 0.2, 0.9) for text, start in zip(texts, starts, strict=False)
    ]
    tokens = [
        AlignedToken(
            Token(text, 0, 0, draw(st.sampled_from(TokenKind)), draw(st.integers(0, 5))),
            draw(st.sampled_from(Match)),
            starts[index],
            starts[index + 1],
            index,
            index + draw(st.integers(0, 1)),
            1.0,
        )
        for index, text in enumerate(texts)
    ]
    labels = [draw(st.sampled_from(["", "A", "B", "C"])) for _ in texts]
    turns = [] if draw(st.booleans()) else list(turns_of(tokens, labels))
    turns += draw(st.lists(st.builds(loose_turn, st.integers(0, 70), st.integers(0, 70)), max_size=3))
    heard = Heard(
        tuple(words) if draw(st.booleans()) else (), draw(st.sampled_from(["en", "en-GB", "fr"])), ENGINE
    )
    attribution = Attribution(tuple(labels), tuple(1.0 for _ in labels))
    return Interview(tuple(tokens), heard, attribution, tuple(turns))


def loose_turn(first: int, count: int) -> Turn:
    return Turn("D", float(first), float(first + count), first, first + count, "")


@given(recordings())
@settings(deadline=None)
def test_any_recording_gives_every_voice_once_with_sound_figures(made: Interview) -> None:
    speakers = assign_roles(made.turns, made.tokens, made.heard, made.attribution)
    voices = {turn.speaker for turn in made.turns} | set(filter(None, made.attribution.speakers))
    assert sorted(speaker.id for speaker in speakers) == sorted(voices)
    for speaker in speakers:
        assert 0 <= speaker.role_confidence <= 1
        assert 0 <= speaker.name_confidence <= 1
        assert bool(speaker.name) == (speaker.name_confidence > 0)
        own = [turn for turn in made.turns if turn.speaker == speaker.id]
        assert speaker.turn_count == len(own)
        assert speaker.talk_time == pytest.approx(sum(turn.end - turn.start for turn in own))


@given(recordings())
@settings(deadline=None)
def test_every_quote_is_in_the_words_at_its_time(made: Interview) -> None:
    for speaker in assign_roles(made.turns, made.tokens, made.heard, made.attribution):
        for evidence in speaker.evidence:
            assert evidence.supports in ("role", "name", "affiliation")
            assert evidence.start <= evidence.end
            if evidence.source == "supplied":
                assert evidence.quote in join_words(said(made.tokens, evidence.start, evidence.end))
            elif evidence.source == "heard":
                times = [
                    word
                    for word in made.heard.words
                    if word.end >= evidence.start and word.start <= evidence.end
                ]
                assert evidence.quote in join_words([word.text for word in times])


def said(tokens: Sequence[AlignedToken], start: float, end: float) -> list[str]:
    """What stands in the text at that time: what was spoken, and labels."""
    labels = [token.token.text for token in tokens if token.token.kind is TokenKind.LABEL]
    spoken = [
        token.token.text
        for token in tokens
        if token.token.kind is TokenKind.WORD and token.match is not Match.NOT_SPOKEN
        and token.end >= start and token.start <= end
    ]  # fmt: skip
    return [*spoken, *labels]


# --------------------------------------------------------------------------- the posterior


@given(st.lists(st.lists(st.floats(-8, 8), min_size=6, max_size=6), max_size=4))
def test_posteriors_are_the_sums_over_all_joint_assignments(scores: list[list[float]]) -> None:
    table = [np.array(row) for row in scores]
    expected = np.zeros((len(table), len(ROLES)))
    for roles in np.ndindex(*[len(ROLES)] * len(table)):
        anchors = sum(role == 0 for role in roles)
        if anchors >= len(ANCHORS):
            continue
        lonely = 0.0 if anchors else sum([*NOBODY_ASKS, 0.0][role] for role in roles)
        weight = np.exp(
            sum(row[role] for row, role in zip(table, roles, strict=True)) + ANCHORS[anchors] + lonely
        )
        for speaker, role in enumerate(roles):
            expected[speaker, role] += weight
    posterior = role_posteriors(table)
    assert posterior == pytest.approx(expected / np.maximum(expected.sum(axis=1, keepdims=True), 1e-300))


def test_posteriors_of_a_crowd_are_finite() -> None:
    posterior = role_posteriors([np.array([3.0, 1.0, 2.0, -1.0, 0.0, 1.0])] * 400)
    assert posterior.sum(axis=1) == pytest.approx(np.ones(400))
