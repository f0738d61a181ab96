"""How the processes of children.py answer: with lines of JSON on their standard output.

{"progress": 0.25} any number of times, then {"done": {}} or {"failed": {"code": …, "message": …}}. A code is
that of an error of the library (`pipelines.errors.code_of`), or one of the two below.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from math import inf

Answer = Callable[[dict[str, object]], None]

PROGRESS_INTERVAL = 0.2
"""Seconds between two lines of progress."""
DISK_FULL = "disk_full"
INTERNAL = "internal"
"""A fault of ours; the process's standard error has the traceback."""


def opened() -> Answer:
    """Returns the function that answers; whatever libraries print goes to the standard error from now on."""
    stream = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return lambda answer: print(json.dumps(answer), file=stream)


def failed(code: str, message: str) -> dict[str, object]:
    return {"failed": {"code": code, "message": message}}


def paced(answer: Answer) -> Callable[[float], None]:
    """Returns a function that answers with the progress, at intervals of PROGRESS_INTERVAL at least."""
    due = -inf

    def progress(fraction: float) -> None:
        nonlocal due
        if (now := time.monotonic()) >= due:
            due = now + PROGRESS_INTERVAL
            answer({"progress": round(fraction, 3)})

    return progress
