"""Metrics for Prometheus. Each process counts its own requests and stages; the database has the queue."""

from __future__ import annotations

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
STAGE_BUCKETS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000)
REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = Counter(
            "turnwise_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self.request_seconds = Histogram(
            "turnwise_request_seconds",
            "Seconds until a request was answered.",
            ("method", "route"),
            buckets=REQUEST_BUCKETS,
            registry=self.registry,
        )
        self.stage_seconds = Histogram(
            "turnwise_stage_seconds",
            "Seconds that a stage took, by how it ended.",
            ("stage", "outcome"),
            buckets=STAGE_BUCKETS,
            registry=self.registry,
        )
        self.jobs = Gauge("turnwise_jobs", "Jobs by state.", ("state",), registry=self.registry)
        self.oldest_seconds = Gauge(
            "turnwise_oldest_waiting_seconds",
            "Age of the oldest waiting job; 0 if none waits.",
            registry=self.registry,
        )
        self.webhooks = Counter(
            "turnwise_webhooks",
            "Webhook attempts: delivered, retried (another one follows) or failed (none does).",
            ("outcome",),
            registry=self.registry,
        )
        for outcome in ("delivered", "retried", "failed"):
            self.webhooks.labels(outcome)
        self.free_bytes = Gauge(
            "turnwise_free_bytes", "Free bytes in the data folder.", registry=self.registry
        )

    def expose(self, jobs: dict[str, int], free_bytes: int, oldest_seconds: float = 0.0) -> bytes:
        """The metrics page, with the current figures of database and disk."""
        for state, count in jobs.items():
            self.jobs.labels(state).set(count)
        self.free_bytes.set(free_bytes)
        self.oldest_seconds.set(oldest_seconds)
        return generate_latest(self.registry)
