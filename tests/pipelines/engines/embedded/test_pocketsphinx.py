"""Hearing and placing words: on the demo segment, a conversation of synthetic voices."""

from __future__ import annotations

import itertools
import os
import select
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from rapidfuzz.distance import Levenshtein

from pipelines.audio import decoding as audio
from pipelines.engines.embedded import pocketsphinx
from pipelines.engines.embedded.pocketsphinx import PocketSphinx, PocketSphinxAligner
from pipelines.errors import EngineError, EngineMissingError, OptionError
from pipelines.protocols import ForcedAligner, Transcriber
from pipelines.text.normalization import units
from pipelines.types import SAMPLE_RATE, Audio, Heard, HeardWord, Media, Span

ROOT = Path(__file__).resolve().parents[4]
DEMO = ROOT / "tests" / "data" / "demo"
ENOUGH = 40.0


@pytest.fixture(scope="module")
def demo() -> Audio:
    recording, _ = audio.load(DEMO / "segment.opus")
    return recording


@pytest.fixture(scope="module")
def turns() -> list[tuple[Span, tuple[str, ...]]]:
    """The first turns of the demo segment: when, and which words, normalised."""
    lines = (DEMO / "segment.stm").read_text("utf-8").splitlines()
    fields = [line.split(maxsplit=5) for line in lines if not line.startswith(";;")]
    spoken = [(Span(float(f[3]), float(f[4])), units(f[5])) for f in fields]
    return [turn for turn in spoken if turn[0].end < ENOUGH]


@pytest.fixture(scope="module")
def heard(demo: Audio, turns: list[tuple[Span, tuple[str, ...]]]) -> Heard:
    return PocketSphinx(processes=2).transcribe(demo, [span for span, _ in turns], "en")


@pytest.fixture(scope="module")
def placed(demo: Audio, turns: list[tuple[Span, tuple[str, ...]]]) -> list[list[HeardWord]]:
    return PocketSphinxAligner().place(demo, turns)


def silence(duration: float) -> Audio:
    samples = np.zeros(round(duration * SAMPLE_RATE), np.float32)
    return Audio(samples, Media("a.wav", "", 0, "wav", "pcm_s16le", SAMPLE_RATE, 1, duration))


# --------------------------------------------------------------------------- without the engine


def test_they_are_engines() -> None:
    transcriber: Transcriber = PocketSphinx()
    aligner: ForcedAligner = PocketSphinxAligner()
    assert transcriber.info == aligner.info


@pytest.mark.parametrize("language", ["", "en", "EN", "en-GB", "en_US"])
def test_english_is_known(language: str) -> None:
    heard = PocketSphinx().transcribe(silence(1.0), [], language)
    assert (heard.words, heard.language) == ((), "en")


@pytest.mark.parametrize("language", ["de", "eng-x", "xx", "e n"])
def test_other_languages_are_not(language: str) -> None:
    with pytest.raises(OptionError, match="English only"):
        PocketSphinx().transcribe(silence(1.0), [], language)


def test_a_negative_number_of_processes() -> None:
    with pytest.raises(OptionError, match="processes"):
        PocketSphinx(processes=-1)


def test_it_says_when_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    pocketsphinx._info.cache_clear()
    with pytest.raises(EngineMissingError, match="pip install"):
        PocketSphinx().transcribe(silence(1.0), [Span(0.0, 1.0)], "en")


def test_the_model_has_an_identity() -> None:
    info = PocketSphinx().info
    assert (info.engine, info.model) == ("pocketsphinx", "en-us")
    assert info.version.startswith("5.")
    assert len(bytes.fromhex(info.model_sha256)) == 32


def test_a_worker_that_crashes_is_an_engine_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text("import os; os.abort()")
    monkeypatch.setattr(pocketsphinx, "WORKER", str(tmp_path / "worker.py"))
    with pytest.raises(EngineError, match="ended unexpectedly"):
        PocketSphinx().transcribe(silence(1.0), [Span(0.0, 1.0)], "en")


def test_words_in_the_pauses_of_speech_are_dropped() -> None:
    speech = [Span(1.0, 2.0), Span(3.0, 4.0)]
    times = {
        "a": (0.2, 0.6),
        "b": (0.9, 1.2),
        "c": (1.9, 2.15),
        "d": (2.3, 2.7),
        "e": (2.9, 3.0),
        "f": (4.2, 4.6),
    }
    words = [HeardWord(text, start, end, 1.0) for text, (start, end) in times.items()]
    assert "".join(word.text for word in pocketsphinx._inside(words, speech)) == "bce"


