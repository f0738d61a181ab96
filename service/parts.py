"""The parts of a running service that API and workers share, opened and ready to use."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa

from pipelines.errors import OutputError
from service.files.bucket import SharedStorage
from service.files.bucket_uploads import Chunks
from service.files.objects import AwayError, Objects
from service.files.storage import Storage
from service.files.uploads import FolderUploads, Uploads
from service.observability.metrics import Metrics
from service.records import database, workflows
from service.settings import Settings

P = ParamSpec("P")
Result = TypeVar("Result")


@dataclass(eq=False)
class Parts:
    """What every process of the service has."""

    settings: Settings
    engine: sa.Engine
    storage: Storage
    queue: workflows.Queue
    uploads: Uploads
    metrics: Metrics = field(default_factory=Metrics)

    def apply(
        self, change: Callable[Concatenate[sa.Connection, P], Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """Runs `change` in one transaction."""
        with self.engine.begin() as connection:
            return change(connection, *args, **kwargs)


@contextmanager
def opened(settings: Settings) -> Iterator[Parts]:
    """Opens data folder, object store and database. Raises OutputError where one cannot be reached."""
    with ExitStack() as stack:
        yield _opened(settings, stack)


def _opened(settings: Settings, stack: ExitStack) -> Parts:
    """Opens each on the stack, which closes those already open if another cannot be reached."""
    try:
        storage, uploads = _stored(settings)
        stack.callback(storage.close)
        storage.prepare()
        engine = database.connect(settings)
        stack.callback(engine.dispose)
        with database.one_at_a_time(engine, settings):
            database.migrate(engine)
            workflows.prepare(engine)
    except OSError as error:
        raise OutputError(
            f"The data folder {settings.data_dir} cannot be used by user {os.getuid()} ({error.strerror}): "
            "set TURNWISE_DATA_DIR."
        ) from None
    except AwayError as error:
        raise OutputError(
            f"The object store cannot be reached ({error}): check TURNWISE_STORAGE_URL, "
            "TURNWISE_STORAGE_ENDPOINT and the credentials."
        ) from None
    except sa.exc.OperationalError:
        raise OutputError(
            "The database cannot be reached: check TURNWISE_DATABASE_URL and that it runs."
        ) from None
    queue = workflows.Queue(engine)
    stack.callback(queue.close)
    return Parts(settings, engine, storage, queue, uploads)


def _stored(settings: Settings) -> tuple[Storage, Uploads]:
    """Files in the data folder, or in an object store. Raises OSError."""
    home = settings.data_dir.resolve()
    if settings.storage_url:
        objects = Objects(settings.storage_url, settings.storage_endpoint)
        return SharedStorage.made(home, objects), Chunks(objects)
    storage = Storage(home)
    return storage, FolderUploads(storage)
