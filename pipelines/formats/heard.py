"""heard.json: the recognised words, to keep or to supply again.

Written as turnwise-heard/1, one word per line:

    {"schema": "turnwise-heard/1", "language": "en", "engine": {…}, "words": [
     {"text": "Thank", "start": 111.43, "end": 111.66, "confidence": 0.97}]}

Also reads a result.json (its recognised words), and the JSON of Whisper and its relatives
(openai-whisper, faster-whisper, whisperX, OpenAI's `verbose_json`): `words`, or `segments` with `words`, each
with `word`, `start`, `end` and perhaps `probability` or `score`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from pipelines.errors import TextError
from pipelines.formats.result import compact, encode, lines
from pipelines.text import from_name
from pipelines.types import EngineInfo, Heard, HeardWord, encodable

SCHEMA = "turnwise-heard/1"

UNKNOWN = EngineInfo("unknown", "", "", "")
"""The engine of words whose file does not name one."""

UNSURE = 0.5
"""Confidence of a word whose file gives none."""

Object = dict[str, Any]


def serialize(heard: Heard) -> str:
    """Returns the words, one per line, with the engine that recognised them."""
    head = compact({"schema": SCHEMA, "language": heard.language, "engine": encode(heard.engine)})
    return f'{head[:-1]}, "words": {lines(encode(heard.words))}}}\n'


def parse(text: str) -> Heard:
    """Returns the words in order of start time. Raises TextError if `text` is not a file of words.

    Lone surrogates, which JSON can spell and UTF-8 cannot, become U+FFFD.
    """
    try:
        document = json.loads(text)
        if not isinstance(document, dict):
            raise TypeError("it is not an object")
        words = sorted(_words(document), key=lambda word: word.start)
    except RecursionError:
        raise _unusable("it is nested too deeply") from None
    except KeyError as error:
        raise _unusable(f"a word has no {error}") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise _unusable(str(error)) from error
    return Heard(tuple(words), _language(document), _engine(document))


def _unusable(reason: str) -> TextError:
    return TextError(
        f"This is not a file of recognised words ({reason}): give a heard.json or result.json of turnwise,"
        " or the JSON that Whisper writes with word times."
    )


def _words(document: Object) -> Iterator[HeardWord]:
    if isinstance(document.get("heard"), list):  # result.json
        listed = document["heard"]
    elif isinstance(document.get("words"), list):
        listed = document["words"]
    elif isinstance(document.get("segments"), list):
        listed = [word for segment in document["segments"] for word in _of_segment(segment)]
    else:
        raise ValueError("it has neither words nor segments")
    timed = (word for word in listed if "start" in word and "end" in word)  # whisperX omits some times
    return (word for word in map(_heard_word, timed) if word.text)


def _of_segment(segment: Object) -> list[Object]:
    if "words" not in segment:
        raise ValueError("its segments have no words: let Whisper write word times (word_timestamps)")
    return list(segment["words"])


def _heard_word(word: Object) -> HeardWord:
    text = word["text"] if "text" in word else word["word"]
    start, end = _seconds(word["start"]), _seconds(word["end"])
    if not isinstance(text, str) or start > end or start < 0:
        raise ValueError(f"{json.dumps(word)[:80]} is not a word with times")
    confidence = next((word[key] for key in ("confidence", "probability", "score") if key in word), UNSURE)
    return HeardWord(encodable(" ".join(text.split())), start, end, min(1.0, max(0.0, _seconds(confidence))))


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{json.dumps(value)[:40]} is not a number")
    return float(value)


def _language(document: Object) -> str:
    language = document.get("language")
    return from_name(encodable(language.strip())) if isinstance(language, str) else ""


def _engine(document: Object) -> EngineInfo:
    said = document.get("engine", document.get("heard_by"))
    if not isinstance(said, dict):
        return UNKNOWN
    keys = ("engine", "version", "model", "model_sha256")
    return EngineInfo(*(encodable(str(said.get(key, ""))) for key in keys))
