import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import TextError
from pipelines.supplied.parsing import LIMIT_BYTES, load, parse
from pipelines.types import Span, Supplied, TokenKind


def texts(supplied: Supplied) -> list[str]:
    return [token.text for token in supplied.tokens]


def kinds(supplied: Supplied) -> dict[str, TokenKind]:
    return {token.text: token.kind for token in supplied.tokens if token.kind is not TokenKind.WORD}


def check(supplied: Supplied) -> None:
    """What holds for any text: tokens in order, apart, and where they say they are."""
    edges = [edge for token in supplied.tokens for edge in (token.char_start, token.char_end)]
    assert edges == sorted(edges)
    for token in supplied.tokens:
        assert token.text == supplied.text[token.char_start : token.char_end]
        assert token.text
        assert not any(map(str.isspace, token.text))
    assert [token.line for token in supplied.tokens] == sorted(token.line for token in supplied.tokens)


# --------------------------------------------------------------------------- plain text


def test_plain_text() -> None:
    supplied = parse(b"Good evening,,\n\nfrom Port Selby.", "a.txt")
    assert texts(supplied) == ["Good", "evening,,", "from", "Port", "Selby."]
    assert [token.line for token in supplied.tokens] == [0, 0, 2, 2, 2]
    assert (supplied.format, supplied.encoding) == ("txt", "utf-8")
    assert all(token.cue is None and token.kind is TokenKind.WORD for token in supplied.tokens)


def test_marks_are_tokens_of_their_kind() -> None:
    supplied = parse(b">>ANCHOR: Hello.[Music]\n>> Mr. Smith: Thank you.")
    assert texts(supplied) == [">>", "ANCHOR:", "Hello.", "[Music]", ">>", "Mr.", "Smith:", "Thank", "you."]
    label = TokenKind.LABEL
    assert kinds(supplied) == {
        ">>": TokenKind.CHANGE,
        "ANCHOR:": label,
        "[Music]": TokenKind.SOUND,
        "Mr.": label,
        "Smith:": label,
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("你好。“我们”去ABC公司！", ["你", "好。", "“我", "们”", "去", "ABC", "公", "司！"]),
        ("ดีมาก", ["ดี", "ม", "า", "ก"]),
        ("مرحبا بالعالم", ["مرحبا", "بالعالم"]),
        ("שלום עולם", ["שלום", "עולם"]),
        ("한국어 방송", ["한국어", "방송"]),
    ],
)
def test_other_scripts(text: str, expected: list[str]) -> None:
    assert texts(parse(text.encode())) == expected


@given(st.text(max_size=60))
def test_any_text_is_tokens_that_cover_it(text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    try:
        supplied = parse(data, "a.txt")
    except TextError:
        return
    check(supplied)
    assert supplied.text.encode(supplied.encoding) == data
    if supplied.format == "txt":
        inside = "".join(texts(supplied))
        assert inside == "".join(supplied.text.replace("\ufeff", "").split())


@given(st.binary(max_size=80), st.sampled_from(["a.txt", "a.srt", "a.vtt", "a.json", "a"]))
def test_any_bytes_are_text_or_a_text_error(data: bytes, name: str) -> None:
    try:
        supplied = parse(data, name)
    except TextError:
        return
    check(supplied)
    assert supplied.format == "json" or supplied.text.encode(supplied.encoding) == data


# --------------------------------------------------------------------------- encodings


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ("Müller spoke.".encode(), "utf-8"),
        ("Müller spoke.".encode("utf-8-sig"), "utf-8"),
        (b"\xff\xfe" + "Müller spoke.".encode("utf-16-le"), "utf-16-le"),
        (b"\xfe\xff" + "Müller spoke.".encode("utf-16-be"), "utf-16-be"),
        (b"\xff\xfe\0\0" + "Müller spoke.".encode("utf-32-le"), "utf-32-le"),
        ("Müller spoke.".encode("utf-16-le"), "utf-16-le"),
        ("Müller spoke.".encode("utf-16-be"), "utf-16-be"),
        ("Müller spoke.".encode("latin-1"), "cp1252"),
        ("Müller “spoke”.".encode("cp1252"), "cp1252"),
        ("Müller\x81 spoke.".encode("latin-1"), "latin-1"),
    ],
)
def test_encodings(data: bytes, encoding: str) -> None:
    supplied = parse(data)
    check(supplied)
    assert supplied.encoding == encoding
    assert supplied.text.encode(encoding) == data
    assert texts(supplied)[0].startswith("Müller")
    assert supplied.text.removeprefix("\ufeff").startswith("Müller")


