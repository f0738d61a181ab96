"""The processes that people start: the API, with a worker inside or without, and a worker alone.

SIGTERM and SIGINT end both within seconds: nothing more is taken in, answers under way get three seconds,
and what runs is left for whoever takes it over.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import sqlalchemy as sa
import structlog
import uvicorn
from prometheus_client import start_http_server

from pipelines.errors import OptionError, OutputError, TurnwiseError
from service import addresses, database, durable, keys, logs, stages, telemetry
from service.api.context import Context
from service.settings import Settings
from service.storage import Storage
from service.worker import Worker

log = structlog.get_logger("turnwise")

GRACE = 3
"""Seconds that answers under way get when the server stops."""
LAST_RESORT = 8.0
"""Seconds after being told to stop in which a process ends in any case, as where a thread waits for a
database that is away."""


@contextmanager
def opened(settings: Settings) -> Iterator[Context]:
    """Data folder and database, ready to work with. Raises OutputError where they cannot be reached."""
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
        yield Context(settings, engine, storage, queue)
    finally:
        queue.close()
        engine.dispose()


def serve(settings: Settings, with_worker: bool) -> None:
    """The API until it is told to stop."""
    logs.set_up(settings.log_level)
    telemetry.set_up(settings.otlp_endpoint)
    with opened(settings) as context:
        check_host(context)
        listener = _listen(settings)
        worker = _worker(context) if with_worker else None
        if worker:
            worker.start()
        for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn sends itself those again that it has minded
            signal.signal(number, lambda *_: None)
        try:
            _run(context, listener)
        finally:
            if worker:
                worker.stop()


def work(settings: Settings) -> None:
    """A worker alone, until it is told to stop."""
    logs.set_up(settings.log_level)
    telemetry.set_up(settings.otlp_endpoint)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with opened(settings) as context:
        worker = _worker(context)
        worker.start()
        if settings.worker_metrics_port:
            start_http_server(
                settings.worker_metrics_port, addr="127.0.0.1", registry=context.metrics.registry
            )
        stop.wait()
        _end_in_any_case()
        worker.stop()


def _end_in_any_case() -> None:
    timer = threading.Timer(LAST_RESORT, os._exit, (0,))
    timer.daemon = True
    timer.start()


def _worker(context: Context) -> Worker:
    threading.Thread(target=_tell_engines, args=(context.settings,), daemon=True).start()
    return Worker(context.settings, context.engine, context.storage, context.queue, context.metrics)


def _tell_engines(settings: Settings) -> None:
    """In the log, what jobs that name no engine will run with, or what is missing for them."""
    try:
        _, notices = stages.load_factory(settings.engines)(
            settings.asr, settings.diarizer, settings.device, ""
        )
    except (TurnwiseError, ImportError, AttributeError) as error:
        log.warning("engines are not ready", reason=str(error))
    else:
        for notice in notices:
            log.info("engine", choice=notice.message)


def check_host(context: Context) -> None:
    """Raises OptionError where the API would be open to a network without a key."""
    with context.engine.connect() as connection:
        guarded = keys.any_exist(connection)
    if not guarded and not addresses.is_loopback(context.settings.host):
        raise OptionError(
            f"Without keys the server listens on a loopback address only, not on {context.settings.host}: "
            "make a key first (turnwise keys create NAME)."
        )


class _Server(uvicorn.Server):
    """Ends open streams of events as soon as it is told to stop."""

    def __init__(self, config: uvicorn.Config, context: Context) -> None:
        super().__init__(config)
        self._context = context

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        _end_in_any_case()
        self._context.watcher.close()
        super().handle_exit(sig, frame)


def _run(context: Context, listener: socket.socket) -> None:
    from service.api.app import create_app  # noqa: PLC0415 (a worker starts faster without it)

    config = uvicorn.Config(
        create_app(context),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
        lifespan="off",
    )
    with listener:
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        print(f"turnwise: http://{shown}:{port} (its documentation: /docs)", flush=True)
        _Server(config, context).run([listener])


def _listen(settings: Settings) -> socket.socket:
    """Bound here, so that a port that is taken is told before anything begins."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        where = f"{settings.host} port {settings.port}"
        raise OptionError(f"The server cannot listen on {where} ({reason}): choose another --port.") from None
    # Handed on to every connection. asyncio sets it on sockets that it made itself only, and without it the
    # body of an answer waits 40 ms for the client's acknowledgement of the head.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
