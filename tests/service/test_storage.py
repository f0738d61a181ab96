"""The data folder: what is accepted is whole and on the disk; no id leads out of it; what goes is gone."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.pipeline import Stage
from pipelines.types import Options, SpeakerCount
from service.files.storage import (
    FAILURE,
    Failure,
    JobFolder,
    Request,
    Storage,
    is_id,
    new_id,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    made = Storage(tmp_path / "data")
    made.prepare()
    return made


def job(storage: Storage) -> JobFolder:
    """A job that was sent, with a recording."""
    id = new_id()
    storage.incoming(id).recording.write_bytes(b"RIFF")
    return storage.admit(id)


def attempt(folder: JobFolder, text: str) -> Path:
    path = folder.new_attempt()
    (path / "left.json").write_text(text)
    return path


class Events(list[tuple[str, str]]):
    """What is flushed and renamed, in order: ("flush", name) and ("rename", name of the target)."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        fsync, rename = os.fsync, Path.rename

        def note_fsync(descriptor: int) -> None:
            self.append(("flush", Path(f"/proc/self/fd/{descriptor}").readlink().name))
            fsync(descriptor)

        def note_rename(path: Path, target: Path) -> Path:
            renamed = rename(path, target)
            self.append(("rename", target.name))
            return renamed

        patch.setattr(os, "fsync", note_fsync)
        patch.setattr(Path, "rename", note_rename)


# --------------------------------------------------------------------------- ids

NO_IDS = [
    "",
    ".",
    "..",
    "../x",
    "/etc",
    "0" * 31,
    "0" * 33,
    "A" * 32,
    "0" * 31 + "\n",
    "0" * 31 + "/",
    "٣" * 32,
]
NO_IDS += ["../" * 10 + "00", "0" * 30 + "..", "\0" * 32, "0" * 16 + "/" + "0" * 15]


@pytest.mark.parametrize("text", NO_IDS)
@pytest.mark.parametrize("name", ["job", "incoming", "upload", "admit", "discard"])
def test_what_is_no_id_leads_nowhere(name: str, text: str, storage: Storage) -> None:
    before = sorted(storage.root.rglob("*"))
    with pytest.raises(ValueError, match="is not an id"):
        getattr(storage, name)(text)
    assert sorted(storage.root.rglob("*")) == before


@given(st.text() | st.text("0123456789abcdef./\\", min_size=31, max_size=33))
def test_an_id_is_a_name_of_one_folder(text: str) -> None:
    assert is_id(text) == (len(text) == 32 and all(char in "0123456789abcdef" for char in text))
    if is_id(text):
        assert Storage(Path("data")).job(text).path.parts == ("data", "jobs", text)


