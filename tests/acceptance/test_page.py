"""The page in a real browser. What it escapes is tested without one in test_html.py."""

from __future__ import annotations

import math
import struct
import wave
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.formats import html
from pipelines.types import Notice, Transcript
from tests.acceptance.chromium import Chromium, find
from tests.pipelines.formats.sample import build, said, sample, speaker

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(not find(), reason="no Chromium here: the page was not opened in a browser"),
]
HACK = "<script>document.documentElement.dataset.hacked='yes'</script>"
IMAGE = "<img/src=x/onerror=document.documentElement.dataset.hacked='yes'>"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with Chromium(find(), tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a recording of 20 s, "tone.wav"."""
    samples = (round(3000 * math.sin(index / 10)) for index in range(20 * 8000))
    with wave.open(str(tmp_path / "tone.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return tmp_path


def show(browser: Chromium, folder: Path, transcript: Transcript, audio_uri: str = "tone.wav") -> None:
    page = folder / "result.html"
    page.write_text(html.serialize(transcript, audio_uri), "utf-8")
    browser.problems.clear()
    browser.open(page)


def test_the_script_runs_without_a_complaint(browser: Chromium, folder: Path) -> None:
    show(browser, folder, sample())
    assert browser.evaluate("Number(document.documentElement.dataset.ready)") > 20
    assert browser.problems == []


def test_a_script_tag_in_any_text_stays_text(browser: Chromium, folder: Path) -> None:
    bad = build([*said("S1", f"Hello {HACK} {IMAGE} bye")], (speaker("S1", name=HACK, affiliation=IMAGE),))
    show(
        browser, folder, replace(bad, media=replace(bad.media, name=IMAGE), warnings=(Notice("code", HACK),))
    )
    assert browser.evaluate("document.documentElement.dataset.hacked === undefined")
    assert browser.evaluate("document.querySelectorAll('script').length") == 1
    assert HACK in browser.evaluate("document.querySelector('.turn > p').textContent")
    assert browser.evaluate("document.title") == IMAGE
    assert browser.problems == []


def test_the_policy_stops_a_script_that_got_in_all_the_same(browser: Chromium, folder: Path) -> None:
    page = folder / "result.html"
    page.write_text(html.serialize(sample()).replace("<main>", f"<main>{HACK}"), "utf-8")
    browser.open(page)
    assert browser.evaluate("document.documentElement.dataset.hacked === undefined")


@pytest.mark.parametrize(
    ("selector", "time"),
    [
        (".turn:nth-of-type(2) [data-t='9.10']", 9.1),  # a word
        (".turn:nth-of-type(3) .time", 12.0),  # a turn
        (".missing [data-t]", 11.0),  # what was heard and not supplied
    ],
)
def test_a_click_plays_from_there(browser: Chromium, folder: Path, selector: str, time: float) -> None:
    show(browser, folder, sample())
    browser.click(selector)
    browser.wait("!audio.paused && audio.currentTime > 0")
    assert browser.evaluate("audio.currentTime") == pytest.approx(time, abs=5)
    assert browser.evaluate("audio.currentTime") >= time
    browser.wait("document.querySelectorAll('.on').length === 1")


def test_a_click_on_a_lane_plays_from_there(browser: Chromium, folder: Path) -> None:
    show(browser, folder, replace(sample(), media=replace(sample().media, duration=20.0)))
    browser.click(".speaker .lane")
    browser.wait("!audio.paused && audio.currentTime >= 10")


def test_the_keyboard_moves_from_word_to_word_and_plays(browser: Chromium, folder: Path) -> None:
    show(browser, folder, sample())
    browser.evaluate("document.querySelector('p [data-t][tabindex]').focus()")
    browser.press("ArrowRight")
    assert browser.evaluate("document.activeElement.textContent") == "evening."
    browser.press("Enter")
    browser.wait("!audio.paused && audio.currentTime >= 1")


def test_the_readings_change_places(browser: Chromium, folder: Path) -> None:
    show(browser, folder, sample())
    text = "document.querySelector('.turn > p').innerText"
    assert "Lks" in browser.evaluate(text)
    assert "Storm warning" in browser.evaluate(text)
    browser.click(".reading label:last-child")
    assert "Talks began" in browser.evaluate(text)
    assert "Storm warning" not in browser.evaluate(text)


@pytest.mark.parametrize("place", ["../audio", ""])
def test_a_recording_that_is_not_there_can_be_chosen(browser: Chromium, folder: Path, place: str) -> None:
    show(browser, folder, sample(), place)
    browser.wait("!choose.hidden && play.hidden")
    assert sample().media.name in browser.evaluate("choose.dataset.note")
    browser.click(".turn:nth-of-type(2) .time")
    browser.choose("#file", folder / "tone.wav")
    browser.wait("choose.hidden && !play.hidden && audio.currentTime > 5")
    browser.click("#play")
    browser.wait("!audio.paused && audio.currentTime > 5")


@pytest.mark.parametrize("width", [375, 768, 1280])
def test_nothing_sticks_out_of_any_window(browser: Chromium, folder: Path, width: int) -> None:
    long = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft" * 2
    show(browser, folder, build(said("S1", f"Hello {long}"), (speaker("S1", name=long, affiliation=long),)))
    browser.resize(width, 800)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width


FIRST = "document.querySelector('.turn > p [data-t]').getBoundingClientRect()"
SCROLL = """(async () => {
  const heights = new Set(), page = document.scrollingElement;
  for (let top = 0; top < page.scrollHeight; top += innerHeight / 2) {
    scrollTo({ top, behavior: "instant" });
    await new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(painted)));
    heights.add(page.scrollHeight);
  }
  return [...heights];
})()"""


def crowded() -> Transcript:
    """More of everything that stands before the text than a usual page has."""
    names = [f"Alexandra Konstantinopoulou the {index}th" for index in range(12)]
    speakers = [
        replace(person, name=name, affiliation="University of Bramford")
        for person, name in zip(sample().speakers * 4, names, strict=True)
    ]
    media = replace(sample().media, name="a recording of an evening at the harbor " * 5 + ".wav")
    warnings = sample().warnings * 4
    return replace(sample(), speakers=tuple(speakers), media=media, warnings=warnings)


@pytest.mark.parametrize("size", [(390, 844), (360, 640)])
@pytest.mark.parametrize("transcript", [sample(), crowded()], ids=["usual", "crowded"])
def test_the_first_screen_of_a_phone_has_words_of_the_transcript(
    browser: Chromium, folder: Path, transcript: Transcript, size: tuple[int, int]
) -> None:
    browser.resize(*size)
    show(browser, folder, transcript)
    player = browser.evaluate("document.querySelector('.player').getBoundingClientRect().top")
    assert 0 < browser.evaluate(f"{FIRST}.bottom") < player


def test_a_phone_names_four_speakers_beside_the_timeline_button(browser: Chromium, folder: Path) -> None:
    names = ("Anchor", "Narrator", "Ingrid Halloran", "Tobias Renner")
    people = tuple(replace(speaker(f"S{index}"), name=name) for index, name in enumerate(names, 1))
    browser.resize(390, 844)
    show(browser, folder, replace(sample(), speakers=people))
    bottom = "document.querySelector('.speakers').getBoundingClientRect().bottom"
    last = "[...document.querySelectorAll('.speaker')].at(-1).getBoundingClientRect().bottom"
    assert browser.evaluate(last) <= browser.evaluate(bottom)


def test_a_phone_shows_the_timeline_when_asked(browser: Chromium, folder: Path) -> None:
    browser.resize(390, 844)
    show(browser, folder, crowded())
    lane = "document.querySelector('.speaker .lane').checkVisibility()"
    assert browser.evaluate("document.querySelector('.speaker h3').checkVisibility()")
    assert not browser.evaluate(lane)
    browser.click(".more")
    assert browser.evaluate(lane)
    assert browser.evaluate("document.querySelector('.speaker .lane').getBoundingClientRect().top") > 0
    browser.click(".more")
    assert not browser.evaluate(lane)


def test_a_wide_window_shows_the_timeline_at_once(browser: Chromium, folder: Path) -> None:
    browser.resize(1280, 900)
    show(browser, folder, sample())
    assert browser.evaluate("document.querySelector('.speaker .lane').checkVisibility()")
    assert not browser.evaluate("document.querySelector('.more').checkVisibility()")


@pytest.mark.parametrize("width", [390, 1280])
def test_the_height_of_a_long_page_stays_while_scrolling(browser: Chromium, folder: Path, width: int) -> None:
    text = "Reopening the river to shipping takes a year. "
    turns = [said(f"S{turn % 3}", text * (turn % 7 * 3 + 1)) for turn in range(60)]
    script = [word for turn in turns for word in turn]
    browser.resize(width, 800)
    show(browser, folder, build(script, tuple(map(speaker, ("S0", "S1", "S2")))))
    heights = browser.evaluate(SCROLL)
    assert min(heights) > 5000
    assert max(heights) - min(heights) <= 2
