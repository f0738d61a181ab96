"""What ends jobs on purpose ends all of them; what goes wrong around them heals by itself."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from service.running.working import CUT_SHORT
from tests.acceptance.children import children_of, left_after
from tests.acceptance.server import DEMO, PATIENCE, Program, recording, service, submit, wait_for
from tests.support.postgres import ADVICE, Server, find

pytestmark = pytest.mark.acceptance

CANCEL_SECONDS = 5.0
"""After that nothing of a cancelled job may run any more."""
STOP_SECONDS = 10.0
"""After that a process that was told to stop must have ended."""
OUTAGE_SECONDS = float(os.environ.get("TURNWISE_TEST_OUTAGE", "4"))
"""How long the database is away; 60 by hand."""
IDLE = 0.02
"""Minutes for which processes are kept for the next job: one that is there for longer has work."""
SPACE_BYTES = 64 * 2**20


def until(what: Callable[[], object], patience: float = PATIENCE) -> None:
    """Waits for it to be so."""
    give_up = time.monotonic() + patience
    while not what():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def at(client: httpx.Client, job: str, stage: str) -> bool:
    """Whether the job is in that stage."""
    stages = client.get(f"/v1/jobs/{job}").json()["stages"]
    return any(entry["stage"] == stage and entry["state"] == "running" for entry in stages)


def processes(program: Program) -> set[int]:
    return set(children_of(program.process.pid))


def events(program: Program) -> set[str]:
    """What its log tells of."""
    return {json.loads(line)["event"] for line in program.log.read_text().splitlines() if line[:1] == "{"}


# --------------------------------------------------------------------------- one service for many


@dataclass
class Shared:
    """A service with its worker inside, and how often each recording was heard."""

    program: Program
    client: httpx.Client
    data: Path
    runs: Path
    recording: Path

    def count(self, name: str) -> int:
        return self.runs.read_text().split().count(name)

    def submit(self, name: str) -> str:
        id: str = submit(self.client, self.recording, name=name)["id"]
        return id


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("healing")
    runs = folder / "runs"
    runs.touch()
    options = {"engine_runs": runs, "concurrency": 1, "engine_idle_minutes": IDLE}
    with service(folder / "data", **options) as running:  # type: ignore[arg-type]
        program = running.serve()
        with running.client() as client:
            yield Shared(program, client, running.data, runs, recording(folder))


@pytest.mark.parametrize("end", ["cancel", "delete", "row"])
def test_a_job_that_is_called_off_leaves_no_process(shared: Shared, end: str) -> None:
    """Even where the API died when it had changed the row, and had not told the engine of it."""
    client, before = shared.client, shared.count("slow-600")
    job = shared.submit("slow-600.wav")
    until(lambda: shared.count("slow-600") > before)
    at_work = processes(shared.program)
    assert at_work
    if end == "cancel":
        assert client.post(f"/v1/jobs/{job}/cancel").json()["state"] == "cancelled"
    elif end == "delete":
        assert client.delete(f"/v1/jobs/{job}").status_code == 204
    else:
        with closing(sqlite3.connect(shared.data / "turnwise.db")) as connection, connection:
            connection.execute("UPDATE jobs SET state = 'cancelled' WHERE id = ?", (job,))
    assert left_after(at_work, CANCEL_SECONDS) == []
    after = shared.submit("talk.wav")
    assert wait_for(client, after)["state"] == "succeeded"
    assert shared.count("slow-600") == before + 1


def test_a_recording_that_kills_its_process_fails_after_three_tries(shared: Shared) -> None:
    client = shared.client
    poison, after = shared.submit("poison.wav"), shared.submit("talk.wav")
    failed = wait_for(client, poison)
    assert (failed["state"], failed["failure"]["code"]) == ("failed", "process_died")
    assert failed["failure"]["stage"] == "transcribe"
    assert shared.count("poison") == 3
    assert wait_for(client, after)["state"] == "succeeded"


def test_without_speakers_there_is_a_transcript(shared: Shared) -> None:
    mixed = shared.submit("mixed.wav")
    assert wait_for(shared.client, mixed)["state"] == "succeeded"
    warnings = shared.client.get(f"/v1/jobs/{mixed}/result").json()["warnings"]
    assert "diarization_failed" in {warning["code"] for warning in warnings}


def test_without_words_there_are_the_speakers(shared: Shared) -> None:
    client, deaf = shared.client, shared.submit("deaf.wav")
    failed = wait_for(client, deaf)
    assert (failed["state"], failed["failure"]["stage"]) == ("failed", "transcribe")
    assert client.get(f"/v1/jobs/{deaf}/diarization").text.startswith("SPEAKER ")
    assert client.get(f"/v1/jobs/{deaf}/heard").status_code == 409


# --------------------------------------------------------------------------- ended from outside


@pytest.mark.engine
def test_cancelling_ends_the_processes_that_an_engine_has_started(tmp_path: Path) -> None:
    with service(tmp_path / "data", fake=False, engine_idle_minutes=IDLE) as running:
        program = running.serve()
        with running.client() as client:
            job = submit(client, DEMO / "segment.opus", options='{"asr": "pocketsphinx"}')["id"]

            def engine_is_at_work() -> bool:
                """In processes of its own, below the one of the stage."""
                return any(set(children_of(child)) for child in processes(program))

            until(engine_is_at_work)
            at_work = processes(program)
            assert client.post(f"/v1/jobs/{job}/cancel").json()["state"] == "cancelled"
            assert left_after(at_work, CANCEL_SECONDS) == []


def test_sigterm_ends_everything_in_time_and_counts_against_nobody(tmp_path: Path) -> None:
    """One attempt is allowed, and it is not the interrupted one."""
    with service(tmp_path / "data", stage_attempts=1, concurrency=1) as running:
        programs = [running.serve(), running.work()]
        until(lambda: "worker started" in events(programs[1]))
        with running.client() as client:
            jobs = [submit(client, recording(tmp_path), name="slow-3.wav")["id"] for _ in programs]
            until(lambda: all(at(client, job, "transcribe") for job in jobs))
        at_work = {child for program in programs for child in processes(program)}
        assert len(at_work) >= 2
        for program in programs:
            program.process.terminate()
        assert [program.process.wait(STOP_SECONDS) for program in programs] == [0, 0]
        assert left_after(at_work, CANCEL_SECONDS) == []
        running.serve()
        with running.client() as client:
            assert [wait_for(client, job)["state"] for job in jobs] == ["succeeded", "succeeded"]


def test_a_recording_that_kills_workers_fails_after_three_of_them(tmp_path: Path) -> None:
    """And costs another one that is under way beside it nothing but time."""
    runs = tmp_path / "runs"
    with service(tmp_path / "data", engine_runs=runs) as running:
        running.serve("--no-worker")
        with running.client() as client:
            poison = submit(client, recording(tmp_path), name="murder.wav")["id"]
            beside = submit(client, recording(tmp_path), name="slow-6.wav")["id"]
            worker = running.work()
            give_up = time.monotonic() + 2 * PATIENCE
            while (failed := client.get(f"/v1/jobs/{poison}").json())["state"] != "failed":
                if worker.process.poll() is not None:
                    worker = running.work()
                assert time.monotonic() < give_up
                time.sleep(0.1)
            assert failed["failure"]["code"] == "process_died"
            assert runs.read_text().split().count("murder") == 3
            assert wait_for(client, beside)["state"] == "succeeded"


# --------------------------------------------------------------------------- disk and database


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SPACE_BYTES}", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk of its own can only be made by root, and not in every container")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path: Path) -> None:
    """To the last byte."""
    with path.open("ab", buffering=0) as file:
        for size in (2**20, 4096, 1):
            with suppress(OSError):
                while True:
                    file.write(b"\0" * size)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        (path.parent / "probe").write_bytes(b"\0" * 4096)
    (path.parent / "probe").unlink()


def test_a_full_disk_costs_time_and_nothing_else(tmp_path: Path) -> None:
    with small_disk(tmp_path / "data"), service(tmp_path / "data", min_free_mb=4) as running:
        program = running.serve()
        with running.client() as client:
            job = submit(client, recording(tmp_path), name="every-1.wav")["id"]
            until(lambda: at(client, job, "transcribe"))
            fill(running.data / "filler")
            until(lambda: {"disk is full", "database is away"} & events(program))
            sent = {"audio": ("talk.wav", recording(tmp_path).read_bytes())}
            refused = client.post("/v1/jobs", files=sent)
            assert (refused.status_code, refused.json()["code"]) == (507, "disk_full")
            time.sleep(2)  # in which it is tried again, and what else writes has its turn
            assert client.get(f"/v1/jobs/{job}").json()["state"] == "running"
            (running.data / "filler").unlink()
            assert wait_for(client, job)["state"] == "succeeded"
            assert client.post("/v1/jobs", files=sent).status_code == 202
        assert program.process.poll() is None


def test_a_database_that_is_away_costs_time_and_nothing_else(tmp_path: Path) -> None:
    if find() is None:
        pytest.skip(ADVICE)
    with Server() as server, service(tmp_path / "data", database_url=server.create_database()) as running:
        program = running.serve()
        with running.client() as client:
            job = submit(client, recording(tmp_path), name="every-1.wav")["id"]
            until(lambda: at(client, job, "transcribe"))
            server.stop()
            give_up = time.monotonic() + OUTAGE_SECONDS
            answers = [client.get(f"/v1/jobs/{job}"), client.get("/health/ready")]
            while time.monotonic() < give_up:
                answers.append(client.get("/v1/jobs"))
                assert client.get("/health/live").status_code == 200
                time.sleep(0.2)
            server.start()
            assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {
                (503, "unavailable")
            }
            assert all(answer.headers["Retry-After"] for answer in answers)
            until(lambda: client.get("/health/ready").status_code == 200)
            assert wait_for(client, job, patience=PATIENCE + OUTAGE_SECONDS)["state"] == "succeeded"
            after = submit(client, recording(tmp_path), name="slow-600.wav")["id"]
            until(lambda: at(client, after, "transcribe"))
        server.stop()
        time.sleep(3)  # until its threads wait longer for the database than it may
        assert program.stop(STOP_SECONDS) in (0, CUT_SHORT)
