"""Middleware that refuses requests which two servers could read differently, and sends headers with every
answer that keep it out of caches, foreign pages and guesses at its type."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api import handlers as errors
from service.problems import Code, ProblemError

JSON = ("application/json", "application/problem+json")
AMBIGUOUS = ProblemError(
    Code.BAD_REQUEST,
    "The request has both Content-Length and Transfer-Encoding: send one of them.",
    {"Connection": "close"},
)


class Guard:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("X-Content-Type-Options", "nosniff")
                headers.setdefault("Cache-Control", "private, no-cache")
                if headers.get("content-type", "").startswith(JSON):
                    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
            await send(message)

        names = {name for name, _ in scope.get("headers", ())}
        ambiguous = {b"content-length", b"transfer-encoding"} <= names  # RFC 9112, 6.1: request smuggling
        await (errors.answer(AMBIGUOUS) if ambiguous else self._app)(scope, receive, send_guarded)
