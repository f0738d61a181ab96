"""Written words in comparable form: spelling, sound, numbers, languages.

normalization  the comparable form of a token
numerals       numbers as they are spoken
phonetics      roughly how an English spelling sounds
languages      BCP 47 tags, Whisper's codes and English names of languages
joining        words as running text
reading        the corrected reading as words with times
"""

from pipelines.text import languages
from pipelines.text.joining import glued, join_tokens, join_words, seams
from pipelines.text.languages import check_known, english_name, from_name
from pipelines.text.normalization import ends_sentence, fold, is_question, is_spaceless, units
from pipelines.text.phonetics import sound, syllables
from pipelines.text.reading import ReadWord, compatible, joined, words_by_turn

__all__ = [
    "ReadWord",
    "check_known",
    "compatible",
    "ends_sentence",
    "english_name",
    "fold",
    "from_name",
    "glued",
    "is_question",
    "is_spaceless",
    "join_tokens",
    "join_words",
    "joined",
    "languages",
    "seams",
    "sound",
    "syllables",
    "units",
    "words_by_turn",
]
