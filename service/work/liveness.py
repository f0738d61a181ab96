"""Which worker processes are alive: each holds a lock under its own id for as long as it lives.

On one machine it is a file lock, which the kernel drops with the process. Across machines it is an advisory
lock of a PostgreSQL session, which the server drops with the connection, or soon after a machine goes silent.
A restart of the server drops the locks of live workers too: they take them again, and until they have had
time to, no worker counts as dead.
"""

from __future__ import annotations

import fcntl
import hashlib
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

import sqlalchemy as sa

from service.records import database

LOOK = sa.text(
    "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1"
    " AND classid::bigint = :high AND objid::bigint = :low"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())),"
    " extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())"
)
"""Asks PostgreSQL whether a lock is held, and for the seconds since it started."""


class FileLiveness:
    """For SQLite: one locked file per process, in one folder."""

    def __init__(self, executor: str, folder: Path) -> None:
        self._path = folder / f"{executor}.lock"
        self._folder = folder
        self._file: IO[bytes] | None = None

    def hold(self) -> None:
        """Takes the lock of this process, again if it was lost."""
        if self._file is None:
            with ExitStack() as opened:
                file = opened.enter_context(self._path.open("wb"))
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                opened.pop_all()
            self._file = file

    def is_dead(self, executor: str) -> bool:
        """Whether the process that took the lock under this id has ended for certain."""
        path = self._folder / f"{executor}.lock"
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return True
        except BlockingIOError:
            return False
        path.unlink(missing_ok=True)
        return True

    def release(self) -> None:
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            self._file.close()
            self._file = None


class PostgresLiveness:
    """For PostgreSQL: one session per process, with an advisory lock."""

    GRACE = 2.5
    """Seconds for which a lock must have been free, within one session, before its owner counts as dead."""
    RESTART = 4.0
    """Seconds after the start of the server in which no worker counts as dead."""

    def __init__(self, executor: str, url: sa.URL, clock: Callable[[], float] = time.monotonic) -> None:
        self._executor = executor
        self._clock = clock
        self._session: sa.Connection | None = None
        self._holds = False
        self._free_since: dict[str, float] = {}
        self._engine = sa.create_engine(
            url,
            poolclass=sa.NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args=database.over_network(url, "turnwise liveness"),
        )

    def hold(self) -> None:
        """Does the same as `FileLiveness.hold`. Raises OperationalError while the server is away."""
        try:
            if self._session is not None:
                self._session.execute(sa.select(1))
        except sa.exc.SQLAlchemyError:  # also raised by a session that has failed in `is_dead`
            self._drop()
        try:
            if self._session is None:
                self._session = self._engine.connect()
            if not self._holds:  # a broken session of ours may still hold it: just as good
                lock = sa.select(sa.func.pg_try_advisory_lock(_number(self._executor)))
                self._holds = self._session.execute(lock).scalar_one()
        except sa.exc.SQLAlchemyError:
            self._drop()
            raise

    def is_dead(self, executor: str) -> bool:
        """Does the same as `FileLiveness.is_dead`; not certain without a session."""
        if self._session is None:
            return False
        high, low = divmod(_number(executor) % 2**64, 2**32)
        held, server_seconds = self._session.execute(LOOK, {"high": high, "low": low}).one()
        if held:
            self._free_since.pop(executor, None)
            return False
        since = self._free_since.setdefault(executor, self._clock())
        return bool(server_seconds >= self.RESTART) and self._clock() - since >= self.GRACE

    def release(self) -> None:
        self._drop()
        self._engine.dispose()

    def _drop(self) -> None:
        self._free_since.clear()
        if self._session is not None:
            with suppress(sa.exc.SQLAlchemyError):
                self._session.close()
            self._session, self._holds = None, False


Liveness = FileLiveness | PostgresLiveness
"""The lock of this process, and a view of those of others."""


def _number(executor: str) -> int:
    """Returns the number of a worker's lock, a signed 64-bit integer."""
    return int.from_bytes(hashlib.sha256(executor.encode()).digest()[:8], "big", signed=True)
