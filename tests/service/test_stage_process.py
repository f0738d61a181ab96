"""The stages over files: the transcript as in one go, every error as an answer, the process around them."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import errors, formats
from pipelines.audio.preview import playable
from pipelines.engines import Entry
from pipelines.engines.given import GivenDiarizer, GivenTranscriber
from pipelines.formats import heard as heard_format
from pipelines.formats import html, rttm
from pipelines.pipeline import Decoded, Stage, run
from pipelines.protocols import Engines, Transcriber, no_progress
from pipelines.supplied import parsing as supplied
from pipelines.types import Audio, Heard, HeardWord, Media, Notice, Options, SpeakerCount, Transcript
from service.files import artifacts
from service.files.storage import JobFolder, Request
from service.work.answering import DISK_FULL, INTERNAL
from service.work.stage_process import Work, answer
from tests.pipelines.test_pipeline import SCRIPT, TEXT
from tests.service import engines as fakes

ROOT = Path(__file__).resolve().parents[2]
FAKE = "tests.service.engines:choose"
CLIPPED = Notice("clipped", "The recording is distorted.")


def recording(seconds: float = 10.0, name: str = "talk.wav", seed: int = 0) -> Audio:
    """Noise, of which the fake engines hear words."""
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * 16_000))
    samples = noise.astype(np.float32)
    digest = sha256(samples.tobytes()).hexdigest()
    return Audio(samples, Media(name, digest, samples.nbytes, "wav", "pcm_f32le", 16_000, 1, seconds))


def decoded(path: Path, audio: Audio, request: Request | None = None, **files: str | None) -> JobFolder:
    """The folder of a job of which the first stage is done; `files` came with it."""
    folder = JobFolder(path)
    place = folder.stage(Stage.DECODE)
    place.mkdir(parents=True)
    folder.write_request(request or Request(audio.media.name, "talk.txt" if files.get("text") else ""))
    for name, content in files.items():
        if content is not None:
            (path / name).write_text(content, "utf-8")
    audio.samples.tofile(place / artifacts.SAMPLES)
    artifacts.dump(place / artifacts.MEDIA, Decoded(audio.media, (CLIPPED,)))
    return folder


def asked(folder: JobFolder, stage: str, factory: str = FAKE) -> dict[str, str]:
    """The request for one stage, with an attempt's folder of its own."""
    names = {"engines": factory, "asr": "auto", "diarizer": "auto", "device": "auto"}
    return {"stage": stage, "job": str(folder.path), "attempt": str(folder.new_attempt()), **names}


def perform(folder: JobFolder, *wanted: str) -> None:
    """Those stages one by one, as a worker does it."""
    for stage in wanted:
        request = asked(folder, stage)
        assert answer(request, no_progress) == {"done": {}}
        folder.accept(Path(request["attempt"]), folder.stage(stage))


def engines() -> Engines:
    return fakes.choose("auto", "auto", "auto", "")[0]


def in_one_go(audio: Audio, text: str | None, made_by: Engines, options: Options) -> Transcript:
    read = None if text is None else supplied.parse(text.encode(), "talk.txt")
    whole = run(audio, read, made_by, options)
    return replace(whole, warnings=(CLIPPED, *whole.warnings))


def stored(folder: JobFolder) -> Transcript:
    return artifacts.load(folder.stage(Stage.STORE) / artifacts.TRANSCRIPT, Transcript)


def written(words: tuple[str, ...], pause: int = 7) -> str:
    """Words as a text with a heading and two faults."""
    lines = [" ".join(words[at : at + pause]) for at in range(0, len(words), pause)]
    return f"What we know so far\n{'. '.join(lines).replace('talks', 'lks', 1)},, and so on."


def words_of(audio: Audio) -> tuple[str, ...]:
    return tuple(word for line in fakes.script(audio) for word in line.text.split())


# --------------------------------------------------------------------------- the same as in one go


@pytest.mark.parametrize("with_text", [True, False])
def test_stage_by_stage_is_as_in_one_go(with_text: bool, tmp_path: Path) -> None:
    audio = recording()
    text = written(words_of(audio)) if with_text else None
    folder = decoded(tmp_path / "job", audio, text=text)
    perform(folder, *tuple(Stage)[1:])
    whole = in_one_go(audio, text, engines(), Options())
    assert stored(folder) == whole
    assert len(whole.turns) > 1
    expected = {name: formats.serialize(whole, name) for name in formats.FORMATS if name != "html"}
    expected["html"] = html.serialize(whole, playable(audio, "elsewhere"))
    assert expected.keys() == set(formats.FORMATS)
    for name, content in expected.items():
        assert (folder.stage(Stage.STORE) / f"result.{name}").read_bytes() == content.encode(
            "utf-8", "replace"
        ), name


