"""The private PostgreSQL server that other tests stand on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tests.support.postgres import ADVICE, PATIENCE, Server, find

pytestmark = [pytest.mark.acceptance, pytest.mark.skipif(find() is None, reason=ADVICE)]


def ask(url: str, question: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(question.encode()).fetchone()
        return row[0] if row else None


def keep(url: str, word: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (word text)")
        connection.execute("INSERT INTO kept VALUES (%s)", (word,))


def test_databases_are_apart_and_durable(postgres: Server) -> None:
    first, second = postgres.create_database(), postgres.create_database()
    keep(first, "here")
    assert ask(first, "SELECT word FROM kept") == "here"
    with pytest.raises(psycopg.errors.UndefinedTable):
        ask(second, "SELECT word FROM kept")
    assert ask(first, "SHOW fsync") == "on"
    assert ask(first, "SHOW server_encoding") == "UTF8"


def test_what_was_committed_outlives_stop_and_kill() -> None:
    with Server() as server:
        url = server.create_database()
        keep(url, "first")
        server.restart()
        keep(url, "second")
        server.restart("immediate")
        keep(url, "third")
        server.kill()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url)
        server.start()
        assert ask(url, "SELECT string_agg(word, ' ' ORDER BY word) FROM kept") == "first second third"


def test_kill_leaves_no_process_and_breaks_connections() -> None:
    with Server() as server, psycopg.connect(server.url, autocommit=True) as connection:
        pids = [row[0] for row in connection.execute("SELECT pid FROM pg_stat_activity").fetchall()]
        assert connection.info.backend_pid in pids
        server.kill()
        assert [pid for pid in pids if running(pid)] == []
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert not server.folder.exists()


def running(pid: int) -> bool:
    """Zombies have ended: whoever inherited them has just not looked yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    with Server() as server:
        pid = int((server.data / "postmaster.pid").read_text().split()[0])
        assert running(pid)
    assert not running(pid)
    assert not server.folder.exists()


def test_nothing_is_left_behind_by_tests_that_were_killed() -> None:
    code = (
        "import time; from tests.support.postgres import Server; server = Server().__enter__();"
        "print(server.folder, (server.data / 'postmaster.pid').read_text().split()[0], flush=True);"
        "time.sleep(600)"
    )
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=root
    ) as process:
        assert process.stdout
        folder, pid = process.stdout.readline().split()
        assert running(int(pid))
        os.kill(process.pid, signal.SIGKILL)
    limit = time.monotonic() + PATIENCE
    while running(int(pid)) or Path(folder).exists():
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_a_server_that_cannot_start_shows_its_log() -> None:
    with Server() as server:
        server.stop()
        (server.data / "postgresql.conf").write_text("no_such_setting = 1\n")
        with pytest.raises(AssertionError, match="no_such_setting"):
            server.start()
