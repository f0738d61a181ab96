"""The settings: each documented, each from the environment, none of them taken if it makes no sense."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError
from structlog.testing import capture_logs

from service import cli
from service.records import database
from service.running import working
from service.settings import MEBIBYTE, Settings, unknown
from tests.support.decoding import ROOT

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

GIVEN: dict[str, tuple[str, object]] = {
    "data_dir": ("/srv/turnwise", Path("/srv/turnwise")),
    "database_url": ("postgresql://ana:pass@db:5433/jobs", "postgresql://ana:pass@db:5433/jobs"),
    "host": ("::1", "::1"),
    "port": ("0", 0),
    "storage_url": ("s3://bucket/folder", "s3://bucket/folder"),
    "storage_endpoint": ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
    "keys_required": ("false", False),
    "public_url": ("https://turnwise.example.org", "https://turnwise.example.org"),
    "cors_origins": ("https://a.example, https://b.example,", ("https://a.example", "https://b.example")),
    "requests_per_minute": ("5", 5),
    "queue_limit": ("6", 6),
    "quota_mb": ("4", 4),
    "max_upload_mb": ("7", 7),
    "max_text_mb": ("8", 8),
    "max_duration_hours": ("0.5", 0.5),
    "upload_timeout": ("9.5", 9.5),
    "min_free_mb": ("0", 0),
    "upload_hours": ("48", 48.0),
    "concurrency": ("3", 3),
    "asr": ("faster-whisper:small", "faster-whisper:small"),
    "diarizer": ("embedded", "embedded"),
    "device": ("cpu", "cpu"),
    "engines": ("plugin:choose", "plugin:choose"),
    "stage_attempts": ("1", 1),
    "stage_timeout": ("60", 60.0),
    "stage_memory_mb": ("4096", 4096),
    "decode_timeout": ("30", 30.0),
    "decode_memory_mb": ("2048", 2048),
    "engine_idle_minutes": ("0.1", 0.1),
    "niceness": ("7", 7),
    "retention_hours": ("24", 24.0),
    "webhook_secret": (SECRET, SecretStr(SECRET)),
    "webhook_private_addresses": ("true", True),
    "webhook_attempts": ("2", 2),
    "log_level": ("debug", "debug"),
    "otlp_endpoint": ("http://localhost:4318", "http://localhost:4318"),
    "worker_metrics_port": ("9100", 9100),
    "worker_metrics_host": ("0.0.0.0", "0.0.0.0"),
}


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("TURNWISE_"):
            monkeypatch.delenv(name)


def test_every_setting_is_tried_here() -> None:
    assert GIVEN.keys() == Settings.model_fields.keys()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_says_what_it_means(name: str) -> None:
    description = Settings.model_fields[name].description
    assert description
    assert description.strip().endswith(".")


@pytest.mark.parametrize("name", GIVEN)
def test_every_setting_comes_from_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent, value = GIVEN[name]
    monkeypatch.setenv(f"TURNWISE_{name.upper()}", sent)
    assert getattr(Settings(), name) == value
    assert getattr(Settings(), name) != Settings.model_fields[name].default
    others = Settings.model_fields.keys() - {name}
    assert all(getattr(Settings(), other) == Settings.model_fields[other].default for other in others)


BAD = [
    ("database_url", "mysql://ana:hush-hush@db/jobs"),
    ("database_url", "sqlite:///jobs.db"),
    ("database_url", "hush-hush"),
    ("database_url", "postgresql://ana:hush-hush@db:many/jobs"),
    ("database_url", "postgresql://ana:hush-hush/x@db/jobs"),
    ("database_url", "postgresql://ana:hush-hush@[db/jobs"),
    ("storage_url", "bucket"),
    ("storage_url", "s3://"),
    ("storage_url", "file:///"),
    ("storage_url", "file://host/folder"),
    ("storage_url", "https://example.org/bucket"),
    ("storage_endpoint", "example.org"),
    ("port", "65536"),
    ("port", "-1"),
    ("port", "http"),
    ("public_url", "turnwise.example.org"),
    ("public_url", "javascript:alert(1)"),
    ("public_url", "https://"),
    ("public_url", "https://host:port"),
    ("requests_per_minute", "0"),
    ("queue_limit", "0"),
    ("max_upload_mb", "-1"),
    ("max_duration_hours", "49"),
    ("max_duration_hours", "nan"),
    ("upload_timeout", "0"),
    ("upload_timeout", "nan"),
    ("upload_timeout", "inf"),
    ("stage_timeout", "inf"),
    ("min_free_mb", "-1"),
    ("concurrency", "0"),
    ("device", "gpu"),
    ("stage_attempts", "0"),
    ("niceness", "20"),
    ("niceness", "-1"),
    ("retention_hours", "-1"),
    ("retention_hours", "inf"),
    ("webhook_secret", "hush-hush"),
    ("webhook_secret", "whsec_aHVzaC1odXNo"),
    ("webhook_secret", f"{SECRET}\n!"),
    ("webhook_private_addresses", "perhaps"),
    ("log_level", "loud"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_value_that_makes_no_sense_is_told_of(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"TURNWISE_{name.upper()}", value)
    with pytest.raises(ValidationError) as error:
        Settings()
    assert cli.main(["settings"]) == 2
    said = capsys.readouterr().err
    assert f"TURNWISE_{name.upper()}" in said
    assert "Traceback" not in said
    for secret in ("hush-hush", SECRET):
        assert secret not in said
        assert secret not in str(error.value)


def test_the_list_of_settings_shows_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, (sent, _) in GIVEN.items():
        monkeypatch.setenv(f"TURNWISE_{name.upper()}", sent)
    monkeypatch.setenv("TURNWISE_DATABASE_URL", "postgresql://ana:hush-hush@db:5433/jobs")
    assert cli.main(["settings"]) == 0
    said = capsys.readouterr().out
    assert "TURNWISE_DATABASE_URL=postgresql+psycopg://ana:***@db:5433/jobs" in said
    for name, (sent, _) in GIVEN.items():
        if name not in {"webhook_secret", "database_url", "cors_origins", "webhook_private_addresses"}:
            shown = [line for line in said.splitlines() if line.startswith(f"TURNWISE_{name.upper()}=")]
            assert [line.partition("=")[2] for line in shown] in (
                [sent],
                [f"{sent}.0"],
                [sent.capitalize()],
            )
    for text in (said, repr(Settings()), str(Settings())):
        assert "hush-hush" not in text
        assert SECRET not in text


def test_settings_stay_as_they_are() -> None:
    with pytest.raises(ValidationError):
        setattr(Settings(), "port", 1)  # noqa: B010 (mypy would mind)


def test_sizes_are_bytes(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, min_free_mb=1, max_upload_mb=2, max_text_mb=3)
    sizes = (settings.min_free_bytes, settings.max_upload_bytes, settings.max_text_bytes)
    assert sizes == (MEBIBYTE, 2 * MEBIBYTE, 3 * MEBIBYTE)


def test_the_database_lies_in_the_data_folder_or_where_it_is_said(tmp_path: Path) -> None:
    here = database.url(Settings(data_dir=tmp_path / "a b#?"))
    assert (here.drivername, here.database) == ("sqlite", str(tmp_path / "a b#?" / "turnwise.db"))
    for scheme in ("postgresql", "postgres", "postgresql+psycopg"):
        there = database.url(Settings(database_url=f"{scheme}://ana:p%40ss@db:5433/jobs?sslmode=require"))
        assert there.drivername == "postgresql+psycopg"
        assert (there.username, there.password, there.host, there.port) == ("ana", "p@ss", "db", 5433)
        assert (there.database, dict(there.query)) == ("jobs", {"sslmode": "require"})


# --------------------------------------------------------------------------- misspelt


@pytest.mark.parametrize(
    ("name", "closest"),
    [
        ("TURNWISE_MAX_UPLOAD_MIB", "TURNWISE_MAX_UPLOAD_MB"),
        ("turnwise_databaseurl", "TURNWISE_DATABASE_URL"),
        ("TURNWISE_HFTOKEN", "TURNWISE_HF_TOKEN"),
        ("TURNWISE_ENGINE", "TURNWISE_ENGINES"),
        ("TURNWISE_SERVICE_HOST", ""),
        ("TURNWISE_PORT_8000_TCP_ADDR", ""),
    ],
)
def test_a_variable_that_nothing_reads_is_named_with_its_closest(name: str, closest: str) -> None:
    assert unknown([name, "PATH", "XTURNWISE_PORT", "turnwise_port"]) == {name: closest}


def test_every_variable_that_the_sources_and_the_documentation_name_is_known() -> None:
    files = [
        path
        for folder in ("pipelines", "service", "docs", "docker")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", ".md", ".yaml", ".yml", ".env"}
    ]
    named = {name for path in files for name in re.findall(r"\bTURNWISE_[A-Z_]*[A-Z]\b", path.read_text())}
    assert {"TURNWISE_HF_TOKEN", "TURNWISE_DEBUG", "TURNWISE_MODELS", "TURNWISE_PORT"} <= named
    assert unknown(named) == {}


def test_a_start_warns_of_a_misspelt_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNWISE_QUEUE_LIMITS", "hush-hush")
    monkeypatch.setattr("service.observability.logs.set_up", lambda level: None)
    with capture_logs() as lines:
        working.set_up(Settings())
    assert lines == [
        {
            "event": "unknown variable",
            "log_level": "warning",
            "variable": "TURNWISE_QUEUE_LIMITS",
            "closest": "TURNWISE_QUEUE_LIMIT",
        }
    ]
