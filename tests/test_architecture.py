"""The direction of the imports: read from the sources, and seen in a fresh process."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
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


def own(module: str) -> set[str]:
    """The modules of this project that `module` imports, at its top or inside a function.

    `from package import module` needs the module, not what else the package's __init__ offers.
    """
    names = {name for name in imported(SOURCES[module]) if name in SOURCES and name != module}
    return {name for name in names if not any(other.startswith(f"{name}.") for other in names)}


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


def test_the_walk_finds_imports_and_circles() -> None:
    tree = ast.parse("import a.b\ndef f():\n    from c import d, e\n")
    assert set(imported(tree)) == {"a.b", "c", "c.d", "c.e"}
    assert "pipelines.types" in own("pipelines.engines.base")


def test_importing_the_library_loads_nothing_heavy() -> None:
    heavy = sorted(
        {name.partition(".")[0] for name in ENGINE_LIBRARIES - {"pyannote.audio"}}
        | {"scipy", "pandas", "rich"}
    )
    code = f"import pipelines, sys; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert result.stdout.strip() == "[]"
