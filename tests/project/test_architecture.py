"""The direction of the imports: read from the sources, and seen in a fresh process."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
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
WEB = {"service.api", "service.running.door", "service.running.serving"}
GROUND = {"pipelines.types", "pipelines.errors", "pipelines.protocols"}
"""What every room may import."""
ROOMS: dict[str, set[str]] = {
    "pipelines": {"audio", "engines", "formats", "pipeline", "supplied"},
    "pipelines.types": set(),
    "pipelines.errors": set(),
    "pipelines.protocols": set(),
    "pipelines.files": set(),
    "pipelines.processes": set(),
    "pipelines.overlap": set(),
    "pipelines.audio": set(),
    "pipelines.text": set(),
    "pipelines.supplied": {"files", "text"},
    "pipelines.alignment": {"text"},
    "pipelines.attribution": {"text", "overlap"},
    "pipelines.roles": {"text"},
    "pipelines.reconciliation": {"text"},
    "pipelines.formats": {"files", "text"},
    "pipelines.scoring": {"files", "formats"},
    "pipelines.models": {"files"},
    "pipelines.engines": {"models", "overlap", "engines.embedded", "engines.whisper", "engines.pyannote"},
    "pipelines.engines.embedded": {"engines", "models", "processes", "overlap"},
    "pipelines.engines.whisper": {"engines", "text"},
    "pipelines.engines.pyannote": {"engines", "overlap"},
    "pipelines.pipeline": {"alignment", "attribution", "roles", "reconciliation", "engines", "supplied"},
    "pipelines.cli": {
        *("audio", "engines", "files", "formats", "models", "pipeline", "scoring", "supplied"),
        "text",
    },
}
"""The rooms of the library, and which others each may enter besides the ground."""
PARTS_OF_ENGINES = {"pipelines.engines.embedded", "pipelines.engines.whisper", "pipelines.engines.pyannote"}
"""Rooms within a room: they use the tools that lie in it, not only its doors."""
SERVICE_ROOMS: dict[str, set[str]] = {
    "service": set(),
    "service.settings": set(),
    "service.problems": set(),
    "service.fields": set(),
    "service.files": set(),
    "service.observability": {"settings"},
    "service.records": {"settings"},
    "service.keys": {"records"},
    "service.parts": {"files", "observability", "records", "settings"},
    "service.work": {"files", "observability", "parts", "problems", "records", "settings"},
    "service.openai": {"fields", "problems"},
    "service.api": {
        *("fields", "files", "keys", "observability", "openai", "parts"),
        *("problems", "records", "settings", "work"),
    },
    "service.running": {"api", "keys", "observability", "parts", "records", "settings", "work"},
    "service.cli": {"observability", "records", "running", "settings"},
}
"""The rooms of the service, and which others of them each may enter; every one may use the library."""


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


def room(module: str) -> str:
    """The room that a module lies in: the longest name in the tables that it begins with."""
    return max((name for name in (*ROOMS, *SERVICE_ROOMS) if within(module, {name})), key=len)


def entered(module: str) -> set[str]:
    """The other rooms of its own package that a module imports from."""
    package = module.partition(".")[0]
    rooms = {room(name) for name in own(module) if name.partition(".")[0] == package}
    return rooms - {room(module), "pipelines"}


@pytest.mark.parametrize("module", sorted(name for name in SOURCES if within(name, {"pipelines"})))
def test_rooms_of_the_library_are_entered_by_those_who_may(module: str) -> None:
    assert entered(module) <= GROUND | {f"pipelines.{name}" for name in ROOMS[room(module)]}


@pytest.mark.parametrize("module", sorted(name for name in SOURCES if within(name, {"service"})))
def test_rooms_of_the_service_are_entered_by_those_who_may(module: str) -> None:
    assert entered(module) <= {f"service.{name}" for name in SERVICE_ROOMS[room(module)]}


@pytest.mark.parametrize("name", sorted({*ROOMS, *SERVICE_ROOMS}))
def test_no_room_may_enter_where_it_does_not(name: str) -> None:
    package = name.partition(".")[0]
    allowed = ROOMS[name] if name in ROOMS else SERVICE_ROOMS[name]
    modules = [module for module in SOURCES if room(module) == name]
    assert {f"{package}.{other}" for other in allowed} <= set().union(*map(entered, modules))


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_rooms_of_the_library_are_entered_by_their_doors(module: str) -> None:
    """From outside, only what a room's __init__ names in `__all__` is imported, and from there."""
    for source, name in named(SOURCES[module]):
        if source not in SOURCES or not within(source, {"pipelines"}) or room(source) == room(module):
            continue
        if room(module) in PARTS_OF_ENGINES and room(source) == "pipelines.engines":
            continue
        assert source == room(source), f"{module} goes past the door of {room(source)}"
        assert f"{source}.{name}" in ROOMS or name in doors(source), f"{name} is not a door of {source}"


