"""Damages a transcript the way bad captioning does, and keeps the truth about every token that is left.

The kinds are those of a real broadcast text that users sent in: dropped first letters ("Lks are aimed"),
mangled names, words replaced by similar ones, split, doubled and dropped; digits for number
words; doubled or missing punctuation and lost case in stretches; sentences missing; lines shown twice
(roll-up captions); headings of the page pasted in; line breaks anywhere, with a stray full stop.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby
from random import Random

from tests.benchmarks.simulation import similar
from tests.benchmarks.spoken import Utterance


class Origin(StrEnum):
    SPOKEN = "spoken"  # said, in the turn it names
    EXTRA = "extra"  # a stray word inside a turn that nobody said: "spoken" and "not spoken" are both right
    HEADING = "heading"  # pasted from elsewhere on the page: not spoken
    REPEAT = "repeat"  # the second copy of a line that was said once: not spoken


@dataclass(frozen=True, slots=True)
class Written:
    """One token of the damaged text; `turn` is that of the words around it where it was not spoken."""

    text: str
    turn: int
    sentence: int
    origin: Origin = Origin.SPOKEN
    breaks: bool = False  # a line ends behind it
    repeat: int = 0  # both copies of a line shown twice carry its number


MISSING_SENTENCES = 0.15  # share of sentences missing, per unit of damage
DIGITS = 0.5  # probability that a number is written in digits
STYLE_TOKENS = (25, 90)  # length of a stretch in one style of punctuation
LINE_TOKENS = (50, 95)
PLACES_TRIED = 50
STRAY_STOP = 0.7  # probability of a full stop at the end of a line that is not the end of a sentence

NUMBERS = {
    "two thousand and eight": "2008",
    "two thousand and fourteen": "2014",
    "nineteen eighty nine": "1989",
    "twenty nineteen": "2019",
    "twenty twenty two": "2022",
    "two hundred": "200",
    "five hundred": "500",
    "twenty five": "25",
    "thirty seven": "37",
    "ninety nine": "99",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "seven": "7",
    "nine": "9",
    "ten": "10",
    "twelve": "12",
    "fifteen": "15",
    "twenty": "20",
    "thirty": "30",
    "forty": "40",
    "sixty": "60",
    "eighty": "80",
}


def transcribe(utterances: Sequence[Utterance]) -> list[Written]:
    """The text as a careful writer would put it."""
    written: list[Written] = []
    sentence = 0
    for turn, utterance in enumerate(utterances):
        for word in utterance.words:
            written.append(Written(word.text, turn, sentence))
            sentence += word.ends_sentence
        sentence += 1
    return written


def drop_sentences(random: Random, written: Sequence[Written], damage: float) -> list[Written]:
    """Whole sentences missing; the first one stays, so that something is left."""
    kept: list[Written] = []
    for sentence, group in groupby(written, key=lambda token: token.sentence):
        if sentence == 0 or random.random() >= damage * MISSING_SENTENCES:
            kept += group
    return kept


def write_digits(random: Random, written: Sequence[Written]) -> list[Written]:
    """Some numbers in digits: "twenty five percent" as "25 percent"."""
    result: list[Written] = []
    index = 0
    while index < len(written):
        digits, length = _number_at(written, index)
        if length and random.random() < DIGITS:
            result.append(replace(written[index], text=digits))
            index += length
        else:
            result += written[index : index + max(1, length)]
            index += max(1, length)
    return result


def _number_at(written: Sequence[Written], index: int) -> tuple[str, int]:
    """The longest number that starts at this token, in digits, and its length in tokens; ("", 0) for none."""
    for length in (4, 3, 2, 1):
        words = [token.text for token in written[index : index + length]]
        last = words[-1].rstrip(",.?!")
        digits = NUMBERS.get(" ".join([*words[:-1], last]).lower())
        if digits and len(words) == length:
            return digits + words[-1][len(last) :], length
    return "", 0


# --------------------------------------------------------------------------- single words

WordDamage = Callable[[Random, str], tuple[str, ...]]
"""Makes the tokens that stand in the text instead of one word; the second token of a doubled one is extra."""


def damage_words(random: Random, written: Sequence[Written], damage: float) -> list[Written]:
    """So large a share of the tokens damaged. The first of a turn is never doubled: where would it begin?"""
    kinds, weights = tuple(_WORD_DAMAGE), tuple(_WORD_DAMAGE.values())
    result: list[Written] = []
    for index, token in enumerate(written):
        if random.random() >= damage:
            result.append(token)
            continue
        kind = random.choices(kinds, weights)[0]
        opens = index == 0 or written[index - 1].turn != token.turn
        if kind in (_double, _insert):
            result += [token] if opens else _with_extra(token, kind(random, token.text))
        else:
            result += [replace(token, text=text) for text in kind(random, token.text)]
    return result


def _with_extra(token: Written, texts: Sequence[str]) -> list[Written]:
    first, second = texts
    return [replace(token, text=first), replace(token, text=second, origin=Origin.EXTRA)]


def _split_punctuation(text: str) -> tuple[str, str]:
    core = text.rstrip(",.?!;:")
    return core, text[len(core) :]


def _drop_first_letters(random: Random, text: str) -> tuple[str, ...]:
    core, _ = _split_punctuation(text)
    count = 1 if len(core) < 5 else random.choice((1, 1, 2))
    return (text[count:] if len(core) > count else text,)


def _mangle(random: Random, text: str) -> tuple[str, ...]:
    """Letters swapped, lost, replaced or a syllable doubled: "Zelenksy’ssy’s"."""
    core, tail = _split_punctuation(text)
    for _ in range(1 if len(core) < 5 else random.randint(1, 3)):
        core = random.choice(_LETTER_DAMAGE)(core, random.randrange(len(core)), random)
    return (core + tail,)


_LETTER_DAMAGE: tuple[Callable[[str, int, Random], str], ...] = (
    lambda core, at, random: core[:at] + core[at + 1 :] if len(core) > 2 else core,
    lambda core, at, random: core[:at] + random.choice("aeioulnrst") + core[at + 1 :],
    lambda core, at, random: core[:at] + core[at : at + 2][::-1] + core[at + 2 :],
    lambda core, at, random: core + core[at:] if len(core) > 4 else core,
)


def _replace(random: Random, text: str) -> tuple[str, ...]:
    """Another word that looks alike: "rages" as "raged", "aide" as "eight"."""
    core, tail = _split_punctuation(text)
    other = random.choice(similar(core.lower()))
    return ((other.capitalize() if core[:1].isupper() else other) + tail,)


def _split(random: Random, text: str) -> tuple[str, ...]:
    """Two words for one: "off guard" as "tee offs guarder"."""
    core, tail = _split_punctuation(text)
    if len(core) < 5:
        return _mangle(random, text)
    cut = random.randint(2, len(core) - 2)
    return (*_mangle(random, core[:cut]), core[cut:] + tail)


def _double(random: Random, text: str) -> tuple[str, ...]:
    return text, text


def _insert(random: Random, text: str) -> tuple[str, ...]:
    return text, random.choice(("the", "a", "and", "to", "of", "in", "with", "that"))


def _drop(random: Random, text: str) -> tuple[str, ...]:
    return ()


_WORD_DAMAGE: dict[WordDamage, float] = {
    _mangle: 0.28,
    _replace: 0.28,
    _drop: 0.17,
    _drop_first_letters: 0.12,
    _split: 0.06,
    _double: 0.05,
    _insert: 0.04,
}


# --------------------------------------------------------------------------- punctuation, case

_STYLES: dict[Callable[[str], str], float] = {
    lambda text: text: 0.45,
    lambda text: text.rstrip(",.?!").lower(): 0.2,  # no punctuation, no case
    lambda text: text + text[-1] if text[-1] in ",.?!" else text: 0.2,  # doubled punctuation
    lambda text: text[:-1] + "," if text.endswith(".") else text: 0.15,  # sentences run on
}


def damage_punctuation(random: Random, written: Sequence[Written], damage: float) -> list[Written]:
    """Stretches of the text in another style, or in none; the more damage, the more of them."""
    styles, weights = tuple(_STYLES), [*_STYLES.values()]
    result: list[Written] = []
    while len(result) < len(written):
        damaged = random.random() < min(1.0, 5 * damage)
        style = random.choices(styles, weights)[0] if damaged else styles[0]
        stretch = written[len(result) : len(result) + random.randint(*STYLE_TOKENS)]
        result += [replace(token, text=style(token.text) or token.text) for token in stretch]
    return result


# --------------------------------------------------------------------------- lines


def repeat_line(random: Random, written: Sequence[Written], number: int) -> list[Written]:
    """One stretch inside a turn shown twice, as roll-up captions do; said once. `number` counts from 1."""
    length = random.randint(6, 12)
    start = _place(random, written, length + 2)
    if not start or written[start - 1].turn != written[start + length].turn:
        return list(written)
    stretch = [replace(token, repeat=number) for token in written[start : start + length]]
    copy = [replace(token, origin=Origin.REPEAT) for token in stretch]
    return [*written[:start], *_broken(stretch), *_broken(copy), *written[start + length :]]


def paste_heading(random: Random, written: Sequence[Written], heading: str) -> list[Written]:
    """A heading between two spoken words, mostly on a line of its own, mostly inside a sentence."""
    place = _place(random, written, 2)
    if not place:
        return list(written)
    left = written[place - 1]
    texts = _headline(random, heading)
    pasted = [Written(text, left.turn, left.sentence, Origin.HEADING) for text in texts]
    if random.random() < 0.7:
        left, pasted = replace(left, breaks=True), _broken(pasted)
    return [*written[: place - 1], left, *pasted, *written[place:]]


def _place(random: Random, written: Sequence[Written], width: int) -> int:
    """The second of `width` neighbouring tokens to which nothing was done yet; 0 if there are hardly any."""
    for _ in range(PLACES_TRIED):
        start = random.randrange(1, max(2, len(written) - width))
        if all(_untouched(token) for token in written[start - 1 : start - 1 + width]):
            return start
    return 0


def _untouched(token: Written) -> bool:
    return token.origin is Origin.SPOKEN and not token.breaks and not token.repeat


def _broken(line: Sequence[Written]) -> list[Written]:
    return [*line[:-1], replace(line[-1], breaks=True)]


def _headline(random: Random, heading: str) -> list[str]:
    """5 to 12 words of it, without the full stop; cut off at the end, as the page shows it."""
    words = heading.rstrip(".").split()
    return words[: max(5, random.randint(min(8, len(words)), 12))]


def break_lines(random: Random, written: Sequence[Written]) -> Iterator[Written]:
    """Line breaks anywhere, with a stray full stop."""
    left = random.randint(*LINE_TOKENS)
    for token in written:
        left = random.randint(*LINE_TOKENS) if token.breaks else left - 1
        if left > 0 or token.origin is not Origin.SPOKEN or token.breaks:
            yield token
            continue
        left = random.randint(*LINE_TOKENS)
        stray = "." if random.random() < STRAY_STOP and token.text[-1].isalnum() else ""
        yield replace(token, text=token.text + stray, breaks=True)
