"""The docs say what is so: their Python runs, their commands parse, their links lead somewhere."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from pipelines.cli.arguments import parse

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?P<target>[^)#\s]+)(?:#[^)]*)?\)")


def blocks(language: str) -> list[tuple[str, str]]:
    """(page, block) for every code block in one language."""
    return [
        (page.name, match["body"])
        for page in PAGES
        for match in BLOCK.finditer(page.read_text(encoding="utf-8"))
        if match["language"] == language
    ]


def commands() -> list[tuple[str, str]]:
    """(page, command line) for every `$ turnwise …` in a console block, lines joined at a backslash."""
    lines = [(page, body.replace("\\\n", " ").splitlines()) for page, body in blocks("console")]
    return [(page, line[2:]) for page, body in lines for line in body if line.startswith("$ turnwise")]


@pytest.mark.parametrize(("page", "body"), blocks("python"))
def test_python_runs(page: str, body: str) -> None:
    exec(compile(body, page, "exec"), {"__name__": "docs"})


@pytest.mark.parametrize(("page", "line"), commands())
def test_commands_are_taken(page: str, line: str) -> None:
    assert parse(shlex.split(line, comments=True)[1:]).command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [match["target"] for match in LINK.finditer(page.read_text(encoding="utf-8"))]
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert not missing


def test_every_make_target_in_the_docs_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = {name for page in PAGES for name in re.findall(r"`make (\w+)`", page.read_text(encoding="utf-8"))}
    assert named
    assert all(re.search(rf"^{name}:", makefile, re.MULTILINE) for name in named)
