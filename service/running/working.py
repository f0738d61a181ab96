"""A worker as a process of its own, until SIGTERM or SIGINT; what it shares with one inside the API.

A process that is told to stop ends within seconds: it takes nothing more, and what is running is left for
another worker to take over.
"""

from __future__ import annotations

import os
import signal
import threading

import structlog
from prometheus_client import start_http_server

from pipelines.engines import DIARIZERS, TRANSCRIBERS, check_name
from pipelines.errors import TurnwiseError
from service.observability import logs, telemetry
from service.parts import Parts, opened
from service.settings import Settings, unknown
from service.work import stage_process
from service.work.worker import Worker

log = structlog.get_logger("turnwise")

LAST_RESORT = 8.0
"""Seconds after being told to stop when a process ends in any case, even if a thread is still waiting for a
database that is away."""

CUT_SHORT = os.EX_TEMPFAIL
"""Exit status of a process that ends that way: neither success nor the 1 of an exception."""


def work(settings: Settings) -> None:
    """Runs a worker alone until it is told to stop."""
    set_up(settings)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with opened(settings) as parts:
        worker = started(parts)
        if settings.worker_metrics_port:
            port, registry = settings.worker_metrics_port, parts.metrics.registry
            start_http_server(port, addr=settings.worker_metrics_host, registry=registry)
        stop.wait()
        end_in_any_case()
        worker.stop()


def set_up(settings: Settings) -> None:
    """Sets up log and traces, and warns of each variable that may be a misspelt setting. It is not an error:
    Kubernetes sets some itself where a Service has our name. Raises OptionError for an unknown engine."""
    if settings.are_engines_ours:
        check_name(TRANSCRIBERS, settings.asr.partition(":")[0])  # its model may be pulled later
        check_name(DIARIZERS, settings.diarizer.partition(":")[0])
    logs.set_up(settings.log_level)
    telemetry.set_up(settings.otlp_endpoint)
    for name, like in unknown(os.environ).items():
        log.warning("unknown variable", variable=name, closest=like)


def started(parts: Parts) -> Worker:
    """Starts a worker in this process."""
    worker = Worker(parts)
    worker.start()
    threading.Thread(target=_tell_engines, args=(parts.settings,), daemon=True).start()
    return worker


def end_in_any_case() -> None:
    timer = threading.Timer(LAST_RESORT, os._exit, (CUT_SHORT,))
    timer.daemon = True
    timer.start()


def _tell_engines(settings: Settings) -> None:
    """Logs the engines for jobs that name none, or what is missing for them."""
    try:
        choose = stage_process.load_factory(settings.engines)
        _, notices = choose(settings.asr, settings.diarizer, settings.device, "")
    except (TurnwiseError, ImportError, AttributeError) as error:
        log.warning("engines are not ready", reason=str(error))
    else:
        for notice in notices:
            log.info("engine", choice=notice.message)
