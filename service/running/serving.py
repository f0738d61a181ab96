"""The API as a process, with a worker inside or without, until SIGTERM or SIGINT.

Then it ends within seconds: nothing more is accepted, answers in progress get three, and what is running is
left for another worker to take over.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn

from pipelines.errors import OptionError
from service import keys, parts
from service.api import guard
from service.api.app import create_app
from service.api.context import Context
from service.running.door import BATCH, Door
from service.running.working import end_in_any_case, set_up, started
from service.settings import Settings

GRACE = 3
"""Seconds that answers in progress get when the server stops."""
WAITING = 2048
"""Connections that may wait to be accepted."""


@contextmanager
def opened(settings: Settings) -> Iterator[Context]:
    """Opens the parts of the service with what the API adds. Raises OutputError as `parts.opened` does."""
    with parts.opened(settings) as shared:
        yield Context(**vars(shared))


def serve(settings: Settings, with_worker: bool) -> None:
    """Runs the API until it is told to stop."""
    set_up(settings)
    Door.widen()
    with opened(settings) as context:
        check_host(context)
        listener = _listen(settings)
        worker = started(context) if with_worker else None
        for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises again those that it handled
            signal.signal(number, lambda *_: None)
        try:
            _run(context, listener)
        finally:
            if worker:
                worker.stop()


def check_host(context: Context) -> None:
    """Raises OptionError where the API would be open to a network without a key."""
    guarded, settings = context.apply(keys.any_exist), context.settings
    if settings.keys_required and not guarded and not guard.is_loopback(settings.host):
        raise OptionError(
            f"Without keys the server listens on a loopback address only, not on {settings.host}: "
            "make a key first (turnwise keys create NAME)."
        )


class _Server(uvicorn.Server):
    """Ends open event streams as soon as it is told to stop."""

    def __init__(self, config: uvicorn.Config, context: Context) -> None:
        super().__init__(config)
        self._context = context

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Lets more connections wait than asyncio accepts at once: waiting ones take no descriptor."""
        await super().startup(sockets)
        for listener in sockets or ():
            listener.listen(WAITING)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        end_in_any_case()
        self._context.watcher.close()
        super().handle_exit(sig, frame)


def _run(context: Context, listener: socket.socket) -> None:
    config = uvicorn.Config(
        create_app(context),
        http=Door,
        backlog=BATCH,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
        lifespan="off",
    )
    with listener:
        host, port = listener.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        print(f"turnwise: http://{shown}:{port} (documentation: /docs)", flush=True)
        _Server(config, context).run([listener])


def _listen(settings: Settings) -> socket.socket:
    """Binds here, so that a port in use is reported before anything starts."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=WAITING)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        where = f"{settings.host} port {settings.port}"
        raise OptionError(f"The server cannot listen on {where} ({reason}): choose another --port.") from None
    # Every connection inherits it. asyncio sets it only on sockets that it made itself; without it the body
    # of an answer waits 40 ms for the client's acknowledgement of the head.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
