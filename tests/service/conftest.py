"""What the tests of the service stand on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from service.records import database
from service.settings import Settings
from tests.support.postgres import Server


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.acceptance)])
def storage_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings with a data folder and a database of their own, on SQLite and then on PostgreSQL."""
    if request.param == "sqlite":
        return Settings(data_dir=tmp_path / "data")
    server: Server = request.getfixturevalue("postgres")
    return Settings(data_dir=tmp_path / "data", database_url=server.create_database())


@pytest.fixture
def tables(storage_settings: Settings) -> Iterator[sa.Engine]:
    """Our tables, empty, on SQLite and then on PostgreSQL."""
    made = database.connect(storage_settings)
    with database.one_at_a_time(made, storage_settings):
        database.migrate(made)
    yield made
    made.dispose()