@pytest.mark.parametrize("level", [1.0, 0.01, 0.001])
def test_samples_are_sent_at_full_level(level: float) -> None:
    samples = np.asarray(level * np.sin(np.arange(1600) / 7), np.float32)
    sent = np.frombuffer(pocketsphinx._pcm(samples), "<i2")
    assert np.abs(sent).max() == pytest.approx(32767, rel=1e-3)
    np.testing.assert_allclose(sent / 32767, samples / level, atol=1e-3)


def test_silence_is_not_made_louder() -> None:
    assert not np.frombuffer(pocketsphinx._pcm(np.zeros(1600, np.float32)), "<i2").any()
    assert np.abs(np.frombuffer(pocketsphinx._pcm(np.full(1600, 1e-5, np.float32)), "<i2")).max() < 400


# --------------------------------------------------------------------------- hearing


@pytest.mark.engine
def test_most_words_are_heard(heard: Heard, turns: list[tuple[Span, tuple[str, ...]]]) -> None:
    spoken = [word for _, words in turns for word in words]
    error_rate = Levenshtein.distance(spoken, [word.text for word in heard.words]) / len(spoken)
    assert error_rate < 0.4


@pytest.mark.engine
def test_words_are_well_formed(heard: Heard, turns: list[tuple[Span, tuple[str, ...]]]) -> None:
    assert all(before.start <= after.start for before, after in itertools.pairwise(heard.words))
    for word in heard.words:
        assert word.text.strip("abcdefghijklmnopqrstuvwxyz'.-_") == ""
        assert word.start < word.end < word.start + 3.0
        assert 0.0 <= word.confidence <= 1.0
        assert any(span.start - 0.2 <= word.start and word.end <= span.end + 0.2 for span, _ in turns)
    assert statistics.mean(word.confidence for word in heard.words) > 0.4


@pytest.mark.engine
def test_the_number_of_processes_changes_nothing(
    demo: Audio, turns: list[tuple[Span, tuple[str, ...]]], heard: Heard
) -> None:
    speech = [span for span, _ in turns]
    assert PocketSphinx(processes=1).transcribe(demo, speech, "en") == heard


