"""Clients that generators make of the OpenAPI document call a running service."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.server import DEMO, PATIENCE, ROOT, Service, recording, service

pytestmark = pytest.mark.acceptance

PACKAGES = ("openapi-typescript@7.13.0", "openapi-fetch@0.17.0", "typescript@5.9.3")
PROGRAM = ROOT / "tests" / "data" / "clients" / "job.ts"
PACKAGE = "generated_client"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("clients") / "data") as running:
        running.serve()
        yield running


@pytest.fixture(scope="module")
def document(running: Service, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("document") / "openapi.json"
    path.write_bytes(httpx.get(f"{running.url}/openapi.json").content)
    return path


@pytest.fixture(scope="module")
def package(document: Path) -> Iterator[Path]:
    """Made without a warning; can be imported as long as tests need it."""
    config = document.with_name("config.json")
    config.write_text(json.dumps({"post_hooks": []}))
    made = document.with_name(PACKAGE)
    options = ["--meta", "none", "--path", str(document), "--output-path", str(made), "--config", str(config)]
    said = _run(sys.executable, "-m", "openapi_python_client", "generate", "--fail-on-warning", *options)
    assert "WARNING" not in said, said
    sys.path.insert(0, str(made.parent))
    yield made
    sys.path.remove(str(made.parent))


class Client:
    """The generated one."""

    def __init__(self, client: Any) -> None:
        self.models, self.types = _module("models"), _module("types")
        self._client = client

    def call(self, tag: str, name: str, *path: object, **values: object) -> Any:
        """The answer to an operation: its parsed body and its headers."""
        operation = _module(f"api.{tag}.{tag}_{name}")
        return operation.sync_detailed(*path, client=self._client, **values)

    def submit(self, **form: object) -> Any:
        """The job that was made of a form, when it has ended."""
        job = self.call("jobs", "create", body=self.models.JobForm(**form)).parsed
        deadline = time.monotonic() + PATIENCE
        while job.finished is None:
            assert time.monotonic() < deadline, job
            time.sleep(0.1)
            job = self.call("jobs", "show", job.id).parsed
        assert job.state == "succeeded", job
        return job

    def file(self, data: bytes, name: str = "") -> Any:
        return self.types.File(BytesIO(data), name)

    def upload(self, data: bytes, name: str) -> str:
        """The id of a finished upload, which was sent in two pieces."""
        metadata = f"filename {b64encode(name.encode()).decode()}"
        begun = self.call("uploads", "create", upload_length=len(data), upload_metadata=metadata)
        id: str = begun.parsed.id
        middle = len(data) // 2
        assert self._append(id, 0, data[:middle]).headers["Upload-Offset"] == str(middle)
        assert self.call("uploads", "show", id).headers["Upload-Offset"] == str(middle)
        assert self._append(id, 0, data[middle:]).parsed.code == "upload_conflict"
        assert self._append(id, middle, data[middle:]).status_code == 204
        return id

    def _append(self, id: str, offset_bytes: int, data: bytes) -> Any:
        return self.call("uploads", "append", id, body=self.file(data), upload_offset=offset_bytes)


def _module(name: str) -> Any:
    return import_module(f"{PACKAGE}.{name}")


@pytest.fixture(scope="module")
def client(package: Path, running: Service) -> Iterator[Client]:
    with _module("client").Client(base_url=running.url, raise_on_unexpected_status=True) as client:
        yield Client(client)


def _run(*command: str, folder: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_every_operation_is_generated(package: Path, document: Path) -> None:
    paths = json.loads(document.read_text("utf-8"))["paths"]
    operations = {operation["operationId"] for path in paths.values() for operation in path.values()}
    assert {path.stem for path in package.glob("api/*/*_*.py") if path.stem != "__init__"} == operations


def test_a_job_from_the_demo_to_its_typed_result(client: Client) -> None:
    sound = (DEMO / "segment.opus").read_bytes()
    notes = client.models.JobOptionsMetadata.from_dict({"episode": "7"})
    options = client.models.JobOptions(language="en", min_speakers=2, metadata=notes)
    text = (DEMO / "supplied.txt").read_text("utf-8")
    job = client.submit(audio=client.file(sound, "segment.opus"), text=text, options=options)
    assert job.recording == "segment.opus"
    assert job.metadata.to_dict() == {"episode": "7"}
    answer = client.call("jobs", "result", job.id)
    result = answer.parsed
    assert isinstance(result, client.models.Result)
    assert result.readings.supplied == text
    assert result.speakers[0].id in {turn.speaker for turn in result.turns}
    assert text[result.tokens[3].char_start : result.tokens[3].char_end] == result.tokens[3].text
    assert result.to_dict() == json.loads(answer.content)
    vtt = client.call("jobs", "export", job.id, client.models.JobsExportFormat.VTT).parsed
    assert vtt.startswith("WEBVTT\n")
    assert client.call("jobs", "audio", job.id).content == sound
    assert "\nevent: end\n" in client.call("jobs", "events", job.id).parsed


def test_a_job_from_a_resumable_upload(client: Client, tmp_path: Path) -> None:
    sound = recording(tmp_path).read_bytes()
    job = client.submit(upload=client.upload(sound, "talk.wav"))
    assert job.recording == "talk.wav"
    assert client.call("jobs", "result", job.id).parsed.media.size_bytes == len(sound)


def test_a_problem_is_one(client: Client) -> None:
    problem = client.call("jobs", "show", "0" * 32).parsed
    assert isinstance(problem, client.models.Problem)
    assert problem.code == "not_found"


def test_a_program_in_typescript(client: Client, running: Service, document: Path, tmp_path: Path) -> None:
    """Checked by the compiler, strictly, and run."""
    (tmp_path / "package.json").write_text('{"type": "module"}')
    shutil.copy(PROGRAM, tmp_path)
    install = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *PACKAGES]
    if shutil.which("npm") is None:
        pytest.skip("there is no npm on this machine")
    if subprocess.run(install, cwd=tmp_path, capture_output=True, check=False).returncode:
        pytest.skip("npm cannot get the packages")
    programs = tmp_path / "node_modules" / ".bin"
    _run(str(programs / "openapi-typescript"), str(document), "-o", "api.d.ts", folder=tmp_path)
    flags = ["--strict", "--noUnusedLocals", "--skipLibCheck", "--target", "es2022", "--module", "nodenext"]
    _run(str(programs / "tsc"), *flags, "--lib", "es2022,dom", PROGRAM.name, folder=tmp_path)
    sound = recording(tmp_path).read_bytes()
    upload = client.upload(sound, "talk.wav")
    turns = json.loads(_run("node", "job.js", running.url, upload, folder=tmp_path))
    assert [word for turn in turns for word in turn]
