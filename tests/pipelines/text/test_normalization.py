import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.text.normalization import ends_sentence, fold, is_question, is_spaceless, units
from pipelines.text.phonetics import sound, syllables


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("Riyadh", "riyadh"),
        (",Putin", "putin"),
        ("as,,", "as"),
        ("raging..", "raging"),
        ("“Hey,,", "hey"),
        ("(NATO)", "nato"),
        ("US-Russia", "us russia"),
        ("high-level", "high level"),
        ("peace—or", "peace or"),
        ("and/or", "and or"),
        ("appreciate it…", "appreciate it"),
        ("U.S.", "us"),
        ("U.S.-led", "us led"),
        ("p.m.", "pm"),
        ("J.", "j"),
        ("&", "and"),
        ("AT&T", "at and t"),
        ("R&amp;D", "r and d"),
        ("it&#39;s", "its"),
        ("AT&T;", "at and t"),
        ("Müller’s", "mullers"),
        ("Łódź", "lodz"),
        ("Straße", "strasse"),
        ("Ｈｅｌｌｏ", "hello"),
        ("soft\u00adhyphen", "softhyphen"),
        ("peace.Next", "peace next"),
        ("'em", "em"),
        ("rock'n'roll", "rocknroll"),
        ("…", ""),
        ("??", ""),
        ("—", ""),
        ("$", ""),
        ("", ""),
    ],
)
def test_units_keep_what_is_audible(token: str, expected: str) -> None:
    assert units(token) == tuple(expected.split())


@pytest.mark.parametrize(
    ("one", "other"), [("it's", "it’s"), ("It’s", "its"), ("we've", "WEVE"), ("Don´t", "dont")]
)
def test_a_contraction_has_one_form(one: str, other: str) -> None:
    assert units(one) == units(other)
    assert len(units(one)) == 1


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("20", "twenty"),
        ("20%", "twenty percent"),
        ("20%..", "twenty percent"),
        ("2014", "twenty fourteen"),
        ("1,500", "one thousand five hundred"),
        ("1,500,,", "one thousand five hundred"),
        ("3.5", "three point five"),
        ("$40", "forty dollars"),
        ("$3.5bn", "three point five billion dollars"),
        ("1st", "first"),
        ("21st", "twenty first"),
        ("1990s", "nineteen nineties"),
        ("’90s", "nineties"),
        ("10:30", "ten thirty"),
        ("2014-15", "twenty fourteen fifteen"),
        ("G20", "g twenty"),
        ("5G", "five g"),
        ("F-16", "f sixteen"),
        ("20-year-old", "twenty year old"),
        ("1,2", "one two"),
    ],
)
def test_numbers_are_words_in_english(token: str, expected: str) -> None:
    assert units(token) == tuple(expected.split())


def test_numbers_stay_digits_in_other_languages() -> None:
    assert units("2014", "de") == ("2014",)
    assert units("2014", "en-GB") == ("twenty", "fourteen")


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("你好。", ("你", "好")),
        ("ABC公司", ("abc", "公", "司")),
        ("カタカナ", ("カ", "タ", "カ", "ナ")),
        ("สวัสดี", ("ส", "วั", "ส", "ดี")),
        ("हिन्दी", ("हिन्दी",)),
        ("العربية،", ("العربية",)),
        ("Москва!", ("москва",)),
        ("Αθήνα", ("αθήνα",)),
        ("한국어", ("한국어",)),
    ],
)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_other_scripts(token: str, expected: tuple[str, ...], language: str) -> None:
    assert units(token, language) == expected


@given(st.text(max_size=12), st.sampled_from(["en", "de", "zh-Hant", ""]))
def test_units_never_raise_and_are_their_own_units(token: str, language: str) -> None:
    for unit in units(token, language):
        assert unit
        assert not unit.isspace()
        assert units(unit, language) == (unit,)
        assert sound(unit)
        assert syllables(unit) >= 1


@given(st.text(alphabet=".,;:!?…-—–\"'“”‘’()[]{}<>/\\*#@^~|=+_$£€ \t\n", max_size=8))
def test_punctuation_alone_has_no_unit(token: str) -> None:
    assert units(token) == ()


@given(st.text(alphabet=st.characters(categories=["Lu", "Ll"], max_codepoint=0x24F), max_size=10))
def test_case_and_surrounding_punctuation_do_not_matter(word: str) -> None:
    assert units(f"“{word.upper()},,") == units(word.upper())
    assert fold(word.casefold()) == fold(word)


@pytest.mark.parametrize(
    "token", ["peace.", "it…", "raging..", "war?”", "(yes.)", "No.", "好。", "هل؟", "it!'"]
)
def test_ends_sentence(token: str) -> None:
    assert ends_sentence(token)


@pytest.mark.parametrize("token", ["peace", "peace,", "Mr.", "(Dr.", "J.", "U.S.", "“", ""])
def test_does_not_end_sentence(token: str) -> None:
    assert not ends_sentence(token)


@pytest.mark.parametrize("token", ["Ukraine??", "you?”", "吗？", "هل؟", "war?!"])
def test_is_question(token: str) -> None:
    assert is_question(token)


@pytest.mark.parametrize("token", ["peace.", "what", "?x", ""])
def test_is_no_question(token: str) -> None:
    assert not is_question(token)


@given(st.text(max_size=12))
def test_a_question_ends_a_sentence(token: str) -> None:
    ends = ends_sentence(token)
    assert ends or not is_question(token)


def test_spaceless_scripts() -> None:
    assert all(map(is_spaceless, "你好カナไทยဗမာ。"))
    assert not any(map(is_spaceless, "aéж한العह "))
