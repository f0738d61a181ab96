"""How a child process ends with its parent."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def die_with_parent() -> None:
    """Has this process killed as soon as the thread that started it ends, whatever either is doing.

    For a process that answers through its standard output, a pipe that only its parent reads. This works on
    Linux; elsewhere it does nothing, and the next answer to a parent that is gone fails.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # A parent that is already gone sends no signal; but then nobody reads the answers any more.
    answers = select.poll()
    answers.register(1, 0)
    if answers.poll(0):
        os.kill(os.getpid(), signal.SIGKILL)
