"""Every setting of the service, read from the environment: TURNWISE_DATA_DIR, TURNWISE_PORT, …

The docstring under a setting is its documentation: `turnwise settings` prints it, and a test keeps
docs/service.md equal to it.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PositiveInt = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
MEBIBYTE = 2**20
PREFIX = "TURNWISE_"
OTHERS = ("DEBUG", "HF_TOKEN", "MODELS")
"""Variables with our prefix that the library reads; ENGINE_… is for builders' own engines."""


class Settings(BaseSettings):
    """The settings of the API and of the workers."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        use_attribute_docstrings=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,  # it may be a secret
    )

    data_dir: Path = Path("turnwise-data")
    """Folder that holds everything the service writes: recordings, results, and the database if it is
    SQLite."""

    database_url: Annotated[str, Field(repr=False)] = ""
    """PostgreSQL database to use instead of SQLite in the data folder:
    postgresql://user:password@host/name."""

    storage_url: Annotated[str, Field(repr=False)] = ""
    """Where the files of jobs are kept if API and workers share no disk: s3://bucket/folder, or
    file:///folder. The data folder then holds only what a process is working on."""

    storage_endpoint: str = ""
    """Address of an S3-compatible server: https://s3.example.org; empty for Amazon's. Credentials and region
    come from the environment as usual (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_DEFAULT_REGION)."""

    host: str = "127.0.0.1"
    """Address to listen on; any but a loopback address needs at least one key (turnwise keys create)."""

    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    """Port to listen on; 0 picks a free one."""

    public_url: str = ""
    """Address at which users reach the service if it is behind a proxy: https://turnwise.example.org."""

    keys_required: bool = True
    """Whether listening beyond a loopback address needs a key; set it to false only where something else
    keeps others out, as for a container whose port is published to this machine alone."""

    cors_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """Origins of web pages that may call the API from a browser, separated by commas; none if empty."""

    requests_per_minute: PositiveInt = 600
    """Requests per minute that one key may make to each API process; more are answered with 429."""

    queue_limit: PositiveInt = 1000
    """Jobs of one key that may wait or run at the same time; further ones are answered with 429."""

    quota_mb: int = Field(default=0, ge=0)
    """Space in MiB that the jobs of one key may use, recordings and results together; requests that would
    exceed it are answered with 413. 0 for no limit."""

    max_upload_mb: PositiveInt = 4096
    """Largest recording accepted, in MiB."""

    max_text_mb: PositiveInt = 16
    """Largest text accepted, in MiB."""

    max_duration_hours: Annotated[float, Field(gt=0, le=48)] = 6.0
    """Longest recording accepted, in hours."""

    upload_timeout: Seconds = 120.0
    """Seconds without new data after which an upload is given up."""

    min_free_mb: int = Field(default=512, ge=0)
    """Free space in the data folder, in MiB, below which nothing is accepted (507) and running jobs wait."""

    upload_hours: Seconds = 24.0
    """Hours that a resumable upload is kept while it is unfinished, or finished but not used by a job."""

    concurrency: PositiveInt = 2
    """Jobs that one worker runs at the same time. None reserves memory: each checks what is free when it
    chooses its engines."""

    asr: str = "auto"
    """Engine that recognises words if a job does not name one: NAME or NAME:MODEL."""

    diarizer: str = "auto"
    """Engine that separates speakers if a job does not name one."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device on which Whisper and pyannote.audio run."""

    engines: str = "pipelines.engines.choice:choose"
    """For builders: the function that makes the engines of a job, as module:function, called like the
    default one, but once for jobs in all languages: with an empty one."""

    stage_attempts: PositiveInt = 3
    """How often a stage is started if it keeps taking its process, or the worker, down with it."""

    stage_timeout: Seconds = 6 * 3600.0
    """Seconds after which a stage that has not ended counts as failed."""

    stage_memory_mb: int = Field(default=0, ge=0)
    """Address space in MiB that the process of a stage may use; 0 for no limit."""

    decode_timeout: Seconds = 900.0
    """Seconds of processor time that decoding a recording may take."""

    decode_memory_mb: PositiveInt = 6144
    """Address space in MiB that decoding a recording may use; six hours of samples take 1400."""

    engine_idle_minutes: Seconds = 15.0
    """Minutes that a process keeps its models loaded while it has no work."""

    niceness: Annotated[int, Field(ge=0, le=19)] = 19
    """Niceness of the processes that compute: the higher, the more they yield processor time to the API."""

    retention_hours: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Hours after which a job that has ended is deleted with all its files; 0 keeps jobs until somebody
    deletes them."""

    webhook_secret: SecretStr | None = None
    """Secret that signs webhooks (Standard Webhooks): whsec_ and at least 24 bytes in base64."""

    webhook_private_addresses: bool = False
    """Whether webhooks may go to addresses that are not public, such as those in your own network."""

    webhook_attempts: PositiveInt = 8
    """How often a webhook is tried, at intervals that grow from 5 seconds to some hours."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """How much is logged, as JSON lines on standard error."""

    otlp_endpoint: str = ""
    """OpenTelemetry collector to send traces to (OTLP over HTTP); needs turnwise[telemetry]. Empty sends
    none."""

    worker_metrics_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Port on which a separate worker serves its Prometheus metrics; 0 for none."""

    worker_metrics_host: str = "127.0.0.1"
    """Address of that port; 0.0.0.0 lets other machines in, without a key."""

    @field_validator("webhook_secret")
    @classmethod
    def _check_secret(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None:
            try:
                key = b64decode(secret.get_secret_value().removeprefix("whsec_"), validate=True)
            except ValueError:
                key = b""
            if len(key) < 24:
                raise ValueError("it must be whsec_ and at least 24 bytes in base64")
        return secret

    @field_validator("database_url")
    @classmethod
    def _check_database(cls, url: str) -> str:
        """Checks the scheme: we choose the driver, so any other database would be taken for PostgreSQL."""
        if url and _scheme_and_host(url)[0].partition("+")[0] not in {"postgresql", "postgres"}:
            raise ValueError("it must be postgresql://user:password@host/name")
        return url

    @field_validator("storage_url")
    @classmethod
    def _check_storage(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and not (
            (parts.scheme == "s3" and parts.netloc)
            or (parts.scheme == "file" and not parts.netloc and parts.path.strip("/"))
        ):
            raise ValueError("it must be s3://bucket/folder or file:///folder")
        return url

    @field_validator("public_url", "storage_endpoint")
    @classmethod
    def _check_url(cls, url: str) -> str:
        scheme, host = _scheme_and_host(url)
        if url and (scheme not in {"http", "https"} or not host):
            raise ValueError("it must begin with http:// or https:// and name a host")
        return url

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(origin.strip() for origin in value.split(",") if origin.strip())

    @property
    def are_engines_ours(self) -> bool:
        """Whether the engines are those of the library, and not a builder's."""
        return bool(self.engines == type(self).model_fields["engines"].default)

    @property
    def min_free_bytes(self) -> int:
        return self.min_free_mb * MEBIBYTE

    @property
    def max_upload_bytes(self) -> int:
        return self.max_upload_mb * MEBIBYTE

    @property
    def max_text_bytes(self) -> int:
        return self.max_text_mb * MEBIBYTE


def unknown(variables: Iterable[str]) -> dict[str, str]:
    """Maps each variable with our prefix that nothing reads to the most similar known one, or to ""."""
    known = [*(name.upper() for name in Settings.model_fields), *OTHERS]
    found = {name: name.upper().removeprefix(PREFIX) for name in variables if name.upper().startswith(PREFIX)}
    return {
        name: "".join(PREFIX + like for like in get_close_matches(rest, known, n=1))
        for name, rest in found.items()
        if rest not in known and not rest.startswith("ENGINE_")
    }


def _scheme_and_host(url: str) -> tuple[str, str]:
    """Both empty where it is not a URL."""
    try:
        parts = urlsplit(url)
        return (parts.scheme, parts.hostname or "") if parts.port != 0 else ("", "")
    except ValueError:  # a port that is not a number, an unmatched bracket
        return "", ""
