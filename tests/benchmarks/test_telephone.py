"""A real phone call, of which recognition understands a fifth, with real engines."""

from __future__ import annotations

import pytest

from pipelines.audio import decoding as audio
from pipelines.engines.choice import choose
from pipelines.engines.fake import FakeDetector, FakeDiarizer, FakeTranscriber, Line, script_audio
from pipelines.formats import stm
from pipelines.pipeline import run
from pipelines.protocols import Engines
from pipelines.supplied import parsing as supplied
from pipelines.types import Options, Transcript
from tests.benchmarks.telephone import rows, sample_folder, turns_right
from tests.data.make_demo import DEMO

TRUTH = stm.parse("call 1 a 0 2 Who is there?\ncall 1 b 2 3 Me.\ncall 1 a 3 4 Oh, hello.\n")


def attributed(*lines: Line) -> Transcript:
    text = supplied.parse(b"Who is there? Me. Oh, hello.")
    engines = Engines(FakeDetector(lines), FakeTranscriber(lines), FakeDiarizer(lines))
    return run(script_audio(lines), text, engines, Options("en"))


def test_a_turn_is_right_if_all_of_its_words_are() -> None:
    asked, answered = Line("x", 0.0, 2.0, "Who is there?"), Line("y", 2.5, 3.5, "Me.")
    right = attributed(asked, answered, Line("x", 4.0, 5.0, "Oh, hello."))
    assert turns_right(right, TRUTH) == [True, True, True]
    wrong = attributed(asked, answered, Line("y", 4.0, 5.0, "Oh, hello."))
    assert turns_right(wrong, TRUTH) == [True, True, False]


@pytest.mark.engine
def test_every_turn_of_the_call_is_right_with_the_true_speakers() -> None:
    (_, transcript, right), *_ = rows("pocketsphinx", [])
    assert right == [True] * 13
    assert "forced" in [warning.code for warning in transcript.warnings]


@pytest.mark.engine
def test_the_text_of_another_recording_is_not_put_on_it_by_force() -> None:
    recording, _ = audio.load(sample_folder() / "sample.wav")
    words = (DEMO / "supplied.txt").read_text(encoding="utf-8").split()
    engines, _ = choose("pocketsphinx", "none")
    for first in (0, 150, 300):
        text = supplied.parse(" ".join(words[first : first + 81]).encode())
        transcript = run(recording, text, engines, Options("en"))
        assert [warning.code for warning in transcript.warnings] == ["low_match"]
