"""onnxruntime, without its telemetry."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import models
from pipelines.engines.embedded.onnx import open_session

LINGERING = """
import time
from pipelines import models
from pipelines.engines.embedded.onnx import open_session
open_session(models.read("silero-vad"))
time.sleep(2)
"""


def test_one_thread_and_no_arena_if_so_told() -> None:
    options = open_session(models.read("silero-vad"), arena=False).get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert not options.enable_cpu_mem_arena


@pytest.mark.engine
def test_nothing_is_written_into_the_users_home(tmp_path: Path) -> None:
    """It wrote an identity of the device there, and connected to its maker."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    subprocess.run(
        [sys.executable, "-c", LINGERING],
        env=environment | {"HOME": str(tmp_path), models.FOLDER_VARIABLE: str(models.folder())},
        check=True,
    )
    assert list(tmp_path.rglob("*")) == []
