"""Resumable uploads in an object store, for APIs that share no disk: any of them takes the next piece.

    uploads/<id>/info.json        what the sender said at the start
    uploads/<id>/<begin>-<end>    the bytes [begin, end), 16 hexadecimal digits each

A store cannot append and has no locks, so bytes are kept in chunks, and concurrent requests may write chunks
that overlap. All come from one sender, and what counts is how far an unbroken chain of chunks reaches from
the beginning: chunks are only ever added, so that never shrinks, whatever is written at the same time. (If a
sender contradicts itself, the SHA-256 that it announced reveals it.)
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass

from service.files.objects import Object, Objects
from service.files.storage import JobFolder, is_id, new_id
from service.files.uploads import INFO, GoneError, Info, existing, hash_recording

CHUNK_BYTES = 8 * 2**20
"""How much of a piece is buffered before it is written, so that there are not too many objects."""

Span = tuple[int, int]
"""The bytes of a chunk: first, and the one after the last."""


def chain(spans: Iterable[Span]) -> list[Span]:
    """The chunks that lead without a gap from the beginning as far as possible.

    0-4   4-8   8-9          chain: 0-4 4-8 8-9
    0-6               20-24  (0-6 leads nowhere, 20-24 has nothing before it)
    """
    before: dict[int, Span] = {}
    reached = {0}
    for span in sorted(spans):
        begin, end = span
        if begin in reached and end > begin:
            reached.add(end)
            before.setdefault(end, span)
    links, end = [], max(reached)
    while end:
        links.append(before[end])
        end = before[end][0]
    return links[::-1]


@dataclass(frozen=True, slots=True)
class ChunkUpload:
    """An upload whose data is chunks."""

    objects: Objects
    id: str
    info: Info

    def offset_bytes(self) -> int:
        spans = chain(self._chunks())
        return spans[-1][1] if spans else 0

    def changed(self) -> float:
        return max(there.changed for there in self._there().values())

    def tail(self) -> ChunkTail:
        return ChunkTail(self)

    @existing()
    def hand_over(self, folder: JobFolder) -> str:
        """Joins the chunks in one file."""
        chunks = self._chunks()
        with folder.recording.open("xb") as file:
            file.writelines(chunks[span].read_bytes() for span in chain(chunks))
        return hash_recording(folder, self)

    def write(self, begin: int, content: bytes) -> None:
        with existing():  # the folder may be deleted while it is written to
            self.objects.write(_name(self.id, f"{begin:016x}-{begin + len(content):016x}"), content)
        self._there()  # raises if it was deleted meanwhile

    def _chunks(self) -> dict[Span, Object]:
        there = self._there().items()
        return {(int(name[:16], 16), int(name[17:], 16)): found for name, found in there if name != INFO}

    def _there(self) -> dict[str, Object]:
        """All objects of it. Raises GoneError where it was deleted, and removes what came after that."""
        there = self.objects.find(_name(self.id))
        if INFO not in there:
            self.objects.delete(_name(self.id))
            raise GoneError
        return there


class ChunkTail:
    """Buffers what is written until it is worth an object."""

    def __init__(self, upload: ChunkUpload) -> None:
        self._upload = upload
        self._offset_bytes = upload.offset_bytes()
        self._held = bytearray()
        self._guard = threading.Lock()

    def offset_bytes(self) -> int:
        with self._guard:
            self._flush()
            return self._offset_bytes

    def write(self, block: bytes) -> None:
        with self._guard:
            self._held += block
            if len(self._held) >= CHUNK_BYTES:
                self._flush()

    def close(self) -> None:
        with self._guard:
            self._flush()

    def _flush(self) -> None:
        if self._held:
            self._upload.write(self._offset_bytes, bytes(self._held))
            self._offset_bytes += len(self._held)
            self._held.clear()


@dataclass(frozen=True, slots=True)
class Chunks:
    """Uploads in an object store."""

    objects: Objects

    def create(self, info: Info) -> ChunkUpload:
        id = new_id()
        self.objects.write(_name(id, INFO), json.dumps(asdict(info)).encode())
        return ChunkUpload(self.objects, id, info)

    def find(self, id: str) -> ChunkUpload | None:
        with suppress(FileNotFoundError):
            if is_id(id):
                return ChunkUpload(self.objects, id, Info(**json.loads(self.objects.read(_name(id, INFO)))))
        return None

    def clean(self, hours: float) -> None:
        before = time.time() - hours * 3600
        for id in filter(is_id, self.objects.folders("uploads")):
            there = self.objects.find(_name(id)).values()
            if all(found.changed < before for found in there):
                self.objects.delete(_name(id))


def _name(id: str, *rest: str) -> str:
    return "/".join(("uploads", id, *rest))
