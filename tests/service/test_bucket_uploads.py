"""Resumable uploads in an object store: whoever writes beside whom, and whatever fails, no byte is lost."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, suppress
from itertools import pairwise
from pathlib import Path
from unittest import mock
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.files import bucket_uploads as chunks
from service.files.bucket import SharedStorage
from service.files.bucket_uploads import Chunks, ChunkTail, ChunkUpload, Span, chain
from service.files.objects import AwayError, Objects
from service.files.storage import new_id
from service.files.uploads import USED, GoneError, Info, Used

CONTENT = bytes(range(256)) * 2
CHUNK_BYTES = 50
BOUNDS = st.integers(0, 12)
SPANS = st.lists(st.tuples(BOUNDS, BOUNDS), max_size=20)


@pytest.fixture(scope="module", autouse=True)
def _small_chunks() -> Iterator[None]:
    with mock.patch.object(chunks, "CHUNK_BYTES", CHUNK_BYTES):
        yield


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedStorage]:
    folder = tmp_path_factory.mktemp("chunks")
    made = SharedStorage.made(folder / "data", Objects(f"file://{folder}/store"))
    made.prepare()
    yield made
    made.close()


@pytest.fixture(scope="module")
def uploads(storage: SharedStorage) -> Chunks:
    return Chunks(storage.objects)


def begin(uploads: Chunks, content: bytes = CONTENT) -> ChunkUpload:
    return uploads.create(Info("", len(content), "", "talk.wav", "", 0.0))


def content_of(storage: SharedStorage, upload: ChunkUpload) -> bytes:
    """What a job's recording would be."""
    id = new_id()
    folder = storage.incoming(id)
    sha256 = upload.hand_over(folder)
    content = folder.recording.read_bytes()
    assert sha256 == hashlib.sha256(content).hexdigest()
    storage.discard(id)
    return content


# --------------------------------------------------------------------------- the chain


def reach(spans: list[Span]) -> int:
    """How far one gets from 0, tried out."""
    reached = {0}
    while more := {end for begin, end in spans if begin in reached and end > begin} - reached:
        reached |= more
    return max(reached)


@given(SPANS)
def test_the_chain_reaches_as_far_as_one_can_get(spans: list[Span]) -> None:
    links = chain(spans)
    assert set(links) <= set(spans)
    assert all(before[1] == after[0] for before, after in pairwise([(0, 0), *links]))
    assert all(begin < end for begin, end in links)
    assert (links[-1][1] if links else 0) == reach(spans)


@given(SPANS, SPANS)
def test_more_chunks_never_make_it_shorter(spans: list[Span], more: list[Span]) -> None:
    ends = [sum(end - begin for begin, end in chain(each)) for each in (spans, [*spans, *more])]
    assert ends[0] <= ends[1]


# --------------------------------------------------------------------------- writing


def test_an_upload_grows_piece_by_piece(uploads: Chunks, storage: SharedStorage) -> None:
    made = begin(uploads, b"onetwofour")
    for number, block in enumerate((b"one", b"two", b"four")):
        with closing(made.tail()) as tail:
            assert tail.offset_bytes() == made.offset_bytes() == number * 3
            tail.write(block)
    found = uploads.find(made.id)
    assert found == made
    assert found.offset_bytes() == 10
    assert content_of(storage, found) == b"onetwofour"


def test_a_piece_is_not_many_objects(uploads: Chunks, storage: SharedStorage) -> None:
    made = begin(uploads)
    with closing(made.tail()) as tail:
        for position in range(0, len(CONTENT), 7):
            tail.write(CONTENT[position : position + 7])
    sizes = [found.size_bytes for _, found in sorted(made._chunks().items())]
    assert all(CHUNK_BYTES <= size < CHUNK_BYTES + 7 for size in sizes[:-1])
    assert content_of(storage, made) == CONTENT


def test_a_job_remembers_its_upload(uploads: Chunks, storage: SharedStorage) -> None:
    made, id = begin(uploads), new_id()
    with closing(made.tail()) as tail:
        tail.write(CONTENT)
    folder = storage.incoming(id)
    sha256 = made.hand_over(folder)
    assert made.offset_bytes() == len(CONTENT)
    storage.admit(id)
    assert storage.noted(id, USED, Used) == Used(made.id, "talk.wav", sha256)
    assert storage.recording(id).read_bytes() == CONTENT
    assert storage.noted(new_id(), USED, Used) is None


WRITER, SIZE = st.integers(0, 2), st.integers(0, 99)
STEP = st.sampled_from(["write", "write", "tell", "end", "die"])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(WRITER, STEP, SIZE), max_size=25))
def test_writers_beside_each_other_write_one_content(
    uploads: Chunks, storage: SharedStorage, steps: list[tuple[int, str, int]]
) -> None:
    """Each goes on from where the upload was when it came, until it ends or dies: as APIs do, one of whose
    connections lingers on when its sender has begun another one."""
    made = begin(uploads)
    tails: dict[int, ChunkTail] = {}
    written: dict[int, int] = {}
    here = 0
    for writer, step, size_bytes in steps:
        tail = tails.get(writer)
        if tail is None:
            tail = tails[writer] = made.tail()
            written[writer] = tail.offset_bytes()
            assert written[writer] >= here
        if step == "write":
            tail.write(CONTENT[written[writer] :][:size_bytes])
            written[writer] = min(len(CONTENT), written[writer] + size_bytes)
        elif step == "tell":
            assert tail.offset_bytes() == written[writer]
            assert made.offset_bytes() >= written[writer]
        else:
            if step == "end":
                tail.close()
                assert made.offset_bytes() >= written[writer]
            del tails[writer]
        before, here = here, made.offset_bytes()
        assert before <= here <= len(CONTENT)
    with closing(made.tail()) as tail:
        tail.write(CONTENT[tail.offset_bytes() :])
    assert content_of(storage, made) == CONTENT
    storage.discard(made.id)


