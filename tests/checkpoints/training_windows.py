"""What the test Whisper is trained on: windows made of the clip's words and phrases, in random order.

Trained on the clip's sentences as they stand it learns the text by heart and never listens. In random order
there is nothing to learn by heart; each voice still says only its own words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines.audio import decoding as audio
from pipelines.formats import rttm
from pipelines.types import SAMPLE_RATE, Samples

LONGEST_PHRASE_WORDS = 12
SHORTEST_PAUSE, LONGEST_PAUSE = 0.25, 0.9  # s, between phrases
LONGEST_LEAD_IN = 1.0  # s, before the first
EDGE = 0.03  # s of its surroundings that a phrase keeps at either end
HISS = 12 / 32768  # as in the clip


@dataclass(frozen=True, slots=True)
class Word:
    """A word where it sounds: seconds of the recording, or of a window."""

    text: str  # as Whisper writes it, with the blank in front: " rules."
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Segment:
    """Words that Whisper would write between two times; cut where the window ends in the middle of it."""

    words: tuple[Word, ...]
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Window:
    """One example: samples at SAMPLE_RATE, shape (n,), and what is said in them (nothing in noise)."""

    samples: Samples
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Clip:
    """The recording and its words, turn by turn."""

    samples: Samples
    turns: tuple[tuple[Word, ...], ...]

    @property
    def words(self) -> Iterator[Word]:
        return (word for turn in self.turns for word in turn)


def load_clip(folder: Path) -> Clip:
    """clip.opus with the words of clip.ctm, divided into the turns of clip.rttm."""
    recording, _ = audio.load(folder / "clip.opus")
    rows = [line.split() for line in (folder / "clip.ctm").read_text(encoding="utf-8").splitlines()]
    words = [Word(f" {row[4]}", float(row[2]), float(row[2]) + float(row[3])) for row in rows]
    turns = rttm.parse((folder / "clip.rttm").read_text(encoding="utf-8"))
    inside = (tuple(w for w in words if t.start - 0.01 <= w.start < t.end + 0.01) for t in turns)
    return Clip(recording.samples, tuple(inside))


@dataclass(slots=True)
class Composer:
    """Makes windows of a length without end; the same ones for the same seed."""

    clip: Clip
    seed: int
    random: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.random = np.random.default_rng(self.seed)

    def window(self, length: float, *, as_spoken: float = 0.0, silent: float = 0.04) -> Window:
        """One window of `length` seconds; with these probabilities a stretch of the clip, or noise."""
        kind = self.random.random()
        if kind < silent:
            return Window(self._noise(length), ())
        window = self._stretch(length) if kind < silent + as_spoken else self._phrases(length)
        return Window(self._disturbed(window.samples), window.segments)

    def _stretch(self, length: float) -> Window:
        """The clip from the start of a random word on, which may end before the window does."""
        words = list(self.clip.words)
        first = int(self.random.integers(len(words)))
        begin = max(0.0, words[first].start - float(self.random.uniform(0, 0.3)))
        return self._cut(begin, length, words[first:])

    def _cut(self, begin: float, length: float, words: Sequence[Word]) -> Window:
        samples = np.zeros(round(length * SAMPLE_RATE), dtype=np.float32)
        cut = self.clip.samples[round(begin * SAMPLE_RATE) :][: len(samples)]
        samples[: len(cut)] = cut
        inside = [w for w in words if w.end - begin <= length]
        placed = [Word(w.text, max(0.0, w.start - begin), w.end - begin) for w in inside]
        return Window(samples, tuple(_segments(placed, [self._ends(w) for w in inside])))

    def _ends(self, word: Word) -> bool:
        """Whether it is the last of a sentence, or of a turn."""
        return word.text[-1] in ".?!" or any(turn[-1] == word for turn in self.clip.turns)

    def _phrases(self, length: float) -> Window:
        samples = self._hiss(length)
        segments: list[Segment] = []
        at = float(self.random.uniform(0, LONGEST_LEAD_IN)) * (self.random.random() < 0.7)
        full = float(self.random.uniform(0.5, 1.1)) * length  # some windows end in silence
        while at < min(full, length - 0.5):
            phrase = self._phrase()
            begin = phrase[0].start - EDGE
            cut = self.clip.samples[
                max(0, round(begin * SAMPLE_RATE)) : round((phrase[-1].end + EDGE) * SAMPLE_RATE)
            ]
            first = round(at * SAMPLE_RATE)
            room = len(samples) - first
            samples[first : first + len(cut)] += _faded(cut)[:room]
            placed = [Word(w.text, w.start - begin + at, w.end - begin + at) for w in phrase]
            fitting = [w for w in placed if w.end <= length]
            ends = [w.text[-1] in ".?!" for w in fitting]
            if fitting:
                ends[-1] = len(fitting) == len(placed)
            segments += _segments(fitting, ends)
            at += len(cut) / SAMPLE_RATE + float(self.random.uniform(SHORTEST_PAUSE, LONGEST_PAUSE))
        return Window(samples, tuple(segments))

    def _phrase(self) -> tuple[Word, ...]:
        lengths = [len(turn) for turn in self.clip.turns]
        turn = self.clip.turns[int(self.random.choice(len(lengths), p=np.array(lengths) / sum(lengths)))]
        count = int(self.random.integers(1, LONGEST_PHRASE_WORDS + 1))
        first = int(self.random.integers(max(1, len(turn) - count + 1)))
        return turn[first : first + count]

    def _disturbed(self, samples: Samples) -> Samples:
        """Another level, and now and then more noise: nothing is learned from the exact samples."""
        gain = 10 ** (float(self.random.uniform(-8, 6)) / 20)
        if self.random.random() < 0.3:
            level = 10 ** (float(self.random.uniform(-70, -45)) / 20)
            samples = samples + self._noise_at(len(samples), level)
        return (samples * np.float32(gain)).clip(-1, 1).astype(np.float32)

    def _hiss(self, length: float) -> Samples:
        return self._noise_at(round(length * SAMPLE_RATE), HISS / 2)

    def _noise(self, length: float) -> Samples:
        """Silence, noise, or a chord: what is not speech."""
        samples = self._noise_at(
            round(length * SAMPLE_RATE), 10 ** (float(self.random.uniform(-90, -25)) / 20)
        )
        if self.random.random() < 0.4:
            t = np.arange(len(samples)) / SAMPLE_RATE
            for _ in range(3):
                frequency_hz = float(self.random.uniform(80, 1200))
                samples += (0.05 * np.sin(2 * np.pi * frequency_hz * t)).astype(np.float32)
        return samples

    def _noise_at(self, count: int, level: float) -> Samples:
        noise: npt.NDArray[np.float64] = self.random.standard_normal(count) * level
        return noise.astype(np.float32)


def _segments(words: Sequence[Word], ends: Sequence[bool]) -> Iterator[Segment]:
    """The words divided behind those that end a segment; what is left over is cut."""
    open_words: list[Word] = []
    for word, end in zip(words, ends, strict=True):
        open_words.append(word)
        if end:
            yield Segment(tuple(open_words))
            open_words = []
    if open_words:
        yield Segment(tuple(open_words), cut=True)


def _faded(samples: Samples) -> Samples:
    """Without the clicks of a cut: 10 ms up and down."""
    ramp = np.linspace(0, 1, min(SAMPLE_RATE // 100, len(samples) // 2), dtype=np.float32)
    faded = samples.copy()
    faded[: len(ramp)] *= ramp
    faded[len(faded) - len(ramp) :] *= ramp[::-1]
    return faded
