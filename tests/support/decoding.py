"""Runs `service.work.decode_process` as the service does: a process of its own, lines of JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from service.work.decode_process import MEDIA, SAMPLES, Request

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 300.0


@dataclass(frozen=True)
class Ending:
    """How a decoding process ended: its answers, its exit status, its complaints, its folder."""

    answers: list[dict[str, Any]]
    status: int
    errors: str
    folder: Path

    @property
    def code(self) -> str:
        """ "done", the code of the failure, or how the process died."""
        last = self.answers[-1] if self.answers else {}
        if self.status != 0:
            return f"exit status {self.status}"
        return "done" if "done" in last else str(last["failed"]["code"])

    @property
    def message(self) -> str:
        return str(self.answers[-1]["failed"]["message"])

    @property
    def samples(self) -> bytes:
        return (self.folder / SAMPLES).read_bytes()

    @property
    def media(self) -> dict[str, Any]:
        described: dict[str, Any] = json.loads((self.folder / MEDIA).read_text())
        return described


def request(recording: Path, folder: Path, **changes: Any) -> Request:
    """A request with the limits of a patient service."""
    usual = Request(
        recording=str(recording),
        name="my clip",
        folder=str(folder),
        duration=3600.0,
        decode_time=120.0,
        memory_bytes=3 * 2**30,
        processor_time=120.0,
        output_bytes=2**30,
    )
    return replace(usual, **changes)


def decode(
    recording: Path,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    **changes: Any,
) -> Ending:
    """Decodes into a new folder; a process that does not end by itself raises TimeoutExpired."""
    folder.mkdir()
    process = subprocess.run(
        [sys.executable, "-P", "-m", "service.work.decode_process"],
        input=json.dumps(asdict(request(recording, folder, **changes))) + "\n",
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | dict(environment or {}),
        cwd=cwd,
        timeout=PATIENCE,
        check=False,
    )
    answers = [json.loads(line) for line in process.stdout.splitlines()]
    return Ending(answers, process.returncode, process.stderr, folder)
