"""`turnwise keys` and `turnwise jobs`: what those who run the service do on its machine."""

from __future__ import annotations

import sys
from argparse import Namespace
from datetime import UTC, datetime

from pipelines.errors import OptionError
from service import keys
from service.parts import Parts, opened
from service.records import database, jobs, owners
from service.settings import Settings
from service.work.deletion import delete


def act(request: Namespace, settings: Settings) -> None:
    """Runs one action. Raises OptionError where there is no service yet; only a first key may begin one."""
    action = ACTIONS[request.command, request.action]
    if action is not create_key and not database.exists(settings):
        remedy = "set TURNWISE_DATA_DIR, or run turnwise serve"
        raise OptionError(f"There is no service in the data folder {settings.data_dir}: {remedy}.")
    with opened(settings) as parts:
        action(request, parts)


def create_key(request: Namespace, parts: Parts) -> None:
    token = parts.apply(keys.create, request.name)
    print(token)
    _tell_orphans(parts, owners.NOBODY, token.split("_")[1])


def list_keys(request: Namespace, parts: Parts) -> None:
    for key in parts.apply(keys.list_all):
        print(key.id, "revoked" if key.revoked else "works  ", key.name)


def revoke_key(request: Namespace, parts: Parts) -> None:
    if not parts.apply(keys.revoke, request.name):
        raise OptionError(f"There is no key {request.name!r} that still works: see turnwise keys list.")
    _tell_orphans(parts, request.name, "KEY")


def _tell_orphans(parts: Parts, owner: str, key: str) -> None:
    """Says what to do with jobs of an owner that no key reaches."""
    if count := len(parts.apply(owners.find, owner, orphans=True)):
        print(
            f"turnwise: no key reaches the jobs of {owner} ({count}): give them to a key with turnwise jobs"
            f" adopt {key} --owner {owner}, or delete them with turnwise jobs delete --owner {owner}.",
            file=sys.stderr,
        )


def list_jobs(request: Namespace, parts: Parts) -> None:
    for job in parts.apply(owners.find, request.owner, request.state, request.orphans):
        created = datetime.fromtimestamp(job.created, UTC)
        print(f"{job.id} {job.state:9} {created:%Y-%m-%dT%H:%M:%SZ} {job.owner or owners.NOBODY}")


def delete_jobs(request: Namespace, parts: Parts) -> None:
    """Deletes all that are named, or none if one of them does not exist."""
    ids = list(dict.fromkeys(request.ids))
    by_owner = request.owner or request.orphans
    if bool(ids) == bool(by_owner) or (ids and request.state):
        raise OptionError("Say which jobs: either their ids, or --owner or --orphans.")
    if by_owner:
        ids = [job.id for job in parts.apply(owners.find, request.owner, request.state, request.orphans)]
    elif missing := sorted(set(ids) - parts.apply(jobs.revisions, ids).keys()):
        raise OptionError(f"There is no job {missing[0]!r}: see turnwise jobs list.")
    for job in ids:
        delete(job, parts)
    print(f"{len(ids)} deleted")


def adopt_jobs(request: Namespace, parts: Parts) -> None:
    works = {key.id: not key.revoked for key in parts.apply(keys.list_all)}
    if not works.get(request.key):
        raise OptionError(f"There is no key {request.key!r} that works: see turnwise keys list.")
    if request.owner not in {"", owners.NOBODY, *works}:
        raise OptionError(f"There is no key {request.owner!r} to take jobs from: see turnwise keys list.")
    print(f"{parts.apply(owners.adopt, request.key, request.owner)} adopted")


ACTIONS = {
    ("keys", "create"): create_key,
    ("keys", "list"): list_keys,
    ("keys", "revoke"): revoke_key,
    ("jobs", "list"): list_jobs,
    ("jobs", "delete"): delete_jobs,
    ("jobs", "adopt"): adopt_jobs,
}
"""By command and action."""
