"""Decoding an untrusted recording in a process of its own: answers, costs, and what it cannot reach."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from pipelines.audio import decoding as audio
from pipelines.errors import MediaError
from pipelines.types import SAMPLE_RATE
from service.work import decode_process as decoding
from tests.support.decoding import ROOT, decode, request
from tests.support.hostile import silent_flac
from tests.support.media import noise, tone, write, write_video

pytestmark = pytest.mark.acceptance


# --------------------------------------------------------------------------- what it answers


def surround(path: Path) -> Path:
    """Six channels, one of them swapped: mixing them takes matrices."""
    voice = noise(2.0)
    soundfile.write(
        path, np.stack([voice, 0.5 * voice, -voice, *(noise(2.0, i) for i in (2, 3, 4))], axis=1), 48_000
    )
    return path


def half(path: Path) -> Path:
    write(path, noise(4.0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


RECORDINGS = {
    **{
        f"tone{suffix}": lambda path: write(path, tone(2.0, 48_000), 48_000)
        for suffix in (".wav", ".flac", ".mp3", ".ogg", ".m4a", ".mkv", ".ts")
    },
    "surround.wav": surround,
    "video.mp4": lambda path: write_video(path, tone(2.0)),
    "half.flac": half,
}


@pytest.mark.parametrize("name", RECORDINGS)
def test_it_gives_what_loading_gives(tmp_path: Path, name: str) -> None:
    path = RECORDINGS[name](tmp_path / name)
    expected, notices = audio.load(path, name="my clip")
    ending = decode(path, tmp_path / "out")
    assert (ending.code, ending.errors) == ("done", "")
    assert ending.samples == expected.samples.astype("<f4").tobytes()
    assert ending.media == {
        "media": asdict(expected.media),
        "warnings": [asdict(notice) for notice in notices],
    }
    assert sorted(path.name for path in ending.folder.iterdir()) == ["media.json", "samples.f32"]


def test_progress_rises_and_the_last_word_is_done(tmp_path: Path) -> None:
    (tmp_path / "a.flac").write_bytes(silent_flac(1800.0, first=tone(1.0)))
    ending = decode(tmp_path / "a.flac", tmp_path / "out")
    walls, *progress, last = ending.answers
    assert walls["walls"]["landlock"] == landlock_version()
    assert walls["walls"]["privileges_dropped"] == (sys.platform == "linux")
    fractions = [answer["progress"] for answer in progress]
    assert last == {"done": {}}
    assert fractions == sorted(fractions)
    assert all(0 <= fraction <= 1 for fraction in fractions)


# --------------------------------------------------------------------------- what it refuses


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_media"),
        (b"Good evening. " * 500, "not_media"),
        (silent_flac(2.0), "no_speech"),
    ],
    ids=["empty", "text", "silence"],
)
def test_a_recording_that_cannot_be_used(tmp_path: Path, content: bytes, code: str) -> None:
    (tmp_path / "recording").write_bytes(content)
    ending = decode(tmp_path / "recording", tmp_path / "out")
    assert ending.code == code
    with pytest.raises(MediaError) as caught:
        audio.load(tmp_path / "recording", name="my clip")
    assert ending.message == str(caught.value)
    assert ending.samples == b""


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "device"])
def test_only_a_regular_file_is_a_recording(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "recording"
    if kind == "link":
        path.symlink_to(write(tmp_path / "tone.wav", tone(1.0)))
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path = Path("/dev/zero")
    ending = decode(path, tmp_path / "out")
    assert ending.code == "not_media"
    assert "my clip' is not a regular file" in ending.message
    assert str(tmp_path) not in ending.message


def test_a_name_is_no_path(tmp_path: Path) -> None:
    """Whatever the owner calls the recording, nothing but the recording is read."""
    write(tmp_path / "neighbour.wav", tone(1.0))
    path = write(tmp_path / "tone.wav", noise(1.0))
    expected = audio.load(path)[0].samples.tobytes()
    for i, name in enumerate(("../neighbour.wav", str(tmp_path / "neighbour.wav"), "a\0b\n", "😀" * 3000)):
        ending = decode(path, tmp_path / f"out{i}", name=name)
        assert ending.code == "done"
        assert ending.samples == expected
        assert ending.media["media"]["name"] == name


# --------------------------------------------------------------------------- what it may cost


LIMITS: dict[str, tuple[dict[str, Any], str]] = {
    "duration": ({"duration": 1000.0}, "longer than"),
    "decode_time": ({"decode_time": 0.0}, "to decode"),
    "memory": ({"memory_bytes": 300 * 10**6}, "more memory to decode than the limit of 300 MB"),
    "output": ({"output_bytes": 10**6}, "more space than the limit"),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_what_costs_too_much_is_refused(tmp_path: Path, limit: str) -> None:
    changes, message = LIMITS[limit]
    (tmp_path / "a.flac").write_bytes(silent_flac(1800.0, first=tone(1.0)))
    ending = decode(tmp_path / "a.flac", tmp_path / "out", **changes)
    assert ending.code == "media_limit"
    assert message in ending.message
    assert ending.message.startswith("my clip ")
    assert len(ending.samples) <= changes.get("output_bytes", 0)


def test_too_much_processor_time_ends_it(tmp_path: Path) -> None:
    (tmp_path / "a.flac").write_bytes(silent_flac(40_000.0, first=tone(1.0)))
    ending = decode(tmp_path / "a.flac", tmp_path / "out", duration=1e6, processor_time=1)
    assert ending.status == -signal.SIGXCPU
    assert ending.samples == b""


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_told_from_a_bad_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def decode_onto_a_full_disk(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(decoding, "decode", decode_onto_a_full_disk)
    answers: list[dict[str, Any]] = []
    decoding.answer_all(request(tmp_path / "a.wav", tmp_path), answers.append)
    assert [answer["failed"]["code"] for answer in answers] == ["disk_full"]


def test_another_mistake_is_not_blamed_on_the_recording(tmp_path: Path) -> None:
    ending = decode(tmp_path / "missing", tmp_path / "out")
    assert (ending.status, ending.answers) == (1, [])
    assert "FileNotFoundError" in ending.errors


# --------------------------------------------------------------------------- what it cannot reach

CAPTIVE = """
import ctypes, errno, json, os, signal, socket, sys, threading
from pathlib import Path
from pipelines.processes import die_with_parent
from service.work import decode_process as decoding