# --------------------------------------------------------------------------- failures


def flaky(name: str, failures: list[str]) -> AbstractContextManager[object]:
    """Lets the first calls of a method of the store fail, before or after what they do, as is told."""
    real, left = getattr(Objects, name), iter(failures)

    def call(objects: Objects, *args: object) -> object:
        failure = next(left, "")
        if failure == "before":
            raise AwayError(failure)
        done = real(objects, *args)
        if failure == "after":
            raise AwayError(failure)
        return done

    return mock.patch.object(Objects, name, call)


FAILURES = st.lists(st.sampled_from(["", "", "before", "after"]), max_size=8)


@settings(max_examples=25, deadline=None)
@given(FAILURES, FAILURES, st.integers(5, 120))
def test_a_store_that_fails_now_and_then_loses_nothing(
    uploads: Chunks, storage: SharedStorage, writes: list[str], finds: list[str], size_bytes: int
) -> None:
    """As the API does it: whatever fails ends the piece, and the sender asks and goes on."""
    made = begin(uploads)
    here, tries = 0, 0
    with flaky("write", writes), flaky("find", finds):
        while here < len(CONTENT):
            tries += 1
            with suppress(AwayError), closing(made.tail()) as tail:
                here = tail.offset_bytes()
                for position in range(here, len(CONTENT), size_bytes):
                    tail.write(CONTENT[position : position + size_bytes])
            with suppress(AwayError):
                assert made.offset_bytes() >= here
                here = made.offset_bytes()
    assert tries <= 1 + len(writes) + len(finds)
    assert content_of(storage, made) == CONTENT
    storage.discard(made.id)


def test_what_is_held_back_is_kept_by_the_next_try(uploads: Chunks, storage: SharedStorage) -> None:
    made = begin(uploads, b"onetwofour")
    tail = made.tail()
    tail.write(b"one")
    with flaky("write", ["before", "after"]):
        with pytest.raises(AwayError):
            tail.offset_bytes()
        tail.write(b"two")
        with pytest.raises(AwayError):
            tail.close()
        tail.write(b"four")
        tail.close()
    assert content_of(storage, made) == b"onetwofour"


# --------------------------------------------------------------------------- the end


def test_nothing_is_written_to_what_was_deleted(uploads: Chunks, storage: SharedStorage) -> None:
    made = begin(uploads)
    tail = made.tail()
    tail.write(b"held back")
    storage.discard(made.id)
    with pytest.raises(GoneError):
        tail.close()
    for ask in (made.tail, made.offset_bytes, made.changed, lambda: content_of(storage, made)):
        with pytest.raises(GoneError):
            ask()
    assert uploads.find(made.id) is None
    assert storage.objects.find(f"uploads/{made.id}") == {}


def test_whatever_comes_while_it_is_deleted_goes_too(uploads: Chunks, storage: SharedStorage) -> None:
    """A piece that somebody is told has arrived was there before, or the upload was gone."""

    def write_on(made: ChunkUpload) -> None:
        with suppress(GoneError):
            for position in range(0, len(CONTENT), 4):
                made.write(position, CONTENT[position : position + 4])

    for _ in range(6):
        made = begin(uploads)
        writer = threading.Thread(target=write_on, args=(made,))
        writer.start()
        while made.offset_bytes() < 20:
            pass
        storage.discard(made.id)
        writer.join()
        assert storage.objects.find(f"uploads/{made.id}") == {}


@pytest.mark.parametrize("chunk", [False, True], ids=["begun", "grown"])
def test_what_has_expired_is_removed_and_nothing_else(
    uploads: Chunks, storage: SharedStorage, chunk: bool
) -> None:
    old, fresh, grown = begin(uploads), begin(uploads), begin(uploads)
    if chunk:
        old.write(0, b"x")
    grown.write(0, b"x")
    root = Path(urlsplit(storage.objects.url).path) / "uploads"
    for path in [*(root / old.id).iterdir(), root / grown.id / "info.json"]:
        os.utime(path, (1000, 1000))
    uploads.clean(hours=1.0)
    assert uploads.find(old.id) is None
    assert not (root / old.id).exists()
    assert uploads.find(fresh.id) == fresh
    assert uploads.find(grown.id) == grown


@pytest.mark.parametrize("id", ["", "../jobs", "x" * 32, "01a214c7f950fc657017498460dba8ef"])
def test_there_is_no_upload_by_any_other_name(uploads: Chunks, id: str) -> None:
    assert uploads.find(id) is None
