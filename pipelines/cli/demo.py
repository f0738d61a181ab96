"""`turnwise demo`: runs `turnwise run` on the segment that ships with the project."""

from __future__ import annotations

import shlex
from argparse import Namespace
from pathlib import Path

import pipelines
from pipelines.cli.arguments import parse
from pipelines.cli.run import run
from pipelines.errors import InputError

DEMO = Path(pipelines.__file__).parents[1] / "tests" / "data" / "demo"


def demo(request: Namespace) -> int:
    """Shows the command, runs it, and says where the page is."""
    if not DEMO.is_dir():
        raise InputError(
            "The demo is part of the sources, not of this installation: clone them and run `make demo` there."
        )
    audio = next(DEMO.glob("*.opus"))
    command = ["run", str(audio), "--text", str(DEMO / "supplied.txt"), "-o", str(request.output)]
    print(f"$ turnwise {shlex.join(command)}")
    status = run(parse([*command, *(["--quiet"] if request.quiet else [])]))
    print(f"open {request.output / 'result.html'} in a browser: a click on a turn plays it")
    return status
