"""Resumable uploads: the files, and the protocol around them, asked for without a server process."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
import re
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service import keys
from service.api.app import create_app
from service.api.context import Context
from service.api.upload_routes import METADATA, _described
from service.files.bucket_uploads import ChunkTail
from service.files.objects import AwayError, Objects
from service.files.storage import Storage, new_id
from service.files.uploads import USED, BusyError, FolderTail, FolderUploads, GoneError, Info, Used
from service.problems import ProblemError
from service.records import jobs
from service.running.serving import opened
from service.settings import Settings

TUS = {"Tus-Resumable": "1.0.0"}
PIECE = TUS | {"Content-Type": "application/offset+octet-stream"}
SETTINGS = Settings(upload_hours=2.0, max_upload_mb=1, min_free_mb=0)
LONG = "a" * 5000
CONTENT = bytes(range(256)) * 8


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    storage = Storage(tmp_path / "data")
    storage.prepare()
    return storage


@pytest.fixture(scope="module", params=["data folder", "object store"])
def context(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    folder = tmp_path_factory.mktemp("uploads")
    url = f"file://{folder}/store" if request.param == "object store" else ""
    with opened(SETTINGS.model_copy(update={"data_dir": folder / "data", "storage_url": url})) as context:
        yield context


in_the_data_folder = pytest.mark.parametrize("context", ["data folder"], indirect=True)
in_an_object_store = pytest.mark.parametrize("context", ["object store"], indirect=True)


class Caller:
    """Sends requests to an application of its own around the context."""

    def __init__(self, context: Context, **headers: str) -> None:
        self.context = context
        self._app = create_app(context)
        self._headers = headers

    def __call__(self, method: str, url: str, **request: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost", headers=self._headers
            ) as client:
                return await client.request(method, url, **request)

        return asyncio.run(send())

    def begin(self, length_bytes: int = len(CONTENT), **metadata: str) -> str:
        """The address of a new upload."""
        pairs = ",".join(f"{name} {b64encode(value.encode()).decode()}" for name, value in metadata.items())
        headers = TUS | {"Upload-Length": str(length_bytes), "Upload-Metadata": pairs}
        answer = self("POST", "/v1/uploads", headers=headers)
        assert answer.status_code == 201, answer.text
        return answer.headers["location"]

    def send(self, url: str, offset_bytes: int, content: Any, **headers: str) -> httpx.Response:
        headers = PIECE | {"Upload-Offset": str(offset_bytes)} | headers
        return self("PATCH", url, headers=headers, content=content)

    def offset_bytes(self, url: str) -> int:
        return int(self("HEAD", url, headers=TUS).headers["upload-offset"])

    def make_job(self, url: str, key: str = "", **parts: str) -> httpx.Response:
        files = {name: (None, value) for name, value in ({"upload": url[-32:]} | parts).items()}
        return self("POST", "/v1/jobs", files=files, headers={"Idempotency-Key": key} if key else {})


@pytest.fixture
def call(context: Context) -> Caller:
    return Caller(context)


def code_of(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    code: str = answer.json()["code"]
    return code


def info(length_bytes: int = 10) -> Info:
    return Info("", length_bytes, "", "talk.wav", "", 0.0)


# --------------------------------------------------------------------------- files


def test_an_upload_grows_piece_by_piece(storage: Storage) -> None:
    made = FolderUploads(storage).create(info())
    for number, block in enumerate((b"one", b"two", b"four")):
        with closing(made.tail()) as tail:
            assert tail.offset_bytes() == number * 3
            tail.write(block)
    found = FolderUploads(storage).find(made.id)
    assert found == made
    assert made.offset_bytes() == 10
    assert made.data.read_bytes() == b"onetwofour"


@settings(max_examples=20)
@given(st.lists(st.integers(0, 40)))
def test_whatever_a_death_leaves_is_a_prefix(
    tmp_path_factory: pytest.TempPathFactory, deaths: list[int]
) -> None:
    """A process can die after any byte of a write: what is there then is only ever gone on from."""
    storage = Storage(tmp_path_factory.mktemp("torn"))
    storage.prepare()
    made = FolderUploads(storage).create(info(len(CONTENT)))
    for left in deaths:
        begin = made.offset_bytes()
        with made.data.open("ab") as file:  # of a write of 64 bytes, so many came through
            file.write(CONTENT[begin : begin + 64][:left])
    with closing(made.tail()) as tail:
        tail.write(CONTENT[tail.offset_bytes() :])
    assert made.data.read_bytes() == CONTENT


def test_one_at_a_time(storage: Storage) -> None:
    made = FolderUploads(storage).create(info())
    with closing(made.tail()), pytest.raises(BusyError):
        made.tail()
    with closing(made.tail()) as tail:
        assert tail.offset_bytes() == 0


def test_nothing_is_written_to_what_was_deleted(storage: Storage) -> None:
    made = FolderUploads(storage).create(info())
    tail = made.tail()
    storage.discard(made.id)
    with pytest.raises(GoneError):
        tail.write(b"late")
    tail.close()
    with pytest.raises(GoneError):
        made.tail()
    with pytest.raises(GoneError):
        made.offset_bytes()
    with pytest.raises(GoneError):
        made.hand_over(storage.incoming(new_id()))
    assert FolderUploads(storage).find(made.id) is None


@pytest.mark.parametrize("id", ["", "../jobs", "x" * 32, "01a214c7f950fc657017498460dba8ef"])
def test_there_is_no_upload_by_any_other_name(storage: Storage, id: str) -> None:
    assert FolderUploads(storage).find(id) is None


def test_what_has_expired_is_removed_and_nothing_else(storage: Storage) -> None:
    old, fresh, begun = FolderUploads(storage).create(info()), FolderUploads(storage).create(info()), new_id()
    storage.upload(begun).mkdir()  # its process died before there was anything in it
    for path in (old.data, storage.upload(begun)):
        os.utime(path, (0, 0))
    FolderUploads(storage).clean(hours=1.0)
    assert [path.name for path in (storage.root / "uploads").iterdir()] == [fresh.id]
    assert list((storage.root / "trash").iterdir()) == []


def test_a_job_takes_the_file_without_a_copy(storage: Storage) -> None:
    made = FolderUploads(storage).create(info(3))
    id = new_id()
    folder = storage.incoming(id)
    with closing(made.tail()) as tail:
        tail.write(b"abc")
        sha256 = made.hand_over(folder)
    assert sha256 == hashlib.sha256(b"abc").hexdigest()
    assert folder.recording.stat().st_ino == made.data.stat().st_ino
    storage.discard(made.id)
    assert storage.noted(new_id(), USED, Used) is None
    folder = storage.admit(id)
    assert storage.noted(id, USED, Used) == Used(made.id, "talk.wav", sha256)
    assert folder.recording.read_bytes() == b"abc"


# --------------------------------------------------------------------------- metadata


@given(
    st.dictionaries(
        st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=","), min_size=1),
        st.binary(max_size=40),
        max_size=4,
    )
)
def test_all_metadata_of_the_protocol_is_understood(values: dict[str, bytes]) -> None:
    values.pop("sha256", None)
    text = ",".join(
        f"{name} {b64encode(value).decode()}" if value else name for name, value in values.items()
    )
    assert re.fullmatch(METADATA, text)
    name, sha256 = _described(text)
    assert sha256 == ""
    assert ("filename" in values) or name == ""


def test_metadata_tells_name_and_hash() -> None:
    sha256 = "AB" * 32
    name, told = (b64encode(value.encode()).decode() for value in ("Gespräch/../Ä.wav", sha256))
    text = f"filename {name},sha256 {told}"
    assert _described(text) == ("Ä.wav", sha256.lower())
    with pytest.raises(ProblemError, match="64 hexadecimal digits"):
        _described(f"sha256 {b64encode(b'short').decode()}")


# --------------------------------------------------------------------------- the protocol


def test_options_tell_what_the_server_can(call: Caller) -> None:
    answer = call("OPTIONS", "/v1/uploads")
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == answer.headers["tus-resumable"] == "1.0.0"
    assert answer.headers["tus-extension"] == "creation,expiration,termination"
    assert answer.headers["tus-max-size"] == str(2**20)


def test_an_upload_from_beginning_to_end(call: Caller) -> None:
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    url = call.begin(filename="talk.wav", sha256=sha256)
    begun = call("HEAD", url, headers=TUS)
    assert begun.status_code == 200
    assert begun.headers["upload-offset"] == "0"
    assert begun.headers["upload-length"] == str(len(CONTENT))
    assert begun.headers["upload-metadata"].startswith("filename dGFsay53YXY=,sha256 ")
    assert begun.headers["cache-control"] == "no-store"
    assert parsedate_to_datetime(begun.headers["upload-expires"]).tzinfo is not None

    first = call.send(url, 0, CONTENT[:1000])
    assert (first.status_code, first.headers["upload-offset"]) == (204, "1000")
    assert first.headers["tus-resumable"] == "1.0.0"
    assert first.headers["upload-expires"]
    assert code_of(call.make_job(url)) == "upload_conflict"
    again = call.send(url, 0, CONTENT[:1000])
    assert (again.status_code, code_of(again), again.headers["upload-offset"]) == (
        409,
        "upload_conflict",
        "1000",
    )
    assert call.send(url, 1000, CONTENT[1000:]).headers["upload-offset"] == str(len(CONTENT))

    job = call.make_job(url)
    assert job.status_code == 202, job.text
    assert job.json()["recording"] == "talk.wav"
    assert call("GET", f"/v1/jobs/{job.json()['id']}/audio").content == CONTENT
    gone = call("HEAD", url, headers=TUS)
    assert gone.status_code == 404
    assert gone.headers["tus-resumable"] == "1.0.0"


def test_an_empty_upload_is_complete(call: Caller) -> None:
    url = call.begin(0)
    assert call.make_job(url).status_code == 202


def test_the_same_job_under_the_same_key_after_the_upload_is_gone(call: Caller) -> None:
    url, other = call.begin(filename="a.wav"), call.begin(filename="a.wav")
    for begun in (url, other):
        call.send(begun, 0, CONTENT)
    job = call.make_job(url, "key-1", text="Good evening.").json()["id"]
    assert call.offset_bytes(other) == len(CONTENT)
    assert call.make_job(url, "key-1", text="Good evening.").json()["id"] == job
    assert call.make_job(other, "key-1", text="Good evening.").json()["id"] == job
    assert call("HEAD", other, headers=TUS).status_code == 404
    assert code_of(call.make_job(url, "key-1", text="Good night.")) == "idempotency_key_reused"
    assert code_of(call.make_job(url, "key-2", text="Good evening.")) == "not_found"
    assert code_of(call.make_job(url)) == "not_found"
    directly = {"audio": ("a.wav", CONTENT), "text": (None, "Good evening.")}
    again = call("POST", "/v1/jobs", files=directly, headers={"Idempotency-Key": "key-1"})
    assert again.json()["id"] == job
    assert call("DELETE", f"/v1/jobs/{job}").status_code == 204
    assert code_of(call.make_job(url, "key-1", text="Good evening.")) == "not_found"


def test_a_job_wants_the_bytes_that_were_announced(call: Caller) -> None:
    url = call.begin(sha256="0" * 64)
    call.send(url, 0, CONTENT)
    answer = call.make_job(url)
    assert code_of(answer) == "invalid"
    assert hashlib.sha256(CONTENT).hexdigest() in answer.json()["detail"]
    assert call.offset_bytes(url) == len(CONTENT)


def test_a_job_has_one_recording(call: Caller) -> None:
    url = call.begin(0)
    parts = {"audio": ("a.wav", CONTENT), "upload": (None, url[-32:])}
    assert code_of(call("POST", "/v1/jobs", files=parts)) == "invalid"
    assert call.offset_bytes(url) == 0


@in_the_data_folder
def test_two_at_the_same_time(call: Caller) -> None:
    url = call.begin()
    upload = call.context.uploads.find(url[-32:])
    assert upload
    with closing(upload.tail()):
        answer = call.send(url, 0, CONTENT)
        assert (answer.status_code, code_of(answer)) == (409, "upload_conflict")
        assert answer.headers["retry-after"]
        assert code_of(call.make_job(url)) == "upload_conflict"
    assert call.send(url, 0, CONTENT).status_code == 204


@in_an_object_store
def test_two_at_the_same_time_where_nothing_can_be_locked(call: Caller) -> None:
    """As when a sender has begun another connection, and the first one lingers on."""
    url = call.begin()
    upload = call.context.uploads.find(url[-32:])
    assert upload
    with closing(upload.tail()) as lingering:
        lingering.write(CONTENT[:100])
        assert call.send(url, 0, CONTENT[:600]).headers["upload-offset"] == "600"
    assert call.offset_bytes(url) == 600
    assert call.send(url, 600, CONTENT[600:]).status_code == 204
    job = call.make_job(url).json()["id"]
    assert call("GET", f"/v1/jobs/{job}/audio").content == CONTENT


@in_an_object_store
def test_a_store_that_is_away_for_a_while(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """All is refused, and then all goes on."""

    def fail(*_: object) -> None:
        raise AwayError("gone")

    url = call.begin()
    assert call.send(url, 0, CONTENT[:600]).status_code == 204
    for names in (("write",), ("write", "find"), ("write", "find", "read", "put")):
        with monkeypatch.context() as patch:
            for name in names:
                patch.setattr(Objects, name, fail)
            sent = call.send(url, 600, CONTENT[600:])
            made = call.make_job(url)
        assert (sent.status_code, code_of(sent)) == (503, "unavailable")
        assert sent.headers["retry-after"]
        assert made.status_code in {409, 503}
        assert call.offset_bytes(url) == 600
    assert call.send(url, 600, CONTENT[600:]).status_code == 204
    with monkeypatch.context() as patch:
        patch.setattr(Objects, "put", fail)
        assert code_of(call.make_job(url)) == "unavailable"
    assert call.offset_bytes(url) == len(CONTENT)
    job = call.make_job(url).json()["id"]
    assert call("GET", f"/v1/jobs/{job}/audio").content == CONTENT
    with monkeypatch.context() as patch:
        for name in ("read", "object", "find"):
            patch.setattr(Objects, name, fail)
        assert code_of(call("GET", f"/v1/jobs/{job}/audio")) == "unavailable"
    assert not list(call.context.storage.root.glob("incoming/*"))


def test_what_arrived_before_an_upload_stalled_is_kept(call: Caller) -> None:
    url = call.begin()

    async def stalled() -> Any:
        yield CONTENT[:600]
        await asyncio.sleep(30)

    impatient = call.context.settings.model_copy(update={"upload_timeout": 0.05})
    answer = Caller(replace(call.context, settings=impatient)).send(url, 0, stalled())
    assert (answer.status_code, code_of(answer)) == (408, "timeout")
    assert call.offset_bytes(url) == 600
    assert call.send(url, 600, CONTENT[600:]).status_code == 204


@pytest.mark.parametrize("chunked", [False, True])
def test_more_than_was_announced(call: Caller, chunked: bool) -> None:
    url = call.begin()

    async def chunks() -> Any:
        yield CONTENT
        yield b"!"

    answer = call.send(url, 0, chunks() if chunked else CONTENT + b"!")
    assert (answer.status_code, code_of(answer)) == (413, "too_large")
    assert call.offset_bytes(url) == 0


def test_a_recording_that_is_too_large_is_refused_before_it_is_sent(call: Caller) -> None:
    headers = TUS | {"Upload-Length": str(2**20 + 1)}
    answer = call("POST", "/v1/uploads", headers=headers)
    assert (answer.status_code, code_of(answer)) == (413, "too_large")


def test_no_space(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    url = call.begin()
    monkeypatch.setattr(Storage, "free_bytes", lambda self: -1)
    for answer in (
        call("POST", "/v1/uploads", headers=TUS | {"Upload-Length": "1"}),
        call.send(url, 0, CONTENT),
    ):
        assert (answer.status_code, code_of(answer)) == (507, "disk_full")
    monkeypatch.undo()

    def fail(self: Any, block: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for tail in (FolderTail, ChunkTail):
        monkeypatch.setattr(tail, "write", fail)
    answer = call.send(url, 0, CONTENT)
    assert (answer.status_code, code_of(answer)) == (507, "disk_full")
    monkeypatch.undo()
    assert call.send(url, 0, CONTENT).status_code == 204


def test_an_upload_given_up_is_gone(call: Caller) -> None:
    url = call.begin()
    assert call("DELETE", url, headers=TUS).status_code == 204
    assert call.context.uploads.find(url[-32:]) is None
    assert not list(_place(call, url).glob("*"))
    for method in ("HEAD", "DELETE"):
        assert call(method, url, headers=TUS).status_code == 404
    assert code_of(call.send(url, 0, CONTENT)) == "not_found"


def test_an_upload_expires(call: Caller) -> None:
    url = call.begin()
    for path in _place(call, url).iterdir():
        os.utime(path, (0, 0))
    answer = call.send(url, 0, CONTENT)
    assert (answer.status_code, code_of(answer)) == (410, "upload_gone")
    assert code_of(call.make_job(url)) == "upload_gone"


def _place(call: Caller, url: str) -> Path:
    """The folder of an upload's files."""
    store = urlsplit(call.context.settings.storage_url).path
    return Path(store or call.context.storage.root) / "uploads" / url[-32:]


