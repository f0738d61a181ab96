"""The direction of the imports: read from the sources, and seen in a fresh process."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("pipelines", "service")

ENGINE_LIBRARIES = {
    "ctranslate2",
    "faster_whisper",
    "onnxruntime",
    "pocketsphinx",
    "pyannote.audio",
    "torch",
    "torchaudio",
    "transformers",
    "whisper",
}
WEB_LIBRARIES = {"aiohttp", "django", "fastapi", "flask", "starlette", "uvicorn"}
WEB = {"service.api", "service.serving"}
LAYERS = ("types", "errors", "engines.base")  # what every other module may import
TOP = ("cli", "pipeline")  # what no stage, format or engine may import


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {
    module_name(path): ast.parse(path.read_text(encoding="utf-8"))
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}


def imported(tree: ast.AST) -> Iterator[str]:
    """Every module that a source names in an import, `from a import b` as both a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            assert node.module
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def own(module: str) -> frozenset[str]:
    """The modules of this project that `module` imports, at its top or inside a function.

    `from package import module` needs the module, not what else the package's __init__ offers.
    """
    names = {name for name in imported(SOURCES[module]) if name in SOURCES and name != module}
    return frozenset(name for name in names if not any(other.startswith(f"{name}.") for other in names))


def within(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def cycle(start: str) -> list[str] | None:
    """A way from a module back to itself, or None. A package's own __init__ is no way into its modules."""
    paths = [[start]]
    seen: set[str] = set()
    while paths:
        path = paths.pop()
        for following in sorted(own(path[-1])):
            if following == start:
                return [*path, start]
            if following not in seen:
                seen.add(following)
                paths.append([*path, following])
    return None


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_no_module_imports_itself_in_a_circle(module: str) -> None:
    assert cycle(module) is None


@pytest.mark.parametrize("module", sorted(name for name in SOURCES if within(name, {"pipelines"})))
def test_the_library_knows_nothing_of_the_service(module: str) -> None:
    names = set(imported(SOURCES[module]))
    assert not {name for name in names if within(name, {"service"} | WEB_LIBRARIES)}


@pytest.mark.parametrize(
    "module", sorted(name for name in SOURCES if not within(name, {"pipelines.engines"}))
)
def test_engine_libraries_are_imported_by_engines_alone(module: str) -> None:
    assert not {name for name in imported(SOURCES[module]) if within(name, ENGINE_LIBRARIES)}


@pytest.mark.parametrize("module", sorted(name for name in SOURCES if within(name, {"pipelines.engines"})))
def test_engines_import_their_library_only_when_they_run(module: str) -> None:
    top = [
        node
        for node in ast.iter_child_nodes(SOURCES[module])
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    names = {name for node in top for name in imported(node)}
    assert not {name for name in names if within(name, ENGINE_LIBRARIES)}


@pytest.mark.parametrize("module", [f"pipelines.{layer}" for layer in LAYERS])
def test_the_ground_stands_on_itself(module: str) -> None:
    assert own(module) <= {"pipelines", *(f"pipelines.{layer}" for layer in LAYERS)}


ABOVE_STAGES = {f"pipelines.{name}" for name in TOP}
STAGES = sorted(name for name in SOURCES if within(name, {"pipelines"}) and not within(name, ABOVE_STAGES))


@pytest.mark.parametrize("module", [name for name in STAGES if name != "pipelines"])
def test_stages_formats_and_engines_know_nothing_of_the_pipeline(module: str) -> None:
    assert not {name for name in own(module) if within(name, ABOVE_STAGES)}


SERVICE = sorted(name for name in SOURCES if within(name, {"service"}))


@pytest.mark.parametrize("module", [name for name in SERVICE if name != "service.durable"])
def test_one_file_knows_of_the_engine_of_the_workflows(module: str) -> None:
    assert not {name for name in imported(SOURCES[module]) if within(name, {"dbos"})}


@pytest.mark.parametrize("module", [name for name in SERVICE if not within(name, WEB)])
def test_the_work_knows_nothing_of_the_web(module: str) -> None:
    web = WEB_LIBRARIES | {"python_multipart", "service.api"}
    assert not {name for name in imported(SOURCES[module]) if within(name, web)}


def test_the_service_is_walked_too() -> None:
    assert {"service.durable", "service.serving", "service.api.app", "service.stages"} <= set(SERVICE)
    assert within("dbos._error", set(imported(SOURCES["service.durable"])))
    assert within("fastapi", set(imported(SOURCES["service.api.app"])))


def test_the_walk_finds_imports_and_circles() -> None:
    tree = ast.parse("import a.b\ndef f():\n    from c import d, e\n")
    assert set(imported(tree)) == {"a.b", "c", "c.d", "c.e"}
    assert "pipelines.types" in own("pipelines.engines.base")


def loaded(module: str, of: set[str]) -> str:
    """Which of these a fresh process has loaded after that import."""
    code = f"import {module}, sys; print([name for name in {sorted(of)} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return result.stdout.strip()


HEAVY = {name.partition(".")[0] for name in ENGINE_LIBRARIES - {"pyannote.audio"}} | {"scipy", "pandas"}


def test_importing_the_library_loads_nothing_heavy() -> None:
    assert loaded("pipelines", HEAVY | {"rich"}) == "[]"


@pytest.mark.parametrize("module", ["service.cli", "service.stages", "service.decoding"])
def test_what_starts_often_loads_nothing_of_the_service_around_it(module: str) -> None:
    """Every command, and every process of a stage."""
    around = WEB_LIBRARIES | {"alembic", "dbos", "httpx", "psycopg", "pydantic", "sqlalchemy"}
    assert loaded(module, HEAVY | around) == "[]"


def test_the_api_does_not_load_the_work() -> None:
    """It starts, and answers, without what computes."""
    work = {f"service.{name}" for name in ("decoding", "runner", "stages", "worker", "working")}
    assert loaded("service.api.app", HEAVY | work | {"av"}) == "[]"
