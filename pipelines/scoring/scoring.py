"""How far a result is from a reference: every measure that the reference allows, and a table of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipelines.errors import TextError
from pipelines.scoring.measures import (
    DiarizationError,
    ErrorRate,
    TokenScore,
    attributed_errors,
    best_names,
    diarization_error,
    paired_speakers,
    speaker_errors,
    token_score,
    word_errors,
    words,
)
from pipelines.scoring.references import Reference, TokenTruth
from pipelines.types import Match, Role, Speaker, SpeakerSegment, Transcript, Turn


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: what was measured, how much, and in which unit."""

    label: str
    value: float
    unit: str  # "%", or "" for a count


@dataclass(frozen=True, slots=True)
class TextScore:
    """Scores of the words; `attributed` is of the corrected reading, turn by turn."""

    supplied: ErrorRate
    heard: ErrorRate
    corrected: ErrorRate
    speaker_errors: ErrorRate  # WDER, of the attributed words
    attributed: ErrorRate  # cpWER


@dataclass(frozen=True, slots=True)
class IdentityScore:
    """Roles and names of the reference's speakers that the result has wrong or does not have."""

    roles: ErrorRate
    names: ErrorRate


@dataclass(frozen=True, slots=True)
class Scores:
    """Every score that the reference allows; None for the others."""

    diarization: DiarizationError | None
    text: TextScore | None
    tokens: TokenScore | None
    identities: IdentityScore | None

    @property
    def table(self) -> tuple[Row, ...]:
        return tuple(_rows(self))


def score(transcript: Transcript, reference: Reference, truth: Sequence[TokenTruth] = ()) -> Scores:
    """Scores a result.

    `truth` is about the tokens of the supplied text, () if it is not known; its turns are the reference's.
    Raises EngineMissingError without the extra "score", and TextError if the truth is about another text.
    """
    speakers = {each.id: each for each in transcript.speakers}
    told = bool(reference.turns)
    segments = [SpeakerSegment(turn.start, turn.end, turn.speaker) for turn in transcript.turns]
    return Scores(
        diarization=diarization_error(reference.segments, segments) if reference.segments else None,
        text=_text(transcript, reference) if told else None,
        tokens=_tokens(transcript, reference, truth) if told and truth else None,
        identities=_identities(transcript.turns, speakers, reference) if reference.identities else None,
    )


def _text(transcript: Transcript, reference: Reference) -> TextScore:
    expected = " ".join(turn.text for turn in reference.turns)
    spoken = [(turn.speaker, turn.text) for turn in reference.turns]
    attributed = [(turn.speaker, turn.corrected) for turn in transcript.turns]
    return TextScore(
        supplied=word_errors(expected, transcript.supplied.text),
        heard=word_errors(expected, " ".join(word.text for word in transcript.heard.words)),
        corrected=word_errors(expected, transcript.corrected),
        speaker_errors=speaker_errors(spoken, attributed),
        attributed=attributed_errors(spoken, attributed),
    )


def _tokens(transcript: Transcript, reference: Reference, truth: Sequence[TokenTruth]) -> TokenScore:
    if [token.token.text for token in transcript.tokens] != [token.text for token in truth]:
        raise TextError("the truth is about another text: its tokens are not those of the result")
    if any(token.turn is not None and token.turn >= len(reference.turns) for token in truth):
        raise TextError("the truth names a turn that the reference does not have: give its own reference")
    true = ["" if token.turn is None else reference.turns[token.turn].speaker for token in truth]
    unspoken = [token.match is Match.NOT_SPOKEN for token in transcript.tokens]
    predicted = [
        "" if out else speaker for speaker, out in zip(transcript.attribution.speakers, unspoken, strict=True)
    ]
    return token_score(true, predicted)


def _identities(turns: Sequence[Turn], speakers: dict[str, Speaker], reference: Reference) -> IdentityScore:
    spoken = [(turn.speaker, turn.text) for turn in reference.turns]
    pairs = Counter(paired_speakers(spoken, [(turn.speaker, turn.corrected) for turn in turns]))
    ours = {true: speakers[found] for found, true in best_names(pairs).items() if found in speakers}
    known = [(identity, ours.get(speaker)) for speaker, identity in reference.identities]
    roles = [
        speaker is not None and speaker.role == identity.role
        for identity, speaker in known
        if identity.role is not Role.UNKNOWN
    ]
    names = [
        speaker is not None and words(speaker.name) == words(identity.name)
        for identity, speaker in known
        if identity.name
    ]
    return IdentityScore(*(ErrorRate(right.count(False), len(right)) for right in (roles, names)))


def _rows(scores: Scores) -> Iterator[Row]:
    if scores.diarization:
        yield from _diarization_rows(scores.diarization)
    if scores.text:
        yield from _text_rows(scores.text)
    if scores.tokens:
        yield from _token_rows(scores.tokens)
    if scores.identities:
        yield from _right_rows("roles", scores.identities.roles)
        yield from _right_rows("names", scores.identities.names)


def _diarization_rows(error: DiarizationError) -> Iterator[Row]:
    yield Row("DER", 100 * error.rate, "%")
    total = max(error.total, 1e-9)
    yield Row("missed speech", 100 * error.missed / total, "%")
    yield Row("false speech", 100 * error.false_alarm / total, "%")
    yield Row("wrong speaker", 100 * error.confusion / total, "%")


def _text_rows(text: TextScore) -> Iterator[Row]:
    yield Row("WER of the supplied text", 100 * text.supplied.rate, "%")
    yield Row("WER of what was heard", 100 * text.heard.rate, "%")
    yield Row("WER of the corrected reading", 100 * text.corrected.rate, "%")
    yield Row("WDER", 100 * text.speaker_errors.rate, "%")
    yield Row("cpWER", 100 * text.attributed.rate, "%")


def _token_rows(tokens: TokenScore) -> Iterator[Row]:
    yield Row("tokens with the right speaker", 100 * (1 - tokens.speakers.rate), "%")
    yield Row("turn changes", tokens.turns.true, "")
    yield Row("turn changes, exact", tokens.turns.exact, "")
    yield Row("turn changes, within one token", tokens.turns.within_one, "")
    yield Row("turn changes, false", tokens.turns.false, "")
    yield Row("turn changes, missed", tokens.turns.missed, "")
    yield Row("turn changes, F1 within one token", 100 * tokens.turns.f1, "%")
    yield Row("unspoken tokens, precision", 100 * tokens.unspoken.precision, "%")
    yield Row("unspoken tokens, recall", 100 * tokens.unspoken.recall, "%")


def _right_rows(label: str, rate: ErrorRate) -> Iterator[Row]:
    if rate.total:
        yield Row(label, rate.total, "")
        yield Row(f"{label}, right", rate.total - rate.errors, "")
