"""The connections of a process: never more than its descriptors bear, and none that keeps it waiting.

Nobody needs a key to open a connection. So one that does not send a whole request head in time is ended, and
where there are too many, the one that has been silent for longest makes room for the next: whoever sends its
request at once is answered however many do not.
"""

from __future__ import annotations

import asyncio
import resource
from contextlib import suppress
from typing import ClassVar

import h11
import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

log = structlog.get_logger("turnwise.door")

PATIENCE = 20.0
"""Seconds for a whole request head."""
READING = 3600.0
"""Seconds in which something of an answer has to be read: a player that pauses reads nothing. A body
may take as long: how much silence is allowed in it, the upload's own limit says."""
MOST = 4096
SHARE = 4
"""One descriptor in so many is a connection's: each may need a file too, and the rest is our own work."""
BATCH = 32
"""Connections that are accepted before the first of them is looked at."""
LOG_INTERVAL = 60.0

_ANSWER = "HTTP/1.1 {}\r\nConnection: close\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n"
LATE, FULL = (
    _ANSWER.format(status).encode() for status in ("408 Request Timeout", "503 Service Unavailable")
)


class Door(H11Protocol):
    """One connection; all of a process share the class's variables."""

    most: ClassVar[int] = MOST
    _silent: ClassVar[dict[Door, asyncio.TimerHandle]] = {}  # that owe us something, for longest first
    _logged: ClassVar[float] = float("-inf")

    @classmethod
    def widen(cls) -> None:
        """Takes as many descriptors as this process may have, and their share for connections."""
        limit, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with suppress(ValueError, OSError):  # "unlimited" is more than some systems give
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            limit = hard
        cls.most = MOST if limit == resource.RLIM_INFINITY else min(MOST, limit // SHARE)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect()
        if len(self.connections) > self.most:
            self._tell()
            next(iter(self._silent))._end(FULL)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is h11.SEND_BODY and self.conn.our_state is not h11.DONE:
            self._forget()  # its silence begins anew
        self._expect()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._forget()
        self._expect()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forget()

    def _expect(self) -> None:
        """Waits for a head, for more of a body, or for our answer to be read; or no longer."""
        answered = h11.IDLE is self.conn.their_state or h11.DONE is self.conn.our_state
        sending = h11.SEND_BODY is self.conn.their_state
        if self.transport.is_closing() or not (answered or sending or self.flow.write_paused):
            self._forget()
        elif self not in self._silent:
            wait = PATIENCE if answered else READING
            self._silent[self] = self.loop.call_later(wait, self._end, LATE)

    def _forget(self) -> None:
        if timer := self._silent.pop(self, None):
            timer.cancel()

    def _end(self, answer: bytes) -> None:
        self._forget()
        self.transport.write(answer)
        if self.transport.get_write_buffer_size():  # which nobody reads
            self.transport.abort()
        else:
            self.transport.close()

    def _tell(self) -> None:
        if self.loop.time() - Door._logged > LOG_INTERVAL:
            Door._logged = self.loop.time()
            log.warning("too many connections, the most silent ones are ended", most=self.most)
