"""A private PostgreSQL server for tests and benchmarks, with a folder and a port of its own.

It is as durable as any (fsync is on), can be stopped, restarted and killed under whoever uses it, and leaves
nothing behind.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import random
import re
import secrets
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, Self

import psycopg

PATIENCE = 60.0
"""Seconds to wait for anything: a loaded machine is slow, and no test measures it."""
ADVICE = "no PostgreSQL server here (Debian: apt-get install postgresql): nothing was tried on PostgreSQL"
PLACES = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin")  # Debian and the RPMs put them on nobody's PATH
PORTS = range(20000, 32000)  # below those that a system hands out for outgoing connections
STOPS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}

# Whoever runs the tests may be killed: this waits for the end of its input, and then clears up.
_GUARD = 'cat; "$1/pg_ctl" stop --mode immediate --pgdata "$2/data"; rm -rf "$2"'

LOOPBACK = "127.0.0.1"
SETTINGS = {
    "unix_socket_directories": "",
    "max_connections": "200",
    # In the data folder instead of /dev/shm, where a killed server would leave it.
    "dynamic_shared_memory_type": "mmap",
}


def find() -> Path | None:
    """The folder of the server's programs, the newest where there are several, or None."""
    named = shutil.which("initdb")
    folders = [Path(named).resolve().parent] if named else []
    folders += sorted(
        (path for place in PLACES for path in Path("/").glob(place)), key=_version, reverse=True
    )
    return next((path for path in folders if all((path / n).exists() for n in ("initdb", "postgres"))), None)


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", str(folder))))


class Server:
    """Runs between `with Server() as server:` and the end of that block."""

    def __init__(self, programs: Path | None = None, address: str = LOOPBACK) -> None:
        """Takes the programs that `find` finds. Raises AssertionError where it finds none.

        At another address than a loopback one the networks of this machine may use it.
        """
        found = programs or find()
        assert found, ADVICE
        self.programs = found
        self.user = f"tests_{secrets.token_hex(8)}"  # its name is all that the server asks for
        self.address = address
        self.port = _free_port(address)
        self.folder = Path(tempfile.mkdtemp(prefix="turnwise-postgres-"))
        self._identity = _identity()
        if self._identity:
            os.chown(self.folder, self._identity["user"], self._identity["group"])
        guard = ("sh", "-c", _GUARD, "sh", str(self.programs), str(self.folder))
        self._guard = self._spawn(*guard, stdin=subprocess.PIPE)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._create()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def data(self) -> Path:
        """The folder with every byte of every database."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.folder / "log"

    @property
    def url(self) -> str:
        """The database that is there from the beginning."""
        return self._url("postgres")

    def create_database(self) -> str:
        """The URL of a new, empty one."""
        name = f"test_{secrets.token_hex(8)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self._url(name)

    def start(self) -> None:
        """Returns when it answers. Raises AssertionError with the end of its log where it does not."""
        assert self._process is None, "it runs already"
        here = {"listen_addresses": self.address, "port": str(self.port)}
        settings = [f"--{name}={value}" for name, value in {**SETTINGS, **here}.items()]
        self._process = self._spawn(str(self.programs / "postgres"), "-D", str(self.data), *settings)
        limit = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._process.poll() is None, f"the server has gone:\n{self._said()}"
            assert time.monotonic() < limit, f"the server never answered:\n{self._said()}"
            time.sleep(0.02)

    def stop(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """As `pg_ctl stop` does: once the clients have gone, without them, or without a clean end.

        After an immediate stop it recovers when started, as after a crash.
        """
        assert self._process, "it does not run"
        self._process.send_signal(STOPS[mode])
        self._process.wait(PATIENCE)
        self._process = None

    def restart(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """Stops and starts it, at the same URL."""
        self.stop(mode)
        self.start()

    def kill(self) -> None:
        """Ends all its processes at once with SIGKILL, as the end of the machine would (Linux)."""
        assert self._process, "it does not run"
        self._process.send_signal(signal.SIGSTOP)  # so that it has no more children while they are listed
        children = _children(self._process.pid)
        self._process.kill()
        self._process.wait(PATIENCE)
        self._process = None
        for child in children:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(child, signal.SIGKILL)
        for child in children:
            select.select([child], [], [], PATIENCE)  # readable once the process has ended
            os.close(child)

    def close(self) -> None:
        """Ends it and leaves nothing behind."""
        if self._process:
            self.stop("immediate")
        self._release_memory()
        assert self._guard.stdin
        self._guard.stdin.close()
        self._guard.wait(PATIENCE)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _url(self, database: str) -> str:
        return f"postgresql://{self.user}@{self.address}:{self.port}/{database}"

    def _create(self) -> None:
        arguments = ["--pgdata", str(self.data), "--username", self.user, "--auth", "trust"]
        arguments += ["--encoding", "UTF8", "--no-locale", "--no-sync"]
        process = self._spawn(str(self.programs / "initdb"), *arguments)
        assert process.wait(PATIENCE) == 0, self._said()
        if self.address != LOOPBACK:
            with (self.data / "pg_hba.conf").open("a") as rules:
                rules.write("host all all samenet trust\n")

    def _spawn(self, *command: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=stdin,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C is for the tests, which then stop it
                **self._identity,
            )

    def _answers(self) -> bool:
        with suppress(psycopg.OperationalError), psycopg.connect(self.url, connect_timeout=5):
            return True
        return False

    def _said(self) -> str:
        return self.log.read_text("utf-8", "replace")[-3000:]

    def _release_memory(self) -> None:
        """Frees the System V segment that a killed server leaves; its id ends line 7 of postmaster.pid."""
        with suppress(OSError, IndexError):
            note = self.data / "postmaster.pid"
            _, segment = note.read_text().splitlines()[6].split()
            ctypes.CDLL(None).shmctl(int(segment), 0, None)  # 0 is IPC_RMID
            note.unlink()


def _identity() -> dict[str, Any]:
    """Whom to run as, for subprocess: a PostgreSQL server refuses to be root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise AssertionError("there is neither a user postgres nor a user nobody to run the server as")


def _free_port(address: str) -> int:
    for port in random.sample(PORTS, 100):
        with socket.socket() as trial, suppress(OSError):
            trial.bind((address, port))
            return port
    raise AssertionError("a hundred ports are taken")


def _children(parent: int) -> list[int]:
    """Handles of the processes that a stopped process has started (pidfd: an id may be used again)."""
    handles = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            handle = os.pidfd_open(int(status.parent.name))
            if int(status.read_text().rpartition(")")[2].split()[1]) == parent:
                handles.append(handle)
            else:
                os.close(handle)
    return handles
