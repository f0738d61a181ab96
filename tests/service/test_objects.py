"""Objects in a folder and in a bucket: one promise, kept by the one and by a real server of the protocol."""

from __future__ import annotations

import errno
import os
import resource
import secrets
import select
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

import pytest

import service.files.objects
from service.files.objects import BLOCK_BYTES, PART_BYTES, AwayError, Objects

if TYPE_CHECKING:
    from tests.support.objects import Server

PATIENCE = 30.0
"""Seconds until a store that is away must be known to be: two or three, on a machine that is not busy."""
CONTENT = bytes(range(256)) * 1200


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.acceptance)])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    """An empty place, prepared."""
    made: Objects = request.getfixturevalue(request.param)
    made.prepare()
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Objects:
    return Objects(f"file://{tmp_path}/a place/of objects")


@pytest.fixture
def server(object_server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """One that lets us in."""
    for name, value in object_server.environment.items():
        monkeypatch.setenv(name, value)
    return object_server


@pytest.fixture
def bucket(server: Server) -> Objects:
    """A folder in one."""
    return Objects(f"s3://{server.create_bucket()}/folder/of-objects", server.endpoint)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder for files."""
    made = tmp_path / "work"
    made.mkdir()
    return made


def calls(objects: Objects, work: Path) -> dict[str, Callable[[], object]]:
    """Everything that can be asked of a store."""
    (work / "sent").write_bytes(CONTENT)
    return {
        "prepare": objects.prepare,
        "check": objects.check,
        "put": lambda: objects.put("jobs/1/put", work / "sent"),
        "write": lambda: objects.write("jobs/1/written", CONTENT),
        "get": lambda: objects.get("jobs/1/there", work / "got"),
        "read": lambda: objects.read("jobs/1/there"),
        "object": lambda: objects.object("jobs/1/there"),
        "find": lambda: objects.find("jobs/1"),
        "find nothing": lambda: objects.find("jobs/2"),
        "folders": lambda: objects.folders("jobs"),
        "delete": lambda: objects.delete("jobs/1"),
        "delete one": lambda: objects.delete_one("jobs/1/there"),
    }


def outcomes(calls: dict[str, Callable[[], object]]) -> dict[str, type[BaseException] | None]:
    """What each call raises."""

    def raised(call: Callable[[], object]) -> type[BaseException] | None:
        try:
            call()
        except Exception as error:
            return type(error)
        return None

    return {name: raised(call) for name, call in calls.items()}


# --------------------------------------------------------------------------- what both promise


@pytest.mark.parametrize("content", [b"", b"x", CONTENT], ids=["nothing", "a byte", "more"])
def test_an_object_is_what_was_written(objects: Objects, work: Path, content: bytes) -> None:
    (work / "sent").write_bytes(content)
    objects.put("jobs/1/put", work / "sent")
    objects.write("jobs/1/written", content)
    for name in ("jobs/1/put", "jobs/1/written"):
        found = objects.object(name)
        assert (found.name, found.size_bytes) == (name, len(content))
        assert abs(found.changed - time.time()) < 60
        assert objects.read(name) == found.read_bytes() == b"".join(found.blocks(0, len(content))) == content
        objects.get(name, work / "got")
        assert (work / "got").read_bytes() == content
    assert {path.name for path in work.iterdir()} == {"sent", "got"}


def test_a_range_is_that_range(objects: Objects) -> None:
    objects.write("object", CONTENT)
    for start, end in ((0, 1), (0, len(CONTENT)), (100, 4096), (len(CONTENT) - 1, len(CONTENT))):
        assert objects.read("object", (start, end)) == CONTENT[start:end]


def test_blocks_are_a_few_bytes_at_a_time(objects: Objects) -> None:
    content = secrets.token_bytes(BLOCK_BYTES * 2 + 10)
    objects.write("object", content)
    blocks = list(objects.object("object").blocks(5, len(content) - 1))
    assert b"".join(blocks) == content[5:-1]
    assert [len(block) for block in blocks] == [BLOCK_BYTES, BLOCK_BYTES, 4]


def test_small_ones_can_be_written_again(objects: Objects) -> None:
    for content in (b"first", b"then", b""):
        objects.write("note", content)
        assert objects.read("note") == content


def test_what_is_found_is_what_is_under_a_name(objects: Objects) -> None:
    for name in ("jobs/1/a", "jobs/1/b/c", "jobs/11/a", "jobs/1.a", "jobs/2/a", "uploads/1/a"):
        objects.write(name, name.encode())
    found = objects.find("jobs/1")
    assert {rest: there.read_bytes() for rest, there in found.items()} == {
        "a": b"jobs/1/a",
        "b/c": b"jobs/1/b/c",
    }
    assert {there.name: there.size_bytes for there in found.values()} == {"jobs/1/a": 8, "jobs/1/b/c": 10}
    assert objects.find("jobs/1/b").keys() == {"c"}
    assert objects.find("jobs/3") == objects.find("nothing") == objects.find("jobs/1/b/d") == {}
    assert objects.folders("jobs") >= {"1", "11", "2"}
    assert objects.folders("nothing") == set()


def test_what_is_deleted_is_what_is_under_a_name(objects: Objects) -> None:
    for name in ("jobs/1/a", "jobs/1/b/c", "jobs/11/a", "jobs/1.a"):
        objects.write(name, b"x")
    objects.delete("jobs/1")
    assert objects.find("jobs").keys() == {"11/a", "1.a"}
    assert "1" not in objects.folders("jobs")
    objects.delete("jobs/1")
    objects.delete_one("jobs/11/nothing")
    objects.delete_one("jobs/11/a")
    assert objects.find("jobs").keys() == {"1.a"}


def test_what_is_not_there_is_missed(objects: Objects, work: Path) -> None:
    objects.write("jobs/1/a", b"x")
    for look in (
        lambda: objects.read("jobs/1/b"),
        lambda: objects.read("jobs/1/b", (0, 10)),
        lambda: objects.object("jobs/1/b"),
        lambda: objects.get("jobs/1/b", work / "got"),
    ):
        with pytest.raises(FileNotFoundError):
            look()
    assert list(work.iterdir()) == []


def test_preparing_keeps_what_is_there(objects: Objects) -> None:
    objects.write("object", b"x")
    objects.prepare()
    Objects(objects.url, objects.endpoint).prepare()
    assert objects.read("object") == b"x"


def test_many_threads_at_once(objects: Objects) -> None:
    def write_and_look(number: int) -> bool:
        objects.write(f"jobs/{number}/a", b"x" * number)
        there = objects.find(f"jobs/{number}")["a"].read_bytes() == b"x" * number
        objects.delete(f"jobs/{number}")
        return there and not objects.find(f"jobs/{number}")

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(write_and_look, range(24)))


def test_a_place_that_is_gone_is_not_one_without_objects(objects: Objects, work: Path) -> None:
    """Or all jobs would count as deleted."""
    if objects.endpoint:
        client, name = _client(objects), urlsplit(objects.url).netloc
        client.delete_bucket(Bucket=name)
    else:
        root = Path(urlsplit(objects.url).path)
        root.rename(root.with_name("elsewhere"))
    wanted = calls(objects, work)
    del wanted["prepare"]
    assert set(outcomes(wanted).values()) == {AwayError}
    if objects.endpoint:
        client.create_bucket(Bucket=name)
    else:
        assert not root.exists()
    objects.prepare()
    assert objects.find("jobs") == {}


def _client(objects: Objects) -> Any:
    import boto3  # type: ignore[import-untyped]  # noqa: PLC0415

    return boto3.client("s3", endpoint_url=objects.endpoint, region_name="us-east-1")


def test_a_full_disk_is_no_fault_of_the_store(objects: Objects, work: Path) -> None:
    objects.write("object", CONTENT)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            objects.get("object", work / "got")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert list(work.iterdir()) == []


# --------------------------------------------------------------------------- a folder


@pytest.fixture
def place(folder: Objects) -> Path:
    """The folder of the objects, prepared."""
    folder.prepare()
    return Path(urlsplit(folder.url).path)


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
def test_half_an_object_in_a_folder_is_none(
    folder: Objects, place: Path, work: Path, error: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk waits for space; anything else, for the folder."""
    (work / "sent").write_bytes(CONTENT)
    seen: list[object] = []

    def break_off(source: Path, part: Path) -> None:
        with part.open("xb") as file:
            file.write(CONTENT[:1000])
        seen.append(folder.find("uploads/1"))
        raise OSError(error, os.strerror(error))

    def write(part: Path, content: bytes) -> None:
        break_off(part, part)

    monkeypatch.setattr(shutil, "copyfile", break_off)
    monkeypatch.setattr(Path, "write_bytes", write)
    ways: list[Callable[[], None]] = [
        lambda: folder.put("uploads/1/object", work / "sent"),
        lambda: folder.write("uploads/1/object", CONTENT),
    ]
    for send in ways:
        with pytest.raises(AwayError if error == errno.EIO else OSError, match=os.strerror(error)):
            send()
    assert seen == [{}, {}]
    assert not [path for path in place.rglob("*") if path.is_file()]


def test_what_a_death_leaves_in_a_folder_goes_with_the_rest(folder: Objects, place: Path) -> None:
    folder.write("jobs/1/a", b"x")
    (place / "jobs/1/.b.0123abcd").write_bytes(b"half")
    assert folder.find("jobs/1").keys() == {"a"}
    folder.delete("jobs/1")
    assert list((place / "jobs").iterdir()) == []


def test_a_folder_that_cannot_be_read_is_not_empty(folder: Objects, place: Path) -> None:
    (place / "jobs").symlink_to("jobs")
    for look in (lambda: folder.find("jobs/1"), lambda: folder.folders("jobs")):
        with pytest.raises(AwayError, match="symbolic links"):
            look()


# --------------------------------------------------------------------------- a server


@pytest.mark.acceptance
def test_a_bucket_that_is_not_there_is_not_made(server: Server) -> None:
    """Where it lies, who sees it, and what becomes of parts without an end is for its owner to say."""
    name = f"test-{secrets.token_hex(8)}"
    with pytest.raises(AwayError, match="404 Not Found"):
        Objects(f"s3://{name}/folder", server.endpoint).prepare()
    assert name not in {found["Name"] for found in server.client().list_buckets()["Buckets"]}


@pytest.mark.acceptance
def test_the_wrong_secret_is_no_way_in(bucket: Objects, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.write("jobs/1/there", CONTENT)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    refused = Objects(bucket.url, bucket.endpoint)
    assert set(outcomes(calls(refused, work)).values()) == {AwayError}
    with pytest.raises(AwayError, match=r"^Server returned non-2xx status code: 403 Forbidden$"):
        refused.read("jobs/1/there")  # nothing of the address, the key, or the signature
    assert bucket.read("jobs/1/there") == CONTENT


@pytest.mark.acceptance
def test_a_server_that_is_gone_is_known_to_be(
    server: Server, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
    begin = time.monotonic()
    with pytest.raises(AwayError):
        Objects("s3://bucket", endpoint).prepare()
    assert time.monotonic() - begin < PATIENCE
    monkeypatch.setattr(service.files.objects, "TRIES", 1)
    assert set(outcomes(calls(Objects("s3://bucket", endpoint), work)).values()) == {AwayError}


@pytest.mark.acceptance
def test_a_server_that_says_nothing_is_away(
    server: Server, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor takes what it is sent, which is more than systems hold back."""
    monkeypatch.setattr(service.files.objects, "REQUEST_SECONDS", 0.3)
    monkeypatch.setattr(service.files.objects, "CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        assert set(outcomes(calls(Objects("s3://bucket", endpoint), work)).values()) == {AwayError}


@pytest.mark.acceptance
def test_more_than_one_request_takes_arrives_whole(bucket: Objects, work: Path) -> None:
    content = secrets.token_bytes(2 * PART_BYTES + 12345)
    (work / "sent").write_bytes(content)
    bucket.put("put", work / "sent")
    bucket.write("written", content)
    for name in ("put", "written"):
        bucket.get(name, work / "got")
        assert (work / "got").read_bytes() == bucket.read(name) == content
        assert bucket.object(name).size_bytes == len(content)


class Proxy:
    """Stands in front of a server, and breaks every connection off after so many bytes of one direction."""

    def __init__(self, endpoint: str) -> None:
        self._address = (urlsplit(endpoint).hostname, urlsplit(endpoint).port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.answer_bytes = self.question_bytes = 2**40
        self.broken = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                near = self._listener.accept()[0]
                threading.Thread(target=self._pass_on, args=(near,), daemon=True).start()

    def _pass_on(self, near: socket.socket) -> None:
        with suppress(OSError), closing(near), socket.create_connection(self._address) as far:
            left = {near: self.question_bytes, far: self.answer_bytes}
            while True:
                for source in select.select([near, far], [], [])[0]:
                    block = source.recv(2**16)
                    (far if source is near else near).sendall(block[: left[source]])
                    left[source] -= len(block)
                    if left[source] < 0:
                        self.broken += 1
                    if not block or left[source] < 0:
                        return


@pytest.fixture
def proxy(bucket: Objects, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    monkeypatch.setattr(service.files.objects, "TRIES", 1)
    with Proxy(bucket.endpoint) as made:
        yield made


@pytest.mark.acceptance
def test_an_answer_that_breaks_off_is_no_answer(bucket: Objects, proxy: Proxy, work: Path) -> None:
    for name in ("a", "b"):
        bucket.write(f"jobs/1/{name}", CONTENT)

    def fetch(through: Objects) -> bytes:
        through.get("jobs/1/a", work / "got")
        return (work / "got").read_bytes()

    def look() -> set[str]:
        """What came of each way to read an object."""
        through = Objects(bucket.url, proxy.endpoint)
        ways: list[Callable[[], bytes]] = [
            lambda: fetch(through),
            lambda: through.read("jobs/1/a"),
            lambda: b"".join(through.object("jobs/1/a").blocks(0, len(CONTENT))),
        ]
        seen = set()
        for way in ways:
            try:
                assert way() == CONTENT
                seen.add("whole")
            except AwayError:
                seen.add("away")
        with suppress(AwayError):
            assert through.find("jobs/1").keys() == {"a", "b"}
        return seen

    # before an answer, in its head, in its body, and at the very end
    for proxy.answer_bytes in (0, 100, 100_000, len(CONTENT) - 1):
        assert look() == {"away"}
        assert list(work.iterdir()) == []
    proxy.answer_bytes = len(CONTENT) + 2000
    assert look() <= {"away", "whole"}
    assert proxy.broken
    proxy.answer_bytes = 2**40
    assert look() == {"whole"}


@pytest.mark.acceptance
def test_a_question_that_breaks_off_makes_no_object(bucket: Objects, proxy: Proxy, work: Path) -> None:
    (work / "sent").write_bytes(CONTENT)
    for proxy.question_bytes in (10, 1000, 200_000):
        through = Objects(bucket.url, proxy.endpoint)
        with pytest.raises(AwayError):
            through.write("jobs/1/written", CONTENT)
        with pytest.raises(AwayError):
            through.put("jobs/1/put", work / "sent")
        assert bucket.find("jobs/1") == {}
    assert proxy.broken
