"""What kills and cuts have cost: counted from the logs, the notes of the engines and the tables of the
workflows, and by asking for the results; and the verdict on it."""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pipelines import formats
from pipelines.audio import decoding as audio
from pipelines.audio.preview import playable
from pipelines.formats import html
from pipelines.pipeline import run
from pipelines.supplied import parsing as supplied
from tests.acceptance.server import Program
from tests.service import engines

if TYPE_CHECKING:
    from tests.acceptance.kill import Kill, Trial

SOUNDS = 3
TEXT = "The talks went on all night, and nobody would say how close an agreement was."
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
    never_begun: list[str] = field(default_factory=list)
    most_at_once: int = 0
    different: list[str] = field(default_factory=list)
    compared: int = 0
    stages_hit: Counter[str] = field(default_factory=Counter)


def workers_of(trial: Trial) -> list[Program]:
    return [program for program in trial.running.programs if any(seen(program, "worker started"))]


def look_at_jobs(trial: Trial, jobs: dict[str, dict[str, Any]], findings: Findings) -> None:
    """Whether each that was acknowledged has succeeded, and was made once."""
    findings.lost = [name for name, job in jobs.items() if job["state"] not in ENDED]
    findings.failed = [f"{name} {job}" for name, job in jobs.items() if job["state"] in ENDED - {"succeeded"}]
    names = Counter(job["recording"] for job in trial.all_jobs())
    findings.twice = sum(count - 1 for count in names.values())


def look_at_takeovers(trial: Trial, jobs: dict[str, dict[str, Any]], findings: Findings) -> None:
    """From each kill to the moment in which each of the jobs that it interrupted was begun again."""
    lines = [line for program in workers_of(trial) for line in seen(program)]
    finished = {job["id"]: moment(job["finished"]) for job in jobs.values() if job.get("finished")}
    look_at_deaths(trial, lines, findings)
    for kill in trial.kills:
        ended = {line.job for line in seen(kill.program, "job ends")}
        interrupted = {line.job for line in seen(kill.program, "job begins")} - ended
        again = first_begun(lines, kill.time)
        for job in interrupted:
            if finished.get(job, float("inf")) <= kill.time + 0.1:
                continue
            if job in again:
                findings.takeovers.append(again[job] - since(trial, kill, again[job]))
            else:
                findings.never_begun.append(job)
        begins = Counter((line.job, line.stage) for line in seen(kill.program, "stage begins"))
        begins -= Counter((line.job, line.stage) for line in seen(kill.program, "stage ends"))
        findings.stages_hit.update(stage for _, stage in begins)


def first_begun(lines: Iterable[Line], after: float) -> dict[str, float]:
    """When each job was first begun after that moment."""
    first: dict[str, float] = {}
    for line in lines:
        if line.event == "job begins" and line.time > after:
            first[line.job] = min(line.time, first.get(line.job, line.time))
    return first


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
    return texts | {"html": html.serialize(transcript, playable(recording, recording.media.name))}


def spread(seconds: list[float]) -> str:
    if not seconds:
        return "0"
    return f"{len(seconds)}: median {statistics.median(seconds):.1f} s, worst {max(seconds):.1f} s"


# --------------------------------------------------------------------------- the verdict


def conclude(
    trial: Trial,
    findings: Findings,
    most_seconds: float,
    say: Callable[[str], None],
    *,
    attacks: Sequence[str],
    rest: Sequence[str],
    wrong: Sequence[str],
) -> bool:
    """Prints what was counted, with the lines of one kind of trial; whether all of it is as it should be."""
    faults = [*findings.lost, *findings.failed, *findings.never_begun, *findings.different]
    faults += [*trial.died, *wrong]
    for line in (
        *attacks,
        f"jobs acknowledged       {len(trial.acknowledged)}, sent again until then {trial.retried} times",
        f"lost                    {len(findings.lost)}",
        f"failed                  {len(findings.failed)}",
        f"made twice              {findings.twice}",
        f"interrupted stages      {findings.interrupted} begun again",
        f"finished stages         {findings.repeated} begun again",
        f"takeovers               {spread(findings.takeovers)}; never {len(findings.never_begun)}",
        *rest,
        f"ended by themselves     {len(trial.died)}",
        f"results compared        {findings.compared}, different {len(findings.different)}",
        *(f"  {fault}" for fault in faults),
    ):
        say(line)
    return (
        not faults
        and not findings.twice
        and not findings.repeated
        and max(findings.takeovers, default=0.0) <= most_seconds
        and bool(trial.acknowledged)
    )


def judge(parser: ArgumentParser, attack: Callable[[Path, Namespace], bool]) -> int:
    """Runs a trial in a folder of its own; the exit status is 1 where not all was as it should be."""
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--takeover", type=float, default=10.0, help="most seconds that a takeover may take")
    parser.add_argument("--keep", action="store_true", help="leave the folder with data and logs")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="turnwise-trial-"))
    begin = time.monotonic()
    try:
        good = attack(folder, options)
    finally:
        if options.keep:
            print(f"kept                    {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"seconds                 {time.monotonic() - begin:.0f}")
    print("as it should be" if good else "NOT as it should be")
    return 0 if good else 1
