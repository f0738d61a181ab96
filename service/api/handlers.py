"""Turns every error of a request into a problem document, which has the id of the request."""

from __future__ import annotations

from http import HTTPStatus

import sqlalchemy as sa
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from pipelines.files import is_full
from service.fields import reason
from service.files.objects import AwayError
from service.problems import MEDIA_TYPE, Code, Problem, ProblemError

log = structlog.get_logger("turnwise.api")

METHODS = {"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"}
BY_STATUS = {
    HTTPStatus.NOT_FOUND: (Code.NOT_FOUND, "There is nothing at this address: see /docs for all addresses."),
    HTTPStatus.METHOD_NOT_ALLOWED: (Code.METHOD_NOT_ALLOWED, ""),
}


def install(app: FastAPI) -> None:
    """Registers all handlers."""
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(sa.exc.OperationalError, _database)
    app.add_exception_handler(sa.exc.InterfaceError, _database)
    app.add_exception_handler(sa.exc.TimeoutError, _database)
    app.add_exception_handler(OSError, _disk)
    app.add_exception_handler(AwayError, _store)


def document(error: ProblemError) -> Problem:
    """Returns the error as a problem document of the current request."""
    return Problem.of(error, structlog.contextvars.get_contextvars().get("request_id", ""))


def answer(error: ProblemError) -> JSONResponse:
    """Returns the error as an answer."""
    body = document(error).model_dump()
    return JSONResponse(body, int(error.code.status), dict(error.headers), media_type=MEDIA_TYPE)


def fault() -> JSONResponse:
    """Returns the answer to a request that failed by a fault of ours."""
    return answer(ProblemError(Code.INTERNAL))


def stopping() -> JSONResponse:
    """Returns the answer to a request that is unfinished when the server shuts down."""
    detail = "The service is being stopped: send the request again in a moment."
    return answer(ProblemError(Code.UNAVAILABLE, detail, {"Retry-After": "5", "Connection": "close"}))


async def _problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return answer(error)


async def _invalid(request: Request, error: Exception) -> Response:
    """Reports the first error only, as one sentence."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    return answer(ProblemError(Code.INVALID, f"{where}: {reason(first)}."))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    known = BY_STATUS.get(HTTPStatus(error.status_code))
    code, detail = known or (Code.BAD_REQUEST, "The request cannot be read: check how it was built.")
    headers = dict(error.headers or {})
    if code is Code.METHOD_NOT_ALLOWED:  # the framework names the methods of one route, but there may be more
        routes = request.app.routes
        scopes = [{**request.scope, "method": method} for method in sorted(METHODS)]
        found = [scope for scope in scopes if any(route.matches(scope)[0] is Match.FULL for route in routes)]
        headers["Allow"] = ", ".join(scope["method"] for scope in found)
    return answer(ProblemError(code, detail, headers))


async def _database(request: Request, error: Exception) -> Response:
    log.warning("database is away", reason=type(error).__name__)
    if "disk is full" in str(error):
        return answer(full())
    return answer(ProblemError(Code.UNAVAILABLE, headers={"Retry-After": "5"}))


async def _store(request: Request, error: Exception) -> Response:
    log.warning("store is away", reason=str(error))
    detail = "The object store cannot be reached: try again in a moment."
    return answer(ProblemError(Code.UNAVAILABLE, detail, {"Retry-After": "5"}))


async def _disk(request: Request, error: Exception) -> Response:
    assert isinstance(error, OSError)
    if is_full(error):
        return answer(full())
    log.exception("disk", exc_info=error)
    return fault()


def full() -> ProblemError:
    """Returns the problem of too little disk space for new data."""
    return ProblemError(Code.DISK_FULL, headers={"Retry-After": "60"})
