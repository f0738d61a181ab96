"""Kills what runs, again and again, while jobs keep coming, and counts what that has cost.

    python -m tests.acceptance.kill --database sqlite|postgresql --kills 50 [--seed N] [--jobs N]
        [--storage folder|objects]

One API process and two workers share a data folder. Workers are killed with SIGKILL at random moments, half
of them aimed at a stage so that each gets its share; now and then both at once, the API in the middle of an
upload, and PostgreSQL, which is also restarted. The exit status is 1 where anything was lost, done twice,
left behind, late or different. How often a stage may be tried is not limited here: the kills are no job's
fault.

A takeover is the time from the kill until the job is begun again; where the database was away meanwhile, or
no worker was left, from when it was back, or new ones were started. It may have to wait for a free place.
"""

from __future__ import annotations

import random
import threading
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from pipelines.pipeline import Stage
from tests.acceptance.children import children_of, left_after
from tests.acceptance.findings import (
    ENDED,
    SOUNDS,
    TEXT,
    Findings,
    conclude,
    judge,
    look_at_jobs,
    look_at_limits,
    look_at_results,
    look_at_stages,
    look_at_takeovers,
    seen,
    sound_of,
    spread,
)
from tests.acceptance.recordings import music, write_wav
from tests.acceptance.server import Program, Service, service
from tests.support.objects import Server as ObjectServer
from tests.support.postgres import Server

WORKERS = 2
CONCURRENCY = 2
PATIENCE = 120.0
"""Seconds after which the jobs that have not ended count as lost."""
BOUNDARY = b"turnwise-boundary"
LASTING: dict[str, Any] = {"stage_attempts": 1_000_000, "min_free_mb": 0}
"""Settings of what is attacked: nothing but an attack ends anything."""


# --------------------------------------------------------------------------- what happens


@dataclass(frozen=True)
class Kill:
    """One worker's end: by the clock, and what it left."""

    time: float
    program: Program
    children: tuple[int, ...]