@pytest.mark.engine
def test_what_was_heard_before_changes_nothing(
    demo: Audio, turns: list[tuple[Span, tuple[str, ...]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One decoder hears two chunks in a row, another one the second alone."""
    monkeypatch.setattr(pocketsphinx, "LONGEST_CHUNK", 6.0)
    engine = PocketSphinx(processes=1)
    first, second = Span(1.0, 5.0), Span(10.0, 14.0)
    both = engine.transcribe(demo, [first, second], "en").words
    alone = engine.transcribe(demo, [second], "en").words
    assert alone
    assert tuple(word for word in both if word.start > 8.0) == alone
    assert len(both) > len(alone)


@pytest.mark.engine
def test_progress_rises_to_one(demo: Audio) -> None:
    fractions: list[float] = []
    PocketSphinx(1).transcribe(demo, [Span(1.0, 3.0), Span(6.0, 8.0)], "en", fractions.append)
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    assert len(fractions) >= 2


@pytest.mark.engine
@pytest.mark.parametrize("speech", [[Span(0.0, 0.004)], [Span(1.0, 1.0)]])
def test_slivers_give_no_words(speech: list[Span]) -> None:
    assert PocketSphinx(1).transcribe(silence(2.0), speech, "en").words == ()


# --------------------------------------------------------------------------- placing


@pytest.mark.engine
def test_every_word_of_a_turn_is_placed(
    placed: list[list[HeardWord]], turns: list[tuple[Span, tuple[str, ...]]]
) -> None:
    for (span, words), answer in zip(turns, placed, strict=True):
        assert tuple(word.text for word in answer) == words
        assert all(before.end <= after.start for before, after in itertools.pairwise(answer))
        assert all(span.start <= word.start < word.end <= span.end for word in answer)
        assert all(0.0 <= word.confidence <= 1.0 for word in answer)
        assert statistics.median(word.confidence for word in answer) > 0.8


@pytest.mark.engine
def test_placed_and_heard_words_agree_in_time(placed: list[list[HeardWord]], heard: Heard) -> None:
    """Two searches of different kind; where both have a long word, they have it at the same time."""
    mine = [word for answer in placed for word in answer if len(word.text) > 5]
    pairs = [
        (word, other)
        for word in mine
        for other in heard.words
        if word.text == other.text and abs(word.start - other.start) < 1.0
    ]
    assert len(pairs) > len(mine) / 2
    assert statistics.median(abs(word.start - other.start) for word, other in pairs) <= 0.03


@pytest.mark.engine
def test_wrong_words_are_placed_with_less_confidence(demo: Audio, placed: list[list[HeardWord]]) -> None:
    words = placed[0]
    requests = []
    for start in range(0, len(words) - 9, 9):
        texts = [word.text for word in words[start : start + 9]]
        texts[4] = "kangaroo"
        requests.append((Span(words[start].start, words[start + 8].end), tuple(texts)))
    answers = [answer for answer in PocketSphinxAligner(1).place(demo, requests) if answer]
    assert len(answers) >= 3
    wrong = statistics.median(answer[4].confidence for answer in answers)
    right = statistics.median(word.confidence for answer in answers for word in (*answer[:3], *answer[6:]))
    assert wrong < 0.4
    assert right > 0.8


@pytest.mark.engine
def test_what_cannot_be_placed_gives_an_empty_list_and_harms_no_neighbour(
    demo: Audio, turns: list[tuple[Span, tuple[str, ...]]], placed: list[list[HeardWord]]
) -> None:
    good = turns[0]
    requests = [
        (Span(1.0, 1.1), ("a", "stretch", "too", "short", "for", "its", "words")),
        (Span(1.0, 1.0), ("nothing",)),
        (Span(1.0, 1.001), ("nothing",)),
        (Span(1.0, 3.0), ()),
        (Span(1.0, 3.0), ("中文",)),
        (Span(1.0, 3.0), ("<sil>",)),
        (Span(1e6, 1e6 + 1), ("nowhere",)),
        good,
    ]
    assert PocketSphinxAligner(1).place(demo, requests) == [[], [], [], [], [], [], [], placed[0]]


@pytest.mark.engine
def test_names_that_no_dictionary_has_are_placed(placed: list[list[HeardWord]]) -> None:
    names = [word for word in placed[0] if word.text in ("carrow", "estmark", "orrin")]
    assert len(names) == 3
    assert all(word.confidence > 0.6 for word in names)


@pytest.mark.engine
def test_the_number_of_processes_does_not_move_a_word(
    demo: Audio,
    turns: list[tuple[Span, tuple[str, ...]]],
    placed: list[list[HeardWord]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pocketsphinx, "AUDIO_PER_PROCESS", 1.0)
    assert PocketSphinxAligner(3).place(demo, turns) == placed


def test_no_requests_no_work() -> None:
    assert PocketSphinxAligner().place(silence(1.0), []) == []


CALLER = """
import sys
from pipelines.engines import workers
from pipelines.engines.embedded.pocketsphinx import WORKER

workers.run([WORKER, "hear"], [sys.stdin.buffer.read()], lambda pcm: (pcm,), 1)
"""


def busy_child(parent: int) -> int:
    """The child of a process, once it has computed for two seconds."""
    while True:
        for path in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):  # it may be gone by now
                fields = path.read_text().rpartition(")")[2].split()
                if int(fields[1]) == parent and int(fields[11]) >= 2 * os.sysconf("SC_CLK_TCK"):
                    return int(path.parent.name)
        time.sleep(0.05)


@pytest.mark.engine
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child")
def test_a_killed_caller_takes_its_worker_along_in_the_middle_of_a_chunk() -> None:
    hiss = np.random.default_rng(1).integers(-3000, 3000, 600 * SAMPLE_RATE, np.int16).tobytes()
    with subprocess.Popen([sys.executable, "-c", CALLER], stdin=subprocess.PIPE, cwd=ROOT) as caller:
        assert caller.stdin is not None
        caller.stdin.write(hiss)
        caller.stdin.close()
        worker = os.pidfd_open(busy_child(caller.pid))
        caller.kill()
        ended, _, _ = select.select([worker], [], [], 10)  # its chunk takes minutes
        os.close(worker)
    assert ended
