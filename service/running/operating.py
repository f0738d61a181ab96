"""`turnwise keys` and `turnwise jobs`: what those who run the service do on its machine."""

from __future__ import annotations

import sys
from argparse import Namespace
from datetime import UTC, datetime

import sqlalchemy as sa

from pipelines.errors import OptionError
from service import keys
from service.parts import Parts
from service.records import jobs, owners
from service.work.deletion import delete


def create_key(request: Namespace, parts: Parts) -> None:
    with parts.engine.begin() as connection:
        token = keys.create(connection, request.name)
        print(token)
        _tell_orphans(connection, owners.NOBODY, token.split("_")[1])


def list_keys(request: Namespace, parts: Parts) -> None:
    with parts.engine.begin() as connection:
        for key in keys.list_all(connection):
            print(key.id, "revoked" if key.revoked else "works  ", key.name)


def revoke_key(request: Namespace, parts: Parts) -> None:
    with parts.engine.begin() as connection:
        if not keys.revoke(connection, request.name):
            raise OptionError(f"There is no key {request.name!r} that still works: see turnwise keys list.")
        _tell_orphans(connection, request.name, "KEY")


def _tell_orphans(connection: sa.Connection, owner: str, key: str) -> None:
    """Says what to do with jobs of an owner that no key reaches."""
    if count := len(owners.find(connection, owner, orphans=True)):
        print(
            f"turnwise: no key reaches the jobs of {owner} ({count}): give them to a key with turnwise jobs"
            f" adopt {key} --owner {owner}, or delete them with turnwise jobs delete --owner {owner}.",
            file=sys.stderr,
        )


def list_jobs(request: Namespace, parts: Parts) -> None:
    with parts.engine.begin() as connection:
        found = owners.find(connection, request.owner, request.state, request.orphans)
    for job in found:
        created = datetime.fromtimestamp(job.created, UTC).isoformat(timespec="seconds")
        print(f"{job.id} {job.state:9} {created} {job.owner or owners.NOBODY}")


def delete_jobs(request: Namespace, parts: Parts) -> None:
    """Deletes all that are named, or none if one of them does not exist."""
    ids = list(dict.fromkeys(request.ids))
    by_owner = request.owner or request.orphans
    if bool(ids) == bool(by_owner) or (ids and request.state):
        raise OptionError("Say which jobs: either their ids, or --owner or --orphans.")
    with parts.engine.begin() as connection:
        if by_owner:
            ids = [job.id for job in owners.find(connection, request.owner, request.state, request.orphans)]
        elif missing := sorted(set(ids) - jobs.revisions(connection, ids).keys()):
            raise OptionError(f"There is no job {missing[0]!r}: see turnwise jobs list.")
    for job in ids:
        delete(job, parts)
    print(f"{len(ids)} deleted")


def adopt_jobs(request: Namespace, parts: Parts) -> None:
    with parts.engine.begin() as connection:
        if not any(key.id == request.key and not key.revoked for key in keys.list_all(connection)):
            raise OptionError(f"There is no key {request.key!r} that works: see turnwise keys list.")
        print(f"{owners.adopt(connection, request.key, request.owner)} adopted")


ACTIONS = {
    ("keys", "create"): create_key,
    ("keys", "list"): list_keys,
    ("keys", "revoke"): revoke_key,
    ("jobs", "list"): list_jobs,
    ("jobs", "delete"): delete_jobs,
    ("jobs", "adopt"): adopt_jobs,
}
"""By command and action."""
