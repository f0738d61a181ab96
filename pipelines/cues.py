"""How likely the speaker changes between two tokens, from what is written and from the pauses.

    …  so can you say that?   ·0.5 s·   Yes.   ·0.4 s·   And what then?  …
                  question ──┘        └─ answer ─┘ └─ opening

Each cue adds its weight, in nats, to the log odds of a change: a logistic regression. The weights were
fitted by `python -m tests.benchmarks.cues`, on made-up interviews that no reported figure uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from pipelines.normalization import ends_sentence, is_question, units
from pipelines.types import AlignedToken, TokenKind

Floats = npt.NDArray[np.float64]


class Cue(StrEnum):
    """What can be seen at one place between two spoken tokens; each is 0 or 1 but for the pauses."""

    ALWAYS = "always"  # the rarity of changes
    SENTENCE = "sentence"  # the token before ends one
    QUESTION = "question"  # it ends a question
    CLAUSE = "clause"  # it ends a clause: a comma, a dash
    CAPITAL = "capital"  # the token after begins with a capital
    OPENING = "opening"  # the token after is a word with which turns begin
    ANSWERED = "answered"  # the sentence before was a short answer or thanks
    THANKED = "thanked"  # the sentence before thanks somebody
    ASKED = "asked"  # the sentence before began like a question, whatever its end
    PAUSE = "pause"  # seconds without speech, at most LONGEST_PAUSE
    BREAK = "break"  # a pause of at least SHORTEST_BREAK
    UNCERTAIN = "uncertain"  # the times beside it lie between neighbours', so a pause may have been missed
    MARK = "mark"  # a caption mark or a speaker's label stands here


LONGEST_PAUSE = 0.8
SHORTEST_BREAK = 0.25
SHORT_ANSWER = 4
"""Tokens of the longest short answer."""

SENTENCE_WINDOW = 24
"""Tokens looked back for the beginning of a sentence."""

OPENINGS = frozenset(
    """yes yeah yep no nope well okay ok right sure absolutely exactly indeed certainly definitely
    thanks thank so welcome hello hi good joining let look i""".split()  # noqa: SIM905
)
"""Words with which answers, questions and hand-overs begin."""

ANSWERS = frozenset(
    """yes yeah yep no nope right sure absolutely exactly indeed certainly definitely probably hardly
    perhaps maybe thanks thank pleasure welcome correct true never always""".split()  # noqa: SIM905
)
"""Words of short answers."""

THANKS = frozenset(["thanks", "thank", "appreciate"])

QUESTION_WORDS = frozenset(
    "what why how who when where which is are was do does did can could will would should have".split()  # noqa: SIM905
)

WEIGHTS = {
    Cue.ALWAYS: -5.8,
    Cue.SENTENCE: 1.6,
    Cue.QUESTION: 3.7,
    Cue.CLAUSE: 0.8,
    Cue.CAPITAL: 1.4,
    Cue.OPENING: 1.2,
    Cue.ANSWERED: 1.7,
    Cue.THANKED: 0.8,
    Cue.ASKED: 0.4,
    Cue.PAUSE: 2.1,
    Cue.BREAK: 0.2,
    Cue.UNCERTAIN: 0.4,
    Cue.MARK: 5.0,  # by hand: the interviews have none; whoever sets one means it
}


def change_odds(tokens: Sequence[AlignedToken], spoken: Sequence[int]) -> Floats:
    """Log odds of a change of speaker in front of each spoken token, shape (len(spoken),)."""
    weights = np.array([WEIGHTS[cue] for cue in Cue])
    return np.asarray(cues(tokens, spoken) @ weights)


def cues(tokens: Sequence[AlignedToken], spoken: Sequence[int]) -> Floats:
    """What is seen in front of each spoken token, shape (len(spoken), len(Cue)); nothing before the first."""
    seen = np.zeros((len(spoken), len(Cue)))
    forms = [units(tokens[index].token.text) for index in spoken]
    column = {cue: place for place, cue in enumerate(Cue)}
    begun = 0  # place of the first token of the sentence
    for place in range(1, len(spoken)):
        before, after = tokens[spoken[place - 1]], tokens[spoken[place]]
        pause = min(max(0.0, after.start - before.end), LONGEST_PAUSE)
        ended = ends_sentence(before.token.text)
        sentence = [unit for form in forms[begun:place] for unit in form][-SENTENCE_WINDOW:]
        closed = ended or pause >= SHORTEST_BREAK
        between = tokens[spoken[place - 1] + 1 : spoken[place]]
        values = {
            Cue.ALWAYS: True,
            Cue.SENTENCE: ended,
            Cue.QUESTION: is_question(before.token.text),
            Cue.CLAUSE: not ended and before.token.text.endswith((",", ";", ":", "-", "–", "—")),
            Cue.CAPITAL: after.token.text[:1].isupper(),
            Cue.OPENING: not OPENINGS.isdisjoint(forms[place][:1]),
            Cue.ANSWERED: closed and len(sentence) <= SHORT_ANSWER and not ANSWERS.isdisjoint(sentence),
            Cue.THANKED: closed and not THANKS.isdisjoint(sentence),
            Cue.ASKED: closed and not QUESTION_WORDS.isdisjoint(sentence[:2]),
            Cue.PAUSE: pause,
            Cue.BREAK: pause >= SHORTEST_BREAK,
            Cue.UNCERTAIN: before.heard_start == before.heard_end or after.heard_start == after.heard_end,
            Cue.MARK: any(t.token.kind in (TokenKind.CHANGE, TokenKind.LABEL) for t in between),
        }
        for cue, value in values.items():
            seen[place, column[cue]] = value
        if closed:
            begun = place
    return seen
