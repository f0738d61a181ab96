"""The application: routes, errors, and what surrounds every request."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import RedirectResponse
from fastapi_offline import FastAPIOffline

from service.api import handlers, job_routes, system_routes, transcription_routes, upload_routes
from service.api.access import RateLimit
from service.api.context import Context
from service.api.document import describe, name_operation
from service.api.headers import Guard
from service.api.tracing import Tracing

EXPOSED = ("Location", "X-Request-Id", "Retry-After", "Turnwise-Job", "Content-Disposition")


def create_app(context: Context) -> FastAPI:
    """Returns the application around the parts of a running service."""
    app = FastAPIOffline(
        redoc_url=None,
        title="Turnwise",
        version=version("turnwise"),
        generate_unique_id_function=name_operation,
        redirect_slashes=False,  # with a slash too many it is another address: not found
    )
    app.state.context = context
    app.state.rate_limit = RateLimit(context.settings.requests_per_minute)
    app.include_router(job_routes.router)
    app.include_router(upload_routes.router)
    app.include_router(transcription_routes.router)
    app.include_router(system_routes.router)
    app.add_api_route("/", lambda: RedirectResponse("/docs"), include_in_schema=False)
    handlers.install(app)
    if context.settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=context.settings.cors_origins,
            allow_methods=["GET", "POST", "PATCH", "DELETE", "HEAD"],
            allow_headers=["*"],
            expose_headers=[*EXPOSED, *upload_routes.SENT],
        )
    app.add_middleware(upload_routes.Tus)
    app.add_middleware(Guard)
    app.add_middleware(Tracing, metrics=context.metrics)
    app.openapi = cache(lambda: describe(app, context.settings))  # type: ignore[method-assign]
    return app
