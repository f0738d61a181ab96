"""What a process of ours does about the one that started it."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent() -> None:
    """This process is killed as soon as the thread that started it ends, whatever either is doing.

    For a process that answers through its standard output, a pipe that nobody but its parent reads. On
    Linux; elsewhere nothing happens, and a process notices at its next answer that it is alone.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # Of a parent that was gone before, no signal will come; but then nobody reads the answers any more.
    answers = select.poll()
    answers.register(1, 0)
    if answers.poll(0):
        os.kill(os.getpid(), signal.SIGKILL)
