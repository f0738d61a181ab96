"""The lines with curl in the README and on the page of the service, as a new user types them."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.server import ROOT, Service, service, wait_for

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here: apt-get install curl"),
]

DEMO = ROOT / "tests" / "data" / "demo"
FILES = {"interview.mp3": "segment.opus", "interview.txt": "supplied.txt", "debate.mkv": "segment.opus"}
ID = re.compile(r"/v1/jobs/(ID|[0-9a-f]{32})")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("curl") / "data") as running:
        running.serve()
        yield running


def lines(page: Path) -> list[list[str]]:
    """The words of every line with curl."""
    text = page.read_text(encoding="utf-8")
    return [shlex.split(line[2:]) for line in text.splitlines() if line.startswith("$ curl ")]


@pytest.mark.parametrize("page", ["README.md", "docs/service.md"])
def test_the_lines_do_what_the_page_says(page: str, running: Service, tmp_path: Path) -> None:
    folder = ROOT if page == "README.md" else tmp_path
    for name, target in FILES.items():
        (tmp_path / name).symlink_to(DEMO / target)
    job = ""
    for words in lines(ROOT / page):
        there = [
            ID.sub(f"/v1/jobs/{job}", word).replace("http://127.0.0.1:8000", running.url) for word in words
        ]
        if ID.search(words[-1]):
            with running.client() as client:
                assert wait_for(client, job)["state"] == "succeeded"
        command = [there[0], "--silent", "--show-error", "--fail", *there[1:]]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=60)
        if "/export/vtt" in words[-1] or "response_format=vtt" in words:
            assert result.stdout.startswith("WEBVTT")
        else:
            job = json.loads(result.stdout)["id"]
    assert job