OTHER = st.sampled_from(
    ["Good", "the", "TALKS", "night,,", ">>", "[Music]", "ANNA:", "3", "–", "\ufffd", "夜"]
)


@st.composite
def damaged(draw: st.DrawFn, words: tuple[str, ...]) -> str:
    """The words with some left out, doubled, strange or with others in between, on any lines."""
    pieces: list[str] = []
    for word in words:
        piece = st.sampled_from([(word,), (word,), (word,), (word,), (), (word, word), (word.title() + ".",)])
        pieces += draw(piece | OTHER.map(lambda other: (other,)))
        pieces.append(draw(st.sampled_from([" ", " ", " ", "\n", "\n\n"])))
    return draw(st.sampled_from(["So ", "\nSo\n", "A heading\n"])) + "".join(
        piece if piece.isspace() else f"{piece} " for piece in pieces
    )


def test_damaged_texts_too(tmp_path_factory: pytest.TempPathFactory) -> None:
    audio = recording(6.0)

    @settings(max_examples=12, deadline=None)
    @given(
        damaged(words_of(audio)),
        st.sampled_from(["", "en", "de"]),
        st.sampled_from([SpeakerCount(), SpeakerCount(2, 2), SpeakerCount(3, 4)]),
        st.lists(st.sampled_from(["Talk", "Nights", "nobody"]), max_size=2, unique=True).map(tuple),
    )
    def check(text: str, language: str, count: SpeakerCount, glossary: tuple[str, ...]) -> None:
        request = Request(audio.media.name, "talk.txt", Options(language, count, glossary))
        folder = decoded(tmp_path_factory.mktemp("jobs") / "job", audio, request, text=text)
        perform(folder, *tuple(Stage)[1:])
        assert stored(folder) == in_one_go(audio, text, engines(), Options(language, count, glossary))

    check()


def test_what_was_brought_along_takes_the_place_of_engines(tmp_path: Path) -> None:
    audio = recording(25.0)
    spelled = TEXT.replace("University of Basel", "University of Bassell")
    words = [word for line in SCRIPT for word in line.words()]
    odd = HeardWord("\ufffd", words[-1].end, words[-1].end, 0.1)
    heard = heard_format.serialize(Heard((*words, odd), "en", engines().transcriber.info))
    heard = heard.replace("\ufffd", r"\ud800")  # JSON can spell half a character, and no file can hold it
    voices = "".join(
        f"SPEAKER talk 1 {line.start} {line.end - line.start:.3f} <NA> <NA> {line.speaker} <NA> <NA>\n"
        for line in SCRIPT
    )
    request = Request("talk.wav", "talk.txt", Options(glossary=("Basel",)))
    folder = decoded(tmp_path / "job", audio, request, text=spelled, heard=heard, diarization=voices)
    perform(folder, *tuple(Stage)[1:])
    brought = replace(
        engines(),
        transcriber=GivenTranscriber(heard_format.parse(heard)),
        diarizer=GivenDiarizer(rttm.parse(voices), "diarization.rttm"),
    )
    whole = in_one_go(audio, spelled, brought, Options(glossary=("Basel",)))
    assert stored(folder) == whole
    assert [speaker.id for speaker in whole.speakers] == ["anna", "ben"]
    assert "University of Basel." in whole.corrected


def test_a_failed_diarization_costs_the_speakers_only(tmp_path: Path) -> None:
    audio = recording(name="mixed.wav")
    text = written(words_of(audio))
    folder = decoded(tmp_path / "job", audio, text=text)
    perform(folder, *tuple(Stage)[1:])
    assert stored(folder) == in_one_go(audio, text, engines(), Options())
    assert "diarization_failed" in [warning.code for warning in stored(folder).warnings]


def test_too_few_speakers_are_told_of(tmp_path: Path) -> None:
    audio = recording()
    folder = decoded(tmp_path / "job", audio, Request("talk.wav", options=Options(speakers=SpeakerCount(3))))
    perform(folder, *tuple(Stage)[1:])
    assert [warning.code for warning in stored(folder).warnings] == ["clipped", "fewer_speakers"]


def test_what_the_decoder_writes_is_read(tmp_path: Path) -> None:
    described = {
        "media": asdict(recording(1.0).media),
        "warnings": [asdict(CLIPPED)],
    }  # as service/work/decode_process.py
    (tmp_path / "media.json").write_text(json.dumps(described))
    assert artifacts.load(tmp_path / "media.json", Decoded) == Decoded(recording(1.0).media, (CLIPPED,))


