"""The OpenAPI document: what the framework derives from the routes, and what it cannot know."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.resources import files
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Header
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from service.api.descriptions import JOB_FORM
from service.api.shapes import EXAMPLE_ID, Ended, JobOptions, Progress
from service.problems import Code, OpenAIError, Problem, responses
from service.settings import Settings

DESCRIPTION = """\
Send a recording and its messy text; get the same text back with speaker turns, times, roles and names.

Send a recording with **POST /v1/jobs**, watch the job, and fetch its result in any format. Programs written
for OpenAI's transcription API can call **POST /v1/audio/transcriptions** unchanged. Over bad connections,
send large recordings with **/v1/uploads**: an interrupted upload can be resumed.

Every error is an `application/problem+json` document with a stable `code`, a sentence that says what to do,
and a `request_id` that is also in the log. A method that an address does not support gets a 405
(`method_not_allowed`) with the header Allow.
"""
TAGS = [
    {"name": "jobs", "description": "Send recordings, watch jobs, fetch results."},
    {"name": "transcriptions", "description": "OpenAI's transcription API."},
    {"name": "uploads", "description": "Resumable uploads of large files (tus 1.0)."},
    {"name": "engines", "description": "Engines and models."},
    {"name": "health", "description": "For operators; needs no key."},
]
COMPONENTS = "#/components/schemas/"
ID = "$response.body#/id"
LINKS: dict[str, dict[str, dict[str, Any]]] = {
    "jobs_create": {
        "show": {"operationId": "jobs_show", "parameters": {"id": ID}},
        "events": {"operationId": "jobs_events", "parameters": {"id": ID}},
        "cancel": {"operationId": "jobs_cancel", "parameters": {"id": ID}},
        "result": {"operationId": "jobs_result", "parameters": {"id": ID}},
        "export": {"operationId": "jobs_export", "parameters": {"id": ID}},
        "heard": {"operationId": "jobs_show_heard", "parameters": {"id": ID}},
        "diarization": {"operationId": "jobs_show_diarization", "parameters": {"id": ID}},
        "audio": {"operationId": "jobs_audio", "parameters": {"id": ID}},
        "delete": {"operationId": "jobs_remove", "parameters": {"id": ID}},
    },
    "uploads_create": {
        "show": {"operationId": "uploads_show", "parameters": {"id": ID}},
        "send": {"operationId": "uploads_append", "parameters": {"id": ID, "Upload-Offset": "0"}},
        "give up": {"operationId": "uploads_remove", "parameters": {"id": ID}},
        "make a job": {"operationId": "jobs_create", "requestBody": {"upload": ID}},
    },
}
"""For each operation that creates something, what can be done with it next."""


def name_operation(route: APIRoute) -> str:
    """Returns the operationId of a route."""
    return "_".join([*map(str, route.tags[:1]), route.name])


webhooks = APIRouter(tags=["jobs"], generate_unique_id_function=name_operation)
"""Operations that this service calls on the receiver's server."""


@webhooks.post(
    "job-ended",
    status_code=204,
    summary="A job with options.webhook has ended",
    responses={
        204: {"description": "Any 2xx: accepted. Anything else but 410: it is sent again later."},
        410: {"description": "Not wanted: it is not sent again."},
    },
)
async def ended(
    body: Ended,
    webhook_id: Annotated[
        str, Header(description="The same in every attempt.", examples=[f"msg_{EXAMPLE_ID}"])
    ],
    webhook_timestamp: Annotated[
        int, Header(description="Time of this attempt, in seconds since 1970.", examples=[1_795_637_850])
    ],
    webhook_signature: Annotated[
        str,
        Header(
            description="As Standard Webhooks specifies; the secret is TURNWISE_WEBHOOK_SECRET.",
            examples=["v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="],
        ),
    ],
) -> None:
    """Verify it with a library from https://www.standardwebhooks.com before you trust it."""


def describe(app: FastAPI, settings: Settings) -> dict[str, Any]:
    """Returns the OpenAPI document of the application with these settings."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=DESCRIPTION,
        routes=app.routes,
        webhooks=webhooks.routes,
        tags=TAGS,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    _add_shapes(document["components"]["schemas"])
    for operation in _operations(document["webhooks"]):
        del operation["responses"]["422"]  # the framework's answer, but the receiver is not ours
    for operation in _operations(document["paths"]):
        _complete(operation, settings)
    return document


def _operations(items: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for methods in items.values():
        yield from methods.values()


def _add_shapes(schemas: dict[str, Any]) -> None:
    """Adds the schemas that no route's signature names, and removes those of the framework's own errors."""
    for shape in (Problem, OpenAIError, JobOptions, Progress):
        schemas[shape.__name__] = shape.model_json_schema(ref_template=COMPONENTS + "{model}")
        schemas[shape.__name__].pop("$defs", None)
    for option in schemas["JobOptions"]["properties"].values():
        del option["default"]  # with one, client generators require a value
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas |= {"JobForm": JOB_FORM} | _result_shapes()


def _result_shapes() -> dict[str, Any]:
    """Returns the schema of result.json, with its parts beside it as ResultToken and so on: client generators
    do not follow references into `$defs`."""
    text = files("pipelines.formats").joinpath("result.schema.json").read_text("utf-8")
    result = json.loads(re.sub(r"#/\$defs/(\w+)", lambda found: COMPONENTS + _part(found[1]), text))
    parts = {_part(name): shape for name, shape in result.pop("$defs").items()}
    return parts | {"Result": {key: result[key] for key in result if key not in {"$schema", "$id", "title"}}}


def _part(name: str) -> str:
    """Returns the component's name of a part of the result: heard_word → ResultHeardWord."""
    return f"Result{name.title().replace('_', '')}"


def _complete(operation: dict[str, Any], settings: Settings) -> None:
    """Adds links, limits and the internal error, and removes the framework's own validation error."""
    answers = operation["responses"]
    if "HTTPValidationError" in str(answers.get("422")):
        del answers["422"]
    for status, answer in responses(Code.INTERNAL).items():
        answers.setdefault(str(status), answer)
    if links := LINKS.get(operation["operationId"]):
        answers[next(status for status in answers if status.startswith("2"))]["links"] = links
    for parameter in operation.get("parameters", ()):
        if parameter["name"].lower() == "upload-length":
            parameter["schema"]["maximum"] = settings.max_upload_bytes
