"""Who asks, who answers, who stands between the others: what the order of the turns says about roles.

    anchor     ──?──   ──?──      ───?──
    guest          ────     ──────      ────        asked each time
    report                                  ══════  long, asked by nobody, read without "I" or "you"
    clip                                    ══▪══   short, inside somebody's report

Roles from the order of the turns alone: Vinciarelli 2007, "Speakers role recognition in multiparty audio
recordings using social network analysis and duration distribution modeling". The language matters only for
questions in a text without question marks, and for the "I" and "you" of speech that is not read aloud.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipelines.roles.conversation import Conversation
from pipelines.roles.passages import Passage, Word
from pipelines.roles.phrases import Phrases
from pipelines.text import ends_sentence
from pipelines.types import Evidence

CLOSING_WORDS = 30
"""A question in the last words of a turn is for the next speaker; an earlier one may be rhetorical."""
REPORT_WORDS = 40
"""A report is at least this long."""
CLIP_WORDS = 90
"""A clip inside a report is at most this long."""
CROWD = 3
"""Someone asked by this many speakers faces the press, not an interviewer."""
BRIEF_WORDS = 6
"""Someone who says fewer words shows no role."""
ASKING = 0.5
"""From this strength on, a turn counts as a question."""


@dataclass(frozen=True, slots=True)
class Clue:
    """One clue to a speaker's role; `kind` is a row of `roles.WEIGHTS`, `amount` multiplies it."""

    speaker: str
    kind: str
    amount: float
    evidence: Evidence


def question_strengths(conversation: Conversation, phrases: Phrases) -> tuple[float, ...]:
    """For each turn, in [0, 1]: how surely it ends by asking something.

    Question marks decide where the turn or one beside it has punctuation; elsewhere, phrases do.
    """
    texts = conversation.texts
    ended = [any(ends_sentence(word.text) for word in passage.words) for passage in texts]
    return tuple(
        _marked(passage, phrases) if any(ended[max(turn - 1, 0) : turn + 2]) else _phrased(passage, phrases)
        for turn, passage in enumerate(texts)
    )


def answers(questions: Sequence[float], turn: int) -> bool:
    """Whether the turn follows a question of another speaker; `questions` are the strengths of all turns."""
    return turn > 0 and questions[turn - 1] >= ASKING


def _marked(passage: Passage, phrases: Phrases) -> float:
    """How surely question marks make the turn a question.

    A name alone ("Nina?") hands over without asking, and a report may follow instead of an answer.
    """
    asking = [
        index
        for index, word in enumerate(passage.words)
        if word.asks and not (passage.begins(index) and _is_name(word, phrases))
    ]
    if not asking:
        return 0.0
    if any(first > asking[-1] for first, _ in passage.find(phrases.to_report)):
        return 0.3
    return 1.0 if len(passage.words) - asking[-1] <= CLOSING_WORDS else 0.4


def _is_name(word: Word, phrases: Phrases) -> bool:
    return word.is_capital and bool(phrases.common) and word.plain not in phrases.common


def _phrased(passage: Passage, phrases: Phrases) -> float:
    closing = max(len(passage.words) - CLOSING_WORDS, 0)
    return 0.8 if any(first >= closing for first, _ in passage.find(phrases.question)) else 0.0


