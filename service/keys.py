"""Keys of the API: tw_<id>_<secret>, shown once; the table holds a hash.

The secret is 32 random bytes. Nobody can try them all, so that a plain SHA-256 keeps it as well as a slow
hash, and no request waits for it. Every function takes a connection inside a transaction of the caller's.
"""

from __future__ import annotations

import hmac
import re
import secrets
import time
from dataclasses import dataclass
from hashlib import sha256

import sqlalchemy as sa

from pipelines.errors import OptionError
from service.records.database import keys

LONGEST_NAME_CHARACTERS = 200
_TOKEN = re.compile(r"tw_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
_NOBODY = "0" * 64


@dataclass(frozen=True, slots=True)
class Key:
    """What is known of a key; times in seconds since 1970, `revoked` 0 where it is not."""

    id: str
    name: str
    created: float
    revoked: float


def create(connection: sa.Connection, name: str) -> str:
    """Makes a key and returns its token, which nobody can read again.

    Raises OptionError where the name is empty, longer than 200 characters or not printable.
    """
    if not name.strip() or len(name) > LONGEST_NAME_CHARACTERS or not name.isprintable():
        raise OptionError(f"Name the key with 1 to {LONGEST_NAME_CHARACTERS} printable characters.")
    identity, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    row = {
        "id": identity,
        "name": name,
        "secret_sha256": _hash(secret),
        "created": time.time(),
        "revoked": 0.0,
    }
    connection.execute(keys.insert().values(row))
    return f"tw_{identity}_{secret}"


def list_all(connection: sa.Connection) -> list[Key]:
    """Every key, the revoked too, oldest first."""
    columns = (keys.c.id, keys.c.name, keys.c.created, keys.c.revoked)
    rows = connection.execute(sa.select(*columns).order_by(keys.c.created, keys.c.id))
    return [Key(*row) for row in rows]


def revoke(connection: sa.Connection, identity: str) -> bool:
    """Ends a key from the next request on; False where there is none with this id that still works."""
    change = keys.update().where(keys.c.id == identity, keys.c.revoked == 0).values(revoked=time.time())
    return connection.execute(change).rowcount == 1


def authenticate(connection: sa.Connection, token: str) -> str | None:
    """The id of the key that this is the token of, or None.

    The id is no secret: it is looked up. The secret is compared in the same time whatever it is.
    """
    parsed = _TOKEN.fullmatch(token)
    if not parsed:
        return None
    identity, secret = parsed.groups()
    question = sa.select(keys.c.secret_sha256).where(keys.c.id == identity, keys.c.revoked == 0)
    stored = connection.execute(question).scalar_one_or_none()
    return identity if hmac.compare_digest(_hash(secret), stored or _NOBODY) else None


def any_exist(connection: sa.Connection) -> bool:
    """Whether a key was ever made. The revoked count: without its last key a server opens to nobody."""
    return connection.execute(sa.select(keys.c.id).limit(1)).first() is not None


def _hash(secret: str) -> str:
    return sha256(secret.encode("ascii")).hexdigest()
