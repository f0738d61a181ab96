"""Languages: BCP 47 tags (RFC 5646), Whisper's codes, and their English names.

Whisper's code for a language is usually the first subtag of its tag; a few are older or broader. OpenAI's
`verbose_json` gives the English name in lower case: "english" for en-GB.
"""

from __future__ import annotations

from collections.abc import Collection

from pipelines.errors import OptionError

UNDETERMINED = "und"  # RFC 5646, 4.1: where nothing reveals the language
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
"""Whisper → BCP 47, where its code is not a BCP 47 tag."""
NAMES = {
    "af": "afrikaans", "am": "amharic", "ar": "arabic", "as": "assamese", "az": "azerbaijani",
    "ba": "bashkir", "be": "belarusian", "bg": "bulgarian", "bn": "bengali", "bo": "tibetan", "br": "breton",
    "bs": "bosnian", "ca": "catalan", "cs": "czech", "cy": "welsh", "da": "danish", "de": "german",
    "el": "greek", "en": "english", "es": "spanish", "et": "estonian", "eu": "basque", "fa": "persian",
    "fi": "finnish", "fo": "faroese", "fr": "french", "gl": "galician", "gu": "gujarati", "ha": "hausa",
    "haw": "hawaiian", "he": "hebrew", "hi": "hindi", "hr": "croatian", "ht": "haitian creole",
    "hu": "hungarian", "hy": "armenian", "id": "indonesian", "is": "icelandic", "it": "italian",
    "ja": "japanese", "jw": "javanese", "ka": "georgian", "kk": "kazakh", "km": "khmer", "kn": "kannada",
    "ko": "korean", "la": "latin", "lb": "luxembourgish", "ln": "lingala", "lo": "lao", "lt": "lithuanian",
    "lv": "latvian", "mg": "malagasy", "mi": "maori", "mk": "macedonian", "ml": "malayalam",
    "mn": "mongolian", "mr": "marathi", "ms": "malay", "mt": "maltese", "my": "myanmar", "ne": "nepali",
    "nl": "dutch", "nn": "nynorsk", "no": "norwegian", "oc": "occitan", "pa": "punjabi", "pl": "polish",
    "ps": "pashto", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sa": "sanskrit", "sd": "sindhi",
    "si": "sinhala", "sk": "slovak", "sl": "slovenian", "sn": "shona", "so": "somali", "sq": "albanian",
    "sr": "serbian", "su": "sundanese", "sv": "swedish", "sw": "swahili", "ta": "tamil", "te": "telugu",
    "tg": "tajik", "th": "thai", "tk": "turkmen", "tl": "tagalog", "tr": "turkish", "tt": "tatar",
    "uk": "ukrainian", "ur": "urdu", "uz": "uzbek", "vi": "vietnamese", "yi": "yiddish", "yo": "yoruba",
    "yue": "cantonese", "zh": "chinese",
}  # fmt: skip
"""Whisper's code of a language → its name, as in openai-whisper's tokenizer."""
TAGS_OF_NAMES = {name: TAGS.get(code, code) for code, name in NAMES.items()}
UNKNOWN = "unknown"
"""The name where nothing reveals the language."""


def english_name(tag: str) -> str:
    """The name for a BCP 47 tag; its first subtag for a language that is not in the table."""
    code = parse(tag)
    return UNKNOWN if code in ("", UNDETERMINED) else NAMES.get(code, code)


def from_name(name: str) -> str:
    """The tag for an English name; anything else is returned unchanged."""
    return TAGS_OF_NAMES.get(name.lower(), name)


def check_known(tag: str) -> str:
    """The tag in BCP 47 form, "" for none. Raises OptionError for a language that is not in the table."""
    if tag.strip() and parse(tag) not in NAMES:
        raise OptionError(
            f"There is no language {tag!r}: give a BCP 47 tag such as en, fr or pt-BR, or none to have the"
            " language detected."
        )
    return tag.strip().replace("_", "-")


def parse(tag: str) -> str:
    """Whisper's code for a tag: "en" for "en-GB" and "en_US"; "" stays "", to be detected."""
    subtags = tag.strip().lower().replace("_", "-").split("-")
    return CODES.get("-".join(subtags[:2])) or CODES.get(subtags[0], subtags[0])


def serialize(code: str) -> str:
    """The BCP 47 tag of one of Whisper's codes."""
    return TAGS.get(code, code)


def check(tag: str, known: Collection[str], model: str) -> str:
    """Whisper's code for `tag`, if the model knows that language; "" stays "".

    Raises OptionError for any other language.
    """
    code = parse(tag)
    if not tag.strip() or code in known:
        return code
    if set(known) == {"en"}:
        raise OptionError(
            f"The model {model} knows English only, not {tag!r}: choose a multilingual one"
            ' (a name without ".en") or --language en.'
        )
    raise OptionError(
        f"The model {model} does not know the language {tag!r}: give the BCP 47 tag of one that it knows,"
        " such as en, fr or pt-BR, or none to have the language detected."
    )
