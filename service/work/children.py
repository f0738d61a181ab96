"""The processes that do the heavy work and die with the worker, kept with their models while idle.

A process can be killed at any moment, takes only itself down when a native library crashes, and leaves the
API its processor time. Requests and answers (answering.py) are lines of JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog

from service.work.answering import INTERNAL

log = structlog.get_logger("turnwise.processes")

LONGEST_LINE_BYTES = 2**20
STDERR_TAIL_BYTES = 4000
BURY_INTERVAL = 0.25
NEEDED = "PATH|HOME|LANG|LC_.*|TZ|TMPDIR|PYTHON.*|LD_LIBRARY_PATH|OPENBLAS_.*"
"""Variables that Python needs to start."""
COMPUTING = (
    "TURNWISE_MODELS|TURNWISE_ENGINE_.*|XDG_CACHE_HOME|LD_PRELOAD|MALLOC_.*|OMP_.*|GOMP_.*|KMP_.*|MKL_.*"
    "|NUMBA_.*|CT2_.*|(PY)?TORCH_.*|CUDA_.*|NVIDIA_.*|HF_HUB_OFFLINE"
)
"""Variables that engines may also need: models, threads, memory, graphics cards, and TURNWISE_ENGINE_… for
engines of an operator's own."""
WALLS = {"network", "landlock", "privileges_dropped"}
"""What service/work/decode_process.py says of its sandbox."""


@dataclass(frozen=True, slots=True)
class Program:
    """What to start for a kind of work.

    `trusted` processes take further requests, and get the environment variables that engines need; others
    take one request, and get only the variables that Python needs.
    """

    kind: str
    command: tuple[str, ...]
    trusted: bool = True

    def environment(self) -> dict[str, str]:
        allowed = re.compile(f"{NEEDED}|{COMPUTING}" if self.trusted else NEEDED)
        return {name: value for name, value in os.environ.items() if allowed.fullmatch(name)}


@dataclass(frozen=True, slots=True)
class Done:
    """The stage has succeeded."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The stage has failed and says why."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Died:
    """The process ended without an answer."""

    status: int  # as in subprocess: negative for a signal


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The process was killed because it took too long."""


Outcome = Done | Failed | Died | TimedOut


@dataclass(eq=False)
class _Child:
    """One process, in a group of its own."""

    process: Process
    program: Program
    expiry: asyncio.TimerHandle | None = None
    errors: bytearray = field(default_factory=bytearray)
    walls: dict[str, int] = field(default_factory=dict)

    async def ask(self, request: dict[str, Any], watch: Callable[[float], None]) -> Outcome:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError, ConnectionResetError):
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            await self.process.stdin.drain()
        while True:
            match await _next(self.process.stdout):
                case {"progress": float() | int() as fraction}:
                    watch(float(fraction))
                case {"walls": dict(walls)} if walls.keys() == WALLS:
                    self.walls = walls
                case {"done": _}:
                    return Done()
                case {"failed": {"code": str() as code, "message": str() as message}}:
                    return Failed(code, message)
                case _:
                    break
        self.kill()
        return Died(await self.ended())

    async def drain_errors(self) -> None:
        """Keeps the end of its standard error, for the log."""
        assert self.process.stderr is not None
        while block := await self.process.stderr.read(4096):
            self.errors += block
            del self.errors[:-STDERR_TAIL_BYTES]

    async def ended(self, interval: float = 0.01) -> int:
        """Returns its exit status. `process.wait` would also wait for others that hold its pipes open."""
        while self.process.returncode is None:
            await asyncio.sleep(interval)
        return self.process.returncode

    async def bury(self) -> None:
        """Kills the rest of its group once it has ended, so that the pipes close."""
        await self.ended(BURY_INTERVAL)
        self.kill()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)


async def _next(answers: asyncio.StreamReader) -> object:
    """Returns the next answer, None at the end or for a line that is too long or not JSON."""
    try:
        return json.loads(await answers.readline())
    except (ValueError, RecursionError):
        return None


class Processes:
    """All processes of a worker; coroutines run on one event loop, `close` may be called from any thread."""

    def __init__(self, idle: float) -> None:
        self._idle_seconds = idle
        self._idle: dict[str, list[_Child]] = {}
        self._all: set[_Child] = set()
        self._watchers: set[asyncio.Task[None]] = set()
        self._closed = False
        self._walls: dict[str, int] = {}

    async def run(
        self,
        program: Program,
        request: dict[str, Any],
        watch: Callable[[float], None] = lambda fraction: None,
        timeout: float | None = None,
    ) -> Outcome:
        """Sends one request to an idle or a new process. If cancelled, the process has ended on return."""
        child = await self._take(program)
        outcome: Outcome | None = None
        try:
            outcome = await asyncio.wait_for(child.ask(request, watch), timeout)
        except TimeoutError:
            outcome = TimedOut()
        finally:
            if program.trusted and isinstance(outcome, Done | Failed):
                self._keep(child)
            else:
                await asyncio.shield(self._end(child))
        if child.walls and not self._walls:
            self._walls = child.walls
            log.info("sandbox", **self._walls)
        if isinstance(outcome, Died) or (isinstance(outcome, Failed) and outcome.code == INTERNAL):
            await asyncio.sleep(0.1)  # for the end of its standard error
            words = child.errors.decode("utf-8", "replace")
            log.error("process failed", kind=program.kind, outcome=repr(outcome), words=words)
        return outcome

    def close(self) -> None:
        """Kills all processes and starts no more."""
        self._closed = True
        for child in tuple(self._all):
            child.kill()

    @property
    def left(self) -> bool:
        """Whether any process may still be running."""
        return any(child.process.returncode is None for child in tuple(self._all))

    async def _take(self, program: Program) -> _Child:
        idle = self._idle.get(program.kind, [])
        while idle:
            child = idle.pop()
            if child.expiry is not None:
                child.expiry.cancel()
            if child.process.returncode is None:
                return child
            self._all.discard(child)
        return await self._start(program)

    async def _start(self, program: Program) -> _Child:
        process = await asyncio.create_subprocess_exec(
            *program.command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            env=program.environment(),
            limit=LONGEST_LINE_BYTES,
            start_new_session=True,
        )
        child = _Child(process, program)
        self._all.add(child)
        if self._closed:
            child.kill()
        for work in (child.drain_errors(), child.bury()):
            watcher = asyncio.create_task(work)
            self._watchers.add(watcher)
            watcher.add_done_callback(self._watchers.discard)
        return child

    def _keep(self, child: _Child) -> None:
        self._idle.setdefault(child.program.kind, []).append(child)
        loop = asyncio.get_running_loop()
        child.expiry = loop.call_later(self._idle_seconds, self._expire, child)

    def _expire(self, child: _Child) -> None:
        self._idle[child.program.kind].remove(child)
        self._all.discard(child)
        child.kill()

    async def _end(self, child: _Child) -> None:
        child.kill()
        await child.ended()
        self._all.discard(child)


def program(kind: str, module: str, *arguments: str, trusted: bool = True) -> Program:
    """Returns the program of one of our modules; it does not search the working folder for modules."""
    return Program(kind, (sys.executable, "-P", "-m", module, *arguments), trusted)
