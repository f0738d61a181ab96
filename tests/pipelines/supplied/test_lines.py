from hypothesis import given
from hypothesis import strategies as st

from pipelines.supplied import lines as captions
from pipelines.types import Span


def said(text: str) -> list[tuple[str, int, Span | None]]:
    read = captions.vtt if captions.is_vtt(text) else captions.srt
    return [(text[line.start : line.end], line.number, line.cue) for line in read(text)]


def test_srt() -> None:
    text = (
        "1\n00:00:01,000 --> 00:00:04,500\nGood evening\nfrom Port Selby.\n\n"
        "2\n00:00:05,000 --> 00:01:06,000\nThanks.\n"
    )
    first, second = Span(1.0, 4.5), Span(5.0, 66.0)
    assert said(text) == [("Good evening", 0, first), ("from Port Selby.", 0, first), ("Thanks.", 1, second)]
    assert captions.is_srt(text)
    assert not captions.is_vtt(text)


def test_srt_with_carriage_returns_and_a_mark_in_front() -> None:
    text = "\ufeff1\r\n00:00:01,000 --> 00:00:02,000\r\nGood evening.\r\n\r\n"
    assert said(text) == [("Good evening.", 0, Span(1.0, 2.0))]


def test_broken_times_lose_no_text() -> None:
    text = (
        "before\n\n1\n00:00:xx,000 --> 00:00:04,000\none\n\n2\n00:00:05,000 -> 00:00:06,000\ntwo\n\n"
        "3\n00:00:09,000 --> 00:00:08,000\nthree\n4\n00:00:10,000 00:00:11,000\nfour\n\nfive\n\n6\n-->0\nsix"
    )
    assert said(text) == [
        ("before", 0, None),
        ("one", 1, None),
        ("two", 2, Span(5.0, 6.0)),
        ("three", 3, None),
        ("four", 4, None),
        ("five", 4, None),
        ("six", 5, None),
    ]


def test_numbers_that_are_said_stay() -> None:
    text = "1\n00:00:01,000 --> 00:00:02,000\n20\n\n2\n00:00:03,000 --> 00:00:04,000\n10:30\n10:30 - 11:30\n"
    assert [line for line, _, _ in said(text)] == ["20", "10:30", "10:30 - 11:30"]


def test_an_arrow_without_a_time_is_text() -> None:
    text = "1\n00:00:01,000 --> 00:00:02,000\nthe way --> there\nfrom 10 --> 20"
    assert [line for line, _, _ in said(text)] == ["the way --> there", "from 10 --> 20"]


def test_vtt_without_its_blocks() -> None:
    text = (
        "WEBVTT - a title\nKind: captions\n\nSTYLE\n::cue { color: red }\n\nREGION\nid:one\n\n"
        "NOTE\ntwo lines\nof note\n\n"
        "intro\n00:01.000 --> 01:00:04.000 align:start position:0%\nGood evening.\nNOTE is said here\n\n"
        "NOTE between\n\n00:05.000 --> 00:06.000\nThanks.\n"
    )
    first = Span(1.0, 3604.0)
    assert said(text) == [
        ("Good evening.", 0, first),
        ("NOTE is said here", 0, first),
        ("Thanks.", 1, Span(5.0, 6.0)),
    ]


def test_vtt_that_forgets_blank_lines() -> None:
    text = "WEBVTT\n00:01.000 --> 00:02.000\none\n00:03.000 --> 00:04.000\ntwo"
    assert [(line, cue) for line, _, cue in said(text)] == [("one", Span(1.0, 2.0)), ("two", Span(3.0, 4.0))]


def test_only_a_whole_signature_is_vtt() -> None:
    assert captions.is_vtt("\ufeffWEBVTT\r\n")
    assert captions.is_vtt("WEBVTT")
    assert not captions.is_vtt("WEBVTTX\n")
    assert not captions.is_vtt("x WEBVTT")


def test_lines() -> None:
    assert [(p.start, p.end, p.number) for p in captions.split_lines("a\r\n\nbc\rd")] == [
        (0, 1, 0), (3, 3, 1), (4, 6, 2), (7, 8, 3)
    ]  # fmt: skip


WORDS = st.lists(
    st.sampled_from(["good", "evening", "20", "Kyiv’s", "-", "NOTE"]), min_size=1, max_size=5
).map(" ".join)
TIMINGS = st.sampled_from(
    ["00:00:01,000 --> 00:00:02,000", "0:01 --> x", "--> 1", "00:00:01.5 -> 00:00:02.5"]
)


@given(st.lists(st.tuples(TIMINGS, WORDS), min_size=1, max_size=8))
def test_every_payload_comes_out_whatever_its_timing(cues: list[tuple[str, str]]) -> None:
    text = "\n\n".join(f"{number}\n{timing}\n{words}" for number, (timing, words) in enumerate(cues, 1))
    assert [line for line, _, _ in said(text)] == [words for _, words in cues]


@given(st.text(alphabet="WEBVTTNOTE->:.,0123456789 \r\n\ufeffaé", max_size=80), st.booleans())
def test_lines_are_ordered_and_apart(text: str, vtt: bool) -> None:
    lines = list(captions.vtt(text) if vtt else captions.srt(text))
    edges = [edge for line in lines for edge in (line.start, line.end)]
    assert edges == sorted(edges)
    assert all("\n" not in text[line.start : line.end] for line in lines)
    assert [line.number for line in lines] == sorted(line.number for line in lines)
