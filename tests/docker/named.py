"""What a file of docker/ may name: settings, targets and build arguments that there are."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from obstore import sign
from obstore.store import S3Store

from service.cli import COMMANDS
from service.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"

SETTINGS = {f"TURNWISE_{name.upper()}" for name in Settings.model_fields} | {"TURNWISE_MODELS"}
"""The last one is the library's."""


def instructions(instruction: str, pattern: str) -> set[str]:
    """What the pattern finds after an instruction of the Dockerfile, up to the end of its line."""
    lines = (DOCKER / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return set(re.findall(rf"^{instruction}\b{pattern}", lines, re.MULTILINE))


def targets() -> set[str]:
    return instructions("FROM", r".* AS (\S+)")


def build_arguments() -> set[str]:
    return instructions("ARG", r" (\w+)")


def check_environment(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings that an environment makes; fails where it names one that is none.

    The library for S3 must see what is meant for it, too.
    """
    assert {name for name in environment if name.startswith("TURNWISE_")} <= SETTINGS
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    if any(name.startswith("AWS_") for name in environment):
        signed = sign(S3Store("bucket"), "GET", "object", timedelta(minutes=1))
        key, region = environment["AWS_ACCESS_KEY_ID"], environment["AWS_DEFAULT_REGION"]
        assert f"Credential={key}%2F" in signed
        assert f"%2F{region}%2Fs3%2F" in signed
    return Settings()


def check_command(arguments: list[str]) -> None:
    """Fails where `turnwise` would not take them."""
    from pipelines.cli.arguments import parse  # noqa: PLC0415

    assert parse(arguments, COMMANDS).command == arguments[0]
