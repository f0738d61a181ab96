"""Terms as a prompt."""

from hypothesis import given
from hypothesis import strategies as st

from pipelines.engines.whisper.prompting import TOKEN_LIMIT, prompt


def words(text: str) -> int:
    return len(text.split())


def test_terms_are_listed() -> None:
    assert prompt(["Ingrid Halloran", "Estmark"], words) == "Ingrid Halloran, Estmark."


def test_nothing_is_nothing() -> None:
    assert prompt([], words) == ""
    assert prompt(["", "  "], words) == ""


def test_a_term_is_said_once_and_on_one_line() -> None:
    assert prompt(["Port\n Selby", "Port Selby "], words) == "Port Selby."


def test_terms_are_whole_up_to_the_limit() -> None:
    many = [f"name{k}" for k in range(1000)]
    assert prompt(many, words) == ", ".join(many[:TOKEN_LIMIT]) + "."


def test_one_that_is_too_long_does_not_keep_out_the_next() -> None:
    assert prompt([" ".join(["x"] * 300), "Estmark"], words) == "Estmark."


def test_marks_of_whisper_are_no_terms() -> None:
    """openai-whisper refuses them, and CTranslate2's tokenizer would believe them."""
    assert prompt(["<|endoftext|>", "a <|en|> b", "<|half"], words) == "a b, half."


@given(st.lists(st.text(max_size=30), max_size=40))
def test_any_terms(terms: list[str]) -> None:
    made = prompt(terms, words)
    assert words(made) <= TOKEN_LIMIT
    assert "<|" not in made
    assert "\n" not in made