def named(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Every name that a source imports, with the module it comes from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)


@cache
def doors(name: str) -> frozenset[str]:
    """What a room offers: its `__all__`; of a room that is one module, every name without an underscore."""
    tree = SOURCES[name]
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return frozenset(ast.literal_eval(node.value))
    nodes = ast.walk(tree)
    return frozenset(
        each.name if isinstance(each, ast.FunctionDef | ast.ClassDef) else each.id
        for each in nodes
        if isinstance(each, ast.FunctionDef | ast.ClassDef)
        or (isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store))
    )


def test_the_table_of_rooms_is_whole() -> None:
    """Every room is there, each folder has a door, and few modules belong to nobody."""
    modules = {name for name in SOURCES if within(name, {"pipelines"}) and name.count(".") == 1}
    assert modules <= set(ROOMS)
    assert set(ROOMS) | set(SERVICE_ROOMS) <= set(SOURCES)
    assert len(list((ROOT / "pipelines").glob("*.py"))) <= 8
    for name in ROOMS:
        folder = ROOT.joinpath(*name.split("."))
        if folder.is_dir() and name != "pipelines":
            table = ast.get_docstring(SOURCES[name]) or ""
            inner = {path.stem for path in folder.glob("*.py")} - {"__init__"}
            assert inner <= set(table.split()), f"{name} does not list {inner - set(table.split())}"


def test_no_two_modules_have_one_name() -> None:
    names = [name.rpartition(".")[2] for name in SOURCES if not is_package(name)]
    assert not {name for name in names if names.count(name) > 1}


def is_package(name: str) -> bool:
    return ROOT.joinpath(*name.split(".")).is_dir()


SERVICE = sorted(name for name in SOURCES if within(name, {"service"}))


@pytest.mark.parametrize("module", [name for name in SERVICE if name != "service.records.workflows"])
def test_one_file_knows_of_the_engine_of_the_workflows(module: str) -> None:
    assert not {name for name in imported(SOURCES[module]) if within(name, {"dbos"})}


@pytest.mark.parametrize("module", [name for name in SERVICE if not within(name, WEB)])
def test_the_work_knows_nothing_of_the_web(module: str) -> None:
    web = WEB_LIBRARIES | {"python_multipart", "service.api"}
    assert not {name for name in imported(SOURCES[module]) if within(name, web)}


def test_the_service_is_walked_too() -> None:
    assert {
        "service.records.workflows",
        "service.running.serving",
        "service.api.app",
        "service.work.stage_process",
    } <= set(SERVICE)
    assert within("dbos._error", set(imported(SOURCES["service.records.workflows"])))
    assert within("fastapi", set(imported(SOURCES["service.api.app"])))


def test_the_walk_finds_imports_and_circles() -> None:
    tree = ast.parse("import a.b\ndef f():\n    from c import d, e\n")
    assert set(imported(tree)) == {"a.b", "c", "c.d", "c.e"}
    assert "pipelines.types" in own("pipelines.protocols")


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


@pytest.mark.parametrize(
    "module", ["service.cli", "service.work.stage_process", "service.work.decode_process"]
)
def test_what_starts_often_loads_nothing_of_the_service_around_it(module: str) -> None:
    """Every command, and every process of a stage."""
    around = WEB_LIBRARIES | {"alembic", "dbos", "httpx", "psycopg", "pydantic", "sqlalchemy"}
    assert loaded(module, HEAVY | around) == "[]"


def test_the_api_does_not_load_the_work() -> None:
    """It starts, and answers, without what computes."""
    work = {name for name in SOURCES if within(name, {"service.work", "service.running"})}
    work -= {"service.work", *(f"service.work.{name}" for name in ("deletion", "webhooks"))}
    assert loaded("service.api.app", HEAVY | work | {"av"}) == "[]"
