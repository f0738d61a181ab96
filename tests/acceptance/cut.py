"""Cuts hosts off in the middle of jobs, again and again, and counts what that has cost.

    python -m tests.acceptance.cut --cuts 10 [--seed N] [--storage s3|folder]

Two hosts (tests/acceptance/hosts.py) have nothing in common but a PostgreSQL and an object storage on a
third one, this machine: the API with a worker on host a, a worker on host b. In turn each of them is cut off
while it runs jobs, in silence or unplugged. The cut heals once the other host has finished those jobs, or as
soon as both are at the same stage; some workers are told to stop meanwhile. The exit status is 1 where
anything was lost, done twice, late or different. How often a stage may be tried is not limited here: the cuts
are no job's fault.

A takeover is the time from the cut until the job is begun on the other host.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from service.running.working import CUT_SHORT
from tests.acceptance import kill
from tests.acceptance.findings import (
    Findings,
    conclude,
    first_begun,
    judge,
    look_at_jobs,
    look_at_results,
    look_at_stages,
    seen,
    spread,
    workers_of,
)
from tests.acceptance.hosts import Host, Network, Way, why_not
from tests.acceptance.server import Program, Service, service
from tests.support import objects, postgres

CONCURRENCY = 4
UNDER_WAY = 4
"""Jobs at any time: each host has a place for all of them, so that a takeover waits for none."""
PATIENCE = 120.0
"""Seconds after which whatever has not happened never will."""
STOP_SECONDS = 10.0
CLIENT_SECONDS = 5.0
"""After which a client asks again: what it sent when the host was cut off is sent later and later."""
SLOW_SECONDS = 20
"""How long a stage takes that both hosts are at."""
MOMENT_SECONDS = 1.0
"""From a worker's look whether a stage is done until it begins it: another one may finish it meanwhile."""
TAKEN = "workflow was taken over, it ends here"
"""What a worker says of a job that it was cut off with."""


@dataclass
class Site:
    """A host with the program of ours that runs on it."""

    host: Host
    running: Service
    serves: bool

    def start(self) -> None:
        if self.serves:
            self.program = self.running.serve("--host", self.host.address)
        else:
            self.program = self.running.work()

    @property
    def executor(self) -> str:
        """Id of its worker, as soon as that is at work."""
        give_up = time.monotonic() + PATIENCE
        while not (started := list(seen(self.program, "worker started"))):
            assert time.monotonic() < give_up, f"it never started: {self.program.log.read_text()[-500:]}"
            time.sleep(0.05)
        return started[0].executor

    def is_ready(self) -> bool:
        """What the API says to somebody on its own host."""
        code = "import sys, httpx; sys.exit(not httpx.get(sys.argv[1], timeout=60).is_success)"
        asked = (*self.host.command, sys.executable, "-c", code, f"{self.running.url}/health/ready")
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0


@dataclass
class Cut:
    """What happened to one host."""

    site: Site
    program: Program
    way: Way
    time: float
    jobs: set[str]
    together: bool  # until both are at the same stage
    told: bool  # to stop
    healed: float = 0.0


