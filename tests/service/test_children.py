"""Child processes that answer, fail, die, hang and talk nonsense: none outlives what it was started for."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from service.work.answering import INTERNAL
from service.work.children import (
    STDERR_TAIL_BYTES,
    Died,
    Done,
    Failed,
    Processes,
    Program,
    TimedOut,
    program,
)

pytestmark = pytest.mark.acceptance

CHILD = """
import json, os, signal, subprocess, sys, time

def say(value):
    print(json.dumps(value), flush=True)

def grandchild(*options):
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    child = subprocess.Popen(command, **dict.fromkeys(options, True))
    with open(sys.argv[1], "a") as file:
        print(child.pid, file=file)

for line in sys.stdin:
    request = json.loads(line)
    exec(request["do"])
    if request.get("done", True):
        say({"done": {"pid": os.getpid()}})
"""

Body = Callable[[Processes], Coroutine[Any, Any, None]]


@asynccontextmanager
async def started(idle: float) -> AsyncIterator[Processes]:
    """Processes that are gone, with all that asyncio keeps of them, when the block ends."""
    processes = Processes(idle)
    try:
        yield processes
    finally:
        processes.close()
        while len(asyncio.all_tasks()) > 1:  # those that watch them
            await asyncio.sleep(0.01)


def running(body: Body, idle: float = 600.0) -> None:
    async def run() -> None:
        async with started(idle) as processes:
            await body(processes)

    asyncio.run(run())


@pytest.fixture
def child(tmp_path: Path) -> Program:
    """A program that does what a request says, in Python; grandchildren note their ids beside it."""
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    return Program("test", (sys.executable, str(script), str(tmp_path / "grandchildren")))


def do(code: str, done: bool = True) -> dict[str, Any]:
    return {"do": code, "done": done}


def pids_of(processes: Processes) -> set[int]:
    return {child.process.pid for child in processes._all}


def is_gone(pid: int) -> bool:
    """Whether a process ends, or has ended, that may not be a child of ours."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 30.0)[0])
    finally:
        os.close(handle)


def grandchildren(child: Program) -> list[int]:
    return [int(line) for line in Path(child.command[2]).read_text().split()]


# --------------------------------------------------------------------------- outcomes


def test_an_answer_and_the_progress_before_it(child: Program) -> None:
    async def body(processes: Processes) -> None:
        seen: list[float] = []
        asked = do("for i in range(5): say({'progress': i / 4})")
        assert await processes.run(child, asked, seen.append) == Done()
        assert seen == [0.0, 0.25, 0.5, 0.75, 1.0]
        assert await processes.run(child, do("say({'progress': 1})"), seen.append) == Done()

    running(body)


def test_a_failure_is_told(child: Program) -> None:
    async def body(processes: Processes) -> None:
        for code in ("text", INTERNAL):
            asked = do(f"say({{'failed': {{'code': {code!r}, 'message': 'Why? “é”'}}}})", done=False)
            assert await processes.run(child, asked) == Failed(code, "Why? “é”")
        assert len(pids_of(processes)) == 1  # it works on

    running(body)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", -signal.SIGSEGV),
        ("os._exit(7)", 7),
        ("sys.exit(0)", 0),
        ("raise ValueError('a fault of ours')", 1),
    ],
)
def test_a_process_that_ends_has_died(child: Program, code: str, status: int) -> None:
    async def body(processes: Processes) -> None:
        assert await processes.run(child, do(code)) == Died(status)
        assert pids_of(processes) == set()
        assert await processes.run(child, do("pass")) == Done()

    running(body)


def test_a_program_that_cannot_read_has_died() -> None:
    async def body(processes: Processes) -> None:
        none = Program("none", (sys.executable, "-c", "import os; os.close(0)"))
        big = {"text": "x" * 10_000_000}  # more than a pipe holds
        assert await processes.run(none, big) == Died(0)

    running(body)


@pytest.mark.parametrize(
    "code",
    [
        "print('Downloading model 100%', flush=True)",
        "print('[' * 100_000, flush=True)",
        "print('3', flush=True)",
        "print('', flush=True)",
        "say({'failed': 'yes'})",
        "say({'progress': 'half'})",
        "os.write(1, b'\\xff\\xfe\\n')",
        "os.write(1, b'x' * 2**21 + b'\\n')",
        "os.write(1, b'{\"done\"'); os.close(1); time.sleep(600)",
    ],
)
def test_a_process_that_talks_nonsense_is_ended(child: Program, code: str) -> None:
    async def body(processes: Processes) -> None:
        assert await processes.run(child, do(code)) == Died(-signal.SIGKILL)
        assert pids_of(processes) == set()

    running(body)


