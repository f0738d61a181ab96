"""How others give words a speaker: four rules, each written anew from its description or source.

Each takes the aligned tokens, the words heard and the diarization, and gives every token a label, "" where
it was not spoken. All get the same alignment: only the attribution differs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from pipelines.types import AlignedToken, Diarization, Heard, HeardWord, Match, SpeakerSegment

Baseline = Callable[[Sequence[AlignedToken], Heard, Diarization], tuple[str, ...]]


class Timed(Protocol):
    """A word or a token."""

    @property
    def start(self) -> float: ...

    @property
    def end(self) -> float: ...


def _spread(tokens: Sequence[AlignedToken], labels: Iterable[str]) -> tuple[str, ...]:
    """Labels of the spoken tokens as labels of all."""
    following = iter(labels)
    return tuple("" if token.match is Match.NOT_SPOKEN else next(following) for token in tokens)


def _spoken(tokens: Sequence[AlignedToken]) -> list[AlignedToken]:
    return [token for token in tokens if token.match is not Match.NOT_SPOKEN]


# --------------------------------------------------------------------------- maximum overlap


def maximum_overlap(
    tokens: Sequence[AlignedToken], heard: Heard, diarization: Diarization
) -> tuple[str, ...]:
    """whisperX (`assign_word_speakers` with `fill_nearest`): the voice that shares most time with the word.

    A word that no voice shares time with goes to the nearest segment.
    """
    return _spread(tokens, _overlapping(_spoken(tokens), diarization.segments))


def _overlapping(words: Iterable[Timed], segments: Sequence[SpeakerSegment]) -> Iterator[str]:
    for word in words:
        shares: dict[str, float] = defaultdict(float)
        for segment in segments:
            shares[segment.speaker] += _overlap(word, segment)
        nearest = min(segments, key=lambda segment: _distance(word, segment))
        speaker = max(shares, key=lambda voice: shares[voice])
        yield speaker if shares[speaker] > 0 else nearest.speaker


def _overlap(word: Timed, segment: SpeakerSegment) -> float:
    return max(0.0, min(word.end, segment.end) - max(word.start, segment.start))


def _distance(word: Timed, segment: SpeakerSegment) -> float:
    return max(segment.start - word.end, word.start - segment.end)


# --------------------------------------------------------------------------- sentence majority

LONGEST_SENTENCE = 50  # words


def sentence_majority(
    tokens: Sequence[AlignedToken], heard: Heard, diarization: Diarization
) -> tuple[str, ...]:
    """whisper-diarization: the voice at a word's start, then one voice per sentence if half its words agree.

    Sentences end at ".", "?" and "!"; longer ones than 50 words stay as they are.
    """
    labels: list[str] = []
    for sentence in _sentences(_spoken(tokens)):
        voices = list(_at_start(sentence, diarization.segments))
        voice, count = Counter(voices).most_common(1)[0]
        agreed = len(sentence) <= LONGEST_SENTENCE and count >= len(sentence) // 2
        labels += [voice] * len(sentence) if agreed else voices
    return _spread(tokens, labels)


def _sentences(tokens: Sequence[AlignedToken]) -> Iterator[list[AlignedToken]]:
    sentence: list[AlignedToken] = []
    for token in tokens:
        sentence.append(token)
        if token.token.text.endswith((".", "?", "!")):
            yield sentence
            sentence = []
    if sentence:
        yield sentence


def _at_start(words: Sequence[Timed], segments: Sequence[SpeakerSegment]) -> Iterator[str]:
    """The voice of the first segment that has not ended when the word starts."""
    for word in words:
        yield next((each.speaker for each in segments if each.end >= word.start), segments[-1].speaker)


# --------------------------------------------------------------------------- pause, then punctuation

PRECISION = 0.25  # seconds


def pause_or_punctuation(
    tokens: Sequence[AlignedToken], heard: Heard, diarization: Diarization
) -> tuple[str, ...]:
    """linto: a word near an edge goes by the longer pause beside it, else by punctuation, else by overlap.

    Turns meet in the middle of the gap between two segments. Near is less than 0.25 s, and a pause counts
    from 0.25 s on.
    """
    words = _spoken(tokens)
    turns = _meeting(diarization.exclusive)
    labels: list[str] = []
    turn = 0
    for index in range(len(words)):
        while turn + 1 < len(turns) and not _stays(words, index, turns[turn].end):
            turn += 1
        labels.append(turns[turn].speaker)
    return _spread(tokens, labels)


def _meeting(segments: Sequence[SpeakerSegment]) -> list[SpeakerSegment]:
    """Neighbours of one voice as one, edges moved to the middle of the gap."""
    turns: list[SpeakerSegment] = []
    for segment in segments:
        if turns and turns[-1].speaker == segment.speaker:
            turns[-1] = SpeakerSegment(turns[-1].start, segment.end, segment.speaker)
        elif turns:
            middle = (turns[-1].end + segment.start) / 2
            turns[-1] = SpeakerSegment(turns[-1].start, middle, turns[-1].speaker)
            turns.append(SpeakerSegment(middle, segment.end, segment.speaker))
        else:
            turns.append(segment)
    return turns


def _stays(words: Sequence[AlignedToken], index: int, edge: float) -> bool:
    """Whether the word belongs to the turn that ends at the edge, not to a later one."""
    word = words[index]
    if word.end <= edge - PRECISION or word.start >= edge + PRECISION:
        return word.end <= edge - PRECISION
    if index in (0, len(words) - 1):
        return index == 0
    before, after = words[index - 1], words[index + 1]
    pause_before, pause_after = word.start - before.end, after.start - word.end
    if max(pause_before, pause_after) >= PRECISION:
        return pause_before <= pause_after
    if before.token.text.endswith((".", "?", "!")):
        return False
    return word.token.text.endswith((".", "?", "!")) or edge - word.start > word.end - edge


# --------------------------------------------------------------------------- speaker transfer


def speaker_transfer(
    tokens: Sequence[AlignedToken], heard: Heard, diarization: Diarization
) -> tuple[str, ...]:
    """diarizationlm's transcript-preserving speaker transfer (Wang et al. 2024), the package itself.

    The words heard, each with the voice of maximum overlap, are aligned with the text by edit distance, and
    their voices carried over; a token without a counterpart takes the voice of the token before (-1, the
    package's own mark for "not known"). Raises ImportError without the package: see requirements.txt.
    """
    from diarizationlm import transcript_preserving_speaker_transfer  # noqa: PLC0415

    words: Sequence[HeardWord] = [word for word in heard.words if word.text.strip()]
    spoken = _spoken(tokens)
    # From 2, because the package fails where the only speaker is number 1.
    numbers = {speaker: number for number, speaker in enumerate(diarization.speakers, 2)}
    voices = [numbers[voice] for voice in _overlapping(words, diarization.segments)]
    transferred = transcript_preserving_speaker_transfer(
        src_text=" ".join(word.text for word in words),
        src_spk=" ".join(map(str, voices)),
        tgt_text=" ".join(token.token.text for token in spoken),
        tgt_spk=" ".join(["-1"] * len(spoken)),
    )
    return _spread(tokens, transferred.split())


BASELINES: dict[str, Baseline] = {
    "maximum overlap": maximum_overlap,
    "sentence majority": sentence_majority,
    "pause or punctuation": pause_or_punctuation,
    "speaker transfer": speaker_transfer,
}
