"""The command, in this process and with engines that play back a script."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic, sleep
from typing import NoReturn

import numpy as np
import pytest

from pipelines import cli
from pipelines.audio import preview as audio_preview
from pipelines.cli import run as run_module
from pipelines.cli import show
from pipelines.engines.fake import FakeAligner, FakeDetector, FakeDiarizer, FakeTranscriber, Line
from pipelines.errors import EngineError, ModelCorruptError, OptionError, OutputError
from pipelines.formats import heard
from pipelines.pipeline import Stage
from pipelines.protocols import Diarizer, Engines, Progress, Transcriber, no_progress
from pipelines.types import SAMPLE_RATE, Audio, Heard, Notice, Span, SpeakerCount, speaker_count

SCRIPT = (
    Line("anna", 0.5, 4.0, "Good evening and welcome to the programme. Tonight we talk about bees."),
    Line("anna", 4.2, 6.0, "With me is Ben Hill, a beekeeper. How are they?"),
    Line("ben", 6.5, 9.0, "They are well, thank you, and busy as ever."),
    Line("anna", 9.3, 10.5, "Many thanks, Ben Hill."),
)
ENGINES = Engines(
    detector=FakeDetector(SCRIPT),
    transcriber=FakeTranscriber(SCRIPT),
    diarizer=FakeDiarizer(SCRIPT),
    aligner=FakeAligner(),
)
LIST = [
    sys.executable,
    "-c",
    "import sys; from pipelines.cli import main; sys.exit(main())",
    "models",
    "list",
]
TEXT = "\n".join(line.text for line in SCRIPT)

Turnwise = Callable[..., int]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Eleven seconds of noise: something to decode while the fakes play their script."""
    samples = np.random.default_rng(0).integers(-3000, 3000, 11 * SAMPLE_RATE, dtype=np.int16)
    path = tmp_path / "noise.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.tobytes())
    return path


@pytest.fixture
def supplied(tmp_path: Path) -> Path:
    path = tmp_path / "supplied.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture
def turnwise(monkeypatch: pytest.MonkeyPatch) -> Turnwise:
    """Runs the command with the fake engines, and what was brought along in their place."""
    notice = Notice("engine", "The fakes play.")

    def choose(
        asr: str | Transcriber, diarizer: str | Diarizer, device: str, language: str
    ) -> tuple[Engines, list[Notice]]:
        transcriber = ENGINES.transcriber if isinstance(asr, str) else asr
        teller = ENGINES.diarizer if isinstance(diarizer, str) else diarizer
        return replace(ENGINES, transcriber=transcriber, diarizer=teller), [notice]

    monkeypatch.setattr(run_module, "choose", choose)
    return lambda *arguments: cli.main([str(argument) for argument in arguments])


def the_error(capsys: pytest.CaptureFixture[str]) -> str:
    """What stderr says: one line from us, and no traceback."""
    lines = [line for line in capsys.readouterr().err.splitlines() if "done after" not in line]
    assert "Traceback" not in "".join(lines)
    assert lines[-1].startswith("turnwise: ")
    return lines[-1]


# --------------------------------------------------------------------------- run


def test_run_writes_the_files_and_tells_what_it_found(
    turnwise: Turnwise, recording: Path, supplied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert turnwise("run", recording, "--text", supplied, "-o", tmp_path / "out") == 0
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == [f"result.{name}" for name in ("html", "json", "rttm", "srt", "txt", "vtt")]
    result = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))
    assert len(result["turns"]) == 3
    out = capsys.readouterr()
    assert out.out.count("speaker: ") == 2
    assert f"wrote {tmp_path / 'out' / 'result.html'}" in out.out
    assert "turnwise: The fakes play." in out.err
    assert [line.partition(":")[0] for line in out.err.splitlines() if "done after" in line]


