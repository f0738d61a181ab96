"""Keys of the API: tw_<id>_<secret>, shown once; the table holds a hash.

The secret is 32 random bytes, too many to try, so a plain SHA-256 protects it as well as a slow hash, and no
request waits for one. Every function takes a connection inside the caller's transaction.
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
    """A key without its secret; times in seconds since 1970, `revoked` 0 while it works."""

    id: str
    name: str
    created: float
    revoked: float


def create(connection: sa.Connection, name: str) -> str:
    """Makes a key and returns its token, which cannot be read again.

    Raises OptionError where the name is empty, longer than 200 characters or not printable.
    """
    if not name.strip() or len(name) > LONGEST_NAME_CHARACTERS or not name.isprintable():
        raise OptionError(f"Name the key with 1 to {LONGEST_NAME_CHARACTERS} printable characters.")
    identity, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    row = {"id": identity, "name": name, "secret_sha256": _hash(secret), "created": time.time()}
    connection.execute(keys.insert().values(row))
    return f"tw_{identity}_{secret}"


def list_all(connection: sa.Connection) -> list[Key]:
    """Every key, revoked ones included, oldest first."""
    columns = (keys.c.id, keys.c.name, keys.c.created, keys.c.revoked)
    rows = connection.execute(sa.select(*columns).order_by(keys.c.created, keys.c.id))
    return [Key(*row) for row in rows]


def revoke(connection: sa.Connection, identity: str) -> bool:
    """Revokes a key from the next request on; False where no working key has this id."""
    change = keys.update().where(keys.c.id == identity, keys.c.revoked == 0).values(revoked=time.time())
    return connection.execute(change).rowcount == 1


def authenticate(connection: sa.Connection, token: str) -> str | None:
    """The id of the key that the token belongs to, or None.

    The id is not secret and is looked up; the secret is compared in constant time.
    """
    parsed = _TOKEN.fullmatch(token)
    if not parsed:
        return None
    identity, secret = parsed.groups()
    question = sa.select(keys.c.secret_sha256).where(keys.c.id == identity, keys.c.revoked == 0)
    stored = connection.execute(question).scalar_one_or_none()
    return identity if hmac.compare_digest(_hash(secret), stored or _NOBODY) else None


def any_exist(connection: sa.Connection) -> bool:
    """Whether a key was ever made. Revoked keys count: losing its last key must not open a server."""
    return connection.execute(sa.select(keys.c.id).limit(1)).first() is not None


def _hash(secret: str) -> str:
    return sha256(secret.encode("ascii")).hexdigest()