@pytest.mark.parametrize(
    ("status", "request_of"),
    [
        (412, lambda url: ("HEAD", url, {})),
        (412, lambda url: ("POST", "/v1/uploads", {"Tus-Resumable": "0.2.2", "Upload-Length": "1"})),
        (412, lambda url: ("DELETE", url, {"Tus-Resumable": "1.0"})),
        (415, lambda url: ("PATCH", url, TUS | {"Upload-Offset": "0", "Content-Type": "audio/wav"})),
        (422, lambda url: ("POST", "/v1/uploads", TUS)),
        (422, lambda url: ("PATCH", url, PIECE)),
        (422, lambda url: ("PATCH", url, PIECE | {"Upload-Offset": "-1"})),
        (422, lambda url: ("PATCH", url, PIECE | {"Upload-Offset": "1_0"})),
        (422, lambda url: ("POST", "/v1/uploads", TUS | {"Upload-Length": "1", "Upload-Metadata": "a %"})),
        (
            422,
            lambda url: ("POST", "/v1/uploads", TUS | {"Upload-Length": "1", "Upload-Metadata": "a" * 5000}),
        ),
        (404, lambda url: ("HEAD", "/v1/uploads/nothing", TUS)),
        (405, lambda url: ("PUT", url, TUS)),
    ],
)
def test_what_cannot_be_answered(
    call: Caller, status: int, request_of: Callable[[str], tuple[str, str, dict[str, str]]]
) -> None:
    method, url, headers = request_of(call.begin())
    answer = call(method, url, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["tus-resumable"] == "1.0.0"
    if status == 412:
        assert answer.headers["tus-version"] == "1.0.0"
    if method != "HEAD":
        assert json.loads(answer.content)["status"] == status


def test_a_sender_without_patch_says_what_it_means(call: Caller) -> None:
    url = call.begin()
    headers = PIECE | {"Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert call("POST", url, headers=headers, content=CONTENT).status_code == 204
    assert call("POST", url, headers=PIECE).status_code == 405
    assert call("GET", url, headers=TUS | {"X-HTTP-Method-Override": "DELETE"}).status_code == 405
    assert call.offset_bytes(url) == len(CONTENT)


def test_no_key_reaches_the_upload_of_another(tmp_path: Path) -> None:
    with opened(SETTINGS.model_copy(update={"data_dir": tmp_path / "data"})) as context:
        with context.engine.begin() as connection:
            mine, hers = (keys.create(connection, name) for name in ("mine", "hers"))
        my_call, her_call = (Caller(context, Authorization=f"Bearer {key}") for key in (mine, hers))
        url = my_call.begin()
        for answer in (
            her_call("HEAD", url, headers=TUS),
            her_call.send(url, 0, CONTENT),
            her_call.make_job(url),
            her_call("DELETE", url, headers=TUS),
        ):
            assert answer.status_code == 404
        for method in ("POST", "OPTIONS"):
            assert Caller(context)(method, "/v1/uploads", headers=TUS).status_code == 401
        assert my_call.send(url, 0, CONTENT).status_code == 204
        assert my_call.make_job(url, "key").status_code == 202
        assert my_call.make_job(url, "key").status_code == 202
        assert her_call.make_job(url, "key").status_code == 404


@pytest.mark.parametrize("quota_mb", [0, 1])
def test_uploads_that_begin_while_others_are_counted(
    context: Context, quota_mb: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are looked up in a thread, while further requests add to them."""
    monkeypatch.setattr("service.api.upload_routes.MOST_BEGUN", 3)
    settings = context.settings.model_copy(update={"quota_mb": quota_mb})
    small = Caller(replace(context, settings=settings, begun=defaultdict(set)))
    urls = [small.begin(10) for _ in range(3)]
    assert small("DELETE", urls[0], headers=TUS).status_code == 204
    find = type(context.uploads).find

    def find_while_another_begins(self: Any, id: str) -> Any:
        small.context.begun[""].add(new_id())
        return find(self, id)

    monkeypatch.setattr(type(context.uploads), "find", find_while_another_begins)
    answer = small("POST", "/v1/uploads", headers=TUS | {"Upload-Length": "10"})
    assert answer.status_code == 429
    assert urls[0][-32:] not in small.context.begun[""]


def test_a_quota_counts_what_is_begun(context: Context) -> None:
    small = Caller(replace(context, settings=context.settings.model_copy(update={"quota_mb": 1})))
    first = small.begin(700_000)
    refused = small("POST", "/v1/uploads", headers=TUS | {"Upload-Length": "700000"})
    assert (refused.status_code, code_of(refused)) == (413, "quota_exceeded")
    assert small("DELETE", first, headers=TUS).status_code == 204
    second, id = small.begin(700_000), new_id()
    with context.engine.begin() as connection:
        jobs.insert(connection, id, "", "", size_bytes=700_000)
    refused = small.send(second, 0, CONTENT)
    assert (refused.status_code, code_of(refused)) == (413, "quota_exceeded")
    assert small.offset_bytes(second) == 0
    with context.engine.begin() as connection:
        jobs.delete(connection, id)
    assert small.send(second, 0, CONTENT).status_code == 204