def test_a_process_that_takes_too_long_is_ended(child: Program) -> None:
    async def body(processes: Processes) -> None:
        assert await processes.run(child, do("pass")) == Done()
        [pid] = pids_of(processes)
        asked = do("signal.signal(signal.SIGTERM, signal.SIG_IGN); grandchild(); time.sleep(600)")
        assert await processes.run(child, asked, timeout=0.5) == TimedOut()
        assert pids_of(processes) == set()
        assert is_gone(pid)
        assert all(map(is_gone, grandchildren(child)))

    running(body)


def test_what_it_says_is_kept_for_the_log(child: Program) -> None:
    async def body(processes: Processes) -> None:
        asked = do("sys.stderr.write('x' * 10**6 + 'the end'); sys.stderr.flush(); os._exit(3)")
        with capture_logs() as logs:
            assert await processes.run(child, asked) == Died(3)
        [line] = logs
        assert line["words"] == "x" * (STDERR_TAIL_BYTES - 7) + "the end"

    running(body)


# --------------------------------------------------------------------------- idle processes


def test_an_idle_process_works_on(child: Program) -> None:
    async def body(processes: Processes) -> None:
        await processes.run(child, do("pass"))
        [first] = pids_of(processes)
        await asyncio.gather(*(processes.run(child, do("time.sleep(0.2)")) for _ in range(2)))
        assert len(pids_of(processes)) == 2
        assert first in pids_of(processes)
        await processes.run(child, do("pass"))
        assert len(pids_of(processes)) == 2

    running(body)


def test_another_kind_has_a_process_of_its_own(child: Program) -> None:
    async def body(processes: Processes) -> None:
        await processes.run(child, do("pass"))
        await processes.run(Program("other", child.command), do("pass"))
        assert len(pids_of(processes)) == 2

    running(body)


def test_a_process_for_one_request_is_gone_after_it(child: Program) -> None:
    async def body(processes: Processes) -> None:
        once = Program("once", child.command, trusted=False)
        assert await processes.run(once, do("grandchild()")) == Done()
        assert pids_of(processes) == set()
        assert all(map(is_gone, grandchildren(child)))

    running(body)


def test_an_idle_process_ends_in_time(child: Program) -> None:
    async def body(processes: Processes) -> None:
        await processes.run(child, do("grandchild()"))
        [pid] = pids_of(processes)
        while pids_of(processes):
            await asyncio.sleep(0.01)
        assert is_gone(pid)
        assert all(map(is_gone, grandchildren(child)))

    running(body, idle=0.05)


def test_a_process_that_is_at_work_does_not_expire(child: Program) -> None:
    async def body(processes: Processes) -> None:
        for _ in range(3):
            assert await processes.run(child, do("time.sleep(0.3)")) == Done()

    running(body, idle=0.1)


def test_a_process_that_died_while_it_was_idle_is_not_asked(child: Program) -> None:
    async def body(processes: Processes) -> None:
        await processes.run(child, do("grandchild()"))
        [pid] = pids_of(processes)
        os.kill(pid, signal.SIGKILL)
        [other] = grandchildren(child)
        assert await asyncio.to_thread(is_gone, other)  # its group goes with it
        assert await processes.run(child, do("pass")) == Done()
        assert pid not in pids_of(processes)

    running(body)


# --------------------------------------------------------------------------- nothing is left


def test_who_is_cancelled_leaves_no_process(child: Program) -> None:
    async def body(processes: Processes) -> None:
        begun = asyncio.Event()
        asked = do("grandchild(); say({'progress': 0}); time.sleep(600)")
        task = asyncio.create_task(processes.run(child, asked, lambda fraction: begun.set()))
        await begun.wait()
        [pid] = pids_of(processes)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert pids_of(processes) == set()
        assert is_gone(pid)
        assert all(map(is_gone, grandchildren(child)))

    running(body)


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 5, 8])
def test_who_is_cancelled_early_leaves_no_process(child: Program, steps: int) -> None:
    """At each of the first turns of the event loop, before there is a process and after."""

    async def body(processes: Processes) -> None:
        task = asyncio.create_task(processes.run(child, do("time.sleep(600)")))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert pids_of(processes) == set()

    running(body)