request, free = decoding.Request(**json.loads(sys.argv[1])), sys.argv[2] == "free"
folder = Path(request.folder)
own = (folder / "own").open("xb")
die_with_parent()
if not free:
    decoding.leave_network()
    decoding.confine(request)

def start():
    if os.fork() == 0:
        os._exit(0)
    os.wait()

def parent_death_signal():
    number = ctypes.c_int()
    ctypes.CDLL(None).prctl(2, ctypes.byref(number))
    return number.value

deeds = {
    "read": lambda: os.open(folder / "canary", os.O_RDONLY),
    "create": lambda: os.open(folder / "new", os.O_WRONLY | os.O_CREAT),
    "list": lambda: os.listdir(folder),
    "connect": lambda: socket.socket(),
    "connect locally": lambda: socket.socket(socket.AF_UNIX),
    "pipe": lambda: os.pipe(),
    "copy a handle": lambda: os.dup(own.fileno()),
    "start": start,
    "signal": lambda: os.kill(os.getppid(), 0),
    "link": lambda: os.link(folder / "canary", folder / "link"),
    "symlink": lambda: os.symlink("canary", folder / "symlink"),
    "make a folder": lambda: os.mkdir(folder / "folder"),
    "truncate": lambda: os.truncate(folder / "truncated", 0),
    "rename": lambda: os.rename(folder / "renamed", folder / "renamed too"),
    "remove": lambda: os.unlink(folder / "removed"),
    "raise a limit": lambda: decoding.resource.setrlimit(decoding.resource.RLIMIT_NOFILE, (100, 100)),
    "write to its own": lambda: (own.write(b"x"), own.flush(), os.fsync(own.fileno())),
    "compute": lambda: sum(range(100)),
}
done = []
for name, deed in deeds.items():
    try:
        deed()
        done.append(name)
    except OSError as error:
        pass
    except ValueError:  # how setrlimit says no
        pass
