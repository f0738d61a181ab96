"""Makes damaged interviews whose every token's true speaker is known, with simulated engines' results.

    dialogue ──speak──► utterances ──damage──► supplied text + truth
                             ├──recognise────► Heard
                             ├──detect_speech► speech
                             └──diarize──────► Diarization

One seed gives the same interview on every machine. Seeds 1 to 20 are for the reported figures; whoever
tunes a parameter of the pipeline tunes it on other seeds (1000 and up).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from random import Random

from pipelines.types import Diarization, Heard, Span, Supplied, Token
from tests.benchmarks import damage as captioning
from tests.benchmarks.damage import Origin, Written
from tests.benchmarks.dialogue import SHORT_ANSWERS, converse
from tests.benchmarks.simulation import detect_speech, diarize, recognise
from tests.benchmarks.spoken import Utterance, speak

TOKENS_PER_HEADING = 320
TOKENS_PER_REPEAT = 900


@dataclass(frozen=True, slots=True)
class Truth:
    """About one supplied token: the turn it was said in and by whom; None and "" where it was not said."""

    turn: int | None
    speaker: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Repeat:
    """A line shown twice and said once: tokens [start, middle) and their copy [middle, end).

    The truth calls the second copy unspoken; a result that keeps the second and drops the first is as right.
    """

    start: int
    middle: int
    end: int


@dataclass(frozen=True, slots=True, eq=False)
class Interview:
    """One made-up recording: truth[i] is about supplied.tokens[i]."""

    seed: int
    utterances: tuple[Utterance, ...]
    supplied: Supplied
    truth: tuple[Truth, ...]
    repeats: tuple[Repeat, ...]
    heard: Heard
    speech: tuple[Span, ...]
    diarization: Diarization

    @property
    def changes(self) -> tuple[int, ...]:
        """Indexes of the spoken tokens whose speaker is not that of the spoken token before."""
        spoken = [index for index, truth in enumerate(self.truth) if truth.turn is not None]
        return tuple(
            index
            for before, index in pairwise(spoken)
            if self.truth[before].speaker != self.truth[index].speaker
        )

    @property
    def duration(self) -> float:
        return self.utterances[-1].end + 0.5


def generate(
    seed: int,
    *,
    speakers: int = 4,
    damage: float = 0.2,
    turns: int = 21,
    headings: int | None = None,
    repeats: int | None = None,
    short_answers: float = SHORT_ANSWERS,
) -> Interview:
    """One interview of `speakers` voices (2 to 6) and `turns` turns.

    `damage` in [0, 0.4] is the share of tokens damaged. By default one heading is pasted in per 320
    tokens and one line is shown twice per 900 (at least one each; none without damage). `short_answers`
    is the share of answers of one to three words.
    """
    random = Random(f"turnwise {seed}")
    script = converse(random, speakers, turns, short_answers)
    utterances = speak(random, script.lines)
    written = _damage(random, utterances, damage)
    count = _count(headings, TOKENS_PER_HEADING, written, damage)
    for heading in random.choices(script.headings, k=count):
        written = captioning.paste_heading(random, written, heading)
    for number in range(1, _count(repeats, TOKENS_PER_REPEAT, written, damage) + 1):
        written = captioning.repeat_line(random, written, number)
    written = list(captioning.break_lines(random, written))
    return Interview(
        seed=seed,
        utterances=utterances,
        supplied=_supply(written),
        truth=tuple(_truth(token, utterances) for token in written),
        repeats=tuple(_repeats(written)),
        heard=recognise(random, utterances),
        speech=detect_speech(random, utterances),
        diarization=diarize(random, utterances),
    )


def _damage(random: Random, utterances: Sequence[Utterance], damage: float) -> list[Written]:
    written = captioning.transcribe(utterances)
    written = captioning.drop_sentences(random, written, damage)
    written = captioning.write_digits(random, written)
    written = captioning.damage_words(random, written, damage)
    return captioning.damage_punctuation(random, written, damage)


def _count(wanted: int | None, tokens_each: int, written: Sequence[Written], damage: float) -> int:
    if wanted is not None:
        return wanted
    return max(1, len(written) // tokens_each) if damage else 0


def _truth(token: Written, utterances: Sequence[Utterance]) -> Truth:
    if token.origin in (Origin.HEADING, Origin.REPEAT):
        return Truth(None, "", token.origin)
    return Truth(token.turn, utterances[token.turn].speaker, token.origin)


def _repeats(written: Sequence[Written]) -> Iterator[Repeat]:
    for number, group in groupby(range(len(written)), key=lambda index: written[index].repeat):
        indexes = list(group)
        if number:
            yield Repeat(indexes[0], indexes[len(indexes) // 2], indexes[-1] + 1)


def _supply(written: Sequence[Written]) -> Supplied:
    """The text with one token for every stretch between white space."""
    parts: list[str] = []
    tokens: list[Token] = []
    char_start = line = 0
    for token in written:
        tokens.append(Token(token.text, char_start, char_start + len(token.text), line=line))
        parts += [token.text, "\n" if token.breaks else " "]
        char_start = tokens[-1].char_end + 1
        line += token.breaks
    return Supplied("".join(parts[:-1]), tuple(tokens), format="txt", encoding="utf-8")
