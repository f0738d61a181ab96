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

import json
import random
import shutil
import statistics
import tempfile
import threading
import time
from argparse import ArgumentParser
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from pipelines import audio, formats, supplied
from pipelines.audio_preview import data_uri, encode_opus
from pipelines.formats import html
from pipelines.pipeline import run
from service.storage import STAGES
from tests.acceptance.children import children_of, left_after
from tests.acceptance.recordings import music, write_wav
from tests.acceptance.server import Program, Service, service
from tests.objects import Server as ObjectServer
from tests.postgres import Server
from tests.service import engines

WORKERS = 2
CONCURRENCY = 2
SOUNDS = 3
TEXT = "The talks went on all night, and nobody would say how close an agreement was."
PATIENCE = 120.0
"""Seconds after which the jobs that have not ended count as lost."""
BOUNDARY = b"turnwise-boundary"


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
        victims = self.aim(STAGES[number // 2 % len(STAGES)] if number % 2 else "")
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


ENDED = {"succeeded", "failed", "cancelled"}


def sound_of(name: str) -> int:
    return int(name[-8:-4]) % SOUNDS


# --------------------------------------------------------------------------- what the logs say


@dataclass(frozen=True)
class Line:
    """One of a worker's log."""

    time: float
    event: str
    job: str
    stage: str
    executor: str


def seen(program: Program, event: str = "", stage: str = "") -> Iterator[Line]:
    for text in program.log.read_text().splitlines():
        with suppress(ValueError, KeyError):
            entry = json.loads(text)
            line = Line(
                datetime.fromisoformat(entry["timestamp"]).timestamp(),
                entry["event"],
                entry.get("job", ""),
                entry.get("stage", ""),
                entry.get("executor", ""),
            )
            if event in ("", line.event) and stage in ("", line.stage):
                yield line


@dataclass
class Findings:
    """What came of it."""

    lost: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    twice: int = 0
    repeated: int = 0
    interrupted: int = 0
    starts: list[float] = field(default_factory=list)
    noticed: list[float] = field(default_factory=list)
    takeovers: list[float] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    never_begun: list[str] = field(default_factory=list)
    most_at_once: int = 0
    different: list[str] = field(default_factory=list)
    compared: int = 0
    stages_hit: Counter[str] = field(default_factory=Counter)


def workers_of(trial: Trial) -> list[Program]:
    return [program for program in trial.running.programs if any(seen(program, "worker started"))]


def look_at_takeovers(trial: Trial, jobs: dict[str, dict[str, Any]], findings: Findings) -> None:
    """From each kill to the moment in which each of the jobs that it interrupted was begun again."""
    lines = [line for program in workers_of(trial) for line in seen(program)]
    begun: dict[str, list[float]] = defaultdict(list)
    for line in lines:
        if line.event == "job begins":
            begun[line.job].append(line.time)
    finished = {job["id"]: moment(job["finished"]) for job in jobs.values() if job.get("finished")}
    look_at_deaths(trial, lines, findings)
    for kill in trial.kills:
        ended = {line.job for line in seen(kill.program, "job ends")}
        interrupted = {line.job for line in seen(kill.program, "job begins")} - ended
        for job in interrupted:
            if finished.get(job, float("inf")) <= kill.time + 0.1:
                continue
            again = [time for time in begun[job] if time > kill.time]
            if again:
                findings.takeovers.append(min(again) - since(trial, kill, min(again)))
            else:
                findings.never_begun.append(job)
        begins = Counter((line.job, line.stage) for line in seen(kill.program, "stage begins"))
        begins -= Counter((line.job, line.stage) for line in seen(kill.program, "stage ends"))
        findings.stages_hit.update(stage for _, stage in begins)


def look_at_deaths(trial: Trial, lines: list[Line], findings: Findings) -> None:
    """How soon workers were ready, and their deaths were noticed where there was something to take over."""
    dead: dict[str, float] = {}
    for line in lines:
        if line.event.startswith("worker is dead"):
            dead[line.executor] = min(line.time, dead.get(line.executor, line.time))
    for program in workers_of(trial):
        ready = next(seen(program, "worker started"))
        findings.starts.append(ready.time - trial.spawned[program.log])
        for kill in trial.kills:
            if kill.program is program and (noticed := dead.get(ready.executor)) is not None:
                findings.noticed.append(noticed - since(trial, kill, noticed))


def since(trial: Trial, kill: Kill, until: float) -> float:
    """From when on somebody could take over: not while there was no database, or no worker at all."""
    return max([kill.time, *(back for back in trial.disturbances if kill.time < back < until)])


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def look_at_stages(
    trial: Trial,
    engine: sa.Engine,
    notes: Path,
    jobs: dict[str, dict[str, Any]],
    findings: Findings,
    moment: float = 0.0,
) -> None:
    """Whether anything was begun again after it was done, as the logs and the engine's tables say; `moment`
    is how soon after that nobody else can know of it."""
    ends: dict[tuple[str, str], float] = {}
    begins: dict[tuple[str, str], list[float]] = defaultdict(list)
    for program in workers_of(trial):
        for line in seen(program):
            if line.event == "stage ends":
                key = line.job, line.stage
                ends[key] = min(ends.get(key, line.time), line.time)
            elif line.event == "stage begins":
                begins[line.job, line.stage].append(line.time)
    ids = {name.removesuffix(".wav"): job["id"] for name, job in jobs.items()}
    for text in notes.read_text().splitlines():
        name, stage, event, when, _ = text.split()
        if event == "begins" and name in ids:
            begins[ids[name], stage].append(float(when))
    table = "operation_outputs" if engine.dialect.name == "sqlite" else "dbos.operation_outputs"
    with engine.connect() as connection:
        rows = connection.execute(
            sa.text(f"SELECT workflow_uuid, function_name, completed_at_epoch_ms FROM {table}")
        )
        for workflow, stage, completed in rows:
            key = workflow.split("-")[1], stage
            ends[key] = min(ends.get(key, completed / 1000), completed / 1000)
    for key, times in begins.items():
        findings.repeated += sum(time > ends.get(key, float("inf")) + moment for time in times)
    tries = Counter(
        (line.job, line.stage) for program in workers_of(trial) for line in seen(program, "stage begins")
    )
    findings.interrupted = sum(count - 1 for count in tries.values())


def look_at_limits(trial: Trial, findings: Findings) -> None:
    """The most jobs that one worker had in a stage at the same time."""
    for program in workers_of(trial):
        at_work: set[tuple[str, str]] = set()
        for line in seen(program):
            if line.event == "stage begins":
                at_work.add((line.job, line.stage))
            elif line.event == "stage ends":
                at_work.discard((line.job, line.stage))
            findings.most_at_once = max(findings.most_at_once, len({job for job, _ in at_work}))


def look_at_results(trial: Trial, jobs: dict[str, dict[str, Any]], folder: Path, findings: Findings) -> None:
    """Against an undisturbed run of the same recording, made here and now by the library."""
    engines.pace = 0.0
    with trial.running.client() as client:
        for name, job in jobs.items():
            if job["state"] != "succeeded":
                continue
            wanted = undisturbed(folder, name, trial.sounds[sound_of(name)])
            for format, text in wanted.items():
                findings.compared += 1
                if client.get(f"/v1/jobs/{job['id']}/export/{format}").content != text.encode():
                    findings.different.append(f"{name} {format}")
            if client.get(f"/v1/jobs/{job['id']}/result").content != wanted["json"].encode():
                findings.different.append(f"{name} result")


def undisturbed(folder: Path, name: str, sound: bytes) -> dict[str, str]:
    path = folder / name
    path.write_bytes(sound)
    recording, warnings = audio.load(path)
    made, _ = engines.choose("", "", "", "")
    transcript = run(recording, supplied.parse(TEXT.encode(), "text"), made)
    transcript = replace(transcript, warnings=(*warnings, *transcript.warnings))
    path.unlink()
    texts = {format: formats.serialize(transcript, format) for format in formats.FORMATS if format != "html"}
    return texts | {"html": html.serialize(transcript, data_uri(encode_opus(recording)))}


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
            service(
                folder / "data",
                concurrency=CONCURRENCY,
                stage_attempts=1_000_000,
                test_stages=notes,
                min_free_mb=0,
                **options,
            )
        )
        if storage == "objects":
            objects = stack.enter_context(ObjectServer())
            running.environment |= objects.environment
            running.environment["TURNWISE_STORAGE_URL"] = f"s3://{objects.create_bucket()}/turnwise"
        sounds = [
            write_wav(folder / f"sound-{number}.wav", music(3.0 + number)).read_bytes()
            for number in range(SOUNDS)
        ]
        here = Trial(running, server, random.Random(seed), sounds, under_way)
        here.start_api()
        for _ in range(WORKERS):
            here.start_worker()
        submitter = threading.Thread(target=here.submit_until_stopped)
        submitter.start()
        try:
            for number in count():
                if len(here.kills) >= kills:
                    break
                here.attack(number)
        finally:
            here.stopped.set()
            submitter.join()
        jobs = here.wait_for_all()
        here.check_alive()
        here.left_behind = left_after({child for kill in here.kills for child in kill.children}, 10.0)
        findings = look(here, jobs, running, notes, folder)
        for program in (*here.workers, here.api):
            assert program is not None
            program.process.terminate()
    return here, findings


def look(
    here: Trial, jobs: dict[str, dict[str, Any]], running: Service, notes: Path, folder: Path
) -> Findings:
    findings = Findings()
    findings.lost = [name for name, job in jobs.items() if job["state"] not in ENDED]
    findings.failed = [f"{name} {job}" for name, job in jobs.items() if job["state"] in ENDED - {"succeeded"}]
    names = Counter(job["recording"] for job in here.all_jobs())
    findings.twice = sum(count - 1 for count in names.values())
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


def spread(seconds: list[float]) -> str:
    if not seconds:
        return "0"
    return f"{len(seconds)}: median {statistics.median(seconds):.1f} s, worst {max(seconds):.1f} s"


def report(here: Trial, findings: Findings, most_seconds: float, say: Callable[[str], None] = print) -> bool:
    """Prints what was counted; whether all of it is as it should be."""
    worst = max(findings.takeovers, default=0.0)
    say(
        f"kills of workers        {len(here.kills)}, of the API in an upload {here.api_kills},"
        f" of PostgreSQL {here.server_kills} and restarts of it {here.server_restarts}"
    )
    hit = ", ".join(f"{stage} {findings.stages_hit[stage]}" for stage in STAGES)
    say(f"stages under way then   {hit}")
    say(f"jobs acknowledged       {len(here.acknowledged)}, sent again until then {here.retried} times")
    say(f"lost                    {len(findings.lost)}")
    say(f"failed                  {len(findings.failed)}")
    say(f"made twice              {findings.twice}")
    say(f"interrupted stages      {findings.interrupted} begun again")
    say(f"finished stages         {findings.repeated} begun again")
    say(f"workers ready           {spread(findings.starts)} after they were started")
    say(f"deaths noticed          {spread(findings.noticed)} after them")
    say(f"takeovers               {spread(findings.takeovers)}; never {len(findings.never_begun)}")
    say(f"jobs at once            {findings.most_at_once} of a limit of {CONCURRENCY} a worker")
    say(f"processes left behind   {len(here.left_behind)}")
    say(f"ended by themselves     {len(here.died)}")
    say(f"results compared        {findings.compared}, different {len(findings.different)}")
    wrong = [
        *findings.lost,
        *findings.failed,
        *findings.never_begun,
        *findings.different,
        *here.died,
        *(str(process) for process in here.left_behind),
    ]
    for line in wrong:
        say(f"  {line}")
    return (
        not wrong
        and not findings.twice
        and not findings.repeated
        and worst <= most_seconds
        and findings.most_at_once <= CONCURRENCY
        and bool(here.acknowledged)
    )


def main() -> int:
    parser = ArgumentParser(description="Kills workers and counts what that costs.")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--storage", choices=("folder", "objects"), default="folder")
    parser.add_argument("--kills", type=int, default=50, help="how many workers are killed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=4, help="how many wait or run at any time")
    parser.add_argument("--takeover", type=float, default=10.0, help="most seconds that a takeover may take")
    parser.add_argument("--keep", action="store_true", help="leave the folder with data and logs")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="turnwise-kill-"))
    begin = time.monotonic()
    try:
        here, findings = trial(
            folder, options.database, options.kills, options.seed, options.jobs, options.storage
        )
        good = report(here, findings, options.takeover)
    finally:
        if options.keep:
            print(f"kept                    {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"seconds                 {time.monotonic() - begin:.0f}")
    print("as it should be" if good else "NOT as it should be")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
