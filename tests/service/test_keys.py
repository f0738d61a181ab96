"""Keys of the API: made, shown once, checked, revoked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import OptionError
from service import keys
from service.records.database import metadata


def test_a_token_opens_until_it_is_revoked(tables: sa.Engine) -> None:
    with tables.begin() as connection:
        first, second = keys.create(connection, "newsroom"), keys.create(connection, "archive")
    with tables.begin() as connection:
        identity = keys.authenticate(connection, first)
        other = keys.authenticate(connection, second)
        assert identity
        assert other
        assert identity != other
        assert keys.revoke(connection, identity)
    with tables.begin() as connection:
        assert keys.authenticate(connection, first) is None
        assert keys.authenticate(connection, second) == other
        assert not keys.revoke(connection, identity)
        assert not keys.revoke(connection, "nobody")


def test_the_list_tells_everything_but_the_secret(tables: sa.Engine) -> None:
    with tables.begin() as connection:
        token = keys.create(connection, "Rédaction 新聞")
        [key] = keys.list_all(connection)
        assert (key.name, key.revoked) == ("Rédaction 新聞", 0.0)
        assert key.id == keys.authenticate(connection, token)
        keys.revoke(connection, key.id)
        [revoked] = keys.list_all(connection)
        assert revoked.revoked >= key.created > 1.6e9


def test_a_key_was_made_even_if_it_is_revoked(tables: sa.Engine) -> None:
    with tables.begin() as connection:
        assert not keys.any_exist(connection)
        keys.create(connection, "only")
        assert keys.any_exist(connection)
        keys.revoke(connection, keys.list_all(connection)[0].id)
        assert keys.any_exist(connection)


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        metadata.create_all(connection)
        yield connection
    engine.dispose()


def test_the_parts_of_a_token_belong_together(connection: sa.Connection) -> None:
    first, second = keys.create(connection, "a"), keys.create(connection, "b")
    swapped = first[:20] + second[20:]
    assert first[:20] == f"tw_{keys.authenticate(connection, first)}_"
    assert keys.authenticate(connection, swapped) is None
    assert keys.authenticate(connection, first + "a") is None
    assert keys.authenticate(connection, first[:-1]) is None
    assert keys.authenticate(connection, f"{first}\n") is None
    assert keys.authenticate(connection, first.upper()) is None


def test_a_token_is_long_and_different_each_time(connection: sa.Connection) -> None:
    tokens = [keys.create(connection, "same") for _ in range(20)]
    assert len({token[20:] for token in tokens}) == 20
    assert all(re.fullmatch(r"tw_[0-9a-f]{16}_[A-Za-z0-9_-]{43}", token) for token in tokens)


def test_what_is_stored_opens_nothing(connection: sa.Connection) -> None:
    token = keys.create(connection, "a")
    stored = connection.execute(sa.select(metadata.tables["keys"])).one()
    assert token[20:] not in str(stored)
    assert keys.authenticate(connection, f"tw_{stored.id}_{stored.secret_sha256[:43]}") is None


def test_no_byte_of_a_secret_reaches_the_disk(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/keys.db")
    with engine.begin() as connection:
        metadata.create_all(connection)
        token = keys.create(connection, "canary")
    engine.dispose()
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"canary" in written
    assert token[20:].encode() not in written


@pytest.mark.parametrize("name", ["", "  ", "a" * 201, "two\nlines", "nul\0", "\x1b[31mred", "\udc80"])
def test_names_that_would_spoil_a_list_are_refused(connection: sa.Connection, name: str) -> None:
    with pytest.raises(OptionError):
        keys.create(connection, name)
    assert not keys.any_exist(connection)


@given(st.text() | st.text().map(lambda rest: f"tw_{rest}") | st.from_regex(r"tw_[0-9a-f]{16}_[\w-]{43}"))
def test_no_other_text_opens_anything(token: str) -> None:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        metadata.create_all(connection)
        keys.create(connection, "a")
        assert keys.authenticate(connection, token) is None
    engine.dispose()
