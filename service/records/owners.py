"""Which key owns a job, for those who run the service.

A job belongs to the key that it was sent with. Once there are keys, nobody can reach the jobs of a revoked
key, or those sent before the first key: they are orphans until another key adopts them. Every function takes
a connection inside the caller's transaction.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from service.records import database as db

NOBODY = "nobody"
"""Name for the owner of jobs that were sent before the first key."""

_WORKING = sa.select(db.keys.c.id).where(db.keys.c.revoked == 0)
_ORPHANED = sa.and_(sa.exists(sa.select(db.keys.c.id)), db.jobs.c.owner.not_in(_WORKING))


@dataclass(frozen=True, slots=True)
class Brief:
    """A job as lists show it; `created` in seconds since 1970."""

    id: str
    state: str
    owner: str
    created: float


def find(connection: sa.Connection, owner: str = "", state: str = "", orphans: bool = False) -> list[Brief]:
    """The jobs that meet every condition given, oldest first."""
    columns = (db.jobs.c.id, db.jobs.c.state, db.jobs.c.owner, db.jobs.c.created)
    query = sa.select(*columns).where(*_conditions(owner, state, orphans))
    return [Brief(*row) for row in connection.execute(query.order_by(db.jobs.c.created, db.jobs.c.id))]


def adopt(connection: sa.Connection, key: str, owner: str = "") -> int:
    """Gives the orphans, or those of one owner, to a key; returns how many there were."""
    change = sa.update(db.jobs).where(*_conditions(owner, "", True)).values(owner=key)
    return connection.execute(change).rowcount


def _conditions(owner: str, state: str, orphans: bool) -> list[sa.ColumnElement[bool]]:
    asked = (
        (owner, db.jobs.c.owner == ("" if owner == NOBODY else owner)),
        (state, db.jobs.c.state == state),
        (orphans, _ORPHANED),
    )
    return [condition for said, condition in asked if said]
