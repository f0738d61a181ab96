"""The database: the versions lead to the tables that the code has, and every connection is a careful one."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from service.records import database
from service.records.database import VERSIONS, metadata
from service.settings import Settings
from tests.support.postgres import Server

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = {"version_table": VERSIONS}


def configuration(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", "service.records:migrations")
    config.attributes["connection"] = connection
    return config


# --------------------------------------------------------------------------- versions


def test_the_versions_lead_to_the_tables_of_the_code(tables: sa.Engine) -> None:
    with tables.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts=OPTIONS), metadata)
        inspector = sa.inspect(connection)
        made = {name: described(inspector, name) for name in inspector.get_table_names()}
    assert found == []
    directly = sa.create_engine("sqlite://")  # what the code alone would make
    with directly.connect() as connection:
        metadata.create_all(connection)
        meant = {name: described(sa.inspect(connection), name) for name in metadata.tables}
    directly.dispose()
    made.pop(VERSIONS)
    assert made == meant


def described(inspector: sa.Inspector, table: str) -> dict[str, tuple[str, bool, str]]:
    """Of each column its kind, whether it may be empty, and its default."""
    return {
        column["name"]: (
            column["type"].__visit_name__.lower().replace("double_precision", "float"),
            column["nullable"],
            (column["default"] or "").partition("::")[0].strip("'"),
        )
        for column in inspector.get_columns(table)
    }


def test_the_comparison_sees_a_difference(tables: sa.Engine) -> None:
    with tables.begin() as connection:
        connection.execute(sa.text("ALTER TABLE jobs ADD COLUMN more VARCHAR(3)"))
        connection.execute(sa.text("DROP INDEX jobs_by_owner"))
        found = compare_metadata(MigrationContext.configure(connection, opts=OPTIONS), metadata)
    assert sorted(change[0] for change in found) == ["add_index", "remove_column"]


def test_versions_are_one_line(tables: sa.Engine) -> None:
    with tables.connect() as connection:
        scripts = ScriptDirectory.from_config(configuration(connection))
        [head] = scripts.get_heads()
        [base] = scripts.get_bases()
        assert connection.execute(sa.text(f"SELECT version_num FROM {VERSIONS}")).scalar_one() == head
    assert int(base) == 1


def test_bringing_up_to_date_what_is_changes_nothing(tables: sa.Engine) -> None:
    with tables.begin() as connection:
        row = {"id": "a", "name": "b", "secret_sha256": "c", "created": 1.0, "revoked": 0.0}
        connection.execute(sa.insert(database.keys).values(row))
    database.migrate(tables)
    with tables.connect() as connection:
        assert connection.execute(sa.select(database.keys)).one()._asdict() == row


def test_the_way_back_leaves_nothing(tables: sa.Engine) -> None:
    with tables.begin() as connection:
        command.downgrade(configuration(connection), "base")
        assert sa.inspect(connection).get_table_names() == [VERSIONS]
    database.migrate(tables)
    with tables.connect() as connection:
        assert set(sa.inspect(connection).get_table_names()) == {*metadata.tables, VERSIONS}


STARTING = """
import sys
from service.records import database, workflows as durable
from service.settings import Settings

settings = Settings()
engine = database.connect(settings)
print("ready", flush=True)
sys.stdin.readline()
with database.one_at_a_time(engine, settings):
    database.migrate(engine)
    durable.prepare(engine)
