"""The parts of a running service that API and workers share, ready to work with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import sqlalchemy as sa

from pipelines.errors import OutputError
from service import database, durable
from service.metrics import Metrics
from service.settings import Settings
from service.storage import Storage


@dataclass(eq=False)
class Parts:
    """What every process of the service has."""

    settings: Settings
    engine: sa.Engine
    storage: Storage
    queue: durable.Queue
    metrics: Metrics = field(default_factory=Metrics)


@contextmanager
def opened(settings: Settings) -> Iterator[Parts]:
    """Data folder and database. Raises OutputError where they cannot be reached."""
    storage = Storage(settings.data_dir.resolve())
    try:
        storage.prepare()
        engine = database.connect(settings)
        with database.one_at_a_time(engine, settings):
            database.migrate(engine)
            durable.prepare(engine)
    except OSError as error:
        raise OutputError(
            f"The data folder {settings.data_dir} cannot be used ({error.strerror}): set TURNWISE_DATA_DIR."
        ) from None
    except sa.exc.OperationalError:
        raise OutputError(
            "The database cannot be reached: check TURNWISE_DATABASE_URL and that it runs."
        ) from None
    queue = durable.Queue(engine)
    try:
        yield Parts(settings, engine, storage, queue)
    finally:
        queue.close()
        engine.dispose()
