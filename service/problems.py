"""Everything that the API answers instead of a result: RFC 9457 problem documents.

A problem has a stable `code` for programs, a sentence for people, and the id of the request, which is in
the log too. It never holds a stack trace or a path of this machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

MEDIA_TYPE = "application/problem+json"


class Code(Enum):
    """The codes, each with its status."""

    BAD_REQUEST = ("bad_request", HTTPStatus.BAD_REQUEST)
    UNAUTHORIZED = ("unauthorized", HTTPStatus.UNAUTHORIZED)
    FORBIDDEN = ("forbidden", HTTPStatus.FORBIDDEN)
    NOT_FOUND = ("not_found", HTTPStatus.NOT_FOUND)
    METHOD_NOT_ALLOWED = ("method_not_allowed", HTTPStatus.METHOD_NOT_ALLOWED)
    TIMEOUT = ("timeout", HTTPStatus.REQUEST_TIMEOUT)
    KEY_REUSED = ("idempotency_key_reused", HTTPStatus.CONFLICT)
    NOT_FINISHED = ("not_finished", HTTPStatus.CONFLICT)
    JOB_FAILED = ("job_failed", HTTPStatus.CONFLICT)
    UPLOAD_CONFLICT = ("upload_conflict", HTTPStatus.CONFLICT)
    UPLOAD_GONE = ("upload_gone", HTTPStatus.GONE)
    VERSION = ("tus_version", HTTPStatus.PRECONDITION_FAILED)
    TOO_LARGE = ("too_large", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    MEDIA_TYPE = ("unsupported_media_type", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    RANGE = ("range_not_satisfiable", HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
    INVALID = ("invalid", HTTPStatus.UNPROCESSABLE_ENTITY)
    TOO_MANY_REQUESTS = ("too_many_requests", HTTPStatus.TOO_MANY_REQUESTS)
    QUEUE_FULL = ("queue_full", HTTPStatus.TOO_MANY_REQUESTS)
    INTERNAL = ("internal", HTTPStatus.INTERNAL_SERVER_ERROR)
    UNAVAILABLE = ("unavailable", HTTPStatus.SERVICE_UNAVAILABLE)
    DISK_FULL = ("disk_full", HTTPStatus.INSUFFICIENT_STORAGE)

    @property
    def text(self) -> str:
        return self.value[0]

    @property
    def status(self) -> HTTPStatus:
        return self.value[1]


@dataclass(eq=False)
class ProblemError(Exception):
    """Raised anywhere below a request; `detail` is one sentence that says what to do."""

    code: Code
    detail: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.detail


class OpenAIError(BaseModel):
    """The same once more, as OpenAI's API puts it: what programs made for it show to their users."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    message: str = Field(examples=["There is no job with this id: check it, or list your jobs."])
    """As `detail`."""
    type: str = Field(examples=["invalid_request_error"])
    """invalid_request_error, or server_error where it is no fault of the request."""
    param: None = None
    """Always null."""
    code: str = Field(examples=["not_found"])
    """As `code`."""


class Problem(BaseModel):
    """The body of every answer that is no result (RFC 9457)."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str = Field(examples=["about:blank"])
    """Always about:blank: `code` says what it is."""
    title: str = Field(examples=["Not Found"])
    """The name of the status."""
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no job with this id: check it, or list your jobs."])
    """One sentence that says what to do."""
    code: str = Field(examples=["not_found"])
    """Stable, for programs."""
    request_id: str = Field(examples=["0192f7c66f1e7e4b9d5c0b8e3f6a1d27"])
    """In the header X-Request-Id and in the log too: name it when you ask for help."""
    error: OpenAIError
    """For programs made for OpenAI's API."""

    @classmethod
    def of(cls, code: Code, detail: str, request_id: str) -> Problem:
        return cls(
            type="about:blank",
            title=code.status.phrase,
            status=int(code.status),
            detail=detail,
            code=code.text,
            request_id=request_id,
            error=OpenAIError(
                message=detail,
                type="server_error"
                if code.status >= HTTPStatus.INTERNAL_SERVER_ERROR
                else "invalid_request_error",
                code=code.text,
            ),
        )


def responses(*codes: Code) -> dict[int | str, dict[str, Any]]:
    """The part of an operation's OpenAPI description that says which problems it answers with.

    Problems of one status share an entry that names all their codes.
    """
    grouped: dict[int, list[Code]] = {}
    for code in codes:
        grouped.setdefault(int(code.status), []).append(code)
    return {
        status: {
            "description": f"{HTTPStatus(status).phrase}: {', '.join(code.text for code in group)}",
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, group in grouped.items()
    }
