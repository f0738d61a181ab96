"""The database: our tables, and the engine that we and the workflows share. SQLite, or PostgreSQL.

No column holds what a user wrote: no texts, file names, or messages that quote them. A database keeps deleted
rows for a while; files in a job's folder are gone once they are deleted.
"""

from __future__ import annotations

import fcntl
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from service.settings import Settings

metadata = sa.MetaData()

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("owner", sa.String(32), nullable=False),  # id of a key, "" without keys
    sa.Column("idempotency", sa.String(64), unique=True),  # hash of owner and Idempotency-Key
    sa.Column("fingerprint", sa.String(64), nullable=False),  # hash of all that was sent
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("failed_stage", sa.String(16), nullable=False, server_default=""),
    sa.Column("failure", sa.String(64), nullable=False, server_default=""),  # code
    sa.Column("created", sa.Float, nullable=False),  # seconds since 1970, like all times
    sa.Column("started", sa.Float),
    sa.Column("finished", sa.Float),
    sa.Column("revision", sa.Integer, nullable=False),  # counts the changes that a watcher can see
    sa.Column("notify", sa.Boolean, nullable=False),  # whether a webhook is to be called
    sa.Column("turn", sa.Integer, nullable=False, server_default="0"),  # lower ones begin first
    sa.Column("size_bytes", sa.BigInteger, nullable=False, server_default="0"),  # of all its files
    sa.Index("jobs_by_owner", "owner", "id"),
    sa.Index("jobs_by_state", "state", "finished"),
)
stages = sa.Table(
    "stages",
    metadata,
    sa.Column("job", sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("stage", sa.String(16), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("fraction", sa.Float, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),  # begun, and neither ended nor released
    sa.Column("accepted", sa.String(16), nullable=False, server_default=""),  # the one that counts, if shared
    sa.Column("started", sa.Float),
    sa.Column("finished", sa.Float),
)
keys = sa.Table(
    "keys",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("secret_sha256", sa.String(64), nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("revoked", sa.Float, nullable=False, server_default="0"),  # 0 while it works
)

VERSIONS = "turnwise_version"
"""Name of Alembic's table; the workflows' tables are beside ours and have their own version."""

MIGRATIONS = 0x7475726E77697365
"""Number of the lock on PostgreSQL that lets only one process migrate."""
WAIT = 0.1
"""Seconds between two attempts to get it."""

PATIENCE = {
    "keepalives_idle": 1,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 4000,
}
"""How long to wait for the other end of a connection, under libpq's names: seconds, the last milliseconds."""


def url(settings: Settings) -> sa.URL:
    """Where the database is; the driver of PostgreSQL is always psycopg."""
    if not settings.database_url:
        return sa.URL.create("sqlite", database=str(settings.data_dir.resolve() / "turnwise.db"))
    return sa.make_url(settings.database_url).set(drivername="postgresql+psycopg")


def exists(settings: Settings) -> bool:
    """Whether the database was made; of PostgreSQL only its server knows, so that it counts as there."""
    address = url(settings)
    return address.get_backend_name() != "sqlite" or Path(address.database or "").exists()


def connect(settings: Settings) -> sa.Engine:
    """Makes the engine; SQLite uses a write-ahead log that is flushed at every commit."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    address = url(settings)
    pool: dict[str, Any] = {"pool_size": 10, "max_overflow": 20}
    if address.get_backend_name() == "sqlite":
        engine = sa.create_engine(address, **pool)
        sa.event.listen(engine, "connect", _set_up_sqlite)
        return engine
    pool |= {"pool_pre_ping": True, "pool_timeout": 10}
    return sa.create_engine(address, connect_args=over_network(address, "turnwise"), **pool)


def over_network(address: sa.URL, name: str) -> dict[str, Any]:
    """How to connect to PostgreSQL: both ends notice within seconds when the other one's machine is gone.

    By default they wait for a quarter of an hour, or for hours, while the server keeps the locks of a
    transaction that nobody will end. Options in the address still apply.
    """
    asked = [f"-c tcp_{option.removeprefix('tcp_')}={value}" for option, value in PATIENCE.items()]
    options = [*asked, str(address.query.get("options", ""))]
    return {"connect_timeout": 5, **PATIENCE, "options": " ".join(options), "application_name": name}


def _set_up_sqlite(connection: sqlite3.Connection, record: Any) -> None:
    """Makes writers wait for each other, and overwrites what is deleted."""
    connection.isolation_level = "IMMEDIATE"
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "busy_timeout = 30000",
        "foreign_keys = ON",
        "secure_delete = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


@contextmanager
def one_at_a_time(engine: sa.Engine, settings: Settings) -> Iterator[None]:
    """Keeps processes that start together from making the tables together."""
    if engine.dialect.name == "sqlite":
        with (settings.data_dir / "migrations.lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
    else:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            # Waiting inside pg_advisory_lock would keep a transaction open, and the holder of the lock waits
            # for open transactions to end when it makes an index concurrently.
            while not connection.execute(sa.select(sa.func.pg_try_advisory_lock(MIGRATIONS))).scalar_one():
                time.sleep(WAIT)
            try:
                yield
            finally:
                connection.execute(sa.select(sa.func.pg_advisory_unlock(MIGRATIONS)))


def migrate(engine: sa.Engine) -> None:
    """Brings our tables to the newest version; the caller holds `one_at_a_time`."""
    config = Config()
    config.set_main_option("script_location", "service.records:migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