def test_a_grandchild_that_holds_the_pipes_holds_nobody_up(child: Program) -> None:
    async def body(processes: Processes) -> None:
        asked = do("grandchild(); os.kill(os.getpid(), signal.SIGKILL)")
        assert await processes.run(child, asked) == Died(-signal.SIGKILL)
        assert all(map(is_gone, grandchildren(child)))

    running(body)


def test_closing_from_another_thread_ends_all(child: Program) -> None:
    async def body(processes: Processes) -> None:
        await processes.run(child, do("pass"))
        begun = asyncio.Event()
        asked = do("grandchild(); say({'progress': 0}); time.sleep(600)")
        work = asyncio.create_task(processes.run(child, asked, lambda fraction: begun.set()))
        other = asyncio.create_task(processes.run(child, do("time.sleep(600)")))
        await begun.wait()
        pids = pids_of(processes)
        thread = threading.Thread(target=processes.close)
        thread.start()
        assert await work == Died(-signal.SIGKILL)
        assert await other == Died(-signal.SIGKILL)
        thread.join()
        assert all(map(is_gone, [*pids, *grandchildren(child)]))

    running(body)


def test_nothing_begins_after_closing(child: Program) -> None:
    async def body(processes: Processes) -> None:
        processes.close()
        assert await processes.run(child, do("time.sleep(600)")) == Died(-signal.SIGKILL)
        assert pids_of(processes) == set()

    running(body)


def test_what_is_starting_when_it_closes_is_ended(child: Program) -> None:
    async def body(processes: Processes) -> None:
        tasks = [asyncio.create_task(processes.run(child, do("time.sleep(600)"))) for _ in range(4)]
        await asyncio.sleep(0)
        assert pids_of(processes) == set()  # they are on their way
        processes.close()
        assert await asyncio.gather(*tasks) == [Died(-signal.SIGKILL)] * 4
        assert pids_of(processes) == set()

    running(body)


def test_each_process_leads_a_group_of_its_own(child: Program) -> None:
    async def body(processes: Processes) -> None:
        await processes.run(child, do("pass"))
        [pid] = pids_of(processes)
        assert os.getpgid(pid) == os.getsid(pid) == pid != os.getpgid(0)

    running(body)


def test_programs_of_ours_do_not_search_the_working_folder() -> None:
    made = program("hear", "service.work.stage_process", "5", "4")
    assert made.command[0] == sys.executable
    assert made.command[1:] == (
        "-P",
        "-m",
        "service.work.stage_process",
        "5",
        "4",
    )
    assert (made.kind, made.trusted) == ("hear", True)


def test_no_process_knows_our_secrets_and_an_untrusted_one_next_to_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secrets = {
        "TURNWISE_DATABASE_URL",
        "TURNWISE_WEBHOOK_SECRET",
        "TURNWISE_HF_TOKEN",
        "HF_TOKEN",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "PGPASSWORD",
        "SOMETHING_NEW",
    }
    for name in secrets:
        monkeypatch.setenv(name, "private")
    for name in ("PYTHONPATH", "TURNWISE_MODELS", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, "somewhere")
    trusted = program("hear", "service.work.stage_process").environment()
    untrusted = program("decode", "service.work.decode_process", trusted=False).environment()
    assert {"TURNWISE_MODELS", "PYTHONPATH", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"} <= trusted.keys()
    assert not secrets & trusted.keys()
    assert untrusted["PYTHONPATH"] == "somewhere"
    assert "private" not in untrusted.values()


def test_a_process_is_started_with_its_own_environment(
    child: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TURNWISE_MODELS", "here")
    seen = do("import os, sys; sys.exit(0 if 'TURNWISE_MODELS' in os.environ else 3)", done=False)

    async def body(processes: Processes) -> None:
        assert await processes.run(child, seen) == Died(0)
        assert await processes.run(replace(child, kind="stranger", trusted=False), seen) == Died(3)

    running(body)


def test_the_walls_around_a_recording_are_told_once(child: Program) -> None:
    answer = {"network": False, "landlock": 7, "privileges_dropped": True}
    first, again = (do(f"say({ {'walls': answer | {'landlock': version}} })") for version in (7, 0))
    forged = do(f"say({ {'walls': answer | {'event': 'all is well'}} })")

    async def body(processes: Processes) -> None:
        for request in (first, again):
            assert await processes.run(child, request) == Done()
        assert isinstance(await processes.run(child, forged), Died)

    with capture_logs() as lines:
        running(body)
    assert [line for line in lines if line["event"] != "process failed"] == [
        {"event": "sandbox", "log_level": "info", **answer}
    ]