@dataclass
class Trial(kill.Trial):
    """Two hosts, and all that was seen."""

    sites: list[Site] = field(default_factory=list)
    database: sa.Engine = field(default_factory=lambda: sa.create_engine("sqlite://"))
    store: objects.Server | None = None
    bucket: str = ""
    cuts: list[Cut] = field(default_factory=list)
    back: list[float] = field(default_factory=list)  # from the healing until it has begun another job
    stops: list[float] = field(default_factory=list)
    unready: list[float] = field(default_factory=list)  # from the cut until the API says so
    ready: list[float] = field(default_factory=list)  # from the healing
    wrong: list[str] = field(default_factory=list)

    def cut(self, number: int) -> None:
        victim, other = self.sites[::-1] if number % 2 == 0 else self.sites
        way = list(Way)[number // 2 % 2]
        together, told = number % 4 >= 2, number % 5 == 4
        for site in self.sites:
            assert site.executor
        cut = self.catch(victim, way, together, told)
        if victim.serves:
            self.unready.append(self.seconds(lambda: not victim.is_ready()))
        self.wait(lambda: self.are_begun(cut, other.program), "taken over")
        if together:
            self.wait(lambda: self.hearing(other, cut.time) & cut.jobs, "at the same stage")
        if told:
            self.stops.append(self.seconds(lambda: self.stop(victim)))
        if not together:
            self.wait(lambda: self.are_ended(cut.jobs), "finished by the other host")
        time.sleep(self.chance.uniform(0.0, 1.0))
        victim.host.heal(way)
        cut.healed = time.time()
        self.mend(cut)

    def catch(self, victim: Site, way: Way, together: bool, told: bool) -> Cut:
        """Cuts it off while it runs something, or something slow."""
        while True:
            self.wait(lambda: self.works(victim, together), "at work")
            time.sleep(self.chance.uniform(0.0, 0.5))
            moment = time.time()
            victim.host.cut(way)
            if jobs := self.jobs_of(victim):  # asked now: nothing of it can change any more
                cut = Cut(victim, victim.program, way, moment, jobs, together, told)
                self.cuts.append(cut)
                return cut
            victim.host.heal(way)

    def works(self, site: Site, slowly: bool) -> bool:
        jobs = self.jobs_of(site)
        if not slowly:
            return bool(jobs)
        hearing = self.hearing(site) & jobs
        if not hearing and self.count_active() < self.under_way:
            self.submit(f"slow-{SLOW_SECONDS}-{next(self.numbers):04d}.wav")
        return bool(hearing)

    def hearing(self, site: Site, since: float = 0.0) -> set[str]:
        """Slow jobs that have come to the stage where they are slow."""
        slow = {id for name, id in list(self.acknowledged.items()) if name.startswith("slow")}
        begun = seen(site.program, "stage begins", "transcribe")
        return slow & {line.job for line in begun if line.time > since}

    def mend(self, cut: Cut) -> None:
        """Until the host is what it was before."""
        if cut.told:
            cut.site.start()
        if cut.site.serves:
            self.ready.append(self.seconds(cut.site.is_ready))
        program = cut.site.program
        self.wait(lambda: any(line.time > cut.healed for line in seen(program, "job begins")), "back at work")
        if not cut.told:
            self.back.append(time.time() - cut.healed)
        if cut.program.process.poll() is not None and not cut.told:
            self.died.append(f"{cut.program.log.name}: {cut.program.log.read_text()[-500:]}")

    def stop(self, site: Site) -> bool:
        status = site.program.stop(PATIENCE)
        if status not in (0, CUT_SHORT):  # its database is away, so that it may not end by itself
            self.wrong.append(f"told to stop, it ended with {status}")
        return True

    def wait(self, what: Callable[[], object], name: str) -> None:
        give_up = time.monotonic() + PATIENCE
        while not what():
            assert time.monotonic() < give_up, f"it was never {name}"
            time.sleep(0.1)

    def seconds(self, what: Callable[[], object]) -> float:
        begin = time.monotonic()
        self.wait(what, "so")
        return time.monotonic() - begin

    # ------------------------------------------------------------------ the database

    def jobs_of(self, site: Site) -> set[str]:
        query = (
            "SELECT id FROM jobs JOIN dbos.workflow_status ON workflow_uuid = 'job-' || id || '-0'"
            " WHERE status = 'PENDING' AND executor_id = :executor AND finished IS NULL"
        )
        with self.database.connect() as connection:
            return set(connection.execute(sa.text(query), {"executor": site.executor}).scalars())

    def are_begun(self, cut: Cut, program: Program) -> bool:
        return self.are_ended(cut.jobs - first_begun(seen(program), cut.time).keys())

    def are_ended(self, ids: set[str]) -> bool:
        with self.database.connect() as connection:
            found = connection.execute(sa.text("SELECT id FROM jobs WHERE finished IS NOT NULL")).scalars()
            return ids <= set(found)


# --------------------------------------------------------------------------- what came of it


@dataclass
class Outcome(Findings):
    """Beside what the kill test counts."""

    ended_twice: int = 0
    together: int = 0
    given_up: list[float] = field(default_factory=list)  # from the healing until what others have has stopped
    strays: list[str] = field(default_factory=list)
    undeleted: list[str] = field(default_factory=list)


def look(trial: Trial, jobs: dict[str, dict[str, Any]], notes: Path, folder: Path) -> Outcome:
    found = Outcome()
    look_at_jobs(trial, jobs, found)
    ends = Counter(line.job for program in workers_of(trial) for line in seen(program, "job ends"))
    found.ended_twice = sum(ends[job["id"]] > 1 for job in jobs.values())
    # Not by the notes of the engines: what a worker has begun in time, its process may begin too late.
    look_at_stages(trial, trial.database, Path(os.devnull), jobs, found, MOMENT_SECONDS)
    look_at_results(trial, jobs, folder, found)
    for cut in trial.cuts:
        look_at_cut(trial, cut, found)
    found.together = count_together(notes)
    found.strays = stray_objects(trial)
    found.undeleted = [*delete_all(trial, jobs), *stray_folders(trial)]
    return found


def look_at_cut(trial: Trial, cut: Cut, found: Outcome) -> None:
    others = [program for program in workers_of(trial) if program is not cut.program]
    begun = first_begun((line for program in others for line in seen(program)), cut.time)
    found.takeovers += [begun[job] - cut.time for job in cut.jobs & begun.keys()]
    found.never_begun += cut.jobs - begun.keys()
    later = [other.time for other in trial.cuts if other.time > cut.time]
    gone = [line.time for line in seen(cut.program, TAKEN)]
    found.given_up += [time - cut.healed for time in gone if cut.time < time < min(later, default=time + 1)]


def stray_objects(trial: Trial) -> list[str]:
    """What attempts have left in the store that do not count: a host that is told to stop may have sent
    something that arrives after its end."""
    with trial.database.connect() as connection:
        rows = connection.execute(sa.text("SELECT job, stage, accepted FROM stages")).all()
    counts = {(row.job, row.stage, row.accepted) for row in rows}
    return [name for name in names_of(trial) if "/stages/" in name and attempt_of(name) not in counts]


def names_of(trial: Trial) -> list[str]:
    """Of all objects."""
    if trial.store is None:
        return []
    pages = trial.store.client().get_paginator("list_objects_v2").paginate(Bucket=trial.bucket)
    return [entry["Key"] for page in pages for entry in page.get("Contents", [])]


def delete_all(trial: Trial, jobs: dict[str, dict[str, Any]]) -> list[str]:
    """What is left in the store then."""
    with trial.running.client() as client:
        for job in jobs.values():
            client.delete(f"/v1/jobs/{job['id']}").raise_for_status()
    return names_of(trial)


def attempt_of(name: str) -> tuple[str, str, str]:
    """Job, stage and attempt, of which its last parts tell."""
    job, _, stage, attempt, _ = name.split("/")[-5:]
    return job, stage, attempt


def stray_folders(trial: Trial) -> list[str]:
    """What is left of ended jobs where hosts work on them."""
    return [str(path) for site in trial.sites for path in site.running.data.glob("scratch/*/jobs/*")]


def count_together(notes: Path) -> int:
    """Stages that two workers were at, at the same time."""
    first: dict[tuple[str, str], str] = {}
    at_work: dict[tuple[str, str], set[str]] = {}
    for line in notes.read_text().splitlines():
        name, stage, event, _, worker = line.split()
        workers = at_work.setdefault((name, stage), set())
        if event == "begins":
            if workers - {worker}:
                first[name, stage] = worker
            workers.add(worker)
        else:
            workers.discard(worker)
    return len(first)


# --------------------------------------------------------------------------- the whole


def trial(folder: Path, cuts: int, seed: int, storage: str = "s3", begin: int = 0) -> tuple[Trial, Outcome]:
    """Everything, in a folder of its own; `begin` is the number of the first cut."""
    notes = folder / "notes"
    notes.touch()
    with ExitStack() as stack:
        network = stack.enter_context(Network())
        server = stack.enter_context(postgres.Server(address=network.address))
        address = server.create_database()
        store = stack.enter_context(objects.Server(network.address)) if storage == "s3" else None
        bucket = store.create_bucket() if store else ""
        sites: list[Site] = []
        for host, name in zip(network.hosts, ("a", "b"), strict=True):
            running = stack.enter_context(
                service(
                    folder / (name if store else "data"),
                    database_url=address,
                    storage_url=f"s3://{bucket}/jobs" if store else "",
                    concurrency=CONCURRENCY,
                    engine_stages=notes,
                    **kill.LASTING,
                )
            )
            running.prefix, running.timeout = host.command, CLIENT_SECONDS
            running.environment |= store.environment if store else {}
            sites.append(Site(host, running, serves=not sites))
        sites[1].running.programs = sites[0].running.programs  # of one trial
        database = sa.create_engine(address.replace("postgresql:", "postgresql+psycopg:"))
        stack.callback(database.dispose)
        here = Trial(
            sites[0].running,
            server,
            random.Random(seed),
            kill.sounds(folder),
            UNDER_WAY,
            sites=sites,
            database=database,
            store=store,
            bucket=bucket,
        )
        found = attack(here, range(begin, begin + cuts), notes, folder)
    return here, found


def attack(here: Trial, numbers: range, notes: Path, folder: Path) -> Outcome:
    here.running.key = here.running.run("keys", "create", "tests").strip()
    for site in here.sites:
        site.start()
    with here.submitting():
        for number in numbers:
            here.cut(number)
    jobs = here.wait_for_all()
    found = look(here, jobs, notes, folder)
    for site in here.sites:
        if site.program.stop(PATIENCE):
            here.wrong.append(f"{site.program.log.name}: {site.program.log.read_text()[-500:]}")
    return found


def report(here: Trial, found: Outcome, most_seconds: float, say: Callable[[str], None] = print) -> bool:
    """Prints what was counted; whether all of it is as it should be."""
    ways = Counter((cut.site.serves, cut.way) for cut in here.cuts)
    said = ", ".join(
        f"host {'a' if serves else 'b'} {way} {count}" for (serves, way), count in sorted(ways.items())
    )
    good = conclude(
        here,
        found,
        most_seconds,
        say,
        attacks=[
            f"cuts                    {len(here.cuts)}: {said}",
            f"jobs under way then     {sum(len(cut.jobs) for cut in here.cuts)}",
        ],
        rest=[
            f"ended twice             {found.ended_twice}",
            f"on two hosts at once    {found.together} stages",
            f"stopped what was not its own any more  {spread(found.given_up)} after the healing",
            f"back at work            {spread(here.back)} after it",
            f"API: not ready          {spread(here.unready)} after the cut,"
            f" ready {spread(here.ready)} after the healing",
            f"told to stop when cut   {spread(here.stops)} until it had ended",
            f"files left behind       {len(found.strays)},"
            f" after all jobs were deleted {len(found.undeleted)}",
        ],
        wrong=[*found.undeleted, *here.wrong],
    )
    return (
        good
        and (bool(found.given_up) or not any(cut.together and not cut.told for cut in here.cuts))
        and not found.ended_twice
        and max(here.stops, default=0.0) <= STOP_SECONDS
        and all(cut.jobs for cut in here.cuts)
    )


def main() -> int:
    parser = ArgumentParser(description="Cuts hosts off and counts what that costs.")
    parser.add_argument("--cuts", type=int, default=10)
    parser.add_argument("--begin", type=int, default=0, help="number of the first cut, which says what it is")
    parser.add_argument("--storage", choices=("s3", "folder"), default="s3", help="or one folder for both")

    def attack_all(folder: Path, options: Namespace) -> bool:
        if reason := why_not():
            parser.error(reason)
        here, found = trial(folder, options.cuts, options.seed, options.storage, options.begin)
        return report(here, found, options.takeover)

    return judge(parser, attack_all)


if __name__ == "__main__":
    raise SystemExit(main())
