"""Looks for byte strings that must be nowhere: in files, in databases, in all that a database server keeps.

A canary is found as it is, in either case, in UTF-16, escaped as in JSON, in hexadecimal and in base64. It is
not found inside compressed data, as PostgreSQL makes of values beyond 2 KiB; but its rows are read as well.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import sqlite3
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import psycopg
from psycopg import sql

from tests.support.postgres import Server

BLOCK_BYTES = 1 << 20
SHORTEST_BYTES = 8
"""A shorter canary would be found by chance."""
_SQLITE = b"SQLite format 3\0"


class Found(NamedTuple):
    canary: bytes
    place: str


def search_folder(folder: Path, canaries: Iterable[bytes]) -> set[Found]:
    """In every file below, in the names of all of them, and in the rows of the SQLite databases among them.

    The raw files of a database hold what was deleted and not overwritten; rows are read besides, since a long
    value lies in pieces. What goes away in the meantime is passed over.
    """
    forms = _Forms(canaries)
    found = set()
    for path in _paths(folder):
        place = str(path.relative_to(folder))
        found |= forms.search([os.fsencode(path.name)], f"the name {place}")
        if path.is_file() and not path.is_symlink():
            blocks = _file_blocks(path)
            first = next(blocks, b"")
            found |= forms.search(itertools.chain([first], blocks), place)
            if first.startswith(_SQLITE):
                found |= forms.search(_sqlite_values(path), f"the rows of {place}")
    return found


def search_database(url: str, canaries: Iterable[bytes]) -> set[Found]:
    """In every row of every table of a PostgreSQL database, its large objects and its comments."""
    forms = _Forms(canaries)
    found = set()
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT nspname, relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
            " WHERE relkind IN ('r', 'm') AND relpersistence != 't'"
            " AND (nspname NOT IN ('pg_catalog', 'information_schema')"
            " OR relname IN ('pg_largeobject', 'pg_description'))"
        ).fetchall()
        for schema, table in tables:
            found |= forms.search(_rows(connection, schema, table), f"table {schema}.{table}")
    return found


def search_server(server: Server, canaries: Iterable[bytes]) -> set[Found]:
    """In every database of a running server, in every byte of its data folder, and in its log."""
    canaries = list(canaries)
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CHECKPOINT")  # so that the files are what the server has in memory
        names = connection.execute("SELECT datname FROM pg_database WHERE datallowconn").fetchall()
    found = search_folder(server.folder, canaries)
    for (name,) in names:
        in_tables = search_database(f"{server.url.rpartition('/')[0]}/{name}", canaries)
        found |= {Found(canary, f"database {name}, {place}") for canary, place in in_tables}
    return found


class _Forms:
    """The canaries in every form in which they are looked for."""

    def __init__(self, canaries: Iterable[bytes]) -> None:
        self.exact: dict[bytes, bytes] = {}
        self.lower: dict[bytes, bytes] = {}
        for canary in canaries:
            assert len(canary) >= SHORTEST_BYTES, canary
            for spelling in {canary, canary.lower()}:
                self.exact |= dict.fromkeys(_base64(spelling), canary)
                self.lower |= dict.fromkeys(map(bytes.lower, _spellings(spelling)), canary)
        self.overlap = max(map(len, [*self.exact, *self.lower]), default=1) - 1

    def search(self, blocks: Iterable[bytes], place: str) -> set[Found]:
        found = set()
        before = b""
        for block in blocks:
            window = before + block
            before = window[max(len(window) - self.overlap, 0) :]
            lower = window.lower()
            found |= {Found(canary, place) for form, canary in self.exact.items() if form in window}
            found |= {Found(canary, place) for form, canary in self.lower.items() if form in lower}
        return found


def _spellings(canary: bytes) -> Iterator[bytes]:
    yield canary
    yield canary.hex().encode()
    with suppress(UnicodeDecodeError):
        text = canary.decode()
        yield json.dumps(text)[1:-1].encode()
        yield text.encode("utf-16-le")
        yield text.encode("utf-16-be")


def _base64(canary: bytes) -> Iterator[bytes]:
    """The characters that hold nothing but the canary, for the three places in a group where it may begin."""
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + canary)
        inner = encoded[-(-shift * 8 // 6) : (shift + len(canary)) * 8 // 6]
        yield inner
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))


def _paths(folder: Path) -> Iterator[Path]:
    """Everything below that is there at the moment; Path.rglob fails where a folder goes away."""

    def complain(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    for parent, folders, files in os.walk(folder, onerror=complain):
        yield from (Path(parent, name) for name in (*folders, *files))


def _file_blocks(path: Path) -> Iterator[bytes]:
    """A file's bytes, read by another process.

    Closing a file gives up all locks that this process has on it (POSIX), those of an SQLite connection too.
    """
    with subprocess.Popen(
        ["cat", "--", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "LC_ALL": "C"}
    ) as process:
        assert process.stdout
        assert process.stderr
        while block := process.stdout.read(BLOCK_BYTES):
            yield block
        complaint = process.stderr.read()
    assert process.returncode == 0 or b"No such file" in complaint, complaint


def _sqlite_values(path: Path) -> Iterator[bytes]:
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        connection.text_factory = bytes
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in [(b"sqlite_master",), *names]:
            quoted = name.decode().replace('"', '""')
            for row in connection.execute(f'SELECT * FROM "{quoted}"'):
                yield from (value for value in row if isinstance(value, bytes))


def _rows(connection: psycopg.Connection, schema: str, table: str) -> Iterator[bytes]:
    """In the binary format, in which texts and bytes are what they are."""
    statement = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT (FORMAT binary)")
    with connection.cursor() as cursor, cursor.copy(statement.format(sql.Identifier(schema, table))) as copy:
        yield from map(bytes, copy)
