"""What is and what is not near enough to a word of the glossary."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from pipelines.reconciliation import glossary
from pipelines.reconciliation.glossary import find_terms
from tests.support.timelines import dictate


def found(text: str, *terms: str) -> dict[str, str]:
    """Word of the glossary by the token it is put in the place of."""
    tokens = dictate(text).tokens
    return {tokens[index].token.text: word for index, word in find_terms(tokens, terms, "en")}


@pytest.mark.parametrize(
    ("text", "term", "expected"),
    [
        ("So Belinsky|else said", "Zelenskyy", {"Belinsky": "Zelenskyy"}),
        ("So {Zaleski} said", "Zelenskyy", {"Zaleski": "Zelenskyy"}),
        ("So Zelenksy’s|else man", "Zelenskyy", {"Zelenksy’s": "Zelenskyy"}),
        ("So Kiln|kin said", "Kirill", {}),  # not near
        ("So Pete|that said", "Peat Marsh", {"Pete": "Peat"}),
        ("So bramfort|ford said", "Bramford", {"bramfort": "Bramford"}),
        ("So marked|market said", "Marco", {}),  # no capital, and no name
        ("So Universities|verse said", "University", {"Universities": "University"}),
        ("So universities|verse said", "University", {}),  # the same without a capital is a common word
        ("So color|collar said", "Kellogg", {}),  # alike in sound only
        ("So Kgb|cave said", "Kgp", {}),  # too short
        ("So (Zaleski) said", "Zelenskyy", {}),  # nobody said it
        ("So Noel|anselm said", "Anselm", {}),  # what was heard counts for nothing
    ],
)
def test_a_word_much_alike_in_spelling_and_sound(text: str, term: str, expected: dict[str, str]) -> None:
    assert found(text, term) == expected


def test_a_word_heard_as_written_stays() -> None:
    assert found("So Ruby said", "Rubio") == {}
    assert found("So Ruby|rudely said", "Rubio") == {"Ruby": "Rubio"}
    assert found("So Ruby|rudely said, and Ruby said", "Rubio") == {}  # heard elsewhere


def test_a_word_of_the_glossary_stays() -> None:
    assert found("So Rubin|ruin said", "Rubio", "Rubin") == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("So Pete Heath|heat said", {"Heath": "Hegseth"}),
        ("So Peter Heath|heat said", {}),  # no word of the term beside it
        ("So Heath|heat said", {}),
        ("So Pete (HEADING) Heath|heat said", {"Heath": "Hegseth"}),  # beside it in the recording
        ("So Heckseth|heck said", {"Heckseth": "Hegseth"}),
        ("So Pete Smith|myth said", {}),  # not alike at all
    ],
)
def test_beside_a_word_of_its_term_less_is_enough(text: str, expected: dict[str, str]) -> None:
    assert found(text, "Pete Hegseth") == expected


def test_short_words_beside_it_say_nothing() -> None:
    assert found("the hall of Bramford|ford said", "University of Bramwell") == {}
    assert found("the hall near Bramford|ford said", "University near Bramwell") == {"Bramford": "Bramwell"}


def test_the_most_alike_word_is_chosen() -> None:
    assert found("So Zelenksy|else said", "Zelenko", "Zelensky", "Selenska") == {"Zelenksy": "Zelensky"}


@pytest.mark.parametrize("term", ["", " ", "??", "– –", "世界", "A" * 500])
def test_terms_that_are_no_words(term: str) -> None:
    assert found("So Zelenksi|else , {??} said", term) == {}


def test_a_form_is_compared_with_the_glossary_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """10,000 terms take 2 ms, and a name that a text misspells stands in it again and again."""
    forms: list[str] = []

    def counted(form: str, others: Iterable[str]) -> Iterator[tuple[str, float]]:
        forms.append(form)
        return near(form, others)

    near = glossary._near
    monkeypatch.setattr(glossary, "_near", counted)
    assert found(200 * "So Belinsky|else said. ", "Zelenskyy") == {"Belinsky": "Zelenskyy"}
    assert forms == ["belinsky"]
