"""The API's error responses: RFC 9457 problem documents.

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
    QUOTA = ("quota_exceeded", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    """Not 507, as RFC 4331 has it: it is for the sender to do something, and what a 5xx answers many clients
    send again by themselves, here the whole recording."""
    MEDIA_TYPE = ("unsupported_media_type", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    RANGE = ("range_not_satisfiable", HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
    INVALID = ("invalid", HTTPStatus.UNPROCESSABLE_ENTITY)
    TOO_MANY_REQUESTS = ("too_many_requests", HTTPStatus.TOO_MANY_REQUESTS)
    QUEUE_FULL = ("queue_full", HTTPStatus.TOO_MANY_REQUESTS)
    INTERNAL = ("internal", HTTPStatus.INTERNAL_SERVER_ERROR)
    UNAVAILABLE = ("unavailable", HTTPStatus.SERVICE_UNAVAILABLE)
    DISK_FULL = ("disk_full", HTTPStatus.INSUFFICIENT_STORAGE)

    def __init__(self, text: str, status: HTTPStatus) -> None:
        self.text = text
        self.status = status


USUAL = {
    Code.BAD_REQUEST: "The form is cut off or not valid multipart: send it again, whole.",
    Code.UNAUTHORIZED: "A valid key is needed: send it as Authorization: Bearer tw_…",
    Code.FORBIDDEN: "Without keys this server answers only as localhost: use that name, or set"
    " TURNWISE_PUBLIC_URL.",
    Code.NOT_FOUND: "There is no job with this id: check it, or list your jobs.",
    Code.METHOD_NOT_ALLOWED: "This address does not take this method: see /docs for those it takes.",
    Code.KEY_REUSED: "This Idempotency-Key was used for a different request: use a new one.",
    Code.NOT_FINISHED: "The job has not ended: wait for it, or watch its events.",
    Code.UPLOAD_GONE: "The upload has expired, or was deleted or used: begin a new one.",
    Code.MEDIA_TYPE: "Send the recording and its files as multipart/form-data.",
    Code.INTERNAL: "An internal error: please report it with the request_id.",
    Code.UNAVAILABLE: "The database cannot be reached: try again in a moment.",
    Code.DISK_FULL: "The disk of the service is nearly full: try again later, or tell its operator.",
}
"""What a problem says where nothing more precise is known."""
EXAMPLES = USUAL | {
    Code.TIMEOUT: "Nothing arrived for 120 s: send it again, or use a resumable upload.",
    Code.JOB_FAILED: "The job has failed: there is no result.",
    Code.UPLOAD_CONFLICT: "The upload does not continue at byte 0: send from byte 1000.",
    Code.VERSION: "This is tus 1.0.0: send the header Tus-Resumable: 1.0.0.",
    Code.TOO_LARGE: "The part audio is larger than the limit of 4096 MiB: send less.",
    Code.QUOTA: "Your jobs and uploads take 9 of 10 MiB, and this does not fit: delete jobs, or send less.",
    Code.RANGE: "The recording has 192044 bytes: ask for a range within them.",
    Code.INVALID: "The part audio is missing: send the recording as a file, or name an upload.",
    Code.TOO_MANY_REQUESTS: "More than 600 requests in a minute: try again in 12 s.",
    Code.QUEUE_FULL: "1000 of your jobs are waiting or running, the limit: try again when some have ended.",
}
"""An example sentence for each code, for the documentation."""
EXAMPLE_REQUEST = "0192f7c66f1e7e4b9d5c0b8e3f6a1d27"
HEADERS = {
    HTTPStatus.UNAUTHORIZED: "WWW-Authenticate",
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: "Content-Range",
    HTTPStatus.PRECONDITION_FAILED: "Tus-Version",
    HTTPStatus.TOO_MANY_REQUESTS: "Retry-After",
    HTTPStatus.SERVICE_UNAVAILABLE: "Retry-After",
    HTTPStatus.INSUFFICIENT_STORAGE: "Retry-After",
}
"""A further header of responses with this status."""


@dataclass(eq=False)
class ProblemError(Exception):
    """Raised anywhere below a request; `detail` is one sentence that says what to do, or the usual one."""

    code: Code
    detail: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.detail = self.detail or USUAL[self.code]

    def __str__(self) -> str:
        return self.detail


class OpenAIError(BaseModel):
    """The same problem in the form of OpenAI's API, which programs written for it show to their users."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    message: str = Field(examples=[EXAMPLES[Code.NOT_FOUND]])
    """As `detail`."""
    type: str = Field(examples=["invalid_request_error"])
    """invalid_request_error, or server_error where the request is not at fault."""
    param: None = None
    """Always null."""
    code: str = Field(examples=["not_found"])
    """As `code`."""


class Problem(BaseModel):
    """The body of every error response (RFC 9457)."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    type: str = Field(examples=["about:blank"])
    """Always about:blank: `code` identifies the problem."""
    title: str = Field(examples=["Not Found"])
    """The name of the status."""
    status: int = Field(examples=[404])
    detail: str = Field(examples=[EXAMPLES[Code.NOT_FOUND]])
    """One sentence that says what to do."""
    code: str = Field(examples=["not_found"])
    """Stable, for programs."""
    request_id: str = Field(examples=[EXAMPLE_REQUEST])
    """Also in the header X-Request-Id and in the log: quote it when you ask for help."""
    error: OpenAIError
    """For programs written for OpenAI's API."""

    @classmethod
    def of(cls, error: ProblemError, request_id: str) -> Problem:
        code, status = error.code.text, error.code.status
        kind = "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
        return cls(
            type="about:blank",
            title=status.phrase,
            status=int(status),
            detail=error.detail,
            code=code,
            request_id=request_id,
            error=OpenAIError(message=error.detail, type=kind, code=code),
        )


def responses(*codes: Code) -> dict[int | str, dict[str, Any]]:
    """The part of an operation's OpenAPI description that says which problems it answers with.

    Problems of one status share an entry that names all their codes.
    """
    grouped: dict[HTTPStatus, list[Code]] = {}
    for code in codes:
        grouped.setdefault(code.status, []).append(code)
    return {int(status): _describe(status, group) for status, group in grouped.items()}


def _describe(status: HTTPStatus, codes: list[Code]) -> dict[str, Any]:
    shown = {code: Problem.of(ProblemError(code, EXAMPLES[code]), EXAMPLE_REQUEST) for code in codes}
    examples = {code.text: {"value": problem.model_dump()} for code, problem in shown.items()}
    headers = ["X-Request-Id", *([HEADERS[status]] if status in HEADERS else [])]
    return {
        "description": f"{status.phrase}: {', '.join(code.text for code in codes)}",
        "headers": {name: {"schema": {"type": "string"}} for name in headers},
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}},
    }
