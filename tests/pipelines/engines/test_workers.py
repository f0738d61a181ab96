"""Processes that do jobs, fail, and die in every way there is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.engines import workers
from pipelines.errors import EngineError

WORKER = """
    import os, pathlib, pickle, sys, time

    {start}

    while True:
        try:
            job = pickle.load(sys.stdin.buffer)
        except EOFError:
            break
        {answer}
        sys.stdout.buffer.flush()
"""
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def worker(tmp_path: Path) -> Callable[..., str]:
    """Writes the script of a worker that leaves a file named after its process id."""

    def write(answer: str, start: str = "") -> str:
        note_pid = f"pathlib.Path({str(tmp_path)!r}, f'pid{{os.getpid()}}').touch()"
        script = tmp_path / "worker.py"
        script.write_text(
            textwrap.dedent(WORKER).format(start=f"{note_pid}; {start}", answer=answer), encoding="utf-8"
        )
        return str(script)

    return write


def pids(folder: Path) -> list[int]:
    return [int(path.name[3:]) for path in folder.glob("pid*")]


def running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not (status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z")


def gone(folder: Path, patience: float = 10.0) -> bool:
    """Whether workers were there, and all of them end."""
    deadline = time.monotonic() + patience
    while any(map(running, pids(folder))) and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(pids(folder)) and not any(map(running, pids(folder)))


ECHO = "pickle.dump((True, job), sys.stdout.buffer)"


@pytest.mark.parametrize("processes", [1, 2, 5])
def test_answers_come_in_the_order_of_the_items(
    worker: Callable[..., str], tmp_path: Path, processes: int
) -> None:
    script = worker(f"time.sleep(0.02 * (job % 3)); {ECHO}")
    assert workers.run([script], range(12), lambda item: item * 10, processes) == list(range(0, 120, 10))
    assert len(pids(tmp_path)) == processes
    assert gone(tmp_path)


def test_no_more_workers_than_items(worker: Callable[..., str], tmp_path: Path) -> None:
    workers.run([worker(ECHO)], [1], lambda item: item, 4)
    assert len(pids(tmp_path)) == 1


def test_no_items_start_no_worker(worker: Callable[..., str], tmp_path: Path) -> None:
    assert workers.run([worker(ECHO)], [], lambda item: item, 4) == []
    assert pids(tmp_path) == []


def test_arguments_reach_the_worker(worker: Callable[..., str]) -> None:
    script = worker("pickle.dump((True, sys.argv[1:]), sys.stdout.buffer)")
    assert workers.run([script, "a", "b c"], [0], lambda item: item, 1) == [["a", "b c"]]


def test_a_worker_finds_what_we_find(worker: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend("/somewhere/else")
    script = worker("pickle.dump((True, sys.path), sys.stdout.buffer)")
    assert "/somewhere/else" in workers.run([script], [0], lambda item: item, 1)[0]


def test_progress_rises_to_one(worker: Callable[..., str]) -> None:
    fractions: list[float] = []
    workers.run([worker(ECHO)], range(4), lambda item: item, 2, fractions.append)
    assert fractions == [0.25, 0.5, 0.75, 1.0]


def test_a_job_is_made_only_when_a_worker_is_free(worker: Callable[..., str]) -> None:
    """So that the samples of a long recording are not all copied at once."""
    made: list[int] = []
    made_at_first: list[int] = []
    gate = threading.Event()

    def job(item: int) -> int:
        made.append(item)
        gate.wait()
        return item

    def open_gate() -> None:
        made_at_first.extend(made)
        gate.set()

    threading.Timer(0.3, open_gate).start()
    workers.run([worker(ECHO)], range(20), job, 2)
    assert made_at_first == [0, 1]
    assert sorted(made) == list(range(20))


@pytest.mark.parametrize(
    "death",
    ["os._exit(3)", "os.kill(os.getpid(), 9)", "sys.exit(3)", "sys.stdout.buffer.write(b'?')"],
)
def test_a_worker_that_dies_is_an_engine_error(
    worker: Callable[..., str], tmp_path: Path, death: str
) -> None:
    script = worker(f"{death} if job == 3 else {ECHO}")
    with pytest.raises(EngineError, match="ended unexpectedly") as caught:
        workers.run([script], range(8), lambda item: item, 2)
    assert "\n" not in str(caught.value)
    assert gone(tmp_path)


def test_a_worker_that_cannot_even_start(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="ended unexpectedly"):
        workers.run([str(tmp_path / "missing.py")], [1], lambda item: item, 2)


def test_a_worker_for_which_there_is_no_program(
    worker: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(EngineError, match="cannot be started"):
        workers.run([worker(ECHO)], [1, 2], lambda item: item, 2)


def test_a_job_that_fails_says_why(worker: Callable[..., str], tmp_path: Path) -> None:
    script = worker("pickle.dump((False, 'ValueError: too\\nloud'), sys.stdout.buffer)")
    with pytest.raises(EngineError, match=r"worker failed: ValueError: too loud\.$"):
        workers.run([script], [1, 2], lambda item: item, 2)
    assert gone(tmp_path)


def test_a_caller_who_gives_up_leaves_no_worker(worker: Callable[..., str], tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def give_up(fraction: float) -> None:
        raise StopError

    with pytest.raises(StopError):
        workers.run([worker(f"time.sleep(job); {ECHO}")], [0, 600], lambda item: item, 2, give_up)
    assert gone(tmp_path)


CALLER = """
from pipelines.engines import workers
workers.run([{script!r}], range(4), lambda item: item, 2)
"""


def start_caller(script: str) -> subprocess.Popen[str]:
    """A program without a main guard that keeps two workers busy."""
    return subprocess.Popen(
        [sys.executable, "-c", CALLER.format(script=script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )


def wait_for_workers(folder: Path, count: int) -> None:
    deadline = time.monotonic() + 30
    while len(pids(folder)) < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_die_with_their_caller(
    worker: Callable[..., str], tmp_path: Path, number: signal.Signals
) -> None:
    """Ctrl-C goes to the whole group of the terminal; a worker says nothing about it."""
    caller = start_caller(worker(f"time.sleep(0.5); {ECHO}"))
    wait_for_workers(tmp_path, 2)
    time.sleep(0.1)
    os.killpg(caller.pid, number)
    _, errors = caller.communicate(timeout=30)
    assert caller.returncode != 0
    assert errors.count("Traceback") == (1 if number == signal.SIGINT else 0)  # the caller's own
    assert "worker.py" not in errors
    assert gone(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child")
def test_a_worker_that_dies_with_its_parent_leaves_a_job_of_minutes(
    worker: Callable[..., str], tmp_path: Path
) -> None:
    start = "from pipelines.processes import die_with_parent; die_with_parent()"
    caller = start_caller(worker("pathlib.Path(sys.argv[0] + str(job)).touch(); time.sleep(600)", start))
    while len(list(tmp_path.glob("worker.py?"))) < 2:
        time.sleep(0.02)
    caller.kill()
    caller.communicate(timeout=30)
    assert gone(tmp_path)


def test_a_program_without_main_guard_may_use_workers(worker: Callable[..., str], tmp_path: Path) -> None:
    caller = start_caller(worker(ECHO))
    _, errors = caller.communicate(timeout=30)
    assert (caller.returncode, errors) == (0, "")
    assert gone(tmp_path)


def test_available_processors_are_at_least_one() -> None:
    assert 1 <= workers.available_processors() <= (os.cpu_count() or 1)
