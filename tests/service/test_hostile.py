"""Recordings that mean harm, each decoded as the service does it."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipelines import errors
from pipelines.audio import decoding as audio
from pipelines.errors import MediaError
from service.work.decode_process import MEDIA, SAMPLES
from tests.support.decoding import Ending, decode
from tests.support.hostile import DURATION, Hostile, corpus, mutation, pointers
from tests.support.media import noise, write
from tests.support.surroundings import Surroundings, surroundings

pytestmark = pytest.mark.acceptance

MUTATIONS = 12
"""As many as there is time for; `python -m tests.support.fuzz_media` tries more."""

CODES = {"done", *(errors.code_of(kind) for name, kind in vars(errors).items() if name.endswith("Error"))}


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surroundings]:
    with surroundings(tmp_path_factory.mktemp("around")) as around:
        yield around


@pytest.fixture(scope="module")
def scraps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("scraps")


@pytest.fixture(scope="module")
def recordings(around: Surroundings, scraps: Path) -> dict[str, Hostile]:
    known = corpus(around.neighbour, around.address, scraps)
    damaged = [Hostile(f"mutation-{i}", mutation(i, scraps), frozenset(CODES)) for i in range(MUTATIONS)]
    return {recording.name: recording for recording in (*known, *damaged)}


@pytest.fixture(scope="module")
def endings(
    around: Surroundings, recordings: dict[str, Hostile], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Ending]:
    """All of them decoded, as many at a time as there are processors."""
    folder = tmp_path_factory.mktemp("endings")
    around.touched()

    def decoded(recording: Hostile) -> Ending:
        path = around.upload(recording.name, recording.content)
        return decode(
            path,
            folder / recording.name,
            around.environment,
            around.uploads,
            duration=DURATION,
            decode_time=60.0,
            processor_time=60.0,
            memory_bytes=2**31,
        )

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(recordings, pool.map(decoded, recordings.values()), strict=True))


def test_each_ends_with_a_result_or_with_a_clear_reason(
    recordings: dict[str, Hostile], endings: dict[str, Ending]
) -> None:
    unexpected = {
        name: (ending.code, ending.errors)
        for name, ending in endings.items()
        if ending.code not in recordings[name].codes
    }
    assert unexpected == {}
    assert {name for name, ending in endings.items() if ending.errors} == set()


def test_every_reason_is_a_sentence_that_gives_nothing_away(
    around: Surroundings, endings: dict[str, Ending]
) -> None:
    messages = {ending.message for ending in endings.values() if ending.code != "done"}
    assert len(messages) > 5
    for message in messages:
        assert "my clip" in message
        assert message.endswith(".")
        assert "\n" not in message
        assert str(around.uploads) not in message
        assert "recording-" not in message


def test_nothing_around_is_touched(around: Surroundings, endings: dict[str, Ending]) -> None:
    assert endings
    assert around.touched() == set()


def test_nothing_of_a_neighbour_is_in_what_comes_out(
    around: Surroundings, endings: dict[str, Ending]
) -> None:
    outputs = [path.read_bytes() for ending in endings.values() for path in ending.folder.iterdir()]
    answers = [str(ending.answers).encode() for ending in endings.values()]
    assert not around.leaked(*outputs, *answers)


def test_only_the_two_files_are_written_and_only_for_a_result(endings: dict[str, Ending]) -> None:
    for ending in endings.values():
        assert {path.name for path in ending.folder.iterdir()} == {SAMPLES, MEDIA}
        assert bool(ending.samples) == (ending.code == "done")


def test_a_link_to_a_neighbour_is_not_followed(around: Surroundings, tmp_path: Path) -> None:
    link = around.uploads / "recording-link"
    link.symlink_to(around.neighbour)
    around.touched()
    ending = decode(link, tmp_path / "out", around.environment, around.uploads)
    assert ending.code == "not_media"
    assert around.touched() == set()


def test_the_library_alone_touches_nothing_either(
    around: Surroundings, scraps: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the sandbox, in the folder of the neighbour."""
    monkeypatch.chdir(around.uploads)
    around.touched()
    for recording in pointers(around.neighbour, around.address, scraps):
        path = around.upload(recording.name, recording.content)
        try:
            outcome = audio.load(path)[0].samples.tobytes()
        except MediaError as error:
            outcome = str(error).encode()
        assert not around.leaked(outcome), recording.name
        assert around.touched() == set(), recording.name


def test_a_touch_is_noticed(around: Surroundings) -> None:
    """What the tests above rely on."""
    around.touched()
    with around.neighbour.open("rb"):
        pass
    if sys.platform == "linux":
        assert around.touched() == {"neighbour.wav"}
    stray = around.temporary / "stray"
    stray.touch()
    assert str(stray) in around.touched()
    stray.unlink()
    around.touched()
    host, _, port = around.address.partition(":")
    with socket.create_connection((host, int(port))):
        assert around.touched() == {around.address}
    assert around.leaked(b"x" + audio.load(around.neighbour)[0].samples[250:].tobytes())
    assert around.leaked(around.neighbour.read_bytes())
    assert not around.leaked(noise(1.0, 8).tobytes())
    around.touched()


def test_mutations_are_the_same_every_time_and_differ(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, again = ([mutation(i, tmp_path / name) for i in range(40)] for name in ("a", "b"))
    assert first == again
    assert len(set(first)) == 40
    assert write(tmp_path / "tone.wav", noise(1.0)).read_bytes() not in first