@given(
    st.text(alphabet="abcé ñ\nü.", min_size=1, max_size=60),
    st.sampled_from(["utf-16", "utf-8-sig", "latin-1"]),
)
def test_bytes_come_back(text: str, encoding: str) -> None:
    data = f"word {text}".encode(encoding)
    supplied = parse(data)
    assert supplied.text.encode(supplied.encoding) == data


# --------------------------------------------------------------------------- captions

SRT = (
    "1\n00:00:01,000 --> 00:00:04,000\n- <i>Good</i> evening.\n- Thank you.\n\n"
    "2\n00:00:05 --> bad\n10:30 it is."
)


def test_srt() -> None:
    supplied = parse(SRT.encode(), "a.srt")
    check(supplied)
    assert supplied.format == "srt"
    assert texts(supplied) == ["-", "Good", "evening.", "-", "Thank", "you.", "10:30", "it", "is."]
    assert [token.line for token in supplied.tokens] == [0] * 6 + [1] * 3
    assert [token.cue for token in supplied.tokens] == [Span(1.0, 4.0)] * 6 + [None] * 3
    assert kinds(supplied) == {"-": TokenKind.CHANGE}


def test_vtt() -> None:
    text = "WEBVTT\n\nNOTE hidden\n\n00:01.000 --> 00:04.000\n<v Ann Lee>Good<c> evening</c> &amp; welcome."
    supplied = parse(text.encode())
    check(supplied)
    assert supplied.format == "vtt"
    assert texts(supplied) == ["Ann", "Lee", "Good", "evening", "&amp;", "welcome."]
    assert kinds(supplied) == {"Ann": TokenKind.LABEL, "Lee": TokenKind.LABEL}


def test_content_tells_the_format_before_the_name() -> None:
    assert parse(SRT.encode(), "a.txt").format == "srt"
    assert parse(b"WEBVTT\n\n00:01.000 --> 00:02.000\nHello.", "a.srt").format == "vtt"
    assert parse(b"[Music] Hello.", "a.txt").format == "txt"
    assert parse(b"{so they say}", "a.txt").format == "txt"
    assert parse(b"plain words", "a.srt").format == "srt"


@given(st.integers(0, len(SRT)), st.text(alphabet="0:->,\n x", max_size=3))
def test_a_damaged_srt_file_keeps_its_words(place: int, noise: str) -> None:
    damaged = SRT[:place] + noise + SRT[place:]
    supplied = parse(damaged.encode(), "a.srt")
    check(supplied)
    assert supplied.text.encode() == damaged.encode()
    kept = "".join(texts(supplied))
    lost = [word for word in ("Good", "evening", "Thank", "you", "it", "is.") if word not in kept]
    assert len(lost) <= 2  # the noise may fall into one word, or make one line a timing line


# --------------------------------------------------------------------------- json


@pytest.mark.parametrize(
    "document",
    [
        {"text": "x", "segments": [{"text": " Good evening.", "start": 0, "end": 1.5}, {"text": "Café"}]},
        {"turns": [{"speaker": "S1", "text": "Good evening.", "start": 0.0, "end": 1.5}, {"text": "Café"}]},
        [{"text": "Good evening.", "start": 0, "end": 1.5}, {"text": "Café", "start": "?", "end": 2}],
    ],
)
def test_json_shapes(document: object) -> None:
    supplied = parse(json.dumps(document).encode(), "a.json")
    check(supplied)
    assert (supplied.format, supplied.encoding) == ("json", "utf-8")
    assert texts(supplied) == ["Good", "evening.", "Café"]
    assert [token.line for token in supplied.tokens] == [0, 0, 1]
    assert [token.cue for token in supplied.tokens] == [Span(0.0, 1.5), Span(0.0, 1.5), None]


