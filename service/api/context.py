"""What every request can reach: one value, made with the application."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from service.api.watching import Watcher
from service.parts import Parts

P = ParamSpec("P")
Result = TypeVar("Result")


@dataclass(eq=False)
class Context(Parts):
    """The parts of a running service, the watcher of all jobs, and what each key has open in this process."""

    watcher: Watcher = field(init=False)
    waiting: Counter[str] = field(default_factory=Counter)  # by owner: requests that wait for jobs
    begun: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # uploads

    def __post_init__(self) -> None:
        self.watcher = Watcher(self.engine)

    async def transact(
        self, work: Callable[Concatenate[sa.Connection, P], Result], *args: P.args, **kwargs: P.kwargs
    ) -> Result:
        """Runs `work` in one transaction, in a thread."""
        return await run_in_threadpool(lambda: self.apply(work, *args, **kwargs))


def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Reach = Annotated[Context, Depends(_context)]
