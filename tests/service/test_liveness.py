"""Who lives and who is dead: file locks over real processes, advisory locks over sessions of PostgreSQL."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from service.records import database
from service.settings import Settings
from service.work.liveness import FileLiveness, Liveness, PostgresLiveness
from tests.support.postgres import PATIENCE, Server

ROOT = Path(__file__).resolve().parents[2]

FILE_HOLDER = """
import subprocess, sys
from pathlib import Path
from service.work.liveness import FileLiveness

liveness = FileLiveness(sys.argv[1], Path(sys.argv[2]))
liveness.hold()
child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=sys.stdin)
print(child.pid, flush=True)
child.wait()
liveness.release()
"""
POSTGRES_HOLDER = """
import sys
import sqlalchemy as sa
from service.work.liveness import PostgresLiveness

liveness = PostgresLiveness(sys.argv[1], sa.make_url(sys.argv[2]))
liveness.hold()
print("ready", flush=True)
sys.stdin.read()
liveness.release()
"""


@contextmanager
def holder(code: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that holds its lock, until its standard input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip()
        try:
            yield process
        finally:
            process.kill()


# --------------------------------------------------------------------------- files


@pytest.mark.acceptance
def test_a_killed_process_is_dead_and_a_stopped_one_is_not(tmp_path: Path) -> None:
    observer = FileLiveness("observer", tmp_path)
    with holder(FILE_HOLDER, "worker", str(tmp_path)) as process:
        assert not observer.is_dead("worker")
        process.send_signal(signal.SIGSTOP)
        assert not observer.is_dead("worker")
        process.kill()
        process.wait()
        assert observer.is_dead("worker")  # though a child of its own still runs
    assert list(tmp_path.iterdir()) == []
    assert observer.is_dead("worker")


@pytest.mark.acceptance
def test_a_process_that_ends_in_order_leaves_nothing(tmp_path: Path) -> None:
    with holder(FILE_HOLDER, "worker", str(tmp_path)) as process:
        assert [path.name for path in tmp_path.iterdir()] == ["worker.lock"]
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_looking_takes_nothing_from_the_living(tmp_path: Path) -> None:
    worker, observer = FileLiveness("worker", tmp_path), FileLiveness("observer", tmp_path)
    worker.hold()
    observer.hold()
    for _ in range(3):
        assert not observer.is_dead("worker")
        assert not worker.is_dead("observer")
        worker.hold()
    worker.release()
    worker.release()
    assert observer.is_dead("worker")
    observer.release()


def test_two_that_look_at_the_same_time_agree(tmp_path: Path) -> None:
    for number in range(20):
        (tmp_path / f"dead{number}.lock").touch()
        observers = [FileLiveness(f"observer{index}", tmp_path) for index in range(8)]
        with ThreadPoolExecutor(8) as pool:
            told = list(pool.map(lambda observer, dead=number: observer.is_dead(f"dead{dead}"), observers))
        assert told == [True] * 8


def test_nobody_takes_the_lock_of_another(tmp_path: Path) -> None:
    worker, double = FileLiveness("worker", tmp_path), FileLiveness("worker", tmp_path)
    worker.hold()
    for _ in range(2):
        with pytest.raises(BlockingIOError):
            double.hold()
    double.release()
    observer = FileLiveness("observer", tmp_path)
    assert not observer.is_dead("worker")
    worker.release()
    double.hold()
    assert not observer.is_dead("worker")
    double.release()


# --------------------------------------------------------------------------- PostgreSQL


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


class Locks:
    """A database of its own, and processes that hold locks in it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.plain = url
        self.url = database.url(Settings(data_dir=folder, database_url=url))
        self.clock = Clock()
        self._made: list[PostgresLiveness] = []

    def held_by(self, executor: str) -> PostgresLiveness:
        liveness = PostgresLiveness(executor, self.url, self.clock)
        liveness.RESTART = 0.0  # the server of the tests may be seconds old
        self._made.append(liveness)
        liveness.hold()
        return liveness

    def count(self) -> int:
        with psycopg.connect(self.plain) as connection:
            query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            row = connection.execute(query).fetchone()
            assert row is not None
            return int(row[0])

    def wait_for(self, count: int) -> None:
        """The server notices in its own time that a client has gone."""
        deadline = time.monotonic() + PATIENCE
        while self.count() != count:
            assert time.monotonic() < deadline, f"{self.count()} locks"
            time.sleep(0.01)

    def end_sessions(self) -> None:
        """As a restart of the server does to all of them."""
        with psycopg.connect(self.plain, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    def close(self) -> None:
        for liveness in self._made:
            liveness.release()


@pytest.fixture
def locks(postgres: Server, tmp_path: Path) -> Iterator[Locks]:
    made = Locks(postgres.create_database(), tmp_path)
    yield made
    made.close()


def is_dead_after_grace(observer: Liveness, executor: str, clock: Clock) -> bool:
    first = observer.is_dead(executor)
    clock.now += PostgresLiveness.GRACE
    second = observer.is_dead(executor)
    assert second or not first
    return second


@pytest.mark.acceptance
def test_a_session_holds_one_lock_for_as_long_as_it_lives(locks: Locks) -> None:
    worker, observer = locks.held_by("worker"), locks.held_by("observer")
    for _ in range(3):
        worker.hold()
    assert locks.count() == 2
    assert not is_dead_after_grace(observer, "worker", locks.clock)
    assert not is_dead_after_grace(worker, "observer", locks.clock)
    worker.release()
    locks.wait_for(1)
    assert not observer.is_dead("worker")
    locks.clock.now += PostgresLiveness.GRACE - 0.001
    assert not observer.is_dead("worker")
    locks.clock.now += 0.001
    assert observer.is_dead("worker")


@pytest.mark.acceptance
def test_a_lock_that_was_lost_is_taken_again_in_time(locks: Locks) -> None:
    worker, observer = locks.held_by("worker"), locks.held_by("observer")
    locks.end_sessions()
    locks.wait_for(0)
    observer.hold()
    assert not observer.is_dead("worker")
    locks.clock.now += PostgresLiveness.GRACE / 2
    worker.hold()
    assert locks.count() == 2
    locks.clock.now += PostgresLiveness.GRACE
    assert not observer.is_dead("worker")
    worker.release()  # from now on the time counts anew
    locks.wait_for(1)
    assert not observer.is_dead("worker")
    assert is_dead_after_grace(observer, "worker", locks.clock)


@pytest.mark.acceptance
def test_a_session_that_breaks_in_a_look_at_others_is_made_anew(locks: Locks) -> None:
    worker, observer = locks.held_by("worker"), locks.held_by("observer")
    locks.end_sessions()
    with pytest.raises(sa.exc.OperationalError):
        observer.is_dead("worker")
    for liveness in (worker, observer):
        liveness.hold()
    assert locks.count() == 2
    assert not is_dead_after_grace(observer, "worker", locks.clock)


@pytest.mark.acceptance
def test_nobody_is_dead_before_everybody_had_time_after_a_restart(locks: Locks) -> None:
    observer = locks.held_by("observer")
    observer.RESTART = 1e9
    assert not is_dead_after_grace(observer, "worker", locks.clock)
    observer.RESTART = 0.0
    assert is_dead_after_grace(observer, "worker", locks.clock)


@pytest.mark.acceptance
def test_time_without_a_session_does_not_count(locks: Locks) -> None:
    observer = locks.held_by("observer")
    assert not observer.is_dead("worker")
    locks.end_sessions()
    locks.clock.now += 10 * PostgresLiveness.GRACE
    observer.hold()
    assert not observer.is_dead("worker")
    locks.clock.now += PostgresLiveness.GRACE
    assert observer.is_dead("worker")


@pytest.mark.acceptance
def test_a_session_that_hangs_at_the_server_makes_nobody_dead(locks: Locks) -> None:
    """The connection broke, and the server does not know it yet: the old session holds the lock."""
    worker, observer = locks.held_by("worker"), locks.held_by("observer")
    again = locks.held_by("worker")
    assert locks.count() == 2
    assert not is_dead_after_grace(observer, "worker", locks.clock)
    worker.release()
    locks.wait_for(1)
    again.hold()
    assert locks.count() == 2
    assert not is_dead_after_grace(observer, "worker", locks.clock)
    again.release()
    locks.wait_for(1)
    assert is_dead_after_grace(observer, "worker", locks.clock)


@pytest.mark.acceptance
def test_every_id_has_a_lock_of_its_own(locks: Locks) -> None:
    """Numbers with and without a sign, and both halves of them."""
    observer = locks.held_by("observer")
    workers = {f"{number:016x}": locks.held_by(f"{number:016x}") for number in range(8)}
    assert not [name for name in workers if is_dead_after_grace(observer, name, locks.clock)]
    for name in list(workers)[::2]:
        workers[name].release()
    locks.wait_for(5)
    dead = [name for name in workers if is_dead_after_grace(observer, name, locks.clock)]
    assert dead == list(workers)[::2]


@pytest.mark.acceptance
def test_a_lock_is_of_one_database(locks: Locks, postgres: Server, tmp_path: Path) -> None:
    other = Locks(postgres.create_database(), tmp_path)
    observer, _ = locks.held_by("observer"), other.held_by("worker")
    assert is_dead_after_grace(observer, "worker", locks.clock)
    other.close()


@pytest.mark.acceptance
def test_a_killed_process_loses_its_session(locks: Locks) -> None:
    observer = locks.held_by("observer")
    with holder(POSTGRES_HOLDER, "worker", locks.url.render_as_string(hide_password=False)) as process:
        assert not is_dead_after_grace(observer, "worker", locks.clock)
        process.send_signal(signal.SIGSTOP)
        assert not is_dead_after_grace(observer, "worker", locks.clock)
        process.kill()
        process.wait()
        locks.wait_for(1)
        assert is_dead_after_grace(observer, "worker", locks.clock)


@pytest.mark.acceptance
def test_without_a_server_nobody_is_dead(postgres: Server, tmp_path: Path) -> None:
    nowhere = database.url(Settings(data_dir=tmp_path, database_url="postgresql://nobody@127.0.0.1:1/none"))
    observer = PostgresLiveness("observer", nowhere)
    for _ in range(2):
        with pytest.raises(sa.exc.OperationalError):
            observer.hold()
        assert not observer.is_dead("worker")
    observer.release()
