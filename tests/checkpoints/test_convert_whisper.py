"""The converted tokenizer is openai-whisper's, and the converted model computes the same."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import ctranslate2
import numpy as np
import pytest
import torch
import whisper
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from tests.checkpoints.convert_whisper import (
    byte_letters,
    byte_level,
    convert,
    merges,
    tokenizer_for,
    vocabulary,
)
from tests.pipelines.engines.conftest import CHECKPOINT

SIZES = {"english": 51_864, "multilingual": 51_865, "large-v3": 51_866}


@pytest.fixture(scope="module", params=list(SIZES.values()), ids=list(SIZES))
def both(request: pytest.FixtureRequest) -> tuple[whisper.tokenizer.Tokenizer, Tokenizer]:
    original = tokenizer_for(SimpleNamespace(n_vocab=request.param))
    return original, byte_level(original)


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("converted")
    convert(CHECKPOINT, folder)
    return folder


def same(both: tuple[whisper.tokenizer.Tokenizer, Tokenizer], text: str) -> None:
    original, made = both
    ids = original.encoding.encode_ordinary(text)
    assert made.encode(text, add_special_tokens=False).ids == ids
    assert made.decode(ids) == original.decode(ids) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        " You mentioned the rules.",
        "I'm you're they've we'll he'd it's DON'T don’t",
        "  two  blanks\tand\n\nlines \u00a0 \u3000 end ",
        " 200 fishermen, 3.5 % of £1,000 — “quoted”…",
        " Zażółć gęślą jaźń, Ünïcödé, naïve café",
        " Слава Україні! καλημέρα שלום مرحبا",
        "今日は世界、안녕하세요 สวัสดี ไทย",
        "🙂👩‍👩‍👧‍👦🇺🇦 ♪♪",
        "\x00\x01\x7f\x80\xad\ufeff",
    ],
)
def test_tokens_are_the_same(both: tuple[whisper.tokenizer.Tokenizer, Tokenizer], text: str) -> None:
    same(both, text)


# Of the letters that Unicode gained lately, the two libraries know different ones.
OLD_LETTERS = st.characters(exclude_categories=("Cs", "Cn"), max_codepoint=0xFFFF)


@settings(max_examples=300)
@example(" 'sS'S ''ll")
@given(text=st.text(OLD_LETTERS, max_size=40))
def test_tokens_are_the_same_for_any_text(
    both: tuple[whisper.tokenizer.Tokenizer, Tokenizer], text: str
) -> None:
    same(both, text)


@given(ids=st.lists(st.integers(0, 50_255), max_size=12))
def test_any_tokens_are_read_the_same(
    both: tuple[whisper.tokenizer.Tokenizer, Tokenizer], ids: list[int]
) -> None:
    original, made = both
    assert made.decode(ids) == original.decode(ids)


def test_special_tokens_have_whispers_ids(both: tuple[whisper.tokenizer.Tokenizer, Tokenizer]) -> None:
    original, made = both
    assert {text: made.token_to_id(text) for text in original.special_tokens} == original.special_tokens
    assert made.get_vocab_size() == original.encoding.n_vocab
    for text in ("<|startoftranscript|>", "<|en|>", "<|0.00|>", "<|30.00|>"):
        assert made.encode(text, add_special_tokens=False).ids == [original.special_tokens[text]]


def test_the_vocabulary_lists_every_id(both: tuple[whisper.tokenizer.Tokenizer, Tokenizer]) -> None:
    original, made = both
    listed = vocabulary(original)
    assert len(listed) == original.encoding.n_vocab
    assert [made.token_to_id(token) for token in listed] == list(range(len(listed)))


def test_letters_of_bytes() -> None:
    letters = byte_letters()
    assert len(set(letters)) == 256
    assert letters[ord("a")] == "a"
    assert (letters[ord(" ")], letters[ord("\n")]) == ("Ġ", "Ċ")


def test_merges_by_hand() -> None:
    ranks = {b"a": 0, b"b": 1, b"c": 2, b"ab": 3, b"abc": 4, b"cab": 5}
    assert list(merges(ranks)) == [(b"a", b"b"), (b"ab", b"c"), (b"c", b"ab")]


@pytest.mark.engine
def test_the_network_computes_the_same(converted: Path) -> None:
    model = whisper.load_model(str(CHECKPOINT), device="cpu")
    other = ctranslate2.models.Whisper(str(converted), device="cpu", compute_type="float32", intra_threads=2)
    mel = torch.randn(1, 80, 3000, generator=torch.Generator().manual_seed(1)) * 0.3
    with torch.no_grad():
        heard = model.embed_audio(mel)
        _, expected = model.detect_language(heard)
    storage = other.encode(ctranslate2.StorageView.from_array(mel.numpy()))
    np.testing.assert_allclose(np.array(storage), heard.numpy(), atol=2e-3)
    (found,) = other.detect_language(storage)
    assert {token[2:-2]: share for token, share in found} == pytest.approx(expected[0], abs=1e-3)


def test_the_configuration_says_how_to_decode(converted: Path) -> None:
    configuration = json.loads((converted / "config.json").read_text("utf-8"))
    tokenizer = whisper.tokenizer.get_tokenizer(True)
    assert configuration["suppress_ids"] == list(tokenizer.non_speech_tokens)
    assert configuration["lang_ids"] == sorted(tokenizer.all_language_tokens)
    assert configuration["alignment_heads"] == [[1, 0], [1, 1]]
