"""Written words in comparable form: spelling, sound, numbers, languages.

normalization  the comparable form of a token
numerals       numbers as they are spoken
phonetics      how an English spelling sounds, roughly
languages      Whisper's names of languages and everybody else's tags
"""

from pipelines.text import languages
from pipelines.text.languages import check_known, english_name, from_name
from pipelines.text.normalization import (
    ends_sentence,
    fold,
    is_question,
    is_spaceless,
    sound,
    syllables,
    units,
)

__all__ = [
    "check_known",
    "ends_sentence",
    "english_name",
    "fold",
    "from_name",
    "is_question",
    "is_spaceless",
    "languages",
    "sound",
    "syllables",
    "units",
]
