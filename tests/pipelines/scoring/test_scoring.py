"""A whole result against a whole reference."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipelines.errors import TextError
from pipelines.scoring.measures import ErrorRate, TurnScore
from pipelines.scoring.references import Identity, Reference, ReferenceTurn, TokenTruth
from pipelines.scoring.scoring import Row, Scores, score
from pipelines.text import join_words
from pipelines.types import (
    Attribution,
    Media,
    Role,
    Speaker,
    SpeakerSegment,
    Supplied,
    Transcript,
)
from tests.support.scripts import ENGINE, interview

pytest.importorskip("meeteval")
pytest.importorskip("pyannote.metrics")

SCRIPT = """
    ANCHOR: Good evening. {Talks in Riyadh sideline Europe} Can the talks succeed?
    GUEST: I doubt it very much.
    ANCHOR: Thank you.
"""
TURNS = (
    ReferenceTurn("HOST", "Good evening. Can the talks succeed?"),
    ReferenceTurn("EXPERT", "I doubt it very much."),
    ReferenceTurn("HOST", "Thank you."),
)
TRUTH = tuple(
    TokenTruth(text, turn)
    for texts, turn in (
        ("Good evening.", 0),
        ("Talks in Riyadh sideline Europe", None),
        ("Can the talks succeed?", 0),
        ("I doubt it very much.", 1),
        ("Thank you.", 2),
    )
    for text in texts.split()
)
IDENTITIES = (
    ("HOST", Identity(Role.ANCHOR, "")),
    ("EXPERT", Identity(Role.ANALYST, "Georg Löfflmann")),
)


def speaker(label: str, role: Role, name: str) -> Speaker:
    return Speaker(label, role, 1.0, name, 1.0, "", (), talk_time=1.0, turn_count=1)


def transcript() -> Transcript:
    """What a pipeline without fault makes of the script."""
    tokens, heard, attribution, turns = interview(SCRIPT)
    text = join_words([token.token.text for token in tokens])
    return Transcript(
        media=Media("talk.wav", "", 0, "wav", "pcm", 16_000, 1, turns[-1].end),
        language="en",
        supplied=Supplied(text, tuple(token.token for token in tokens), "txt", "utf-8"),
        heard=heard,
        engines=(("transcribe", ENGINE),),
        tokens=tokens,
        attribution=attribution,
        turns=turns,
        speakers=(speaker("ANCHOR", Role.ANCHOR, ""), speaker("GUEST", Role.ANALYST, "georg löfflmann")),
        findings=(),
        corrections=(),
        corrected=join_words([turn.text for turn in turns]),
    )


def reference() -> Reference:
    names = ("HOST", "EXPERT", "HOST")
    timed = zip(transcript().turns, names, strict=True)
    segments = tuple(SpeakerSegment(turn.start, turn.end, name) for turn, name in timed)
    return Reference(segments, TURNS, IDENTITIES)


def test_a_result_without_fault() -> None:
    scores = score(transcript(), reference(), TRUTH)
    assert scores.diarization
    assert scores.diarization.rate == 0.0
    assert scores.text
    assert scores.text.supplied == ErrorRate(5, 13)  # the heading
    assert scores.text.corrected.errors == scores.text.heard.errors == 0
    assert scores.text.speaker_errors == ErrorRate(0, 13)
    assert scores.text.attributed == ErrorRate(0, 13)
    assert scores.tokens
    assert scores.tokens.turns == TurnScore(true=2, exact=2, within_one=2, false=0)
    assert scores.tokens.unspoken.f1 == 1.0
    assert scores.identities
    assert (scores.identities.roles, scores.identities.names) == (ErrorRate(0, 2), ErrorRate(0, 1))


def test_wrong_labels_show_in_every_measure_of_speakers() -> None:
    good = transcript()
    labels = list(good.attribution.speakers)
    labels[-2:] = ["GUEST", "GUEST"]  # "Thank you." goes to the guest
    turns = (
        good.turns[0],
        replace(good.turns[1], end=good.turns[2].end, corrected="I doubt it very much. Thank you."),
    )
    wrong = replace(good, attribution=Attribution(tuple(labels), good.attribution.confidence), turns=turns)
    scores = score(wrong, reference(), TRUTH)
    assert scores.tokens
    assert scores.tokens.speakers == ErrorRate(2, 13)
    assert scores.tokens.turns == TurnScore(true=2, exact=1, within_one=1, false=0)
    assert scores.text
    assert scores.text.speaker_errors == ErrorRate(2, 13)
    assert scores.text.attributed == ErrorRate(4, 13)  # two words missing here, two too many there
    assert scores.text.corrected.errors == 0
    assert scores.diarization
    assert scores.diarization.confusion == pytest.approx(0.7)


def test_the_corrected_reading_of_a_turn_is_scored() -> None:
    good = transcript()
    turns = tuple(replace(turn, text="hank you.") for turn in good.turns)
    scores = score(replace(good, turns=turns), reference(), TRUTH)
    assert scores.text
    assert scores.text.attributed.errors == 0


def test_roles_and_names() -> None:
    swapped = (speaker("ANCHOR", Role.ANALYST, ""), speaker("GUEST", Role.ANALYST, "George Lan"))
    scores = score(replace(transcript(), speakers=swapped), reference())
    assert scores.identities
    assert (scores.identities.roles, scores.identities.names) == (ErrorRate(1, 2), ErrorRate(1, 1))


def test_a_missing_speaker_has_no_right_role() -> None:
    scores = score(replace(transcript(), speakers=()), reference())
    assert scores.identities
    assert scores.identities.roles == ErrorRate(2, 2)


def test_only_what_the_reference_tells_is_measured() -> None:
    whole = reference()
    only_times = score(transcript(), Reference(segments=whole.segments), TRUTH)
    assert only_times == Scores(only_times.diarization, None, None, None)
    assert only_times.diarization
    only_words = score(transcript(), Reference(turns=whole.turns))
    assert only_words == Scores(None, only_words.text, None, None)
    assert score(transcript(), Reference()).table == ()


def test_a_truth_about_another_text_is_refused() -> None:
    with pytest.raises(TextError, match="about another text"):
        score(transcript(), reference(), TRUTH[:-1])
    with pytest.raises(TextError, match="does not have"):
        score(transcript(), replace(reference(), turns=TURNS[:2]), TRUTH)


def test_the_table_names_every_measure_once() -> None:
    table = score(transcript(), reference(), TRUTH).table
    labels = [row.label for row in table]
    assert len(set(labels)) == len(labels)
    assert Row("DER", 0.0, "%") in table
    assert Row("turn changes, exact", 2, "") in table
    assert Row("roles, right", 2, "") in table
    assert {row.unit for row in table} == {"%", ""}
