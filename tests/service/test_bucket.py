"""Jobs' files in an object store: what several processes without a common disk see of each other's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pipelines.pipeline import Stage
from pipelines.types import Options
from service.files import bucket as shared
from service.files.bucket import LOCK, SCRATCH, SharedStorage
from service.files.objects import AwayError, Object, Objects
from service.files.storage import FAILURE, Failure, JobFolder, Request, new_id

SENT = {"recording": b"RIFF", "text": b"Good evening.", "heard": b"{}"}
REQUEST = Request("talk.wav", options=Options(glossary=("新聞",)))


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return Objects(f"file://{tmp_path}/store")


@pytest.fixture
def make(tmp_path: Path, objects: Objects) -> Iterator[Callable[[], SharedStorage]]:
    """Storage of another process, each time."""
    with ExitStack() as stack:

        def made() -> SharedStorage:
            storage = SharedStorage.made(tmp_path / "data", objects)
            stack.callback(storage.close)
            storage.prepare()
            return storage

        yield made


@pytest.fixture
def api(make: Callable[[], SharedStorage]) -> SharedStorage:
    return make()


@pytest.fixture
def worker(make: Callable[[], SharedStorage]) -> SharedStorage:
    return make()


def send(storage: SharedStorage, **sent: bytes) -> str:
    """A job."""
    id = new_id()
    folder = storage.incoming(id)
    for name, content in (sent or SENT).items():
        (folder.path / name).write_bytes(content)
    folder.write_request(REQUEST)
    storage.admit(id)
    return id


def attempt(folder: JobFolder, **files: bytes) -> Path:
    """What a stage has left there."""
    made = folder.new_attempt()
    for name, content in files.items():
        (made / name).write_bytes(content)
    return made


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def names(objects: Objects) -> set[str]:
    return set(objects.find("jobs")) | set(objects.find("uploads"))


# --------------------------------------------------------------------------- what was sent


def test_what_is_admitted_is_seen_by_all(api: SharedStorage, worker: SharedStorage) -> None:
    id = send(api)
    for storage in (api, worker):
        assert storage.request(id) == REQUEST
        assert storage.recording(id).read_bytes() == SENT["recording"]
        assert storage.ids() == {id}
        assert storage.changed(id) > 0
    worker.gather(id, {})
    assert files(worker.job(id).path) == SENT | {"request.json": REQUEST.to_json().encode()}
    assert files(api.root) == {LOCK: b""}


def test_until_all_of_it_is_there_nobody_sees_a_job(
    api: SharedStorage, worker: SharedStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What says that it is complete comes last."""
    seen = []
    put = Objects.put

    def look(objects: Objects, name: str, path: Path) -> None:
        for ask in (worker.request, lambda id: worker.gather(id, {})):
            with pytest.raises(FileNotFoundError):
                ask(name.split("/")[1])
        put(objects, name, path)
        seen.append(path.name)

    monkeypatch.setattr(Objects, "put", look)
    send(api)
    assert seen[-1] == "request.json"
    assert set(seen) == {*SENT, "request.json"}