def test_the_samples_on_the_disk_never_change(tmp_path: Path) -> None:
    audio = recording(1.0)
    folder = decoded(tmp_path / "job", audio)
    read = Work(folder, {}).audio()
    assert read.samples.tobytes() == audio.samples.tobytes()
    read.samples[:] = 0  # an engine may, in its own copy
    assert (folder.stage(Stage.DECODE) / artifacts.SAMPLES).read_bytes() == audio.samples.tobytes()


loads: list[tuple[str, ...]] = []
"""What was asked for when models were loaded."""


def choose_ours(*named: str) -> tuple[Engines, list[Notice]]:
    """As a builder's function that loads models whenever it is called."""
    loads.append(named)
    return fakes.choose("", "", "", "")


@pytest.mark.parametrize("factory", [f"{__name__}:choose_ours", "pipelines.engines.choice:choose"])
def test_models_stay_loaded_where_only_the_language_differs(
    factory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(model: str, device: str) -> fakes.Transcriber:
        loads.append((model, device))
        return fakes.Transcriber()

    toy: Entry[Transcriber] = Entry("toy", "A toy.", make)
    monkeypatch.setattr("pipelines.engines.choice.TRANSCRIBERS", [toy])
    monkeypatch.setattr("pipelines.engines.choice.SileroDetector", fakes.Detector)
    monkeypatch.setattr("pipelines.models.read", lambda name: b"")
    loads.clear()
    for number, language in enumerate(("en", "", "en", "de", "en")):
        request = Request("talk.wav", options=Options(language))
        folder = decoded(tmp_path / str(number), recording(2.0), request)
        named = asked(folder, Stage.DETECT, factory) | {"asr": "toy", "diarizer": "none", "device": "cpu"}
        assert answer(named, no_progress) == {"done": {}}
    assert loads in ([("toy", "none", "cpu", "")], [("", "cpu")])


# --------------------------------------------------------------------------- what goes wrong


def tree(error: type[Exception]) -> Iterator[type[Exception]]:
    yield error
    for below in error.__subclasses__():
        yield from tree(below)


def test_every_error_has_a_code_of_its_own() -> None:
    classes = [kind for kind in tree(errors.TurnwiseError) if kind.__module__ == "pipelines.errors"]
    codes = [*map(errors.code_of, classes), DISK_FULL, INTERNAL]
    assert len(set(codes)) == len(codes) > 15
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)
    assert {"no_speech", "text", "engine_memory", "disk_full", "internal"} <= set(codes)


def failed(request: dict[str, str]) -> tuple[str, str]:
    said: Any = answer(request, no_progress)
    return said["failed"]["code"], said["failed"]["message"]


def test_an_error_is_the_answer(tmp_path: Path) -> None:
    folder = decoded(tmp_path / "job", recording(name="deaf.wav"))
    perform(folder, Stage.DETECT)
    said = failed(asked(folder, Stage.TRANSCRIBE))
    assert said == ("engine", "The engine heard nothing: try another one.")


def test_a_text_that_cannot_be_used_is_an_error_of_the_text(tmp_path: Path) -> None:
    folder = decoded(tmp_path / "job", recording(2.0), Request("talk.wav", "talk.json"), text="{")
    perform(folder, Stage.DETECT, Stage.TRANSCRIBE)
    assert failed(asked(folder, Stage.ALIGN))[0] == "text"


