"""The field's measures, each on plain values.

    DER     diarization error rate: missed, false and confused speech over all speech     pyannote.metrics
    cpWER   concatenated minimum-permutation word error rate                              meeteval
    WER     word error rate
    WDER    word diarization error rate: words with the wrong speaker
    turns   changes of speaker on the exact token, within one token, false, missed
    tokens  spoken tokens with the right speaker; unspoken tokens found

Sources: DER: NIST RT-09 evaluation plan, collar 0, overlap scored. cpWER: S. Watanabe et al., "CHiME-6
challenge", 2020. WDER: L. El Shafey et al., "Joint speech recognition and speaker diarization via sequence
transduction", Interspeech 2019, eq. 1.

Words are compared in lower case, with straight apostrophes and without any other punctuation; a hyphen
separates words. There is no other normalisation: "10" is not "ten", and "U.S." is "u s".
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from rapidfuzz.distance import Levenshtein

from pipelines.errors import EngineMissingError
from pipelines.types import SpeakerSegment


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """Errors, and the total that they are counted against."""

    errors: int
    total: int

    @property
    def rate(self) -> float:
        return self.errors / max(1, self.total)


@dataclass(frozen=True, slots=True)
class DiarizationError:
    """Seconds of speech, counted once per speaker."""

    missed: float
    false_alarm: float
    confusion: float
    total: float

    @property
    def rate(self) -> float:
        return (self.missed + self.false_alarm + self.confusion) / max(self.total, 1e-9)


@dataclass(frozen=True, slots=True)
class TurnScore:
    """Changes of speaker: `within_one` includes `exact`; false + within_one = predicted."""

    true: int
    exact: int
    within_one: int
    false: int

    @property
    def missed(self) -> int:
        return self.true - self.within_one

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, within one token."""
        both = self.true + self.within_one + self.false
        return 2 * self.within_one / both if both else 1.0


@dataclass(frozen=True, slots=True)
class Detection:
    """The number of tokens called unspoken, of tokens that are unspoken, and of those that are both."""

    predicted: int
    true: int
    both: int

    @property
    def precision(self) -> float:
        return self.both / self.predicted if self.predicted else 1.0

    @property
    def recall(self) -> float:
        return self.both / self.true if self.true else 1.0

    @property
    def f1(self) -> float:
        wrong = self.predicted + self.true - 2 * self.both
        return 2 * self.both / (2 * self.both + wrong) if wrong else 1.0


@dataclass(frozen=True, slots=True)
class TokenScore:
    """Scores of the supplied tokens: who said them, where the speaker changes, and which were not said."""

    speakers: ErrorRate
    turns: TurnScore
    unspoken: Detection


def words(text: str) -> list[str]:
    """The words of a text in the form in which they are compared."""
    return re.findall(r"\w+(?:'\w+)*", text.replace("’", "'").casefold())


def word_errors(reference: str, hypothesis: str) -> ErrorRate:
    """WER: insertions, deletions and substitutions over the words of the reference."""
    expected = words(reference)
    return ErrorRate(Levenshtein.distance(expected, words(hypothesis)), len(expected))


def speaker_errors(reference: Iterable[tuple[str, str]], hypothesis: Iterable[tuple[str, str]]) -> ErrorRate:
    """WDER of (speaker, text) pairs: (S_IS + C_IS) / (S + C), El Shafey et al., eq. 1.

    S and C are substituted and correct words, IS those with an incorrect speaker. Speakers are paired
    so that as few words as possible have an incorrect one.
    """
    pairs = Counter(paired_speakers(reference, hypothesis))
    named = best_names(pairs)
    right = sum(count for (ours, theirs), count in pairs.items() if named.get(theirs) == ours)
    return ErrorRate(pairs.total() - right, pairs.total())


