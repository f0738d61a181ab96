"""What lies around a recording, and whether anything of it was touched: files, a home, an address."""

from __future__ import annotations

import ctypes
import hashlib
import os
import socket
import struct
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipelines.audio import decoding as audio
from tests.support.media import noise, write

CANARY = b"canary of the home"
IN_ALL_EVENTS = 0xFFF  # linux/inotify.h: opened, read, written, created, removed, …
EVENT = struct.Struct("iIII")


class Surroundings:
    """Folders that a recording might reach for, a neighbour's recording, and an address on this machine.

    On Linux, files that were only opened count as touched too.
    """

    def __init__(self, base: Path, server: socket.socket) -> None:
        self.uploads, self.home, self.temporary = (base / name for name in ("uploads", "home", "temporary"))
        self._folders = (self.uploads, self.home, self.temporary)
        for folder in self._folders:
            folder.mkdir(parents=True)
        self.neighbour = write(self.uploads / "neighbour.wav", noise(1.0, 9))
        (self.home / ".netrc").write_bytes(CANARY)
        self._sound = audio.load(self.neighbour)[0].samples
        self._server = server
        self._before = self._content()
        self._events = _watch(self._folders)

    @property
    def address(self) -> str:
        """Host and port of a server that nobody has a reason to call."""
        host, port = self._server.getsockname()
        return f"{host}:{port}"

    @property
    def environment(self) -> dict[str, str]:
        return {"HOME": str(self.home), "TMPDIR": str(self.temporary)}

    def upload(self, name: str, content: bytes) -> Path:
        """Puts a recording beside the neighbour's."""
        path = self.uploads / f"recording-{name}"
        path.write_bytes(content)
        return path

    def touched(self) -> set[str]:
        """Everything but recordings that was opened, read, changed or called since this was asked last."""
        opened = {name for name in _names(self._events) if not _is_recording(name)}
        after = self._content()
        _names(self._events)  # of our own reading
        changed = {str(path) for path, _ in self._before.items() ^ after.items()}
        try:
            self._server.accept()[0].close()
        except BlockingIOError:
            return opened | changed
        return opened | changed | {self.address}

    def leaked(self, *outputs: bytes) -> bool:
        """Whether any of these holds a secret, or the neighbour's sound: samples, or bytes of its file."""
        starts = range(0, len(self._sound) - 64, 500)
        pieces = [self._sound[start : start + 64] for start in starts]
        secrets = [CANARY, *(piece.tobytes() for piece in pieces)]
        secrets += [(piece * 32768).astype("<i2").tobytes() for piece in pieces]
        return any(secret in output for secret in secrets for output in outputs)

    def _content(self) -> dict[Path, str]:
        """A hash of every file that is no recording."""
        return {
            path: hashlib.sha256(path.read_bytes()).hexdigest()
            for folder in self._folders
            for path in folder.rglob("*")
            if path.is_file() and not _is_recording(path.name)
        }


@contextmanager
def surroundings(base: Path) -> Iterator[Surroundings]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        around = Surroundings(base, server)
        yield around
        if around._events is not None:
            os.close(around._events)


def _is_recording(name: str) -> bool:
    return name.startswith("recording-")


def _watch(folders: Sequence[Path]) -> int | None:
    """Where the names come from of all files in these folders that something happens to."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    events: int = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    for folder in folders:
        assert libc.inotify_add_watch(events, os.fsencode(folder), IN_ALL_EVENTS) >= 0
    return events


def _names(events: int | None) -> set[str]:
    """Of the files that something has happened to since."""
    names: set[str] = set()
    while events is not None:
        try:
            content = os.read(events, 2**16)
        except BlockingIOError:
            break
        while content:
            _, _, _, length = EVENT.unpack_from(content)
            names.add(content[EVENT.size :][:length].rstrip(b"\0").decode())
            content = content[EVENT.size + length :]
    return names - {""}
