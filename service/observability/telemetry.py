"""Traces for OpenTelemetry, where a collector is set: spans of requests (by FastAPI) and of stages."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec

from opentelemetry import trace

from pipelines.errors import OptionError

tracer = trace.get_tracer("turnwise")
"""Makes spans that go nowhere until `set_up` has been called."""


def set_up(endpoint: str) -> None:
    """Sends spans to a collector, by OTLP over HTTP. Raises OptionError where the libraries are missing."""
    if not endpoint:
        return
    if find_spec("opentelemetry.sdk") is None or find_spec("opentelemetry.exporter") is None:
        raise OptionError(
            "TURNWISE_OTLP_ENDPOINT is set: run pip install 'turnwise[telemetry]', or unset it."
        )
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    resource = Resource.create({"service.name": "turnwise", "service.version": version("turnwise")})
    provider = TracerProvider(resource=resource)
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