"""


@pytest.mark.acceptance
def test_processes_that_start_together_make_the_tables_once(storage_settings: Settings) -> None:
    environment = {
        "TURNWISE_DATA_DIR": str(storage_settings.data_dir),
        "TURNWISE_DATABASE_URL": storage_settings.database_url,
    }
    with ExitStack() as ended:
        processes = [
            ended.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", STARTING],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env=environment,
                    cwd=ROOT,
                    text=True,
                )
            )
            for _ in range(2)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        for process in processes:
            _, said = process.communicate(timeout=120)
            assert process.returncode == 0, said
    engine = database.connect(storage_settings)
    with engine.connect() as connection:
        assert set(metadata.tables) < set(sa.inspect(connection).get_table_names())
    engine.dispose()


def test_no_column_holds_what_a_user_wrote() -> None:
    """Ids, hashes, codes and times; of people only the names of keys, which whoever runs it gives."""
    for table in metadata.tables.values():
        for column in table.columns:
            assert isinstance(column.type, sa.String | sa.Float | sa.Integer | sa.Boolean), column
            longest = column.type.length if isinstance(column.type, sa.String) else 0
            assert longest is not None
            assert longest <= 64 or column is database.keys.c.name, column


# --------------------------------------------------------------------------- connections


@pytest.fixture
def sqlite(tmp_path: Path) -> sa.Engine:
    return database.connect(Settings(data_dir=tmp_path / "data"))


def test_every_connection_to_sqlite_is_a_careful_one(sqlite: sa.Engine) -> None:
    with ExitStack() as open_at_once:
        for _ in range(3):
            connection = open_at_once.enter_context(sqlite.connect())
            pragmas = {
                name: connection.execute(sa.text(f"PRAGMA {name}")).scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "busy_timeout")
            }
            assert pragmas == {
                "journal_mode": "wal",
                "synchronous": 2,  # FULL
                "foreign_keys": 1,
                "secure_delete": 1,
                "busy_timeout": 30000,
            }
    sqlite.dispose()


def test_writers_wait_for_each_other(sqlite: sa.Engine) -> None:
    with sqlite.begin() as connection:
        connection.execute(sa.text("CREATE TABLE counts (n INTEGER)"))
        connection.execute(sa.text("INSERT INTO counts VALUES (0)"))

    def count() -> None:
        for _ in range(10):
            with sqlite.begin() as connection:
                connection.execute(sa.text("UPDATE counts SET n = n + 1"))
                n = connection.execute(sa.text("SELECT n FROM counts")).scalar_one()
                connection.execute(sa.text("UPDATE counts SET n = :n"), {"n": n})

    threads = [threading.Thread(target=count) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with sqlite.connect() as connection:
        assert connection.execute(sa.text("SELECT n FROM counts")).scalar_one() == 60
    sqlite.dispose()


def test_a_deleted_row_is_overwritten(sqlite: sa.Engine, tmp_path: Path) -> None:
    with sqlite.begin() as connection:
        metadata.create_all(connection)
        for number in range(50):
            row = {"id": f"{number}", "name": f"canary{number}", "secret_sha256": "c", "created": 1.0}
            connection.execute(sa.insert(database.keys).values(row))
    with sqlite.begin() as connection:
        connection.execute(sa.delete(database.keys))
    with sqlite.connect() as connection:
        connection.execute(sa.text("PRAGMA wal_checkpoint(TRUNCATE)"))
    written = (tmp_path / "data" / "turnwise.db").read_bytes()
    assert b"secret_sha256" in written
    assert b"canary" not in written
    sqlite.dispose()


def test_the_data_folder_is_its_owners_alone(sqlite: sa.Engine, tmp_path: Path) -> None:
    with sqlite.connect():
        assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    sqlite.dispose()


@pytest.mark.acceptance
def test_a_connection_that_broke_is_replaced(postgres: Server, tmp_path: Path) -> None:
    engine = database.connect(Settings(data_dir=tmp_path, database_url=postgres.create_database()))
    with engine.connect() as one, engine.connect() as other:
        assert (
            one.execute(sa.text("SELECT 1")).scalar_one() == other.execute(sa.text("SELECT 1")).scalar_one()
        )
    with psycopg.connect(engine.url.set(drivername="postgresql").render_as_string(False)) as outsider:
        outsider.execute(
            "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity"
            " WHERE application_name = 'turnwise' AND datname = current_database()"
        )
    with engine.connect() as one, engine.connect() as other:
        assert (
            one.execute(sa.text("SELECT 1")).scalar_one() == other.execute(sa.text("SELECT 1")).scalar_one()
        )
    engine.dispose()


@pytest.mark.acceptance
def test_both_ends_notice_that_a_machine_is_gone(postgres: Server, tmp_path: Path) -> None:
    """That they do is for tests/acceptance/cut.py to see."""
    address = f"{postgres.create_database()}?options=-c%20work_mem%3D5MB"
    engine = database.connect(Settings(data_dir=tmp_path, database_url=address))
    with engine.connect() as connection:
        shown = {
            name: connection.execute(sa.text(f"SHOW {name}")).scalar_one()
            for name in ("tcp_keepalives_idle", "tcp_keepalives_count", "tcp_user_timeout", "work_mem")
        }
        raw = connection.connection.driver_connection
        assert isinstance(raw, psycopg.Connection)
        ours = socket.socket(fileno=os.dup(raw.fileno()))
    with ours:
        waits = [
            ours.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
        ]
    assert list(shown.values()) == ["1", "3", "4000", "5MB"]
    assert waits == [1, 3, 4000]
    engine.dispose()
