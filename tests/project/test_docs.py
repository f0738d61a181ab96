"""The docs say what is so: their Python and their commands run, their links lead somewhere.

The commands run in a folder where every file that the docs name is a part of the demo, and with engines
that play back a script, so that this takes no time.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from importlib import import_module
from itertools import takewhile
from pathlib import Path

import pytest

from pipelines import cli
from pipelines.cli import run as run_module
from pipelines.cli.arguments import parse
from pipelines.engines import choice
from pipelines.engines.fake import FakeAligner, FakeDetector, FakeDiarizer, FakeTranscriber, Line
from pipelines.protocols import Engines
from service.cli import COMMANDS
from service.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "tests" / "data" / "demo"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?P<target>[^)#\s]+)(?:#[^)]*)?\)")

FILES = {
    "interview.mp3": "segment.opus",
    "interview.txt": "supplied.txt",
    "debate.mkv": "segment.opus",
    "talk.ogg": "segment.opus",
    "talk.srt": "supplied.txt",
    "call.wav": "segment.opus",
    "call.txt": "supplied.txt",
    "names.txt": "glossary.txt",
    "truth.rttm": "segment.rttm",
    "turns.json": "turns.json",
    "supplied_truth.json": "supplied_truth.json",
}
SCRIPT = (
    Line("anna", 0.5, 20.0, "Ministers from Carrow and Estmark are meeting today"),
    Line("ben", 21.0, 60.0, "The barges have been waiting for eleven weeks"),
)


def blocks(language: str) -> list[tuple[str, str]]:
    """(page, block) for every code block in one language."""
    return [
        (page.name, match["body"])
        for page in PAGES
        for match in BLOCK.finditer(page.read_text(encoding="utf-8"))
        if match["language"] == language
    ]


def commands() -> list[list[str]]:
    """The arguments of every `$ turnwise …` in a console block, lines joined at a backslash."""
    lines = (line for _, body in blocks("console") for line in body.replace("\\\n", " ").splitlines())
    return [shlex.split(line, comments=True)[2:] for line in lines if line.startswith("$ turnwise")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the docs are followed."""
    for name, target in FILES.items():
        (tmp_path / name).symlink_to(DEMO / target)
    engines = Engines(FakeDetector(SCRIPT), FakeTranscriber(SCRIPT), FakeDiarizer(SCRIPT), FakeAligner())
    for module in (choice, run_module):
        monkeypatch.setattr(module, "choose", lambda *named: (engines, []))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "heard.json").write_text('{"words": []}', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(("page", "body"), blocks("python"))
def test_python_runs(page: str, body: str) -> None:
    exec(compile(body, page, "exec"), {"__name__": "docs"})


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("arguments", [each for each in commands() if each[0] == "run"], ids=" ".join)
def test_run_commands_run(arguments: list[str]) -> None:
    assert cli.main(arguments) == 0


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("arguments", [each for each in commands() if each[0] == "score"], ids=" ".join)
def test_score_commands_run(arguments: list[str]) -> None:
    pytest.importorskip("meeteval")
    pytest.importorskip("pyannote.metrics")
    assert cli.main(["run", "interview.mp3", "--text", "interview.txt", "-o", "out"]) == 0
    assert cli.main(arguments) == 0


@pytest.mark.parametrize("arguments", commands(), ids=" ".join)
def test_commands_are_taken(arguments: list[str]) -> None:
    assert parse(arguments, COMMANDS).command == arguments[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [match["target"] for match in LINK.finditer(page.read_text(encoding="utf-8"))]
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert not missing


PROGRAM = re.compile(r"python -m (?P<module>tests[.\w]+)(?P<words>(?: [^\s`|]+)*)")
PROGRAMS = sorted({match[0] for page in PAGES for match in PROGRAM.finditer(page.read_text("utf-8"))})


@pytest.mark.acceptance
@pytest.mark.parametrize("program", PROGRAMS)
def test_what_prints_the_figures_is_there_and_has_these_options(program: str) -> None:
    _, _, module, *words = program.split()
    options = {word for word in words if word.startswith("--")}
    command = [*takewhile(lambda word: word not in options, words), "--help"]
    done = subprocess.run(
        [sys.executable, "-m", module, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert options <= set(re.findall(r"--[\w-]+", done.stdout))


def test_every_make_target_in_the_docs_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = {name for page in PAGES for name in re.findall(r"`make (\w+)`", page.read_text(encoding="utf-8"))}
    assert named
    assert all(re.search(rf"^{name}:", makefile, re.MULTILINE) for name in named)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_in_the_docs_as_it_is(name: str) -> None:
    """The row to be written is in the message."""
    field = Settings.model_fields[name]
    default = "" if field.default in ((), None, "") else f"`{field.default}`"
    meaning = " ".join((field.description or "").split())
    row = f"| `TURNWISE_{name.upper()}` | {default} | {meaning} |"
    assert row in (ROOT / "docs" / "service.md").read_text(encoding="utf-8").splitlines()


WALKS = [
    re.findall(r"^\d+\. `([\w.]+)`", walk, re.MULTILINE)
    for walk in re.split(
        r"^One \w+, from ", (ROOT / "docs" / "architecture.md").read_text("utf-8"), flags=re.M
    )[1:]
]


def test_the_walks_are_short() -> None:
    assert [bool(walk) and len(walk) <= 15 for walk in WALKS] == [True, True]


@pytest.mark.parametrize("name", [name for walk in WALKS for name in walk])
def test_every_stop_of_the_walks_is_there(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    assert callable(getattr(import_module(module), attribute))