def test_ids_are_ids_in_the_order_of_their_making(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_800_000_000_000_000_000

    def clock() -> int:
        nonlocal now
        now += 1_000_000
        return now

    monkeypatch.setattr(time, "time_ns", clock)
    ids = [new_id() for _ in range(300)]
    assert all(map(is_id, ids))
    assert ids == sorted(set(ids))


# --------------------------------------------------------------------------- accepting


def test_what_is_accepted_is_there_at_once_and_on_the_disk(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = job(storage)
    written = attempt(folder, "first")
    (written / "more").write_text("more")
    events = Events(monkeypatch)
    folder.accept(written, folder.stage("detect"))
    assert sorted(events[:2]) == [("flush", "left.json"), ("flush", "more")]
    assert events[2:] == [("flush", written.name), ("rename", "detect"), ("flush", "stages")]
    assert (folder.stage("detect") / "left.json").read_text() == "first"
    assert not written.exists()


def test_a_second_attempt_loses(storage: Storage) -> None:
    folder = job(storage)
    first, second = attempt(folder, "first"), attempt(folder, "second")
    folder.accept(first, folder.stage("detect"))
    folder.accept(second, folder.stage("detect"))
    assert (folder.stage("detect") / "left.json").read_text() == "first"
    assert list((folder.path / "attempts").iterdir()) == []


def test_one_of_many_attempts_wins(storage: Storage) -> None:
    folder = job(storage)
    attempts = [attempt(folder, str(number)) for number in range(16)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda path: folder.accept(path, folder.stage("align")), attempts))
    assert (folder.stage("align") / "left.json").read_text() in map(str, range(16))
    assert list((folder.path / "attempts").iterdir()) == []
    assert [path.name for path in (folder.path / "stages").iterdir()] == ["align"]


def test_nothing_is_accepted_for_a_job_that_is_gone(storage: Storage) -> None:
    folder = job(storage)
    written = attempt(folder, "late")
    storage.discard(folder.path.name)
    with pytest.raises(FileNotFoundError):
        folder.accept(written, folder.stage("detect"))
    with pytest.raises(FileNotFoundError):
        folder.new_attempt()
    assert not folder.path.exists()


def test_a_disk_that_fails_is_no_lost_race(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = job(storage)
    written = attempt(folder, "first")

    def fail(path: Path, target: Path) -> Path:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="Input/output"):
        folder.accept(written, folder.stage("detect"))
    assert (written / "left.json").exists()


def test_an_upload_becomes_a_job_when_it_is_on_the_disk(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = new_id()
    sent = storage.incoming(id)
    sent.recording.write_bytes(b"RIFF")
    sent.write_request(Request("talk.wav"))
    events = Events(monkeypatch)
    folder = storage.admit(id)
    assert sorted(events[:2]) == [("flush", "recording"), ("flush", "request.json")]
    assert events[2:] == [("flush", id), ("rename", id), ("flush", "jobs")]
    assert folder.recording.read_bytes() == b"RIFF"
    assert not sent.path.exists()


# --------------------------------------------------------------------------- going


def test_a_job_goes_while_it_is_read_and_written(storage: Storage) -> None:
    folder = job(storage)
    written = attempt(folder, "half")
    with folder.recording.open("rb") as reader, (written / "left.json").open("a") as writer:
        storage.discard(folder.path.name)
        writer.write(" and more")
        assert reader.read() == b"RIFF"  # until it is closed, as the system has it
    assert not folder.path.exists()
    assert list((storage.root / "trash").iterdir()) == []
    assert [path for path in storage.root.rglob("*") if path.is_file()] == []


def test_what_cannot_be_deleted_now_is_deleted_later(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = job(storage)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda path, ignore_errors: None)
        storage.discard(folder.path.name)
    assert not folder.path.exists()
    assert len(list((storage.root / "trash").iterdir())) == 1
    storage.empty_trash()
    assert list((storage.root / "trash").iterdir()) == []


def test_an_upload_goes_too_and_nobody_is_not_missed(storage: Storage) -> None:
    id = new_id()
    storage.incoming(id).recording.write_bytes(b"RIFF")
    storage.discard(id)
    storage.discard(id)
    storage.discard(new_id())
    assert [path for path in storage.root.rglob("*") if path.is_file()] == []


def test_a_folder_is_as_old_as_the_last_change_in_it(storage: Storage) -> None:
    old, young, upload = job(storage), job(storage), storage.incoming(new_id())
    foreign = storage.root / "jobs" / "lost+found"
    foreign.mkdir()
    growing = storage.incoming(new_id())
    growing.recording.write_bytes(b"RIFF")
    for path in (*old.path.iterdir(), old.path, upload.path, growing.path, foreign):
        os.utime(path, (1000, 1000))
    ids = {folder.path.name for folder in (old, young, upload, growing)}
    assert storage.ids() == ids
    assert {id for id in ids if storage.changed(id) < 2000} == {old.path.name, upload.path.name}
    assert storage.changed(new_id()) == 0


def test_tidying_leaves_what_can_be_brought_along_again(storage: Storage) -> None:
    folder = job(storage)
    for stage in Stage:
        folder.accept(attempt(folder, stage), folder.stage(stage))
    folder.write_request(Request("talk.wav"))
    attempt(folder, "unfinished")
    folder.tidy()
    folder.tidy()
    assert {path.name for path in (folder.path / "stages").iterdir()} == {
        Stage.TRANSCRIBE,
        Stage.DIARIZE,
        Stage.STORE,
    }
    assert {path.name for path in folder.path.iterdir()} == {"recording", "request.json", "stages"}


def test_the_data_folder_is_its_owners_alone(storage: Storage) -> None:
    storage.prepare()
    for path in storage.root.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert stat.S_IMODE(storage.incoming(new_id()).path.stat().st_mode) == 0o700
    assert storage.free_bytes() > 0


# --------------------------------------------------------------------------- small files


@given(
    st.builds(
        Request,
        st.text(),
        st.text(),
        st.builds(
            Options,
            st.text(),
            st.builds(SpeakerCount, st.integers(1, 1000), st.integers(0, 1000)),
            st.lists(st.text(), max_size=3).map(tuple),
            st.text(),
            st.text(),
        ),
        st.text(),
        st.dictionaries(st.text(), st.text(), max_size=2),
    )
)
def test_a_request_comes_back(request: Request) -> None:
    written = request.to_json()
    assert written.isascii()
    assert Request.from_json(written) == request


def test_a_job_keeps_what_was_asked_and_why_it_failed(storage: Storage) -> None:
    folder = job(storage)
    request = Request("Gespräch\u2028.wav", options=Options(glossary=("新聞",)))
    folder.write_request(request)
    assert folder.request() == request
    id = folder.path.name
    assert storage.request(id) == request
    assert storage.noted(id, FAILURE, Failure) is None
    failure = Failure("decode", "not_media", "“talk.wav” is no recording.")
    storage.write_note(id, FAILURE, json.dumps(asdict(failure)))
    assert storage.noted(id, FAILURE, Failure) == failure
