"""Whisper's names of languages, and the BCP 47 tags that everybody else uses (RFC 5646).

Whisper's are the first subtag of a tag, with a few old or broader codes among them.
"""

from __future__ import annotations

from collections.abc import Collection

from pipelines.errors import OptionError

UNDETERMINED = "und"  # RFC 5646, 4.1: where there is nothing to tell a language by
CODES = {
    "cmn": "zh",
    "fil": "tl",
    "in": "id",
    "iw": "he",
    "ji": "yi",
    "jv": "jw",
    "mo": "ro",
    "nb": "no",
    "zh-yue": "yue",
}
"""BCP 47 → Whisper, where they differ."""
TAGS = {"jw": "jv"}
"""Whisper → BCP 47, where its code is none."""


def parse(tag: str) -> str:
    """Whisper's code for a tag: "en" for "en-GB" and "en_US"; "" stays "", to be detected."""
    subtags = tag.strip().lower().replace("_", "-").split("-")
    return CODES.get("-".join(subtags[:2])) or CODES.get(subtags[0], subtags[0])


def serialize(code: str) -> str:
    """The BCP 47 tag of one of Whisper's codes."""
    return TAGS.get(code, code)


def check(tag: str, known: Collection[str], model: str) -> str:
    """Whisper's code for `tag`, if the model knows that language; "" stays "".

    Raises OptionError, which says what to do.
    """
    code = parse(tag)
    if not tag.strip() or code in known:
        return code
    if set(known) == {"en"}:
        raise OptionError(
            f"The model {model} hears English only, not {tag!r}: choose a multilingual one"
            ' (a name without ".en") or --language en.'
        )
    raise OptionError(
        f"The model {model} does not know the language {tag!r}: give a BCP 47 tag of one that it knows,"
        " such as en, fr or pt-BR, or none, and it is detected."
    )
