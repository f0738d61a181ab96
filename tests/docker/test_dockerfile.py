"""The Dockerfile: hadolint finds nothing in it, and no container of it runs as root or writes to its root."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.docker.named import DOCKER, build_arguments, instructions, targets

HADOLINT = Path(sys.executable).with_name("hadolint")


def test_hadolint_finds_nothing() -> None:
    found = subprocess.run([HADOLINT, DOCKER / "Dockerfile"], capture_output=True, text=True, check=False)
    assert found.stdout + found.stderr == ""
    assert found.returncode == 0


def test_hadolint_would_find_something(tmp_path: Path) -> None:
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM debian\nRUN cd /tmp\n", encoding="utf-8")
    found = subprocess.run([HADOLINT, bad], capture_output=True, text=True, check=False)
    assert found.returncode == 1
    assert "DL3006" in found.stdout


def test_has_the_targets_and_arguments_that_are_promised() -> None:
    assert {"embedded", "cpu", "gpu"} <= targets()
    assert {"BASE", "MODELS"} <= build_arguments()


def test_runs_as_a_user_that_is_a_number() -> None:
    """Kubernetes can tell only then that it is not root."""
    assert instructions("USER", r" (.*)") == {"10001:10001"}


def test_bakes_no_secret_in() -> None:
    kept = " ".join(build_arguments() | instructions("ENV", r" (.*)"))
    assert "TURNWISE_MODELS" in kept
    assert not re.findall(r"\w*(?:TOKEN|PASSWORD|SECRET)\w*", kept)
