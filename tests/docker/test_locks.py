"""What the images install: locked in whole, within the bounds of pyproject.toml, CUDA in one of them only."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.docker.named import DOCKER, ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = {
    "embedded": {"service", "telemetry"},
    "cpu": {"service", "telemetry", "all"},
    "gpu": {"service", "telemetry", "all"},
}
LOCKED = re.compile(r"([a-z0-9-]+)==(\S+)((?: --hash=sha256:[0-9a-f]{64})+)")
FROM_SOURCE = {"openai-whisper"}
FOR_GRAPHICS = re.compile(r"nvidia|cuda|triton|cupy")


def lines(name: str) -> list[str]:
    """Without comments, what is continued joined."""
    text = (DOCKER / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    joined = re.sub(r" \\\n +", " ", text).splitlines()
    return [line for line in joined if line and not line.startswith("#")]


def locked(name: str) -> dict[str, Version]:
    """Fails where a line is anything but an option or a version with its sums."""
    versions = {}
    for line in lines(name):
        if not line.startswith("--"):
            match = LOCKED.fullmatch(line)
            assert match, line
            versions[match[1]] = Version(match[2])
    return versions


def required(extras: set[str]) -> Iterator[Requirement]:
    """What pyproject.toml asks for, extras that it names of its own opened."""
    asked = [*PROJECT["dependencies"]]
    for extra in extras:
        asked += PROJECT["optional-dependencies"][extra]
    for requirement in map(Requirement, asked):
        if requirement.name == PROJECT["name"]:
            yield from required(requirement.extras)
        else:
            yield requirement


@pytest.mark.parametrize("image", EXTRAS)
def test_holds_what_the_project_requires(image: str) -> None:
    versions = locked(image)
    for requirement in required(EXTRAS[image]):
        version = versions[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version, prereleases=True), f"{requirement}, locked: {version}"


def test_builds_with_the_setuptools_that_the_project_requires() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]
    (requirement,) = map(Requirement, build["requires"])
    assert requirement.specifier.contains(locked("build")[requirement.name])


@pytest.mark.parametrize("name", [*EXTRAS, "build"])
def test_installs_wheels_but_for_what_has_none(name: str) -> None:
    options = [line for line in lines(name) if line.startswith("--")]
    sources = {f"--no-binary {package}" for package in FROM_SOURCE & set(locked(name))}
    assert set(options) == {"--only-binary :all:", *sources}


def test_all_that_can_be_locked_is() -> None:
    """None is left behind by an image that is no more."""
    there = {path.stem for path in (DOCKER / "requirements").iterdir()}
    assert there == {*EXTRAS, "build"}


@pytest.mark.parametrize("image", ["embedded", "cpu"])
def test_nothing_for_graphics_cards_without_one(image: str) -> None:
    assert not [name for name in locked(image) if FOR_GRAPHICS.search(name)]


def test_torch_is_the_one_that_is_tested() -> None:
    makefile = Path(ROOT / "Makefile").read_text(encoding="utf-8")
    tested = re.findall(r"^TORCH \?= torch==(\S+)$", makefile, re.MULTILINE)
    assert [str(locked("gpu")["torch"])] == tested
    assert [str(locked("cpu")["torch"])] == [f"{version}+cpu" for version in tested]
    assert "torch" not in locked("embedded")


def test_images_have_the_same_versions() -> None:
    """A job's result does not depend on which of them a worker runs."""
    processor, graphics, embedded = (locked(image) for image in ("cpu", "gpu", "embedded"))
    for name, version in embedded.items():
        assert processor[name] == version
        assert graphics[name] == version
    for name in processor.keys() & graphics.keys() - {"torch"}:
        assert processor[name] == graphics[name]
