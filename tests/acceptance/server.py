"""A running service: real processes on a free port of the loopback address, gone when the test is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import httpx

from tests.acceptance.recordings import DEMO, write_wav
from tests.acceptance.recordings import music as sound

ROOT = Path(__file__).resolve().parents[2]
FAKE = "tests.service.engines:choose"
PATIENCE = 60.0
"""Seconds after which a test gives up waiting; no measure of anything."""


@dataclass
class Program:
    """A process of ours with its log."""

    process: subprocess.Popen[str]
    log: Path

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, patience: float = PATIENCE) -> int:
        """SIGTERM, and the exit status."""
        self.process.terminate()
        return self.process.wait(patience)


@dataclass
class Service:
    """A data folder with the programs that work on it; `prefix` is what they are started through."""

    data: Path
    environment: dict[str, str]
    prefix: tuple[str, ...] = ()
    programs: list[Program] = field(default_factory=list)
    url: str = ""
    key: str = ""
    """That of clients that name none."""
    timeout: float = PATIENCE
    """Seconds after which a client gives up."""

    def start(self, *command: str) -> Program:
        """turnwise COMMAND, in the background."""
        log = self.data.parent / f"{self.data.name}.{len(self.programs)}.log"
        with log.open("w") as file:
            process = _spawn(self._command(*command), self.environment, file)
        program = Program(process, log)
        self.programs.append(program)
        return program

    def serve(self, *options: str) -> Program:
        """The API, ready for requests."""
        program = self.start("serve", "--port", "0", *options)
        assert program.process.stdout is not None
        line = program.process.stdout.readline()
        assert line.startswith("turnwise: http"), f"{line} {program.log.read_text()}"
        self.url = line.split()[1]
        return program

    def work(self) -> Program:
        return self.start("worker")

    def run(self, *command: str) -> str:
        """turnwise COMMAND to its end, and what it printed."""
        result = subprocess.run(
            self._command(*command),
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        )
        return result.stdout

    def _command(self, *command: str) -> tuple[str, ...]:
        return (*self.prefix, sys.executable, "-m", "tests.acceptance.command", *command)

    def client(self, key: str = "") -> httpx.Client:
        key = key or self.key
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return httpx.Client(base_url=self.url, timeout=self.timeout, headers=headers)

    def close(self) -> None:
        for program in self.programs:
            with suppress(ProcessLookupError):
                program.process.send_signal(signal.SIGKILL)
            program.process.wait()
            if program.process.stdout is not None:
                program.process.stdout.close()


def _spawn(command: tuple[str, ...], environment: Mapping[str, str], log: IO[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command,
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )


@contextmanager
def service(data: Path, fake: bool = True, **settings: object) -> Iterator[Service]:
    """A service on this data folder; settings by their names in lower case."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TURNWISE_")}
    environment |= {
        name: os.environ[name] for name in ("TURNWISE_MODELS", "TURNWISE_ENGINE_RUNS") if name in os.environ
    }
    environment |= {"TURNWISE_DATA_DIR": str(data), "TURNWISE_REQUESTS_PER_MINUTE": "1000000"}
    environment |= {"PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # else every process would compile our sources again
    if fake:
        environment["TURNWISE_ENGINES"] = FAKE
    environment |= {f"TURNWISE_{name.upper()}": str(value) for name, value in settings.items()}
    running = Service(data, environment)
    try:
        yield running
    finally:
        running.close()


def recording(folder: Path, name: str = "talk.wav", seconds: float = 6.0) -> Path:
    """Chords, which the fake engines take for speech."""
    return write_wav(folder / name, sound(seconds))


def submit(
    client: httpx.Client, audio: Path, text: str = "", name: str = "", **fields: Any
) -> dict[str, Any]:
    """The job that was made of a recording, which may be called something else."""
    files = {"audio": (name or audio.name, audio.read_bytes())}
    answer = client.post("/v1/jobs", files=files, data={**({"text": text} if text else {}), **fields})
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


def wait_for(client: httpx.Client, job: str, *states: str, patience: float = PATIENCE) -> dict[str, Any]:
    """The job as soon as it is in one of these states, or has ended."""
    wanted = set(states) | {"succeeded", "failed", "cancelled"}
    deadline = time.monotonic() + patience
    while True:
        found: dict[str, Any] = client.get(f"/v1/jobs/{job}").json()
        if found["state"] in wanted:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.1)


__all__ = ["DEMO", "Program", "Service", "recording", "service", "submit", "wait_for"]