@dataclass(frozen=True, slots=True)
class Exchange:
    """The turns as moves: who speaks after whom, and after a question or not."""

    conversation: Conversation
    questions: Sequence[float]
    phrases: Phrases

    def clues(self) -> list[Clue]:
        """All clues from the order of the turns; none where there is only one speaker."""
        turns_of, askers = self._turns_of(), self._askers()
        if len(turns_of) < 2:
            return []
        clues = list(self._ends())
        for speaker, turns in turns_of.items():
            if self._word_count(turns) < BRIEF_WORDS:
                clues.append(self._clue(speaker, "brief", 1.0, turns, "says almost nothing"))
            clues += self._questions_of(speaker, turns)
            clues += self._place_of(speaker, turns)
            if len(askers[speaker]) >= CROWD:
                quote = f"is asked by {len(askers[speaker])} speakers"
                clues.append(self._clue(speaker, "faces_the_press", 1.0, turns, quote))
        return clues + list(self._press(turns_of, askers)) + list(self._hub(turns_of))

    def _questions_of(self, speaker: str, turns: Sequence[int]) -> Iterator[Clue]:
        asking = [
            turn
            for turn in turns
            if self.questions[turn] >= ASKING and turn + 1 < len(self.conversation.turns)
        ]
        asked = [turn for turn in turns if answers(self.questions, turn)]
        if asking:
            amount = sum(self.questions[turn] for turn in asking) * (0.5 + 0.5 * len(asking) / len(turns))
            yield self._clue(speaker, "asks", amount, asking, f"asks in {len(asking)} of {len(turns)} turns")
        if asked:
            amount = sum(self.questions[turn - 1] for turn in asked)
            quote = f"answers a question in {len(asked)} of {len(turns)} turns"
            yield self._clue(speaker, "asked", amount, asked, quote)

    def _place_of(self, speaker: str, turns: Sequence[int]) -> Iterator[Clue]:
        if any(answers(self.questions, turn) or self.questions[turn] >= ASKING for turn in turns):
            return
        words = self._word_count(turns)
        if words >= REPORT_WORDS and self._is_read(turns):
            amount = 0.4 if turns[0] == 0 else 1.0
            quote = "speaks at length, asks nobody, is asked by nobody"
            yield self._clue(speaker, "reports", amount, turns, quote)
        elif words <= CLIP_WORDS and len(turns) <= 2 and all(self._is_inside(turn) for turn in turns):
            yield self._clue(speaker, "clip", 1.0, turns, "is heard inside another speaker's report")

    def _is_inside(self, turn: int) -> bool:
        """Whether the same speaker speaks before and after, and does not ask."""
        texts = self.conversation.texts
        if not 0 < turn < len(texts) - 1 or texts[turn - 1].speaker != texts[turn + 1].speaker:
            return False
        return not answers(self.questions, turn)

    def _is_read(self, turns: Sequence[int]) -> bool:
        """Whether the turns are read from a script: next to no "I", "you" or "um"."""
        texts = [self.conversation.texts[turn] for turn in turns]
        spoken = sum(1 for text in texts for _ in text.find(self.phrases.conversational))
        return spoken <= 0.01 * self._word_count(turns)

    def _turns_of(self) -> dict[str, list[int]]:
        turns: dict[str, list[int]] = defaultdict(list)
        for index, turn in enumerate(self.conversation.turns):
            turns[turn.speaker].append(index)
        return turns

    def _askers(self) -> dict[str, set[str]]:
        """For each speaker, the speakers whose questions they answer."""
        askers: dict[str, set[str]] = defaultdict(set)
        for index, turn in enumerate(self.conversation.turns):
            if answers(self.questions, index):
                askers[turn.speaker].add(self.conversation.turns[index - 1].speaker)
        return askers

    def _ends(self) -> Iterator[Clue]:
        turns = self.conversation.turns
        yield self._clue(turns[0].speaker, "opens", 1.0, [0], "opens the recording")
        if len(turns) > 2:
            yield self._clue(turns[-1].speaker, "closes", 1.0, [len(turns) - 1], "closes the recording")

    def _press(self, turns_of: dict[str, list[int]], askers: dict[str, set[str]]) -> Iterator[Clue]:
        """Speakers who question only people whom a crowd questions."""
        answering: dict[str, set[str]] = defaultdict(set)
        for speaker, asking in askers.items():
            for asker in asking:
                answering[asker].add(speaker)
        for asker, answered in answering.items():
            if all(len(askers[speaker]) >= CROWD for speaker in answered) and len(turns_of[asker]) <= 3:
                yield self._clue(asker, "of_the_press", 1.0, turns_of[asker], "is one of many who ask")

    def _hub(self, turns_of: dict[str, list[int]]) -> Iterator[Clue]:
        """The speaker through whom nearly every exchange goes."""
        turns = self.conversation.turns
        pairs = Counter(speaker for one, other in pairwise(turns) for speaker in {one.speaker, other.speaker})
        speaker, count = pairs.most_common(1)[0]
        leads = speaker == turns[0].speaker or any(
            self.questions[turn] >= ASKING for turn in turns_of[speaker]
        )
        if leads and len(turns_of) > 2 and count >= 0.75 * (len(turns) - 1):
            quote = f"speaks before or after {count} of {len(turns) - 1} changes of speaker"
            yield self._clue(speaker, "hub", 1.0, turns_of[speaker], quote)

    def _word_count(self, turns: Sequence[int]) -> int:
        return sum(len(self.conversation.texts[turn].words) for turn in turns)

    def _clue(self, speaker: str, kind: str, amount: float, turns: Sequence[int], quote: str) -> Clue:
        first, last = self.conversation.turns[turns[0]], self.conversation.turns[turns[-1]]
        evidence = Evidence("role", quote, first.start, max(first.start, last.end), "structure")
        return Clue(speaker, kind, amount, evidence)