def paired_speakers(
    reference: Iterable[tuple[str, str]], hypothesis: Iterable[tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    """The two speakers of every pair of aligned words."""
    expected = [(speaker, word) for speaker, text in reference for word in words(text)]
    found = [(speaker, word) for speaker, text in hypothesis for word in words(text)]
    for block in Levenshtein.opcodes([word for _, word in expected], [word for _, word in found]):
        if block.tag in ("equal", "replace"):
            ours = expected[block.src_start : block.src_end]
            theirs = found[block.dest_start : block.dest_end]
            yield from ((left[0], right[0]) for left, right in zip(ours, theirs, strict=True))


def best_names(pairs: Counter[tuple[str, str]]) -> dict[str, str]:
    """Result's speaker → reference's speaker, one to one, so that as many pairs as possible agree.

    `pairs` counts (reference, result). Speakers without a common pair stay alone. Raises EngineMissingError.
    """
    try:
        from scipy.optimize import linear_sum_assignment  # noqa: PLC0415
    except ImportError as error:
        raise _missing("Pairing speakers", "scipy") from error
    ours = sorted({speaker for speaker, _ in pairs})
    theirs = sorted({speaker for _, speaker in pairs})
    weight = np.array([[pairs[left, right] for right in theirs] for left in ours])
    rows, columns = linear_sum_assignment(weight.reshape(len(ours), len(theirs)), maximize=True)
    chosen = zip(rows, columns, strict=True)
    return {theirs[column]: ours[row] for row, column in chosen if weight[row, column] > 0}


def attributed_errors(
    reference: Iterable[tuple[str, str]], hypothesis: Iterable[tuple[str, str]]
) -> ErrorRate:
    """cpWER of (speaker, text) pairs. Raises EngineMissingError."""
    try:
        from meeteval.wer import cp_word_error_rate  # noqa: PLC0415
    except ImportError as error:
        raise _missing("cpWER", "meeteval") from error
    result = cp_word_error_rate(
        _by_speaker(reference), _by_speaker(hypothesis), reference_sort=False, hypothesis_sort=False
    )
    return ErrorRate(result.errors, result.length)


def _by_speaker(turns: Iterable[tuple[str, str]]) -> dict[str, str]:
    texts: dict[str, list[str]] = {}
    for speaker, text in turns:
        texts.setdefault(speaker, []).extend(words(text))
    return {speaker: " ".join(said) for speaker, said in texts.items()}


def _missing(measure: str, package: str) -> EngineMissingError:
    return EngineMissingError(f'{measure} needs {package}: pip install "turnwise[score]"')


def diarization_error(
    reference: Sequence[SpeakerSegment], hypothesis: Sequence[SpeakerSegment], collar: float = 0.0
) -> DiarizationError:
    """DER with overlap; `collar` seconds on either side of every true edge are left out.

    Raises EngineMissingError.
    """
    try:
        from pyannote.core import Annotation, Segment, Timeline  # noqa: PLC0415
        from pyannote.metrics.diarization import DiarizationErrorRate  # noqa: PLC0415
    except ImportError as error:
        raise _missing("DER", "pyannote.metrics") from error
    true, found = Annotation(), Annotation()
    for annotation, segments in ((true, reference), (found, hypothesis)):
        for number, segment in enumerate(segments):
            annotation[Segment(segment.start, segment.end), number] = segment.speaker
    end = max((segment.end for segment in (*reference, *hypothesis)), default=0.0)
    measure = DiarizationErrorRate(collar=2 * collar, skip_overlap=False)
    parts = measure(true, found, uem=Timeline([Segment(0.0, end)]), detailed=True)
    return DiarizationError(
        parts["missed detection"], parts["false alarm"], parts["confusion"], parts["total"]
    )


def token_score(true: Sequence[str], predicted: Sequence[str]) -> TokenScore:
    """Scores the speaker of every token, "" for a token not spoken; both of the same length.

    A change of speaker lies before a spoken token whose speaker differs from that of the last spoken token.
    Between two spoken tokens there is one place for a change, however many unspoken tokens lie there; places
    are counted in spoken tokens.
    """
    spoken = [(ours, theirs) for ours, theirs in zip(true, predicted, strict=True) if ours]
    named = best_names(Counter((ours, theirs) for ours, theirs in spoken if theirs))
    wrong = sum(named.get(theirs) != ours for ours, theirs in spoken)
    place = np.cumsum([0, *(bool(speaker) for speaker in true)])
    turns = match_changes(
        [int(place[index]) for index in changes(true)], [int(place[index]) for index in changes(predicted)]
    )
    both = sum(not ours and not theirs for ours, theirs in zip(true, predicted, strict=True))
    unspoken = Detection(list(predicted).count(""), list(true).count(""), both)
    return TokenScore(ErrorRate(wrong, len(spoken)), turns, unspoken)


def changes(speakers: Sequence[str]) -> list[int]:
    """Indexes of the tokens whose speaker differs from that of the last spoken token."""
    spoken = [index for index, speaker in enumerate(speakers) if speaker]
    return [index for before, index in pairwise(spoken) if speakers[before] != speakers[index]]


def match_changes(true: Sequence[int], predicted: Sequence[int]) -> TurnScore:
    """Pairs predicted changes one to one with true ones at most one place away, as many as possible.

    Both are in rising order.
    """
    exact = (Counter(true) & Counter(predicted)).total()
    within_one = first = 0
    for place in predicted:
        while first < len(true) and true[first] < place - 1:
            first += 1
        if first < len(true) and true[first] <= place + 1:
            within_one += 1
            first += 1
    return TurnScore(len(true), exact, within_one, len(predicted) - within_one)