def test_quiet_says_nothing_about_progress(
    turnwise: Turnwise, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert turnwise("run", recording, "-o", tmp_path, "--formats", "json", "--quiet") == 0
    assert "done after" not in capsys.readouterr().err


def test_json_is_written_whatever_else_is_asked_for(
    turnwise: Turnwise, recording: Path, tmp_path: Path
) -> None:
    assert turnwise("run", recording, "-o", tmp_path / "out", "--formats", " TXT,,txt") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["result.json", "result.txt"]


def test_the_same_input_gives_the_same_bytes(
    turnwise: Turnwise, recording: Path, supplied: Path, tmp_path: Path
) -> None:
    for name in ("first", "second"):
        assert turnwise("run", recording, "--text", supplied, "-o", tmp_path / name) == 0
    for path in (tmp_path / "first").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes()


def test_control_characters_in_the_text_do_not_reach_the_terminal(
    turnwise: Turnwise, recording: Path, supplied: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    supplied.write_text(TEXT + "\n\x1b[31mBreaking\x1b]0;owned\x07 news about wasps", encoding="utf-8")
    assert turnwise("run", recording, "--text", supplied, "-o", tmp_path / "out") == 0
    out = capsys.readouterr()
    assert "\x1b" not in out.out + out.err
    assert "wasps" in out.out


# --------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("exact", "minimum", "maximum", "count"),
    [
        (None, None, None, SpeakerCount()),
        (3, None, None, SpeakerCount(3, 3)),
        (None, 2, None, SpeakerCount(2, 0)),
        (None, None, 4, SpeakerCount(1, 4)),
        (None, 2, 2, SpeakerCount(2, 2)),
    ],
)
def test_speaker_count(
    exact: int | None, minimum: int | None, maximum: int | None, count: SpeakerCount
) -> None:
    assert speaker_count(exact, minimum, maximum) == count


@pytest.mark.parametrize(
    ("exact", "minimum", "maximum"), [(3, 2, None), (3, None, 3), (None, 4, 2), (1001, None, None)]
)
def test_counts_that_contradict_each_other(
    exact: int | None, minimum: int | None, maximum: int | None
) -> None:
    with pytest.raises(OptionError):
        speaker_count(exact, minimum, maximum)


WRONG_OPTIONS = [
    ([], "COMMAND"),
    (["walk"], "invalid choice: 'walk'"),
    (["run"], "AUDIO"),
    (["run", "a.wav"], "-o"),
    (["run", "a.wav", "-o", "out", "--speakers", "0"], "'0' is not a number of speakers"),
    (["run", "a.wav", "-o", "out", "--speakers", "two"], "'two' is not a number of speakers"),
    (["run", "a.wav", "-o", "out", "--speakers", "2", "--min-speakers", "1"], "leave out the minimum"),
    (["run", "a.wav", "-o", "out", "--speakers", "1001"], "1000 speakers at most"),
    (["run", "a.wav", "-o", "out", "--language", "xx"], "There is no language 'xx'"),
    (
        ["run", "a.wav", "-o", "out", "--formats", "json,docx"],
        "There is no format 'docx': choose from json, txt",
    ),
    (["run", "a.wav", "-o", "out", "--glossary", "missing.txt"], "glossary missing.txt cannot be read"),
    (["models", "burn"], "invalid choice: 'burn'"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG_OPTIONS)
def test_a_wrong_option_is_one_sentence(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith("turnwise: ")
    assert err.count("\n") == 1
    assert message in err
    assert not list(tmp_path.iterdir())


def test_help_and_version_succeed(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--version"], ["--help"], ["run", "--help"]):
        with pytest.raises(SystemExit) as stop:
            cli.main(arguments)
        assert stop.value.code == 0
    assert capsys.readouterr().out.startswith("turnwise 0.")


def test_a_glossary_is_one_term_on_a_line(tmp_path: Path) -> None:
    path = tmp_path / "terms.txt"
    path.write_bytes("\ufeffRiga\r\n\n  Daugavpils \nRiga\n".encode())
    assert run_module.glossary_terms(path) == ("Riga", "Daugavpils")
    assert run_module.glossary_terms(None) == ()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"caf\xe9", "not UTF-8"),
        (b"x" * (2**20 + 1), "larger than 1 MiB"),
        ("é".encode() * (2**19 + 1), "larger than 1 MiB"),
        (b"x" + "é".encode() * 2**19, "larger than 1 MiB"),
    ],
)
def test_a_glossary_that_cannot_be_used(
    tmp_path: Path, data: bytes, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "terms.txt"
    path.write_bytes(data)
    assert cli.main(["run", "a.wav", "-o", str(tmp_path / "out"), "--glossary", str(path)]) == 2
    assert message in the_error(capsys)


def test_the_page_holds_a_short_recording_and_links_a_long_one(
    turnwise: Turnwise, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def page() -> str:
        assert turnwise("run", recording, "-o", tmp_path / "out", "--formats", "html") == 0
        return (tmp_path / "out" / "result.html").read_text(encoding="utf-8")

    assert 'src="data:audio/webm;base64,' in page()
    monkeypatch.setattr(audio_preview, "LONGEST_EMBEDDED", 10.0)
    assert 'src="../noise.wav"' in page()


def test_the_page_finds_the_recording_from_its_folder(tmp_path: Path) -> None:
    recording = tmp_path / "in" / os.fsdecode(b"caf\xe9 #1?.wav")
    assert run_module.relative_uri(recording, tmp_path / "out") == "../in/caf%E9%20%231%3F.wav"


# --------------------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (EngineError("The engine broke: run it again."), 3, "turnwise: The engine broke: run it again."),
        (ModelCorruptError("Pull it again."), 3, "turnwise: Pull it again."),
        (OSError(errno.ENOSPC, "no space"), 4, "turnwise: The disk is full: free some space and run again."),
        (KeyboardInterrupt(), 130, "turnwise: stopped: no result was written"),
        (ZeroDivisionError("float division"), 1, "a fault in turnwise (ZeroDivisionError: float division)"),
    ],
)
def test_every_failure_is_one_sentence_and_a_status(
    turnwise: Turnwise,
    recording: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    status: int,
    message: str,
) -> None:
    def fail(*arguments: object) -> NoReturn:
        raise error

    monkeypatch.setattr(run_module, "run_pipeline", fail)
    assert turnwise("run", recording, "-o", tmp_path / "out") == status
    assert message in the_error(capsys)
    assert not list((tmp_path / "out").iterdir())


@dataclass(frozen=True)
class BrokenTranscriber(FakeTranscriber):
    """Fails as soon as the diarization has been written."""

    awaited: Path = Path()

    def transcribe(
        self,
        audio: Audio,
        speech: Sequence[Span],
        language: str,
        progress: Progress = no_progress,
        terms: Sequence[str] = (),
    ) -> Heard:
        deadline = monotonic() + 30
        while not self.awaited.exists() and monotonic() < deadline:
            sleep(0.01)
        raise EngineError("The model is out of order.")


def test_a_stage_that_is_done_is_kept_and_brought_along_again(
    turnwise: Turnwise,
    recording: Path,
    supplied: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    command = ["run", recording, "--text", supplied, "-o", out, "--formats", "rttm"]
    with monkeypatch.context() as patch:
        broken = BrokenTranscriber(SCRIPT, awaited=out / "diarization.rttm")
        patch.setitem(globals(), "ENGINES", replace(ENGINES, transcriber=broken))
        assert turnwise(*command) == 3
    assert [path.name for path in out.iterdir()] == ["diarization.rttm"]
    advice = f"continue from there with --diarization {out / 'diarization.rttm'}"
    assert advice in capsys.readouterr().err
    assert turnwise(*command) == 0
    whole = (out / "result.rttm").read_text(encoding="utf-8")
    assert sorted(path.name for path in out.iterdir()) == ["diarization.rttm", "result.json", "result.rttm"]
    again = ["--diarization", out / "result.rttm", "--heard", out / "result.json"]
    assert turnwise(*command[:-3], tmp_path / "again", "--formats", "rttm", *again) == 0
    assert (tmp_path / "again" / "result.rttm").read_text(encoding="utf-8") == whole


def test_what_is_kept_outlives_results_that_cannot_be_written(
    turnwise: Turnwise,
    recording: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And is under another name where there was such a file, which is somebody's."""

    def fail(folder: Path, contents: object) -> NoReturn:
        raise OutputError("The disk is full.")

    mine = tmp_path / "heard.json"
    mine.write_text("mine", encoding="utf-8")
    monkeypatch.setattr("pipelines.files.write_files", fail)
    assert turnwise("run", recording, "-o", tmp_path, "--quiet") == 4
    advice = (
        "heard-2.json is kept, under a new name because the usual one was taken:"
        f" continue from there with --heard {tmp_path / 'heard-2.json'}"
    )
    assert advice in capsys.readouterr().err
    assert mine.read_text(encoding="utf-8") == "mine"
    assert heard.parse((tmp_path / "heard-2.json").read_text(encoding="utf-8")).words
    assert (tmp_path / "diarization.rttm").exists()


@pytest.mark.parametrize("option", ["--text", "--heard", "--diarization", "--glossary"])
def test_no_result_takes_the_place_of_a_file_that_was_given(
    turnwise: Turnwise, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    mine = tmp_path / "result.txt"
    mine.write_text("mine", encoding="utf-8")
    assert turnwise("run", recording, "-o", tmp_path, "--formats", "txt", option, mine) == 2
    assert f"would replace {mine}: choose another folder" in capsys.readouterr().err
    assert [mine.read_text(encoding="utf-8"), len(list(tmp_path.glob("result.*")))] == ["mine", 1]


def test_files_of_the_user_stay_where_they_are(
    turnwise: Turnwise, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Brought along from the results' folder, or merely of that name there."""
    assert turnwise("run", recording, "-o", tmp_path / "first", "--formats", "rttm", "--quiet") == 0
    out = tmp_path / "out"
    out.mkdir()
    mine = {
        "heard.json": (tmp_path / "first" / "result.json").read_bytes(),
        "diarization.rttm": (tmp_path / "first" / "result.rttm").read_bytes(),
    }
    for brought in ([], ["--heard", out / "heard.json", "--diarization", out / "diarization.rttm"]):
        for name, content in mine.items():
            (out / name).write_bytes(content)
        assert turnwise("run", recording, "-o", out, "--quiet", "--formats", "json", *brought) == 0
        assert sorted(path.name for path in out.iterdir()) == [*sorted(mine), "result.json"]
        assert {name: (out / name).read_bytes() for name in mine} == mine


@pytest.mark.parametrize(
    ("option", "content", "message"),
    [
        ("--heard", b"Hello?", "This is not a file of recognised words"),
        ("--heard", b"\xff\xfe", "is not UTF-8 text"),
        ("--diarization", b"Hello?", "Line 1 is not RTTM"),
        ("--heard", None, "cannot be read (no such file or directory)"),
        ("--heard", b'{"words": [{"word": "a", "start": 50, "end": 51}]}', "give the file that belongs"),
    ],
)
def test_what_is_brought_along_is_looked_at(
    turnwise: Turnwise,
    recording: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    option: str,
    content: bytes | None,
    message: str,
) -> None:
    brought = tmp_path / "brought"
    if content is not None:
        brought.write_bytes(content)
    assert turnwise("run", recording, "-o", tmp_path / "out", option, brought) == 2
    assert message in the_error(capsys)


@pytest.mark.parametrize(("option", "other"), [("--heard", "--asr"), ("--diarization", "--diarizer")])
def test_an_engine_whose_result_is_brought_along_is_not_named_too(
    turnwise: Turnwise,
    recording: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    option: str,
    other: str,
) -> None:
    assert turnwise("run", recording, "-o", tmp_path, option, recording, other, "fake") == 2
    assert the_error(capsys).endswith(f"what {other} fake would find: leave one of them out.")


def test_a_fault_of_ours_shows_where_with_debug(
    turnwise: Turnwise, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURNWISE_DEBUG", "1")
    assert turnwise("run", tmp_path / "missing.wav", "-o", tmp_path) == 2
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.acceptance
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_output_that_cannot_be_printed() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        process = subprocess.run(LIST, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert process.returncode == 4
    assert process.stderr == "turnwise: The disk is full: free some space and run again.\n"


@pytest.mark.acceptance
def test_a_reader_that_leaves_early_is_no_error() -> None:
    with subprocess.Popen(LIST, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_a_full_disk_keeps_the_old_results(
    turnwise: Turnwise,
    recording: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fill_up(descriptor: int) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "result.json").write_text("old", encoding="utf-8")
    monkeypatch.setattr(os, "fsync", fill_up)
    assert turnwise("run", recording, "-o", tmp_path) == 4
    assert "is full" in the_error(capsys)
    assert (tmp_path / "result.json").read_text(encoding="utf-8") == "old"
    assert not list(tmp_path.glob(".*"))


def test_an_output_folder_that_is_a_file_is_told_before_the_work(
    turnwise: Turnwise, recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert turnwise("run", recording, "-o", recording) == 4
    assert "choose another folder" in the_error(capsys)


# --------------------------------------------------------------------------- what is shown


def test_a_stage_is_reported_once(capsys: pytest.CaptureFixture[str]) -> None:
    with show.progress(quiet=False) as watch:
        for fraction in (0.0, 0.5, 1.0, 1.0):
            watch(Stage.TRANSCRIBE, fraction)
    assert capsys.readouterr().err.count("transcribe: done after") == 1


def test_on_a_terminal_there_are_bars_and_tables(
    turnwise: Turnwise,
    recording: Path,
    supplied: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes the captured streams for terminals
    assert turnwise("run", recording, "--text", supplied, "-o", tmp_path / "out") == 0
    out = capsys.readouterr()
    assert "talk time" in out.out
    assert "100%" in out.err