def test_what_takes_long_is_sent_first(api: SharedStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or what was sent before it would look like given up."""
    sent: list[str] = []
    monkeypatch.setattr(Objects, "put", lambda self, name, path: sent.append(name.rpartition("/")[2]))
    send(api, recording=b"RIFF" * 1000, text=b"Good evening." * 10, heard=b"{}")
    assert sent == ["recording", "text", "heard", "request.json"]


def test_a_store_that_fails_while_a_job_is_admitted_leaves_it_to_be_discarded(
    api: SharedStorage, worker: SharedStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Objects.put

    def fail(objects: Objects, name: str, path: Path) -> None:
        if path.name == "recording":
            raise AwayError("gone")
        put(objects, name, path)

    with monkeypatch.context() as patch:
        patch.setattr(Objects, "put", fail)
        with pytest.raises(AwayError):
            send(api)
    (id,) = api.ids()
    assert worker.ids() == {id}
    assert names(api.objects)
    worker.discard(id)
    assert names(api.objects) == set()
    api.discard(id)
    assert api.ids() == worker.ids() == set()


def test_notes_are_seen_by_all(api: SharedStorage, worker: SharedStorage) -> None:
    id = send(api)
    with pytest.raises(FileNotFoundError):
        api.note(id, "decode.message")
    assert api.noted(id, FAILURE, Failure) is None
    worker.write_note(id, "decode.message", "“Gespräch” is no recording.")
    assert api.note(id, "decode.message") == "“Gespräch” is no recording."
    worker.write_note(id, FAILURE, json.dumps({"stage": "decode", "code": "not_media", "message": "No."}))
    failure = api.noted(id, FAILURE, Failure)
    assert failure
    assert failure.code == "not_media"


# --------------------------------------------------------------------------- the work


def test_what_a_stage_has_left_is_gathered_elsewhere(api: SharedStorage, worker: SharedStorage) -> None:
    id = send(worker)
    worker.gather(id, {})
    made = attempt(worker.job(id), **{"left.json": b"1", "samples": b"22"})
    worker.publish(id, Stage.DETECT, made)
    accepted = {Stage.DECODE.value: "", Stage.DETECT.value: made.name}
    assert api.left(id, Stage.DETECT, made.name, "left.json").read_bytes() == b"1"
    with pytest.raises(FileNotFoundError):
        api.left(id, Stage.DETECT, "", "left.json")
    api.gather(id, accepted)
    assert files(api.job(id).stage(Stage.DETECT)) == {"left.json": b"1", "samples": b"22"}
    assert not api.job(id).stage(Stage.DECODE).exists()
    worker.withdraw(id, Stage.DETECT, made.name)
    with pytest.raises(FileNotFoundError):
        api.left(id, Stage.DETECT, made.name, "left.json")
    api.gather(id, accepted)  # it has all of it already


def test_only_the_attempt_that_counts_is_gathered(api: SharedStorage, worker: SharedStorage) -> None:
    id = send(api)
    for storage in (api, worker):
        storage.gather(id, {})
    one, other = attempt(api.job(id), left=b"one"), attempt(worker.job(id), left=b"other")
    api.publish(id, Stage.STORE, one)
    worker.publish(id, Stage.STORE, other)
    worker.withdraw(id, Stage.STORE, other.name)
    worker.gather(id, {Stage.STORE: one.name})
    assert files(worker.job(id).stage(Stage.STORE)) == {"left": b"one"}


def test_a_decoded_recording_is_not_fetched(
    api: SharedStorage, worker: SharedStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = send(api)
    api.gather(id, {})
    made = attempt(api.job(id), media=b"m")
    api.publish(id, Stage.DECODE, made)
    fetched, get = [], Objects.get

    def note(objects: Objects, name: str, path: Path) -> None:
        fetched.append(name.split("/")[2])
        get(objects, name, path)

    monkeypatch.setattr(Objects, "get", note)
    worker.gather(id, {Stage.DECODE.value: made.name})
    assert set(fetched) == {"request.json", "text", "heard", "stages"}
    assert "recording" not in files(worker.job(id).path)
    fetched.clear()
    worker.gather(id, {Stage.DECODE.value: made.name})
    assert fetched == []


@pytest.mark.parametrize("error", [AwayError("gone"), OSError(28, "full")], ids=["away", "full"])
def test_what_an_attempt_has_left_is_gathered_whole_or_not_at_all(
    api: SharedStorage, worker: SharedStorage, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And goes on from there."""
    id = send(api)
    api.gather(id, {})
    left = {f"file{number}": b"x" for number in range(3)}
    made = attempt(api.job(id), **left)
    api.publish(id, Stage.STORE, made)
    get, count = Objects.get, len(SENT) + 1 + len(left)
    for fails in range(count):
        calls = iter(range(count))

        def fail(objects: Objects, name: str, path: Path) -> None:
            if next(calls) == fails:  # noqa: B023
                raise error
            get(objects, name, path)

        with monkeypatch.context() as patch:
            patch.setattr(Objects, "get", fail)
            with pytest.raises(type(error)):
                worker.gather(id, {Stage.STORE: made.name})
        assert not worker.job(id).stage(Stage.STORE).exists()
        assert not list(worker.job(id).path.glob("attempts/*"))
        if fails < count - 1:
            worker.leave(id)
    worker.gather(id, {Stage.STORE: made.name})
    assert files(worker.job(id).stage(Stage.STORE)) == left
    assert worker.job(id).recording.read_bytes() == SENT["recording"]


def test_a_job_that_was_deleted_is_not_gathered(api: SharedStorage, worker: SharedStorage) -> None:
    id = send(api)
    api.discard(id)
    with pytest.raises(FileNotFoundError):
        worker.gather(id, {})
    with pytest.raises(FileNotFoundError):
        worker.gather(id, {Stage.STORE: "0123"})
    assert files(worker.root) == {LOCK: b""}


def test_the_end_leaves_what_lasts(api: SharedStorage, worker: SharedStorage) -> None:
    id = send(worker)
    worker.gather(id, {})
    accepted: dict[str, str] = {}
    for stage in (Stage.DECODE, Stage.TRANSCRIBE, Stage.DIARIZE, Stage.ALIGN, Stage.STORE):
        for _ in range(2):  # the first of them lost
            made = attempt(worker.job(id), left=stage.encode())
            worker.publish(id, stage, made)
        accepted[stage] = made.name
    accepted |= {Stage.DIARIZE.value: "", Stage.ROLES.value: ""}
    worker.finish(id, accepted)
    assert set(api.objects.find(f"jobs/{id}/stages")) == {
        f"{stage}/{accepted[stage]}/left" for stage in (Stage.TRANSCRIBE, Stage.STORE)
    }
    assert set(api.objects.find(f"jobs/{id}")) >= {*SENT, "request.json"}
    worker.leave(id)
    assert files(worker.root) == {LOCK: b""}


def test_nothing_of_a_discarded_job_is_left(api: SharedStorage, worker: SharedStorage) -> None:
    kept, id = send(api), send(api)
    api.objects.write(f"uploads/{id}/info.json", b"{}")
    worker.gather(id, {})
    worker.publish(id, Stage.STORE, attempt(worker.job(id), left=b"x"))
    worker.discard(id)
    assert {name.split("/")[0] for name in names(api.objects)} == {kept}
    assert api.ids() == worker.ids() == {kept}
    assert files(worker.root) == {LOCK: b""}
    worker.discard(id)
    with pytest.raises(ValueError, match="not an id"):
        worker.discard("../jobs")


def test_ids_are_of_jobs_and_of_what_is_being_sent_here(api: SharedStorage, worker: SharedStorage) -> None:
    id, sending = send(api), new_id()
    api.incoming(sending)
    api.objects.write("jobs/lost+found/x", b"")
    assert api.ids() == {id, sending}
    assert worker.ids() == {id}


def test_a_change_anywhere_is_a_change(api: SharedStorage, worker: SharedStorage) -> None:
    id = send(api)
    root = Path(urlsplit(api.objects.url).path) / "jobs" / id
    for path in root.rglob("*"):
        os.utime(path, (1000, 1000))
    assert api.changed(id) == worker.changed(id) == 1000
    worker.gather(id, {})
    assert worker.changed(id) > 1000
    assert api.changed(id) == 1000
    worker.publish(id, Stage.STORE, attempt(worker.job(id), left=b"x"))
    assert api.changed(id) > 1000
    assert api.changed(new_id()) == 0


def test_a_request_is_read_once(
    api: SharedStorage, worker: SharedStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = send(api)
    assert worker.request(id) == REQUEST
    monkeypatch.setattr(Objects, "read", None)
    assert worker.request(id) == api.request(id) == REQUEST
    for other in (api, worker):
        assert isinstance(other.recording(id), Object)


# --------------------------------------------------------------------------- folders of processes

PROCESS = """
import sys, time
from pathlib import Path
from service.files.objects import Objects
from service.files.bucket import SharedStorage
from service.files.storage import new_id
storage = SharedStorage.made(Path(sys.argv[1]), Objects(sys.argv[2]))
storage.prepare()
storage.incoming(new_id()).recording.write_bytes(b"RIFF")
print(storage.root, flush=True)
time.sleep(600)
"""


def test_what_a_dead_process_left_is_removed_and_a_living_ones_stays(
    tmp_path: Path, objects: Objects, make: Callable[[], SharedStorage]
) -> None:
    command = [sys.executable, "-c", PROCESS, str(tmp_path / "data"), objects.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            folder = Path(process.stdout.readline().strip())
            mine = make()
            assert {name.partition("/")[0] for name in files(folder)} == {LOCK, "incoming"}
        finally:
            process.kill()
    assert folder.is_dir()
    make()
    assert not folder.exists()
    assert mine.root.is_dir()


def test_a_process_that_dies_while_it_removes_leaves_what_the_next_one_finds(
    make: Callable[[], SharedStorage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lock is what a folder is known by."""
    storage = make()
    storage.incoming(new_id()).recording.write_bytes(b"RIFF")
    rmtree = shared.shutil.rmtree  # type: ignore[attr-defined]

    def die(path: Path, **_: object) -> None:
        rmtree(path)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("service.files.bucket.shutil.rmtree", die)
        with pytest.raises(KeyboardInterrupt):
            storage.close()
    storage.lock.close()
    assert (storage.root / LOCK).exists()
    make()
    assert not storage.root.exists()


def test_the_end_of_a_process_leaves_nothing(tmp_path: Path, make: Callable[[], SharedStorage]) -> None:
    storage = make()
    send(storage)
    storage.incoming(new_id()).recording.write_bytes(b"RIFF")
    storage.close()
    assert list((tmp_path / "data" / SCRATCH).iterdir()) == []
    storage.close()


def test_what_is_no_folder_of_a_process_stays(tmp_path: Path, make: Callable[[], SharedStorage]) -> None:
    scratch = tmp_path / "data" / SCRATCH
    (scratch / "lost+found").mkdir(parents=True)
    (scratch / "note").write_text("mine")
    make()
    assert {"lost+found", "note"} < {path.name for path in scratch.iterdir()}


def test_processes_see_each_other_beside_their_folders(make: Callable[[], SharedStorage]) -> None:
    one, other = make(), make()
    assert one.root != other.root
    assert one.executors == other.executors
    assert one.root.stat().st_mode & 0o077 == 0
    assert one.free_bytes() > 0