print(json.dumps({"done": done, "signal": parent_death_signal()}), flush=True)
os.execv("/bin/true", ["/bin/true"])
"""
"""Tries one thing after the other, in the sandbox or free, and prints what it could do."""


HARMLESS = {"write to its own", "compute"}
WITHOUT_HANDLES = {"link", "symlink", "make a folder", "rename", "remove"}
"""What no limit on open files prevents."""


def landlock_version() -> int:
    """Of this kernel; 0 where it has none."""
    if sys.platform != "linux":
        return 0
    number = ctypes.c_long(decoding.LANDLOCK_CREATE_RULESET)
    version: int = ctypes.CDLL(None).syscall(number, None, ctypes.c_size_t(0), ctypes.c_uint(1))
    return max(0, version)


def run_captive(folder: Path, where: str) -> tuple[set[str], int, int]:
    """What it could do, the signal that it would get if its parent died, and its exit status."""
    for name in ("canary", "truncated", "renamed", "removed"):
        (folder / name).write_text("canary")
    process = subprocess.run(
        [sys.executable, "-P", "-c", CAPTIVE, json.dumps(asdict(request(folder / "canary", folder))), where],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )
    result = json.loads(process.stdout)
    return set(result["done"]), result["signal"], process.returncode


def test_without_the_sandbox_it_could_do_everything(tmp_path: Path) -> None:
    done, number, status = run_captive(tmp_path, "free")
    assert done > HARMLESS | WITHOUT_HANDLES | {"read", "create", "connect", "start", "truncate", "signal"}
    assert (number, status) == (signal.SIGKILL, 0)


def test_in_the_sandbox_it_can_use_what_it_has_and_nothing_else(tmp_path: Path) -> None:
    done, number, status = run_captive(tmp_path, "captive")
    allowed = HARMLESS | (
        {"start"} if os.geteuid() == 0 else set()
    )  # a copy of itself, which is confined too
    version = landlock_version()
    for deeds, since in ((WITHOUT_HANDLES, 1), ({"truncate"}, 3), ({"signal"}, 6)):
        if version < since:
            allowed |= deeds
    assert done == allowed
    assert number == signal.SIGKILL, "it still dies with its parent"
    assert status != 0, "it cannot become another program"
    if version >= 3:
        names = {"canary", "truncated", "renamed", "removed", "own"}
        assert {path.name for path in tmp_path.iterdir()} == names
        assert all((tmp_path / name).read_text() == "canary" for name in names - {"own"})


LEAVING = """
import socket, sys
from service.work import decode_process as decoding

if not decoding.leave_network():
    print("not allowed")
    sys.exit()
try:
    socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10)
except OSError as error:
    print(error.strerror)
"""


def test_not_even_this_machine_is_in_its_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        socket.create_connection(("127.0.0.1", port)).close()
        output = subprocess.check_output([sys.executable, "-c", LEAVING, str(port)], text=True, cwd=ROOT)
    if output.strip() == "not allowed":
        pytest.skip("this system allows no new networks")
    assert output.strip() == os.strerror(errno.ENETUNREACH)


HIJACKED = """
import json, sys
import av
from service.work import decode_process as decoding

request = decoding.Request(**json.loads(sys.argv[1]))
with decoding.open_recording(request) as recording:
    if sys.argv[2] == "captive":
        decoding.confine(request)
    try:
        with av.open(recording, format="concat", options={"safe": "0"}) as container:
            print(sum(frame.samples for frame in container.decode(audio=0)))
    except OSError as error:
        print(error.strerror)
"""


def test_a_decoder_that_reads_other_files_finds_none(tmp_path: Path) -> None:
    """The sandbox alone, without what `audio` does against it."""
    neighbour = write(tmp_path / "neighbour.wav", tone(1.0))
    (tmp_path / "recording").write_text(f"ffconcat version 1.0\nfile 'file:{neighbour}'\n")
    written = json.dumps(asdict(request(tmp_path / "recording", tmp_path)))
    outputs = [
        subprocess.check_output([sys.executable, "-c", HIJACKED, written, where], text=True, cwd=ROOT).strip()
        for where in ("free", "captive")
    ]
    assert outputs[0] == str(SAMPLE_RATE)
    assert outputs[1] in (os.strerror(errno.EMFILE), os.strerror(errno.EACCES))
