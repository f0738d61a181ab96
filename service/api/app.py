"""The application: routes, errors, and what surrounds every request."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.openapi.utils import get_openapi
from fastapi.responses import RedirectResponse
from fastapi_offline import FastAPIOffline

from service.api import errors, jobs, system, transcriptions, uploads
from service.api.access import RateLimit
from service.api.context import Context
from service.api.shapes import JobOptions
from service.api.tracing import Tracing
from service.problems import OpenAIError, Problem

DESCRIPTION = """\
A recording and its messy text in; the same text with speaker turns, times, roles and names out.

Send a recording with **POST /v1/jobs**, watch the job, fetch its result in any format. Programs written for
OpenAI's transcription API can call **POST /v1/audio/transcriptions** as they are.

Everything that goes wrong is answered as `application/problem+json` with a stable `code`, a sentence that
says what to do, and a `request_id` that is in the log too.
"""
TAGS = [
    {"name": "jobs", "description": "Jobs: send, watch, fetch."},
    {"name": "transcriptions", "description": "OpenAI's transcription API."},
    {"name": "uploads", "description": "Resumable uploads of large files (tus 1.0)."},
    {"name": "engines", "description": "Engines and models."},
    {"name": "health", "description": "For whoever runs it; needs no key."},
]


def create_app(context: Context) -> FastAPI:
    """The application around a running service's parts."""
    app = FastAPIOffline(
        redoc_url=None,
        title="Turnwise",
        version=version("turnwise"),
        description=DESCRIPTION,
        openapi_tags=TAGS,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    app.state.context = context
    app.state.rate_limit = RateLimit(context.settings.requests_per_minute)
    app.include_router(jobs.router)
    app.include_router(uploads.router)
    app.include_router(transcriptions.router)
    app.include_router(system.router)
    app.add_api_route("/", _to_docs, include_in_schema=False)
    errors.install(app)
    if context.settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=context.settings.cors_origins,
            allow_methods=["GET", "POST", "PATCH", "DELETE", "HEAD"],
            allow_headers=["*"],
            expose_headers=["Location", "X-Request-Id", "Retry-After", "Turnwise-Job", *uploads.SENT],
        )
    app.add_middleware(uploads.Tus)
    app.add_middleware(Tracing, metrics=context.metrics, fault=errors.fault, stopping=errors.stopping)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


async def _to_docs() -> RedirectResponse:
    return RedirectResponse("/docs")


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The document, with the schemas that no route's signature names."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
            license_info=app.license_info,
        )
        schemas = document["components"]["schemas"]
        for shape in (Problem, OpenAIError, JobOptions):
            schemas[shape.__name__] = shape.model_json_schema(ref_template="#/components/schemas/{model}")
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        app.openapi_schema = document
    return app.openapi_schema
