"""The command `turnwise`.

Exit status: 0 done · 1 a fault in turnwise · 2 the input or an option cannot be used · 3 an engine or a
model failed · 4 the results cannot be written · 130 stopped with Ctrl-C.

arguments  the commands and their options
run        `turnwise run`: a recording and its text in, result files out
finished   results of finished stages, kept until all are done
show       the output in the terminal
demo       `turnwise demo`
models     `turnwise models`
score      `turnwise score`
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from argparse import Namespace
from collections.abc import Mapping, Sequence

from pipelines.cli.arguments import NONE_ADDED, Command, parse
from pipelines.errors import CancelledError, EngineError, InputError, ModelError, OutputError, TurnwiseError
from pipelines.files import is_full

__all__ = ["Command", "main"]

STATUS: tuple[tuple[type[TurnwiseError], int], ...] = (
    (InputError, 2),
    (EngineError, 3),
    (ModelError, 3),
    (OutputError, 4),
    (CancelledError, 130),
)


def main(arguments: Sequence[str] | None = None, added: Mapping[str, Command] = NONE_ADDED) -> int:
    """Runs one command and returns its exit status; every failure is one sentence on stderr.

    `added` are commands of programs that build on this library, by name.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):  # escapes what the terminal's encoding lacks
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = _run(parse(arguments, added), added)
        print(end="", flush=True)  # a failure to print shows here, not when Python ends
    except BrokenPipeError:  # the reader of our output has gone, as in `turnwise … | head`
        _drop_output()
        return 0
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, OSError):
            _drop_output()
        if os.environ.get("TURNWISE_DEBUG"):
            traceback.print_exc()
        message, status = _explain(error)
        print(f"turnwise: {message}", file=sys.stderr)
    return status


def _run(request: Namespace, added: Mapping[str, Command]) -> int:
    """Runs the command, and loads only the modules that it needs.

    Before numpy is loaded, its matrix products are limited to one thread each: split over all processors, the
    encoder's many small ones wait for each other, for minutes if recognition keeps the processors busy. And
    torch's threads (OpenMP, by libgomp) spin only for microseconds while they wait for each other: if other
    work shares the processors, Whisper's small steps would be spent spinning.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    if request.command in added:
        return added[request.command].run(request)
    if request.command == "run":
        from pipelines.cli.run import run as command  # noqa: PLC0415
    elif request.command == "demo":
        from pipelines.cli.demo import demo as command  # noqa: PLC0415
    elif request.command == "models":
        from pipelines.cli.models import models as command  # noqa: PLC0415
    else:
        from pipelines.cli.score import score as command  # noqa: PLC0415
    return command(request)


def _drop_output() -> None:
    """Keeps Python from printing again when it ends, which would change the exit status."""
    try:
        print(end="", flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _explain(error: BaseException) -> tuple[str, int]:
    """Returns the message for the user, and the exit status."""
    for kind, status in STATUS:
        if isinstance(error, kind):
            return str(error), status
    if isinstance(error, KeyboardInterrupt):
        return "stopped: no result was written", 130
    if isinstance(error, OSError) and is_full(error):
        return "The disk is full: free some space and run again.", 4
    fault = f"a fault in turnwise ({type(error).__name__}: {error})"
    return f"{fault}: please report it with the command and what it prints with TURNWISE_DEBUG=1 set", 1
