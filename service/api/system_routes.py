"""Engines, health and metrics."""

from __future__ import annotations

import sqlalchemy as sa
from fastapi import APIRouter, Response
from starlette.concurrency import run_in_threadpool

from pipelines import models
from pipelines.engines import AUTO, DIARIZERS, TRANSCRIBERS, Engine, Entry
from pipelines.errors import TurnwiseError
from service.api.access import ACCESS, Owner
from service.api.body import check_space
from service.api.context import Reach
from service.api.shapes import Engines, EngineView, Health, ModelView
from service.observability.metrics import CONTENT_TYPE
from service.problems import Code, responses
from service.records import jobs

router = APIRouter()


@router.get(
    "/v1/engines",
    response_model=Engines,
    tags=["engines"],
    summary="List the engines that options can name, with their models",
    responses=responses(*ACCESS),
)
def list_engines(owner: Owner) -> Engines:
    return Engines(asr=tuple(map(_describe, TRANSCRIBERS)), diarizer=tuple(map(_describe, DIARIZERS)))


def _describe(entry: Entry[Engine]) -> EngineView:
    family = entry.family
    here = set(models.available(family)) if entry.suggested else set()
    known = {model.removeprefix(f"{family}:") for model in models.MODELS if model.startswith(f"{family}:")}
    offered = sorted(here | known) if entry.suggested else []
    return EngineView(
        name=entry.name,
        summary=entry.summary,
        ready=_is_ready(entry),
        models=tuple(ModelView(name=f"{entry.name}:{model}", ready=model in here) for model in offered),
    )


def _is_ready(entry: Entry[Engine]) -> bool:
    try:
        entry.prepare("", AUTO, "")
    except TurnwiseError:
        return False
    return True


@router.get("/health/live", response_model=Health, tags=["health"], summary="Check that this process answers")
async def live() -> Health:
    return Health(status="ok")


@router.get(
    "/health/ready",
    response_model=Health,
    tags=["health"],
    summary="Check that jobs can be accepted: database and object store answer, and the disk has space",
    responses=responses(Code.UNAVAILABLE, Code.DISK_FULL),
)
async def ready(context: Reach) -> Health:
    await context.transact(lambda connection: connection.scalar(sa.select(sa.literal(1))))
    await run_in_threadpool(context.storage.check)
    check_space(context)
    return Health(status="ok")


@router.get(
    "/metrics",
    response_class=Response,
    tags=["health"],
    summary="Metrics for Prometheus",
    responses={
        200: {
            "description": "Metrics in the text format of Prometheus.",
            "content": {
                "text/plain": {"schema": {"type": "string"}, "example": 'turnwise_jobs{state="queued"} 0.0\n'}
            },
        },
        **responses(Code.UNAVAILABLE),
    },
)
async def show_metrics(context: Reach) -> Response:
    counts = await context.transact(jobs.count_by_state)
    oldest = await context.transact(jobs.oldest_seconds)
    page = context.metrics.expose(counts, context.storage.free_bytes(), oldest)
    return Response(page, media_type=CONTENT_TYPE)
