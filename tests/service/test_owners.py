"""Whose a job is: orphans are the jobs that no key reaches, and a key can adopt them."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from service import keys
from service.files.storage import new_id
from service.records import jobs, owners
from service.records.jobs import JobState


def made(connection: sa.Connection, owner: str) -> str:
    id = new_id()
    jobs.insert(connection, id, owner, "0" * 64)
    return id


def found(connection: sa.Connection, owner: str = "", state: str = "", orphans: bool = False) -> set[str]:
    return {job.id for job in owners.find(connection, owner, state, orphans)}


def key(connection: sa.Connection) -> str:
    return keys.create(connection, "somebody").split("_")[1]


def test_without_keys_everybody_reaches_everything(tables: sa.Engine) -> None:
    with tables.begin() as connection:
        job = made(connection, "")
        assert found(connection) == found(connection, owners.NOBODY) == {job}
        assert found(connection, orphans=True) == set()
        assert owners.adopt(connection, "k") == 0


def test_orphans_are_those_of_nobody_and_of_revoked_keys(tables: sa.Engine) -> None:
    with tables.begin() as connection:
        before = made(connection, "")
        works, revoked = key(connection), key(connection)
        kept, left = made(connection, works), made(connection, revoked)
        assert found(connection, orphans=True) == {before}
        assert keys.revoke(connection, revoked)
        jobs.end(connection, left, JobState.FAILED)
        assert found(connection, orphans=True) == {before, left}
        assert found(connection, orphans=True, state="failed") == found(connection, revoked) == {left}
        assert found(connection, works, orphans=True) == set()
        assert [job.id for job in owners.find(connection)] == [before, kept, left]


@pytest.mark.parametrize("of_nobody", [True, False])
def test_a_key_adopts_orphans_and_nothing_else(tables: sa.Engine, of_nobody: bool) -> None:
    with tables.begin() as connection:
        before = made(connection, "")
        works, other, revoked = (key(connection) for _ in range(3))
        kept, left = made(connection, other), made(connection, revoked)
        keys.revoke(connection, revoked)
        assert owners.adopt(connection, works, other) == 0
        assert owners.adopt(connection, works, owners.NOBODY if of_nobody else "") == (1 if of_nobody else 2)
        own = {job.id for job in jobs.page(connection, works, None, 10)}
        assert own == ({before} if of_nobody else {before, left})
        assert found(connection, other) == {kept}
