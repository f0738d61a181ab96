"""Middleware: an id, a log line, a count and a time for every request; answers where nothing else answers."""

from __future__ import annotations

import asyncio
import re
import time
from http import HTTPStatus

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api import handlers as errors
from service.files.storage import new_id
from service.observability.metrics import Metrics

log = structlog.get_logger("turnwise.api")

HEADER = b"x-request-id"
ACCEPTABLE = re.compile(rb"[A-Za-z0-9._-]{1,64}")
QUIET = {"/health/live", "/health/ready", "/metrics"}


class Tracing:
    """The outermost ASGI middleware."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        id = _sent_id(scope) or new_id()
        structlog.contextvars.bind_contextvars(request_id=id)
        begin, status = time.perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (HEADER, id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except asyncio.CancelledError:  # by the server, which shuts down and waits no longer
            if status == 0:
                await errors.stopping()(scope, receive, send_with_id)
        except Exception:
            log.exception("fault")
            if status == 0:
                await errors.fault()(scope, receive, send_with_id)
        finally:
            self._note(scope, status, time.perf_counter() - begin)
            structlog.contextvars.unbind_contextvars("request_id")

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "other")
        method = scope["method"] if scope["method"] in errors.METHODS else "other"
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.request_seconds.labels(method, route).observe(seconds)
        if scope["path"] not in QUIET or status >= HTTPStatus.BAD_REQUEST:
            log.info("request", method=method, route=route, status=status, seconds=round(seconds, 4))


def _sent_id(scope: Scope) -> str:
    """Returns the id that a proxy gave the request, "" if it does not look like one."""
    sent = next((value for name, value in scope["headers"] if name == HEADER), b"")
    return sent.decode() if ACCEPTABLE.fullmatch(sent) else ""
