"""Asks a live service everything that its OpenAPI document allows, and much that it does not.

    python -m tests.support.schemathesis_run --minutes 10

Every check of schemathesis, in all its phases, stateful too: first with a key, then against a server without
keys. Engines are fake, so that a job takes no longer than its processes. Prints what was asked and found, and
exits with 1 where anything was.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.acceptance.server import ROOT, Service, recording, service, submit, wait_for
from tests.support.schemathesis_hooks import ENDED

CONFIG = ROOT / "tests" / "data" / "schemathesis.toml"
COMMAND = (sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG))
WITHOUT_KEYS = ("--exclude-checks", "ignored_auth", "--generation-with-security-parameters", "false")
"""A server without keys takes any."""
LIMITS: dict[str, Any] = {
    "max_upload_mb": 64,
    "max_text_mb": 1,
    "queue_limit": 40,
    "upload_timeout": 10,
    "min_free_mb": 1,
}

LOUD = {"dbos", "turnwise.processes"}
"""Loggers to which it is an error when a job is cancelled or deleted while it is at work."""


@dataclass(frozen=True)
class Outcome:
    """What a run asked and found."""

    status: int
    output: str
    answers: Counter[int]
    faults: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return self.status == 0 and not self.faults and not any(status >= 500 for status in self.answers)

    def __str__(self) -> str:
        counts = ", ".join(f"{count}x {status}" for status, count in sorted(self.answers.items()))
        shown = self.output if not self.passed else "\n".join(self.output.splitlines()[-25:])
        return "\n".join([shown, f"{self.answers.total()} answers: {counts}", *self.faults])


def ask(folder: Path, with_key: bool, *options: str) -> Outcome:
    """One run against a server of its own; `options` are those of `schemathesis run`."""
    with service(folder / "data", **LIMITS) as running:
        key = running.run("keys", "create", "fuzz").strip() if with_key else ""
        program = running.serve()
        with running.client(key) as client:
            ended = wait_for(client, submit(client, recording(folder))["id"])
            assert ended["state"] == "succeeded", ended
        access = ("--header", f"Authorization: Bearer {key}") if key else WITHOUT_KEYS
        process = subprocess.run(
            [*COMMAND, "run", f"{running.url}/openapi.json", "--no-color", *access, *options],
            cwd=ROOT,
            env=os.environ | {ENDED: ended["id"]},
            capture_output=True,
            text=True,
            check=False,
        )
        assert program.process.poll() is None, program.log.read_text()[-2000:]
        return Outcome(process.returncode, process.stdout + process.stderr, *_log(running))


def _log(running: Service) -> tuple[Counter[int], tuple[str, ...]]:
    """Of the server's log: the answers by status, and whatever is a fault."""
    answers: Counter[int] = Counter()
    faults = []
    for line in running.programs[-1].log.read_text("utf-8").splitlines():
        try:
            entry: dict[str, Any] = json.loads(line)
        except ValueError:
            faults.append(line)
            continue
        if entry.get("event") == "request":
            answers[entry["status"]] += 1
        elif entry.get("level") == "error" and entry.get("logger") not in LOUD:
            faults.append(line)
    return answers, tuple(faults)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="tests.support.schemathesis_run", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long in all")
    parser.add_argument("--seed", type=int, help="to repeat a run")
    request = parser.parse_args(arguments)
    seconds = max(1, round(request.minutes * 60 / 2))
    options = ["--max-time", str(seconds), "--continue-on-failure"]
    options += ["--seed", str(request.seed)] if request.seed is not None else []
    passed = True
    for with_key in (True, False):
        print(f"{'With a key' if with_key else 'Without keys'}, {seconds} s", flush=True)
        with TemporaryDirectory() as folder:
            outcome = ask(Path(folder), with_key, *options)
        print(outcome, flush=True)
        passed &= outcome.passed
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
