"""The demo segment is what its own files say."""

import json
import wave
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from pipelines.supplied import parsing as supplied
from tests.data import make_demo
from tests.data.make_demo import DEMO, RATE_HZ, read_wave, rttm_line, stm_line, unmarked

TURNS = json.loads((DEMO / "turns.json").read_text(encoding="utf-8"))
TRUTH = json.loads((DEMO / "supplied_truth.json").read_text(encoding="utf-8"))


def test_truth_is_that_of_the_supplied_tokens() -> None:
    tokens = supplied.load(DEMO / "supplied.txt").tokens
    assert [token.text for token in tokens] == [row["token"] for row in TRUTH]


def test_supplied_text_is_the_marked_one_without_marks() -> None:
    text, truth = unmarked((DEMO / "supplied_marked.txt").read_text(encoding="utf-8"))
    assert text == (DEMO / "supplied.txt").read_text(encoding="utf-8")
    assert truth == TRUTH


def test_unmarked() -> None:
    text, truth = unmarked("@0 a b @null x\n@1 c\n")
    assert text == "a b x\nc\n"
    assert [(row["token"], row["turn"]) for row in truth] == [("a", 0), ("b", 0), ("x", None), ("c", 1)]


def test_every_turn_is_supplied_in_order() -> None:
    turns = [row["turn"] for row in TRUTH if row["turn"] is not None]
    assert turns == sorted(turns)
    assert set(turns) == set(range(len(TURNS)))
    assert {turn["role"] for turn in TURNS} == {"anchor", "narrator", "analyst", "correspondent"}


def test_the_text_is_damaged_but_not_beyond_use() -> None:
    for number, turn in enumerate(TURNS):
        right = {word.strip(",.?’'").casefold() for word in turn["text"].split()}
        written = [row["token"].strip(",.?’'").casefold() for row in TRUTH if row["turn"] == number]
        assert sum(word.replace("’", "'") in right for word in written) >= 0.7 * len(written)
    assert sum(row["turn"] is None for row in TRUTH) == 24


def test_reference_times_lie_inside_the_recording() -> None:
    segments = [line.split() for line in (DEMO / "segment.rttm").read_text(encoding="utf-8").splitlines()]
    assert [fields[7] for fields in segments] == [turn["speaker"] for turn in TURNS]
    starts = [float(fields[3]) for fields in segments]
    ends = [start + float(fields[4]) for start, fields in zip(starts, segments, strict=True)]
    assert all(end < start for end, start in zip(ends, starts[1:], strict=False))
    with av.open(str(DEMO / "segment.opus")) as container:
        duration = (container.duration or 0) / av.time_base
        assert container.streams.audio[0].channels == 1
    assert ends[-1] < duration < 200
    assert (DEMO / "segment.opus").stat().st_size < 700_000


def test_stm_says_what_is_said() -> None:
    lines = (DEMO / "segment.stm").read_text(encoding="utf-8").splitlines()
    assert [line.split(" ", 5)[5] for line in lines] == [turn["text"] for turn in TURNS]


def test_reference_lines() -> None:
    turn = TURNS[0] | {"text": "Good evening."}
    assert rttm_line(0.6, 2.0, turn) == "SPEAKER segment 1 0.600 2.000 <NA> <NA> ANCHOR <NA> <NA>"
    assert stm_line(0.6, 2.0, turn) == "segment 1 ANCHOR 0.600 2.600 Good evening."


def test_turns_are_laid_out_with_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_demo, "speak", lambda text, role: np.full(RATE_HZ, 1000, np.int16))
    samples, starts, durations = make_demo.render(TURNS[:3])
    assert durations == [1.0, 1.0, 1.0]
    assert starts[0] == 0.6
    assert all(1.2 <= later - start <= 1.7 for start, later in pairwise(starts))
    loud = np.abs(samples.astype(int)) > 500
    assert loud.sum() == 3 * RATE_HZ
    assert loud[round(starts[1] * RATE_HZ)]
    assert len(samples) == round((starts[-1] + 2.0) * RATE_HZ)


def test_read_wave(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(np.arange(5, dtype=np.int16).tobytes())
    assert read_wave(path).tolist() == [0, 1, 2, 3, 4]