@dataclass
class Trial:
    """A service under attack, and all that was seen."""

    running: Service
    server: Server | None
    chance: random.Random
    sounds: list[bytes]
    under_way: int
    workers: list[Program] = field(default_factory=list)
    api: Program | None = None
    spawned: dict[Path, float] = field(default_factory=dict)  # by log
    kills: list[Kill] = field(default_factory=list)
    api_kills: int = 0
    server_kills: int = 0
    server_restarts: int = 0
    disturbances: list[float] = field(default_factory=list)  # when the database, or a worker at all, was back
    acknowledged: dict[str, str] = field(default_factory=dict)  # name → id
    retried: int = 0
    left_behind: list[int] = field(default_factory=list)
    died: list[str] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)
    stopped: threading.Event = field(default_factory=threading.Event)

    # ------------------------------------------------------------------ programs

    def start_api(self) -> None:
        self.api = self.running.serve("--no-worker")

    def start_worker(self) -> None:
        moment = time.time()
        program = self.running.work()
        self.spawned[program.log] = moment
        self.workers.append(program)

    def wait_until_ready(self) -> None:
        """Until every worker takes jobs: otherwise their start is all that is ever killed."""
        give_up = time.monotonic() + PATIENCE
        while not all(any(seen(program, "worker started")) for program in self.workers):
            self.check_alive()
            assert not self.died, self.died
            assert time.monotonic() < give_up, "a worker never started"
            time.sleep(0.05)

    def check_alive(self) -> None:
        for program in (*self.workers, self.api):
            if program is not None and program.process.poll() is not None:
                self.died.append(f"{program.log.name}: {program.log.read_text()[-500:]}")

    # ------------------------------------------------------------------ attacks

    def attack(self, number: int) -> None:
        """On one worker, now and then on both, and sometimes on something else too."""
        victims = self.aim(tuple(Stage)[number // 2 % len(Stage)] if number % 2 else "")
        if number % 6 == 3:
            victims = list(self.workers)
        self.check_alive()
        for program in victims:
            self.kill(program)
        if number % 4 == 2 and self.server is not None:
            self.hurt_server(self.server, number // 4)
        time.sleep(self.chance.uniform(0.0, 1.0))
        for _ in victims:
            self.start_worker()
        if len(victims) == WORKERS:
            self.disturbances.append(time.time())
        if number % 5 == 1:
            self.kill_api()

    def aim(self, stage: str) -> list[Program]:
        """A worker at a random moment, or as soon as it is in that stage."""
        self.wait_until_ready()
        program = self.chance.choice(self.workers)
        if not stage:
            time.sleep(self.chance.uniform(0.0, 3.0))
            return [program]
        before = len(list(seen(program, "stage begins", stage)))
        give_up = time.monotonic() + 10
        while len(list(seen(program, "stage begins", stage))) == before and time.monotonic() < give_up:
            time.sleep(0.02)
        time.sleep(self.chance.uniform(0.0, 0.1))
        return [program]

    def kill(self, program: Program) -> None:
        children = tuple(children_of(program.process.pid))
        moment = time.time()
        program.kill()
        self.workers.remove(program)
        self.kills.append(Kill(moment, program, children))

    def kill_api(self) -> None:
        """In the middle of an upload, which is then sent again."""
        assert self.api is not None
        name = self.new_name()
        upload = threading.Thread(target=self.submit_slowly, args=(name,))
        upload.start()
        time.sleep(self.chance.uniform(0.1, 0.9))
        self.api.kill()
        self.api_kills += 1
        upload.join()
        self.retried += name not in self.acknowledged
        self.start_api()
        self.submit(name)

    def hurt_server(self, server: Server, turn: int) -> None:
        if turn % 2 == 0:
            server.kill()
            self.server_kills += 1
            time.sleep(self.chance.uniform(0.0, 2.0))
            server.start()
        else:
            server.restart(self.chance.choice(("fast", "immediate")))
            self.server_restarts += 1
        self.disturbances.append(time.time())

    # ------------------------------------------------------------------ jobs

    def new_name(self) -> str:
        return f"every-{self.chance.choice((0.1, 0.2, 0.4))}-{next(self.numbers):04d}.wav"

    @contextmanager
    def submitting(self) -> Iterator[None]:
        """Jobs keep coming meanwhile."""
        submitter = threading.Thread(target=self.submit_until_stopped)
        submitter.start()
        try:
            yield
        finally:
            self.stopped.set()
            submitter.join()

    def submit_until_stopped(self) -> None:
        """Keeps so many jobs waiting or running."""
        while not self.stopped.is_set():
            with suppress(httpx.HTTPError):
                if self.count_active() < self.under_way:
                    self.submit(self.new_name())
                    continue
            time.sleep(0.5)

    def count_active(self) -> int:
        with self.running.client() as client:
            return sum(
                len(
                    client.get("/v1/jobs", params={"state": state, "limit": 100})
                    .raise_for_status()
                    .json()["jobs"]
                )
                for state in ("queued", "running")
            )

    def submit(self, name: str) -> None:
        """Until it is acknowledged, always under one key."""
        give_up = time.monotonic() + PATIENCE
        while not self.send(name, self.body(name)):
            self.retried += 1
            assert time.monotonic() < give_up, f"{name} was never taken"
            time.sleep(0.2)

    def submit_slowly(self, name: str) -> None:
        body = self.body(name)

        def pieces() -> Iterator[bytes]:
            for start in range(0, len(body), len(body) // 10 + 1):
                yield body[start : start + len(body) // 10 + 1]
                time.sleep(0.1)

        self.send(name, pieces())

    def send(self, name: str, body: Any) -> bool:
        headers = {
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY.decode()}",
            "Idempotency-Key": name,
        }
        try:
            with self.running.client() as client:
                answer = client.post("/v1/jobs", content=body, headers=headers)
        except httpx.HTTPError:
            return False
        if answer.status_code != 202:
            assert answer.status_code == 503, answer.text
            return False
        self.acknowledged[name] = answer.json()["id"]
        return True

    def body(self, name: str) -> bytes:
        sound = self.sounds[sound_of(name)]
        parts = (
            (b'name="text"', TEXT.encode()),
            (b'name="audio"; filename="' + name.encode() + b'"', sound),
        )
        lines = [
            b"--" + BOUNDARY + b"\r\nContent-Disposition: form-data; " + head + b"\r\n\r\n" + data + b"\r\n"
            for head, data in parts
        ]
        return b"".join(lines) + b"--" + BOUNDARY + b"--\r\n"

    def wait_for_all(self) -> dict[str, dict[str, Any]]:
        """Every acknowledged job by its name, when all have ended or patience has."""
        give_up = time.monotonic() + PATIENCE
        found: dict[str, dict[str, Any]] = {}
        with self.running.client() as client:
            while True:
                for name, id in self.acknowledged.items():
                    if found.get(name, {}).get("state") not in ENDED:
                        answer = client.get(f"/v1/jobs/{id}")
                        found[name] = answer.json() if answer.status_code == 200 else {"state": "gone"}
                open_jobs = [job for job in found.values() if job["state"] not in ENDED]
                if not open_jobs or time.monotonic() > give_up:
                    return found
                time.sleep(0.3)

    def all_jobs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor = ""
        with self.running.client() as client:
            while True:
                page = client.get("/v1/jobs", params={"limit": 100, "cursor": cursor}).json()
                found += page["jobs"]
                if not (cursor := page["cursor"]):
                    return found


# --------------------------------------------------------------------------- the whole


def trial(
    folder: Path, database: str, kills: int, seed: int, under_way: int, storage: str = "folder"
) -> tuple[Trial, Findings]:
    """Everything, in a folder of its own; the files of jobs there, or in a server of objects."""
    notes = folder / "notes"
    notes.touch()
    with ExitStack() as stack:
        server = stack.enter_context(Server()) if database == "postgresql" else None
        options: dict[str, Any] = {"database_url": server.create_database()} if server else {}
        running = stack.enter_context(
            service(folder / "data", concurrency=CONCURRENCY, engine_stages=notes, **LASTING, **options)
        )
        if storage == "objects":
            objects = stack.enter_context(ObjectServer())
            running.environment |= objects.environment
            running.environment["TURNWISE_STORAGE_URL"] = f"s3://{objects.create_bucket()}/turnwise"
        here = Trial(running, server, random.Random(seed), sounds(folder), under_way)
        here.start_api()
        for _ in range(WORKERS):
            here.start_worker()
        with here.submitting():
            for number in count():
                if len(here.kills) >= kills:
                    break
                here.attack(number)
        jobs = here.wait_for_all()
        here.check_alive()
        here.left_behind = left_after({child for kill in here.kills for child in kill.children}, 10.0)
        findings = look(here, jobs, running, notes, folder)
        for program in (*here.workers, here.api):
            assert program is not None
            program.process.terminate()
    return here, findings


def sounds(folder: Path) -> list[bytes]:
    """The recordings that are sent."""
    return [
        write_wav(folder / f"sound-{number}.wav", music(3.0 + number)).read_bytes()
        for number in range(SOUNDS)
    ]


def look(
    here: Trial, jobs: dict[str, dict[str, Any]], running: Service, notes: Path, folder: Path
) -> Findings:
    findings = Findings()
    look_at_jobs(here, jobs, findings)
    engine = sa.create_engine(address(running))
    try:
        look_at_stages(here, engine, notes, jobs, findings)
    finally:
        engine.dispose()
    look_at_takeovers(here, jobs, findings)
    look_at_limits(here, findings)
    look_at_results(here, jobs, folder, findings)
    return findings


def address(running: Service) -> str:
    url = running.environment.get("TURNWISE_DATABASE_URL", "")
    return url.replace("postgresql:", "postgresql+psycopg:") or f"sqlite:///{running.data / 'turnwise.db'}"


def report(here: Trial, findings: Findings, most_seconds: float, say: Callable[[str], None] = print) -> bool:
    """Prints what was counted; whether all of it is as it should be."""
    hit = ", ".join(f"{stage} {findings.stages_hit[stage]}" for stage in Stage)
    good = conclude(
        here,
        findings,
        most_seconds,
        say,
        attacks=[
            f"kills of workers        {len(here.kills)}, of the API in an upload {here.api_kills},"
            f" of PostgreSQL {here.server_kills} and restarts of it {here.server_restarts}",
            f"stages under way then   {hit}",
        ],
        rest=[
            f"workers ready           {spread(findings.starts)} after they were started",
            f"deaths noticed          {spread(findings.noticed)} after them",
            f"jobs at once            {findings.most_at_once} of a limit of {CONCURRENCY} a worker",
            f"processes left behind   {len(here.left_behind)}",
        ],
        wrong=[str(process) for process in here.left_behind],
    )
    return good and findings.most_at_once <= CONCURRENCY


def attack(folder: Path, options: Namespace) -> bool:
    here, findings = trial(
        folder, options.database, options.kills, options.seed, options.jobs, options.storage
    )
    return report(here, findings, options.takeover)


def main() -> int:
    parser = ArgumentParser(description="Kills workers and counts what that costs.")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--storage", choices=("folder", "objects"), default="folder")
    parser.add_argument("--kills", type=int, default=50, help="how many workers are killed")
    parser.add_argument("--jobs", type=int, default=4, help="how many wait or run at any time")
    return judge(parser, attack)


if __name__ == "__main__":
    raise SystemExit(main())
