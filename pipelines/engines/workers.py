"""Spreads jobs over processes of our own, which end with us.

A worker is a Python script that takes pickled jobs on its standard input and answers each with
(True, result) or (False, message) on its standard output. Unlike multiprocessing this never imports the
caller's main module again, so it works from a script, a notebook, a server and a test alike; and since
the caller alone holds the other end of the pipes, a worker whose caller is gone reads the end of its
input and exits, however the caller died. A worker with long jobs calls `die_with_parent` first, so that it
does not finish a job that nobody waits for.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, TypeVar

from pipelines.errors import EngineError
from pipelines.protocols import Progress, no_progress

Item = TypeVar("Item")


def available_processors() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run(
    command: Sequence[str],
    items: Sequence[Item],
    job: Callable[[Item], object],
    processes: int,
    progress: Progress = no_progress,
) -> list[Any]:
    """Returns the workers' answers to job(item) for every item, in the order of the items.

    `command` is a script and its arguments. A job is made only when a worker is free for it. However
    this call ends, the workers are gone when it returns; and the thread that starts them outlives them, as
    `die_with_parent` requires. Raises EngineError if a worker dies or cannot do a job.
    """
    workers: list[_Worker] = []
    threads = ThreadPoolExecutor(max(1, processes))
    try:
        workers.extend(_Worker(command) for _ in range(min(processes, len(items))))
        futures = _submit(threads, workers, items, job)
        for done, future in enumerate(as_completed(futures), 1):
            future.result()  # an error ends the work at once
            progress(done / len(items))
        return [future.result() for future in futures]
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
        for worker in workers:
            worker.stop()
        threads.shutdown()


def _submit(
    threads: ThreadPoolExecutor,
    workers: Sequence[_Worker],
    items: Sequence[Item],
    job: Callable[[Item], object],
) -> list[Future[Any]]:
    """Returns one future answer per item, from whichever worker is idle first."""
    idle: SimpleQueue[_Worker] = SimpleQueue()
    for worker in workers:
        idle.put(worker)

    def answer(item: Item) -> Any:
        worker = idle.get()
        try:
            return worker.ask(job(item))
        finally:
            idle.put(worker)

    return [threads.submit(answer, item) for item in items]


class _Worker:
    """One process."""

    def __init__(self, command: Sequence[str]) -> None:
        self._name = Path(command[0]).stem
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                start_new_session=True,  # Ctrl-C in a terminal reaches us only, and we stop the worker
            )
        except OSError as error:
            raise EngineError(
                f"{self._name} cannot be started ({error.strerror}): free some memory and try again."
            ) from None

    def ask(self, job: object) -> Any:
        try:
            pickle.dump(job, self._input)
            self._input.flush()
            done, answer = pickle.load(self._output)
        except (OSError, EOFError, pickle.UnpicklingError):
            raise EngineError(
                f"{self._name} ended unexpectedly ({self._exit_status()}): free some memory and try again."
            ) from None
        if not done:
            raise EngineError(f"{self._name} failed: {' '.join(answer.split())}.")
        return answer

    def _exit_status(self) -> str:
        try:
            return f"exit status {self._process.wait(timeout=1)}"
        except subprocess.TimeoutExpired:
            return "its answer cannot be read"

    def stop(self) -> None:
        self._process.kill()
        for pipe in (self._input, self._output):
            with suppress(OSError):
                pipe.close()
        self._process.wait()

    @property
    def _input(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    @property
    def _output(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout
