"""The compose files: valid, closed to the outside, and naming only what there is.

No container runs here; docs/containers.md says what was run, and what was not.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.running.working import LAST_RESORT
from tests.docker.named import DOCKER, build_arguments, check_command, check_environment, targets

FILES = [DOCKER / "compose.yaml", DOCKER / "compose.scale.yaml"]
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?:(?P<operator>:?[-?])(?P<word>[^}]*))?\}")
SECRETS = {"POSTGRES_PASSWORD": "p", "S3_SECRET": "s"}


def loaded(path: Path) -> Any:
    """The file as Compose sees it with the secrets set and nothing else."""
    return filled(yaml.safe_load(path.read_text(encoding="utf-8")))


def filled(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: filled(value) for key, value in node.items()}
    if isinstance(node, list):
        return [filled(value) for value in node]
    return VARIABLE.sub(value_of, node) if isinstance(node, str) else node


def value_of(variable: re.Match[str]) -> str:
    return SECRETS.get(variable["name"]) or (variable["word"] if "-" in variable["operator"] else "")


SERVICES = [(path, name) for path in FILES for name in loaded(path)["services"]]
OURS = [(path, name) for path, name in SERVICES if "build" in loaded(path)["services"][name]]


def service(path: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = loaded(path)["services"][name]
    return found


def named(services: list[tuple[Path, str]]) -> pytest.MarkDecorator:
    ids = [f"{path.stem}-{name}" for path, name in services]
    return pytest.mark.parametrize(("path", "name"), services, ids=ids)


def ran(command: list[str], **environment: str) -> str | None:
    """What it printed; None where it failed, or is not here. Its complaints are in pytest's output."""
    surroundings = os.environ | environment
    try:
        done = subprocess.run(command, env=surroundings, stdout=subprocess.PIPE, text=True, check=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return done.stdout


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_is_what_the_specification_allows(path: Path) -> None:
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    assert ran([*checker, str(path)]) is not None


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_compose_itself_takes_it(path: Path) -> None:
    if ran(["docker", "compose", "version"]) is None:
        pytest.skip("There is no docker compose here; the schema alone is checked.")
    said = ran(["docker", "compose", "-f", str(path), "--profile", "*", "config", "--quiet"], **SECRETS)
    assert said == ""


@named(OURS)
def test_settings_are_real(path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = check_environment(service(path, name)["environment"], monkeypatch)
    scaled = path.name == "compose.scale.yaml"
    assert bool(settings.database_url) == bool(settings.storage_url) == scaled == settings.keys_required


@named(OURS)
def test_command_and_health_check_are_ours(path: Path, name: str) -> None:
    found = service(path, name)
    check_command(found.get("command", ["serve"]))
    check = found.get("healthcheck", {"test": ["CMD", "turnwise", "health"]})["test"]
    assert check[:2] == ["CMD", "turnwise"]
    check_command(check[2:])
    assert ("--worker" in check) == (found.get("command", []) == ["worker"])


@named(OURS)
def test_image_can_be_built(path: Path, name: str) -> None:
    found = service(path, name)
    build = found["build"]
    assert (path.parent / build["context"] / build["dockerfile"]).samefile(DOCKER / "Dockerfile")
    assert build["target"] in targets()
    assert set(build["args"]) <= build_arguments()
    assert found["image"] == f"turnwise:{build['target']}"


@named(OURS)
def test_has_time_to_leave_and_one_place_to_write(path: Path, name: str) -> None:
    found = service(path, name)
    assert int(found["stop_grace_period"].removesuffix("s")) > LAST_RESORT
    assert [volume.split(":")[-1] for volume in found["volumes"]] == ["/data"]
    assert found["read_only"]


@named(SERVICES)
def test_may_do_no_more_than_it_must(path: Path, name: str) -> None:
    found = service(path, name)
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges"]
    assert all(port.startswith("127.0.0.1:") for port in found.get("ports", []))


@named([each for each in SERVICES if each not in OURS])
def test_other_images_have_a_version(path: Path, name: str) -> None:
    assert re.fullmatch(r"[\w/.-]+:v?\d[\w.-]*", service(path, name)["image"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_secrets_have_no_default(path: Path) -> None:
    found = {match["name"]: match for match in VARIABLE.finditer(path.read_text(encoding="utf-8"))}
    asked = {name: match["word"] for name, match in found.items() if match["operator"] == ":?"}
    assert asked.keys() == (SECRETS.keys() if path.name == "compose.scale.yaml" else set())
    assert all(sentence == "must be set in docker/.env" for sentence in asked.values())
    assert found.keys() - asked.keys() <= {"TARGET", "MODELS", "PUBLIC_URL", "APIS", "WORKERS"}


def test_database_and_objects_are_out_of_reach() -> None:
    scaled = loaded(DOCKER / "compose.scale.yaml")
    assert scaled["networks"]["inside"]["internal"]
    for name in ("postgres", "s3"):
        assert scaled["services"][name]["networks"] == ["inside"]
        assert "ports" not in scaled["services"][name]


def test_api_and_object_storage_agree() -> None:
    services = loaded(DOCKER / "compose.scale.yaml")["services"]
    ours, theirs = services["api"]["environment"], services["s3"]["environment"]
    bucket = ours["TURNWISE_STORAGE_URL"].removeprefix("s3://")
    assert services["s3"]["volumes"] == [f"bucket:/buckets/{bucket}"]
    assert ours["TURNWISE_STORAGE_ENDPOINT"].endswith(services["s3"]["command"][1])
    assert ours["AWS_ACCESS_KEY_ID"] == theirs["ROOT_ACCESS_KEY"]
    assert ours["AWS_SECRET_ACCESS_KEY"] == theirs["ROOT_SECRET_KEY"]
