"""The search for canaries finds them wherever they can be."""

from __future__ import annotations

import base64
import json
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from tests.acceptance import canaries
from tests.acceptance.canaries import Found, search_database, search_folder, search_server
from tests.support.postgres import Server

pytestmark = pytest.mark.acceptance

BIRD = b"Canary-5f1d\xc3\xa9-e2"
OTHER = b"another one altogether"


def test_files_and_their_names(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"\0\xff" + BIRD + b"\n")
    (deep / "clean").write_bytes(BIRD[:-1])
    (deep / f"x{BIRD.decode()}").touch()
    assert search_folder(tmp_path, [BIRD, OTHER]) == {
        Found(BIRD, "a/b/file"),
        Found(BIRD, f"the name a/b/x{BIRD.decode()}"),
    }


@pytest.mark.parametrize("place", [-len(BIRD), -5, -1, 0])
def test_a_canary_across_two_blocks(tmp_path: Path, place: int) -> None:
    filler = bytes(canaries.BLOCK_BYTES + place)
    (tmp_path / "large").write_bytes(filler + BIRD + bytes(canaries.BLOCK_BYTES))
    assert search_folder(tmp_path, [BIRD]) == {Found(BIRD, "large")}


@pytest.mark.parametrize(
    "disguise",
    [
        bytes.lower,
        bytes.upper,
        lambda bird: bird.hex().encode(),
        lambda bird: bird.hex().upper().encode(),
        lambda bird: json.dumps(bird.decode()).encode(),
        lambda bird: bird.decode().encode("utf-16"),
        base64.b64encode,
        lambda bird: base64.b64encode(b"?" + bird + b"?"),
        lambda bird: base64.b64encode(b"??" + bird),
        lambda bird: base64.urlsafe_b64encode(b"\xff\xfe" + bird + b"\xff\xff"),
    ],
)
def test_disguises(tmp_path: Path, disguise: Callable[[bytes], bytes]) -> None:
    (tmp_path / "file").write_bytes(b"before" + disguise(BIRD) + b"after")
    assert search_folder(tmp_path, [BIRD]) == {Found(BIRD, "file")}
    assert search_folder(tmp_path, [OTHER]) == set()


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    sound = bytes(range(128, 192))
    (tmp_path / "sound").write_bytes(b"RIFF" + sound)
    assert search_folder(tmp_path, [sound]) == {Found(sound, "sound")}


def test_a_canary_that_chance_could_bring_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        search_folder(tmp_path, [b"word"])


def test_the_write_ahead_log_of_sqlite(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "data.db")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE words (word TEXT)")
        connection.execute("INSERT INTO words VALUES (?)", (BIRD.decode(),))
        connection.commit()
        assert search_folder(tmp_path, [BIRD]) == {
            Found(BIRD, "data.db-wal"),
            Found(BIRD, "the rows of data.db"),
        }


def test_what_sqlite_deleted_but_did_not_overwrite(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "data.db")) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("CREATE TABLE words (word TEXT)")
        connection.execute("INSERT INTO words VALUES (?)", (BIRD.decode(),))
        connection.commit()
        connection.execute("DELETE FROM words")
        connection.commit()
    assert search_folder(tmp_path, [BIRD]) == {Found(BIRD, "data.db")}


def test_a_long_value_of_sqlite_that_lies_in_pieces(tmp_path: Path) -> None:
    """Longer than a page, and so never whole in the file."""
    long = BIRD * 400
    with closing(sqlite3.connect(tmp_path / "data.db")) as connection:
        connection.execute('CREATE TABLE "odd ""name" (word BLOB)')
        connection.execute('INSERT INTO "odd ""name" VALUES (?)', (long,))
        connection.commit()
    assert Found(long, "the rows of data.db") in search_folder(tmp_path, [long])
    assert Found(long, "data.db") not in search_folder(tmp_path, [long])


def test_the_search_takes_no_lock_away(tmp_path: Path) -> None:
    """Closing an SQLite file in its own process would, and another writer would come in between."""
    path = tmp_path / "data.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE words (word TEXT)")
        connection.commit()
        connection.execute("BEGIN IMMEDIATE")
        search_folder(tmp_path, [BIRD])
        assert _other_process_is_locked_out(path)
        connection.rollback()
        assert not _other_process_is_locked_out(path)


def _other_process_is_locked_out(path: Path) -> bool:
    code = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
    run = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=False)
    assert run.returncode == 0 or "database is locked" in run.stderr
    return run.returncode != 0


def test_files_that_go_away_are_passed_over(tmp_path: Path) -> None:
    stop = threading.Event()

    def come_and_go() -> None:
        while not stop.is_set():
            for index in range(20):
                (tmp_path / f"{index}").mkdir()
                (tmp_path / f"{index}" / "file").write_bytes(BIRD)
            for index in range(20):
                shutil.rmtree(tmp_path / f"{index}")

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        for _ in range(5):
            assert {found.canary for found in search_folder(tmp_path, [BIRD])} <= {BIRD}
    finally:
        stop.set()
        thread.join()


def test_rows_of_postgresql(postgres: Server) -> None:
    url = postgres.create_database()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE SCHEMA aside")
        connection.execute('CREATE TABLE aside."Odd name" (words text, raw bytea, structured jsonb)')
        insert = 'INSERT INTO aside."Odd name" VALUES (%s, %s, %s)'
        connection.execute(
            insert, (f"{BIRD.decode()}{'x' * 100_000}", OTHER, json.dumps({"a": "third canary"}))
        )
        connection.execute("CREATE TABLE clean (words text)")
        connection.execute("COMMENT ON TABLE clean IS 'fourth canary'")
        connection.execute("SELECT lo_from_bytea(0, 'fifth canary')")
    named = [BIRD, OTHER, b"third canary", b"fourth canary", b"fifth canary", b"no such canary"]
    assert search_database(url, named) == {
        *(Found(canary, "table aside.Odd name") for canary in named[:3]),
        Found(b"fourth canary", "table pg_catalog.pg_description"),
        Found(b"fifth canary", "table pg_catalog.pg_largeobject"),
    }
    assert search_database(postgres.create_database(), named) == set()


def test_what_a_server_of_postgresql_keeps(postgres: Server) -> None:
    """A deleted row stays in its file and in the write-ahead log, a failed statement in the server's log."""
    url = postgres.create_database()
    database = url.rpartition("/")[2]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE words (word text)")
        connection.execute("INSERT INTO words VALUES ('a deleted canary'), ('a living canary')")
        connection.execute("DELETE FROM words WHERE word = 'a deleted canary'")
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT 'a logged canary' FROM nowhere")
    named = [b"a deleted canary", b"a living canary", b"a logged canary", b"no such canary"]
    places: dict[bytes, list[str]] = {canary: [] for canary in named}
    for found in search_server(postgres, named):
        places[found.canary].append(found.place)
    assert places[named[3]] == []
    assert places[named[2]] == ["log"]
    for canary in named[:2]:
        assert any(place.startswith("data/base/") for place in places[canary])
        assert any(place.startswith("data/pg_wal/") for place in places[canary])
    in_rows = f"database {database}, table public.words"
    assert in_rows in places[named[1]]
    assert in_rows not in places[named[0]]