@pytest.mark.parametrize(
    "document", [["Good evening.", "Café"], {"text": "Good evening.\nCafé"}, "Good evening. Café"]
)
def test_json_without_times(document: object) -> None:
    supplied = parse(json.dumps(document).encode(), "a.json")
    assert texts(supplied) == ["Good", "evening.", "Café"]


def test_lone_surrogates_in_json_become_replacements() -> None:
    supplied = parse(b'["a\\ud800 word"]', "a.json")
    assert texts(supplied) == ["a\ufffd", "word"]
    assert supplied.text.encode(supplied.encoding).decode() == supplied.text


@pytest.mark.parametrize("start", ["1e400", "-1", "NaN", "Infinity", "1" + "0" * 400, "9", '"1"', "null"])
def test_a_time_that_is_none_is_no_cue(start: str) -> None:
    supplied = parse(f'[{{"text": "word", "start": {start}, "end": 2}}]'.encode(), "a.json")
    assert supplied.tokens[0].cue is None


# --------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b" \n\t\r\n ", "is empty"),
        (b"\xef\xbb\xbf", "holds no words"),
        (b"?? ... -- !!", "holds no words"),
        (b"[Music]\n>> (applause)", "holds no words"),
        (b"WEBVTT\n\nNOTE nothing", "holds no words"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is binary data"),
        (b"OggS\0\2\0\0", "is binary data"),
        (b"word\0word", "is binary data"),
        (bytes(range(1, 32)) * 4, "is binary data"),
        (b"%PDF-1.7\nwords", "is a PDF"),
        (b"PK\x03\x04words", "is an office document"),
        (b"{\\rtf1 words}", "is an RTF document"),
    ],
)
def test_no_text(data: bytes, reason: str) -> None:
    with pytest.raises(TextError, match=rf"speech\.txt {reason}.*; .*\.$"):
        parse(data, "speech.txt")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"segments": [', "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"segments":[' * 900 + b"]}" * 900, "not valid JSON|holds no text"),
        (b'{"words": []}', "holds no text"),
        (b"[1, [2], null]", "holds no text"),
        (b'[""]', "holds no words"),
    ],
)
def test_json_without_text(data: bytes, reason: str) -> None:
    with pytest.raises(TextError, match=reason):
        parse(data, "speech.json")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(TextError, match="no such file"):
        load(tmp_path / "missing.txt")
    with pytest.raises(TextError, match="is a directory"):
        load(tmp_path)
    with pytest.raises(TextError, match="cannot be read"):
        load(tmp_path / ("x" * 300))


def test_too_large(tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    with path.open("wb") as file:
        file.write(b"word ")
        file.truncate(50 * 10**6)
    with pytest.raises(TextError, match="larger than 8 MiB"):
        load(path)
    path.write_bytes(b"word " * 10)
    assert len(load(path, limit_bytes=50).tokens) == 10
    with pytest.raises(TextError, match="limit"):
        load(path, limit_bytes=49)
    assert LIMIT_BYTES < 50 * 10**6


def test_load_names_the_file_in_its_errors(tmp_path: Path) -> None:
    path = tmp_path / "empty.srt"
    path.touch()
    with pytest.raises(TextError, match=r"empty\.srt is empty"):
        load(path)


@pytest.mark.parametrize(
    "pattern", ["[", "((music", "<v a", "{\\a", "♪", "A:\n", "&gt;", "1 -->\n", "好", "\ufeff", "--"]
)
def test_hostile_repetition_ends(pattern: str) -> None:
    check(parse(f"word\n{pattern * 20_000}".encode(), "a.vtt"))
