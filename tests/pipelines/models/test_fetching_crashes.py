"""A pull that dies at any one of its steps on the disk leaves no half model, and the next pull ends well.

Python tells an audit hook (PEP 578) of everything that is opened, renamed, linked or removed; the hook here
breaks the n-th such step below the models folder, for every n.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import ModelCorruptError, ModelFetchError
from pipelines.models import locating as models
from pipelines.models.locating import State
from tests.pipelines.models.test_fetching import TINY, WEIGHTS, files, rests, running, server
from tests.support.hub_server import HubServer

__all__ = ["running", "server"]  # the fixtures

READING = {"open"}
WRITING = {"os.rename", "os.link", "os.mkdir"}
REMOVING = {"os.remove", "os.rmdir", "shutil.rmtree"}
MOST_STEPS = 200


class CrashError(BaseException):
    """The process ends here."""


class Breaker:
    """Breaks one step; counts them."""

    def __init__(self) -> None:
        self.folder = ""
        self.countdown = -1
        self.error: BaseException = CrashError()

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.countdown < 0 or not self._counts(event, arguments):
            return
        self.countdown -= 1
        if self.countdown < 0:
            raise self.error

    def _counts(self, event: str, arguments: tuple[Any, ...]) -> bool:
        """A crash may come at any step, a full disk shows only where something is to be written."""
        if event not in READING | WRITING | REMOVING or not self._below(arguments[0]):
            return False
        writes = event in WRITING or (event == "open" and arguments[2] & os.O_CREAT)
        return bool(writes) or not isinstance(self.error, OSError)

    def _below(self, path: object) -> bool:
        return isinstance(path, str | os.PathLike) and os.fspath(path).startswith(self.folder)

    @contextmanager
    def breaking(self, step: int, error: BaseException) -> Iterator[None]:
        self.folder, self.countdown, self.error = str(models.folder()), step, error
        try:
            yield
        finally:
            self.countdown = -1


BREAKER = Breaker()
sys.addaudithook(BREAKER)


def pull_until(step: int, error: BaseException) -> bool:
    """Whether the pull came to its end because it has fewer steps; else it told what is the matter."""
    with BREAKER.breaking(step, error):
        try:
            models.pull([TINY])
        except CrashError:
            return False
        except ModelFetchError as told:
            message = str(told)
        else:
            return BREAKER.countdown >= 0
    assert "is full (No space left on device): free it" in message
    return False


def whole() -> bool:
    """Whether the model is there with all its bytes; it is so, or it cannot be found at all."""
    if models.look(TINY) is State.MISSING:
        return False
    path = models.locate("faster-whisper", "tiny")
    assert set(files(path)) == {"config.json", "model.bin", "tokenizer.json", "vocabulary.txt"}
    assert files(path)["model.bin"] == WEIGHTS
    return True


@pytest.mark.parametrize("full", [False, True], ids=["crash", "disk full"])
def test_a_first_pull_may_die_anywhere(server: HubServer, full: bool, tmp_path: Path) -> None:
    for step in range(MOST_STEPS):
        shutil.rmtree(tmp_path / "models", ignore_errors=True)
        ended = pull_until(step, OSError(errno.ENOSPC, "No space left on device") if full else CrashError())
        before = whole()
        models.pull([TINY])
        assert whole()
        assert rests(models.folder()) == []
        if ended:
            assert before
            return
    raise AssertionError("the pull has more steps than that")


@pytest.mark.parametrize("full", [False, True], ids=["crash", "disk full"])
def test_mending_may_die_anywhere(server: HubServer, full: bool) -> None:
    """The damaged model stays damaged, or goes, or is whole: it is never taken for a good one."""
    for step in range(MOST_STEPS):
        models.pull([TINY])
        (models.find(TINY) / "tokenizer.json").write_bytes(b"damaged")
        ended = pull_until(step, OSError(errno.ENOSPC, "No space left on device") if full else CrashError())
        if models.state(TINY) is State.CORRUPT:
            with pytest.raises(ModelCorruptError):
                models.locate("faster-whisper", "tiny")
        else:
            whole()
        models.pull([TINY])
        assert whole()
        assert rests(models.folder()) == []
        if ended:
            return
    raise AssertionError("the pull has more steps than that")
