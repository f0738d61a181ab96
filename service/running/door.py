"""Limits for the connections of a process: no more than its descriptors allow, and none that holds it up.

Nobody needs a key to open a connection. So one that does not send a whole request head in time is closed, and
when there are too many, the one that has been idle longest makes room for the next: a client that sends its
request at once is answered, however many do not.
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
"""Seconds in which a client must read some of an answer: a paused player reads nothing. A body may be silent
for as long; the upload's own limit says how much silence is allowed in it."""
MOST = 4096
SHARE = 4
"""One descriptor in four is for connections: each may need a file too, and the rest is for our own work."""
BATCH = 32
"""Connections that are accepted before the first of them is handled."""
LOG_INTERVAL = 60.0

_ANSWER = "HTTP/1.1 {}\r\nConnection: close\r\nRetry-After: 5\r\nContent-Length: 0\r\n\r\n"
LATE, FULL = (
    _ANSWER.format(status).encode() for status in ("408 Request Timeout", "503 Service Unavailable")
)


class Door(H11Protocol):
    """One connection; all of a process share the class variables."""

    most: ClassVar[int] = MOST
    _silent: ClassVar[dict[Door, asyncio.TimerHandle]] = {}  # waiting for their client, longest first
    _logged: ClassVar[float] = float("-inf")

    @classmethod
    def widen(cls) -> None:
        """Raises the limit of descriptors as far as allowed, and takes a share for connections."""
        limit, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with suppress(ValueError, OSError):  # some systems refuse "unlimited"
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            limit = hard
        cls.most = MOST if limit == resource.RLIM_INFINITY else min(MOST, limit // SHARE)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect()
        if len(self.connections) > self.most:
            if self.loop.time() - Door._logged > LOG_INTERVAL:
                Door._logged = self.loop.time()
                log.warning("too many connections, closing those idle longest", most=self.most)
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
        """Starts the timer while a head, more of a body or a reader of our answer is due; else stops it."""
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
        if self.transport.get_write_buffer_size():  # nobody reads it
            self.transport.abort()
        else:
            self.transport.close()
