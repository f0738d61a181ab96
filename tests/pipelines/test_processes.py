"""Processes that must not outlive the one that started them."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHILD = """
import time
from pipelines.processes import die_with_parent

die_with_parent()
print("ready", flush=True)
time.sleep(600)
"""
PARENT = """
import subprocess, sys, threading, time

def work():
    child = subprocess.Popen([sys.executable, "-c", {child!r}], stdout=subprocess.PIPE)
    child.stdout.readline()
    print(child.pid, flush=True)
    sys.stdin.readline()

worker = threading.Thread(target=work)
worker.start()
worker.join()
time.sleep(600)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child")


def start(code: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )


def read_line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    return process.stdout.readline()


def ends(handle: int, patience: float = 30.0) -> bool:
    """Whether the process of a file descriptor ends, though its own work goes on for ten minutes."""
    return bool(select.select([handle], [], [], patience)[0])


@pytest.mark.parametrize("death", ["killed", "its thread ends"])
def test_a_busy_child_is_gone_as_soon_as_its_parent_is(death: str) -> None:
    with start(PARENT.format(child=CHILD)) as parent:
        child = os.pidfd_open(int(read_line(parent)))
        try:
            assert not ends(child, 0.2)
            if death == "killed":
                parent.kill()
            else:
                assert parent.stdin is not None
                parent.stdin.write(b"\n")
                parent.stdin.flush()
            assert ends(child)
        finally:
            parent.kill()
            os.close(child)


def test_a_child_whose_parent_is_gone_already_does_not_start() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with subprocess.Popen([sys.executable, "-c", CHILD], stdout=writer, cwd=ROOT) as child:
        os.close(writer)
        assert child.wait(timeout=30) == -signal.SIGKILL


@pytest.mark.parametrize("output", [subprocess.DEVNULL, subprocess.PIPE])
def test_a_child_with_a_parent_works(output: int) -> None:
    code = CHILD.replace("600", "0")
    assert subprocess.run([sys.executable, "-c", code], stdout=output, cwd=ROOT, check=False).returncode == 0
