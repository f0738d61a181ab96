"""The commands of the service, in this process."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from service.cli import COMMANDS, STATES, main
from service.files.storage import new_id
from service.observability import logs, telemetry
from service.parts import opened
from service.records import jobs
from service.records.jobs import JobState
from service.running import serving
from service.running.working import set_up
from service.settings import Settings

SECRET = "whsec_" + "c2VjcmV0" * 4
EXTRA = (
    "alembic",
    "cattrs",
    "dbos",
    "fastapi",
    "httpx",
    "limits",
    "opentelemetry",
    "prometheus_client",
    "psycopg",
    "pydantic",
    "pydantic_settings",
    "python_multipart",
    "sqlalchemy",
    "standardwebhooks",
    "starlette",
    "structlog",
    "uvicorn",
)
"""What comes with turnwise[service] and not without."""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A data folder of the test's own; the log of the tests stays as it is."""
    monkeypatch.setenv("TURNWISE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(logs, "set_up", lambda level: None)
    monkeypatch.setattr(telemetry, "set_up", lambda endpoint: None)


def _refusal(capsys: pytest.CaptureFixture[str], *command: str, status: int = 2) -> str:
    """The one sentence that a command says instead of doing anything."""
    assert main(command) == status
    said = capsys.readouterr()
    assert said.out == ""
    [line] = said.err.splitlines()
    assert line.startswith("turnwise: ")
    return line


# --------------------------------------------------------------------------- keys


def _list(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    """Id, state and name of every key."""
    assert main(["keys", "list"]) == 0
    return [line.split(maxsplit=2) for line in capsys.readouterr().out.splitlines()]


def test_a_key_is_made_listed_and_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    tokens = []
    for name in ("newsroom", "Archiv der Redaktion"):
        assert main(["keys", "create", name]) == 0
        [token] = capsys.readouterr().out.split()
        assert re.fullmatch(r"tw_[0-9a-f]{16}_[\w-]{43}", token)
        tokens.append(token)
    first, second = (token[3:19] for token in tokens)
    assert _list(capsys) == [[first, "works", "newsroom"], [second, "works", "Archiv der Redaktion"]]
    assert main(["keys", "revoke", first]) == 0
    assert capsys.readouterr().out == ""
    assert [state for _, state, _ in _list(capsys)] == ["revoked", "works"]
    assert not any(token[20:] in str(_list(capsys)) for token in tokens)


@pytest.mark.parametrize(
    "command",
    [
        ["keys", "list"],
        ["keys", "revoke", "0" * 16],
        ["jobs", "list"],
        ["jobs", "delete", "--orphans"],
        ["jobs", "adopt", "0" * 16],
    ],
)
def test_where_no_service_is_nothing_is_made(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = _refusal(capsys, *command)
    assert f"no service in the data folder {tmp_path / 'data'}" in said
    assert "TURNWISE_DATA_DIR" in said
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("identity", ["nobody", "", "tw_0000000000000000_x"])
def test_a_key_that_does_not_work_cannot_be_revoked(
    identity: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _said(capsys, "keys", "create", "newsroom")
    assert "turnwise keys list" in _refusal(capsys, "keys", "revoke", identity)


@pytest.mark.parametrize("name", ["", "\x1b[31m", "x" * 201])
def test_a_name_that_would_spoil_the_list(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "printable" in _refusal(capsys, "keys", "create", name)


def test_the_data_folder_is_nobody_elses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["keys", "create", "first"]) == 0
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0
    assert capsys.readouterr().err == ""


# --------------------------------------------------------------------------- jobs


def test_every_state_can_be_asked_for() -> None:
    assert list(JobState) == list(STATES)


def _make_job(tmp_path: Path, owner: str) -> str:
    """Its row and its folder."""
    with opened(Settings(data_dir=tmp_path / "data")) as parts:
        id = new_id()
        parts.storage.incoming(id).recording.write_bytes(b"sound")
        parts.storage.admit(id)
        with parts.engine.begin() as connection:
            jobs.insert(connection, id, owner, "0" * 64)
    return id


def _said(capsys: pytest.CaptureFixture[str], *command: str) -> tuple[list[str], str]:
    """The lines that a command prints, and what it says besides."""
    assert main(command) == 0
    said = capsys.readouterr()
    return said.out.splitlines(), said.err


def _jobs(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, str]:
    """The owner of every job in the list."""
    lines, _ = _said(capsys, "jobs", "list", *options)
    rows = [line.split() for line in lines]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}Z", row[2]) for row in rows)
    return {id: owner for id, _, _, owner in rows}


def test_jobs_that_a_first_and_a_revoked_key_leave_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    early = _make_job(tmp_path, "")
    assert _jobs(capsys) == {early: "nobody"}
    assert _jobs(capsys, "--orphans") == {}
    [token], hint = _said(capsys, "keys", "create", "newsroom")
    key = token[3:19]
    assert "jobs of nobody (1)" in hint
    assert f"turnwise jobs adopt {key} --owner nobody" in hint
    assert _jobs(capsys, "--orphans") == {early: "nobody"}
    assert _said(capsys, "jobs", "adopt", key, "--owner", "nobody") == (["1 adopted"], "")
    late = _make_job(tmp_path, key)
    assert _jobs(capsys, "--owner", key) == {early: key, late: key}
    [other], hint = _said(capsys, "keys", "create", "archive")
    assert hint == ""
    _, hint = _said(capsys, "keys", "revoke", key)
    assert f"jobs of {key} (2)" in hint
    assert f"turnwise jobs delete --owner {key}" in hint
    assert _said(capsys, "jobs", "adopt", other[3:19]) == (["2 adopted"], "")
    assert set(_jobs(capsys).values()) == {other[3:19]}


def test_jobs_are_deleted_with_their_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    named, _queued, kept = (_make_job(tmp_path, owner) for owner in ("", "a" * 16, "b" * 16))
    assert _said(capsys, "jobs", "delete", named, named)[0] == ["1 deleted"]
    assert _said(capsys, "jobs", "delete", "--owner", "a" * 16, "--state", "failed")[0] == ["0 deleted"]
    assert _said(capsys, "jobs", "delete", "--owner", "a" * 16, "--state", "queued")[0] == ["1 deleted"]
    assert set(_jobs(capsys)) == {kept}
    assert [path.name for path in (tmp_path / "data" / "jobs").iterdir()] == [kept]
    assert not any((tmp_path / "data" / "trash").iterdir())
    _said(capsys, "keys", "create", "newsroom")
    assert _said(capsys, "jobs", "delete", "--orphans")[0] == ["1 deleted"]


@pytest.mark.parametrize(
    "options",
    [[], ["--state", "failed"], ["{job}", "--orphans"], ["{job}", "--state", "queued"], ["{job}", "../x"]],
)
def test_it_must_be_clear_which_jobs_to_delete(
    options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = _make_job(tmp_path, "")
    said = _refusal(capsys, "jobs", "delete", *(option.format(job=job) for option in options))
    assert "turnwise jobs list" in said or "--orphans" in said
    assert set(_jobs(capsys)) == {job}


def test_a_key_that_does_not_work_adopts_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [token], _ = _said(capsys, "keys", "create", "newsroom")
    _said(capsys, "keys", "revoke", token[3:19])
    for key in (token[3:19], "nobody"):
        assert "turnwise keys list" in _refusal(capsys, "jobs", "adopt", key)


def test_a_key_that_never_was_has_no_jobs_to_adopt(capsys: pytest.CaptureFixture[str]) -> None:
    [token], _ = _said(capsys, "keys", "create", "newsroom")
    said = _refusal(capsys, "jobs", "adopt", token[3:19], "--owner", "newsroom")
    assert "no key 'newsroom'" in said
    assert "turnwise keys list" in said


# --------------------------------------------------------------------------- settings


def test_every_setting_is_listed_with_what_it_means(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["settings"]) == 0
    blocks = capsys.readouterr().out.strip().split("\n\n")
    assert len(blocks) == len(Settings.model_fields)
    for block, (name, field) in zip(blocks, Settings.model_fields.items(), strict=True):
        assert field.description
        assert len(field.description) > 15, name
        assert block.startswith(f"TURNWISE_{name.upper()}=")
        assert block.endswith(f"\n    {field.description}")


def test_the_list_shows_what_is_set_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TURNWISE_PORT", "8123")
    monkeypatch.setenv("TURNWISE_CORS_ORIGINS", "https://a.example.org, https://b.example.org")
    monkeypatch.setenv("TURNWISE_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("TURNWISE_DATABASE_URL", "postgresql://me:canary-password@db.example.org/turnwise")
    assert main(["settings"]) == 0
    shown = capsys.readouterr().out
    assert "TURNWISE_PORT=8123\n" in shown
    assert "TURNWISE_CORS_ORIGINS=https://a.example.org,https://b.example.org\n" in shown
    assert "db.example.org" in shown
    assert "canary-password" not in shown
    assert SECRET[6:] not in shown


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "65536"),
        ("PORT", ""),
        ("CONCURRENCY", "0"),
        ("MAX_DURATION_HOURS", "49"),
        ("UPLOAD_TIMEOUT", "-1"),
        ("LOG_LEVEL", "loud"),
        ("DEVICE", "abacus"),
        ("PUBLIC_URL", "turnwise.example.org"),
        ("WEBHOOK_SECRET", "whsec_canary"),
        ("DATABASE_URL", "canary"),
        ("DATABASE_URL", "mysql://me:canary@db.example.org/turnwise"),
        ("DATABASE_URL", "postgresql://me:canary@db.example.org:port/turnwise"),
    ],
)
@pytest.mark.parametrize("command", ["settings", "serve"])
def test_a_setting_that_cannot_be_used(
    command: str, name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"TURNWISE_{name}", value)
    said = _refusal(capsys, command)
    assert said.startswith(f"turnwise: TURNWISE_{name} cannot be used (")
    assert said.endswith("): see turnwise settings.")
    assert "canary" not in said
    assert "Value error" not in said


# --------------------------------------------------------------------------- serve


@pytest.mark.parametrize("command", ["serve", "worker"])
@pytest.mark.parametrize("name", ["ASR", "DIARIZER"])
def test_an_engine_that_is_none(
    command: str,
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(f"TURNWISE_{name}", "nope")
    assert "There is no engine 'nope': choose auto, or one of: " in _refusal(capsys, command)
    assert not (tmp_path / "data").exists()


def test_builders_name_their_engines_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(Settings(asr="nope", diarizer="none-of-ours:7", engines="tests.service.engines:choose"))


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        said = _refusal(capsys, "serve", "--port", str(taken.getsockname()[1]))
    assert "choose another --port" in said


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "turnwise.example.org"])
def test_no_network_without_a_key(host: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "turnwise keys create" in _refusal(capsys, "serve", "--host", host)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_addresses_of_both_kinds(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, 0), family=family).close()
    except OSError:
        pytest.skip(f"this machine cannot listen on {host}")
    with serving._listen(Settings(host=host, port=0)) as listener:
        assert listener.getsockname()[1] > 0


def test_a_data_folder_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").write_text("")
    assert "TURNWISE_DATA_DIR" in _refusal(capsys, "serve", status=4)


def test_a_database_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TURNWISE_DATABASE_URL", "postgresql://me:canary@127.0.0.1:1/turnwise")
    said = _refusal(capsys, "serve", status=4)
    assert "TURNWISE_DATABASE_URL" in said
    assert "canary" not in said


# --------------------------------------------------------------------------- without the extra

WITHOUT = """
import contextlib, io, json, sys
for name in {extra}:
    sys.modules[name] = None
from service.cli import main
said = []
for command in {commands}:
    with contextlib.redirect_stderr(io.StringIO()) as errors:
        status = main(command)
    said.append([status, errors.getvalue()])
print(json.dumps(said))
"""


def test_without_the_extra_every_command_says_how_to_get_it() -> None:
    commands = [
        ["serve"],
        ["worker"],
        ["keys", "list"],
        ["keys", "create", "first"],
        ["jobs", "list"],
        ["health"],
        ["settings"],
    ]
    assert {command[0] for command in commands} == set(COMMANDS)
    code = WITHOUT.format(extra=EXTRA, commands=commands)
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    for [command, *_], (status, said) in zip(commands, json.loads(run.stdout), strict=True):
        assert (status, said.count("\n")) == (1 if command == "health" else 2, 1)
        assert "pip install 'turnwise[service]'" in said


def test_the_other_commands_need_no_extra(tmp_path: Path) -> None:
    code = WITHOUT.format(extra=EXTRA, commands=[["models", "list"]])
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert json.loads(run.stdout.splitlines()[-1])[0][0] == 0


def test_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with suppress(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in COMMANDS)
