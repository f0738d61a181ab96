"""What every test relies on."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.objects import Server as ObjectServer
    from tests.support.postgres import Server

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as the command does, and as early
MODELS = Path(__file__).resolve().parents[1] / ".cache" / "models"
if MODELS.is_dir():
    os.environ.setdefault("TURNWISE_MODELS", str(MODELS))  # as `make test` does

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell that starts the tests in the background ignores Ctrl-C for them, and the processes that
    # they start and interrupt would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """One private PostgreSQL server for all tests that only need a database of their own."""
    from tests.support.postgres import ADVICE, Server, find  # noqa: PLC0415

    if find() is None:
        pytest.skip(ADVICE)
    with Server() as server:
        yield server


@pytest.fixture(scope="session")
def object_server() -> Iterator[ObjectServer]:
    """One private server of the S3 protocol for all tests that only need a bucket of their own."""
    from tests.support.objects import Server  # noqa: PLC0415

    with Server() as server:
        yield server
