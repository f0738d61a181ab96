"""result.json, version turnwise/1: everything that is known about a recording and its text.

Specification: result.schema.json in this folder (JSON Schema, draft 2020-12). Objects have the fields of the
data types in `pipelines.types`. Times are rounded to milliseconds and confidences to four digits, which
keeps their order. The same transcript gives the same bytes.
"""

from __future__ import annotations

import functools
import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import Any, TypeVar

from pipelines.errors import TextError
from pipelines.text import join_words
from pipelines.types import (
    AlignedToken,
    Attribution,
    Correction,
    EngineInfo,
    Finding,
    Heard,
    Media,
    Notice,
    Speaker,
    Supplied,
    Transcript,
    Turn,
)

SCHEMA = "turnwise/1"

_REMEDY = "give the result.json that this version of turnwise wrote."

T = TypeVar("T")
Object = dict[str, Any]

_JSON_NAMES = {str: "a string", int: "a whole number", float: "a number", list: "a list", dict: "an object"}


def serialize(transcript: Transcript) -> str:
    """Returns the transcript as JSON, one line per token, word, turn and finding."""
    members = (f"{json.dumps(key)}: {lines(value)}" for key, value in _object(transcript).items())
    return "{\n" + ",\n".join(members) + "\n}\n"


def parse(text: str) -> Transcript:
    """Returns the transcript that `serialize` wrote. Raises TextError if `text` is not of this version."""
    try:
        result = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TextError(f"This is not a result.json, since it is not JSON ({error}): {_REMEDY}") from error
    version = result.get("schema") if isinstance(result, dict) else None
    if version != SCHEMA:
        raise TextError(
            f"This is not a result of version {SCHEMA} (`schema` is {json.dumps(version)[:40]}): {_REMEDY}"
        )
    try:
        return _transcript(result)
    except KeyError as error:
        raise TextError(
            f"This result does not follow the schema {SCHEMA} ({error} is missing): {_REMEDY}"
        ) from error
    except (TypeError, ValueError, OverflowError) as error:
        raise TextError(f"This result does not follow the schema {SCHEMA} ({error}): {_REMEDY}") from error


def _object(transcript: Transcript) -> Object:
    supplied, heard = transcript.supplied, transcript.heard
    return {
        "schema": SCHEMA,
        "media": encode(transcript.media),
        "language": transcript.language,
        "engines": {stage: encode(engine) for stage, engine in transcript.engines},
        "supplied": {"format": supplied.format, "encoding": supplied.encoding},
        "readings": {
            "supplied": supplied.text,
            "heard": join_words([word.text for word in heard.words]),
            "corrected": transcript.corrected,
        },
        "speakers": encode(transcript.speakers),
        "turns": encode(transcript.turns),
        "tokens": [_token(transcript, index) for index in range(len(transcript.tokens))],
        "heard": encode(heard.words),
        "heard_by": {"language": heard.language, **encode(heard.engine)},
        "findings": encode(transcript.findings),
        "corrections": encode(transcript.corrections),
        "warnings": encode(transcript.warnings),
    }


def _token(transcript: Transcript, index: int) -> Object:
    aligned = transcript.tokens[index]
    attribution = transcript.attribution
    heard = transcript.heard.words[aligned.heard_start : aligned.heard_end]
    return {
        **encode(aligned.token),
        "match": aligned.match.value,
        "start": _rounded("start", aligned.start),
        "end": _rounded("end", aligned.end),
        "speaker": attribution.speakers[index] or None,
        "speaker_confidence": _rounded("confidence", attribution.confidence[index]),
        "heard": join_words([word.text for word in heard]),
        "heard_start": aligned.heard_start,
        "heard_end": aligned.heard_end,
        "confidence": _rounded("confidence", aligned.confidence),
    }


def encode(value: Any) -> Any:
    """Converts a value of the data types to JSON values."""
    if isinstance(value, tuple):
        return [encode(item) for item in value]
    if is_dataclass(value):
        return {f.name: _rounded(f.name, encode(getattr(value, f.name))) for f in fields(value)}
    return value.value if isinstance(value, StrEnum) else value


def _rounded(name: str, value: Any) -> Any:
    """Rounding to nearest never swaps two numbers; adding 0.0 turns -0.0 into 0.0."""
    if isinstance(value, float):
        return round(value, 4 if name.endswith("confidence") else 3) + 0.0
    return value


def lines(value: Any) -> str:
    """JSON with the items of a list one per line."""
    if isinstance(value, list) and value:
        return "[\n " + ",\n ".join(map(compact, value)) + "\n]"
    return compact(value)


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _transcript(result: Object) -> Transcript:
    readings, supplied, heard_by, engines = (
        _checked(dict, result[name]) for name in ("readings", "supplied", "heard_by", "engines")
    )
    listed = _checked(list, result["tokens"])
    tokens = tuple(_decode(AlignedToken, {**_checked(dict, token), "token": token}) for token in listed)
    return Transcript(
        media=_decode(Media, result["media"]),
        language=_decode(str, result["language"]),
        supplied=Supplied(
            text=_decode(str, readings["supplied"]),
            tokens=tuple(aligned.token for aligned in tokens),
            format=_decode(str, supplied["format"]),
            encoding=_decode(str, supplied["encoding"]),
        ),
        heard=_decode(Heard, {**heard_by, "words": result["heard"], "engine": heard_by}),
        engines=tuple((stage, _decode(EngineInfo, engine)) for stage, engine in engines.items()),
        tokens=tokens,
        attribution=Attribution(
            speakers=tuple(_decode(str, token["speaker"] or "") for token in listed),
            confidence=tuple(_decode(float, token["speaker_confidence"]) for token in listed),
        ),
        turns=_decode(tuple[Turn, ...], result["turns"]),
        speakers=_decode(tuple[Speaker, ...], result["speakers"]),
        findings=_decode(tuple[Finding, ...], result["findings"]),
        corrections=_decode(tuple[Correction, ...], result["corrections"]),
        corrected=_decode(str, readings["corrected"]),
        warnings=_decode(tuple[Notice, ...], result["warnings"]),
    )


def _decode(kind: Any, value: Any) -> Any:
    """Converts JSON values to `kind`: a data type, an enumeration, a tuple, an optional or a plain type.

    Raises TypeError, ValueError or KeyError if they do not fit.
    """
    if typing.get_origin(kind) is tuple:
        return tuple(_decode(typing.get_args(kind)[0], item) for item in _checked(list, value))
    if typing.get_origin(kind) is types.UnionType:
        return None if value is None else _decode(typing.get_args(kind)[0], value)
    if is_dataclass(kind):
        return _decode_object(kind, _checked(dict, value))
    if issubclass(kind, StrEnum):
        return kind(value)
    return _number(value) if kind is float else _checked(kind, value)


def _decode_object(kind: Any, members: Mapping[str, Any]) -> Any:
    return kind(**{name: _decode(hint, members[name]) for name, hint in _hints(kind).items()})


@functools.cache
def _hints(kind: type) -> Mapping[str, Any]:
    return typing.get_type_hints(kind)


def _number(value: Any) -> float:
    number = float(value if type(value) is int else _checked(float, value))
    if not math.isfinite(number):
        raise ValueError(f"{value} is neither a time nor a confidence")
    return number


def _checked(kind: type[T], value: Any) -> T:
    if type(value) is not kind:
        raise TypeError(f"{json.dumps(value)[:40]} was found where {_JSON_NAMES[kind]} is expected")
    return value