@pytest.mark.parametrize("name", ["heard", "diarization"])
def test_what_was_brought_along_and_is_no_text(name: str, tmp_path: Path) -> None:
    folder = decoded(tmp_path / "job", recording(2.0))
    (folder.path / name).write_bytes(b"\xff\xfe\x00")
    code, message = failed(asked(folder, Stage.DETECT))
    assert code == "text"
    assert name in message
    assert str(tmp_path) not in message


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/secret/place"), DISK_FULL),
        (OSError(errno.EDQUOT, "Disk quota exceeded", "/secret/place"), DISK_FULL),
        (OSError(errno.EIO, "Input/output error", "/secret/place"), INTERNAL),
        (ValueError("/secret/place holds: the words of a user"), INTERNAL),
        (MemoryError(), "engine_memory"),
    ],
)
def test_faults_are_answered_without_their_words(
    error: Exception,
    code: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nor are they in the log, which says where a fault of ours was all the same."""

    cause = KeyError("the words of another user")

    def fail(path: Path, value: object) -> None:
        raise error from cause

    request = asked(decoded(tmp_path / "job", recording(2.0)), Stage.DETECT)
    monkeypatch.setattr(artifacts, "dump", fail)
    found, message = failed(request)
    assert found == code
    assert "secret" not in message
    assert "words" not in message
    assert message.endswith(".")
    said = capsys.readouterr().err
    assert "secret" not in said
    assert "words" not in said
    if code == INTERNAL:
        assert "in fail" in said
        assert type(error).__name__ in said
        assert "KeyError" in said


# --------------------------------------------------------------------------- the process

NOISY = """
import os, subprocess, sys
from tests.service import engines

def choose(*asked):
    print("loading", *asked[:2])
    sys.stdout.write("half a line")
    os.write(1, b"a library in C\\n")
    subprocess.run(["echo", "a program"], check=True)
    return engines.choose(*asked)
"""
GREEDY = """
import numpy as np
from dataclasses import replace
from tests.service import engines

class Transcriber:
    info = engines.Transcriber().info

    def transcribe(self, *_):
        return np.ones(2**40)

def choose(*asked):
    made, notices = engines.choose(*asked)
    return replace(made, transcriber=Transcriber()), notices
"""

Ask = Callable[[dict[str, str]], list[dict[str, Any]]]


@contextmanager
def process(folder: Path, module: str, niceness: str = "0", memory_bytes: str = "0") -> Iterator[Ask]:
    """A real one, with `plugin` to import, and what it answers to a request. Its errors go to a file."""
    (folder / "plugin.py").write_text(module)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)])}
    with (
        (folder / "errors").open("w") as errors_file,
        subprocess.Popen(
            [sys.executable, "-P", "-m", "service.work.stage_process", niceness, memory_bytes],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors_file,
            env=environment,
            text=True,
        ) as started,
    ):
        assert started.stdin is not None
        assert started.stdout is not None
        requests, answers = started.stdin, started.stdout

        def ask(request: dict[str, str]) -> list[dict[str, Any]]:
            print(json.dumps(request), file=requests, flush=True)
            lines = []
            for line in answers:
                lines.append(json.loads(line))
                if "progress" not in lines[-1]:
                    break
            return lines

        yield ask
        requests.close()
        assert answers.read() == ""
        assert started.wait(60) == 0


@pytest.mark.acceptance
def test_a_process_answers_and_keeps_its_models(tmp_path: Path) -> None:
    slow = decoded(tmp_path / "slow", recording(2.0, "slow-0.5.wav"))
    other = decoded(tmp_path / "other", recording(4.0, "deaf.wav"))
    with process(tmp_path, NOISY) as ask:
        for stage in (Stage.DETECT, Stage.TRANSCRIBE):
            request = asked(slow, stage, "plugin:choose")
            *progress, last = ask(request)
            assert last == {"done": {}}
            assert all(0 <= line["progress"] <= 1 for line in progress)
            slow.accept(Path(request["attempt"]), slow.stage(stage))
        assert len(progress) > 1
        assert ask(asked(other, Stage.DETECT, "plugin:choose"))[-1] == {"done": {}}
        failure = ask(asked(other, Stage.TRANSCRIBE, "plugin:choose"))[-1]["failed"]
        assert failure["code"] == INTERNAL  # there is no speech yet: nobody accepted the attempt
    said = (tmp_path / "errors").read_text()
    assert said.count("loading auto auto") == 1
    assert "a library in C" in said
    assert "a program" in said
    assert "half a line" in said
    assert "FileNotFoundError" in said
    in_process = decoded(tmp_path / "again", recording(2.0, "slow-0.5.wav"))
    perform(in_process, Stage.DETECT, Stage.TRANSCRIBE)
    left = [folder.stage(Stage.TRANSCRIBE) / artifacts.LEFT for folder in (slow, in_process)]
    assert left[0].read_bytes() == left[1].read_bytes()


@pytest.mark.acceptance
def test_a_process_lives_within_its_memory(tmp_path: Path) -> None:
    folder = decoded(tmp_path / "job", recording(2.0))
    perform(folder, Stage.DETECT)
    with process(tmp_path, GREEDY, "3", f"{2**34}") as ask:
        failure = ask(asked(folder, Stage.TRANSCRIBE, "plugin:choose"))[-1]["failed"]
        assert failure["code"] == "engine_memory"
        assert ask(asked(folder, Stage.DETECT, "plugin:choose"))[-1] == {"done": {}}  # it goes on
