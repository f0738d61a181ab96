"""docker/README.md says what is so: its commands name what there is."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise

import pytest
import yaml

from tests.docker.named import DOCKER, ROOT, SETTINGS, build_arguments, check_command, targets

PAGE = (DOCKER / "README.md").read_text(encoding="utf-8")
ASSIGNMENT = re.compile(r"[A-Z_]+=.*")


def commands() -> list[list[str]]:
    """The words of every command in a console block, without the variables before it."""
    blocks = re.findall(r"^```console\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    lines = (line[2:] for block in blocks for line in block.replace("\\\n", " ").splitlines())
    found = []
    for words in map(shlex.split, lines):
        while ASSIGNMENT.fullmatch(words[0]):
            words.pop(0)
        found.append(words)
    return found


def those(*beginning: str) -> pytest.MarkDecorator:
    """The commands that begin so, without their beginning."""
    n = len(beginning)
    found = [words[n:] for words in commands() if words[:n] == [*beginning]]
    return pytest.mark.parametrize("words", found, ids=" ".join)


def values(words: list[str], option: str) -> Iterator[str]:
    return (after for word, after in pairwise(words) if word == option)


@those("docker", "compose")
def test_compose_commands(words: list[str]) -> None:
    assert words[0] == "-f"
    services = yaml.safe_load((ROOT / words[1]).read_text(encoding="utf-8"))["services"]
    for profile in values(words, "--profile"):
        assert any(profile in service.get("profiles", []) for service in services.values())
    if words[2] in {"start", "stop"}:
        assert services.keys() >= set(words[3:])
    named = [word for word in words[2:] if word in services]
    if {"run", "exec"} & set(words):
        (service,) = named
        ours = words[words.index(service) + 1 :]
        if "run" in words:
            check_command(ours)
        else:
            assert service == "postgres"
            assert ours[0] in {"psql", "pg_dump", "pg_restore"}


@those("docker", "build")
def test_build_commands(words: list[str]) -> None:
    assert (ROOT / next(values(words, "-f"))).exists()
    assert {value.partition("=")[0] for value in values(words, "--build-arg")} <= build_arguments()
    target = next(values(words, "--target"), "cpu")
    assert target in targets()
    assert next(values(words, "-t")) == f"turnwise:{target}"


@those("docker", "run")
def test_run_commands(words: list[str]) -> None:
    image = next(word for word in words if word.startswith("turnwise:"))
    assert image.removeprefix("turnwise:") in targets()
    if "--entrypoint" not in words:
        check_command(words[words.index(image) + 1 :])
    volumes = {
        f"{compose['name']}_{volume}"
        for compose in (yaml.safe_load(path.read_text("utf-8")) for path in DOCKER.glob("compose*.yaml"))
        for volume in compose["volumes"]
    }
    mounted = {value.partition(":")[0] for value in values(words, "-v")}
    assert all(volume.startswith("$PWD") or volume in volumes for volume in mounted)


def test_cpu_is_what_is_built_without_a_target() -> None:
    stages = re.findall(
        r"^FROM .* AS (\S+)", (DOCKER / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert stages[-1] == "cpu"


@those("kubectl")
def test_kubernetes_commands(words: list[str]) -> None:
    for folder in values(words, "-k"):
        assert (ROOT / folder / "kustomization.yaml").exists()
    base = "".join(path.read_text(encoding="utf-8") for path in (DOCKER / "kubernetes/base").glob("*.yaml"))
    for word in words:
        assert not word.startswith("deploy/") or f"name: {word.removeprefix('deploy/')}\n" in base
    if "turnwise" in words and "--" in words:
        check_command(words[words.index("--") + 2 :])


def test_every_command_was_looked_at() -> None:
    found = commands()
    assert {words[0] for words in found} == {"chmod", "docker", "kubectl", "mkdir", "printf"}
    asked = {words[1] for words in found if words[0] == "docker"}
    assert asked == {"build", "compose", "load", "run", "save"}


def test_settings_are_real() -> None:
    assert set(re.findall(r"\bTURNWISE_\w+", PAGE)) <= SETTINGS


def test_image_sets_what_the_page_says() -> None:
    dockerfile = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(TURNWISE_\w+)` \| `([^`]+)` \|", PAGE, re.MULTILINE)
    assert rows
    assert all(f"{name}={value}" in dockerfile for name, value in rows)


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#\s]+)", PAGE)
    assert not [link for link in links if "://" not in link and not (DOCKER / link).exists()]
