"""The output of a run: progress while it works, then the speakers, the findings and the files.

Bars and tables on a terminal; plain lines elsewhere and with --quiet. Names and quotes come from files that
anybody may have written: `printable` removes the control characters from everything shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from time import monotonic

from rich.box import SIMPLE
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from pipelines.formats import minutes
from pipelines.pipeline import Stage, Watch
from pipelines.scoring import Scores
from pipelines.types import Finding, FindingKind, Notice, Speaker, Transcript

QUOTE_CHARACTERS = 60
EXAMPLES = 2


def printable(text: str) -> str:
    """Returns `text` on one line, without anything that a terminal would obey."""
    return "".join(char if char.isprintable() else " " for char in text)


def progress(quiet: bool) -> AbstractContextManager[Watch]:
    """Shows a bar for every stage; plain lines without a terminal; nothing if `quiet`."""
    console = Console(stderr=True)
    if quiet:
        return nullcontext(lambda stage, fraction: None)
    return _bars(console) if console.is_terminal else nullcontext(_lines(console))


@contextmanager
def _bars(console: Console) -> Iterator[Watch]:
    columns = (TextColumn("{task.description:<10}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        tasks = {stage: bars.add_task(stage, total=1.0, start=False) for stage in Stage}

        def watch(stage: Stage, fraction: float) -> None:
            bars.start_task(tasks[stage])
            bars.update(tasks[stage], completed=fraction)

        yield watch


def _lines(console: Console) -> Watch:
    """Prints one line when a stage is done."""
    begin = monotonic()
    done: set[Stage] = set()

    def watch(stage: Stage, fraction: float) -> None:
        if fraction >= 1.0 and stage not in done:
            done.add(stage)
            _print(console, f"{stage}: done after {monotonic() - begin:.1f} s")

    return watch


def show_notices(notices: Sequence[Notice]) -> None:
    console = Console(stderr=True)
    for notice in notices:
        _print(console, f"turnwise: {notice.message}")


def show_transcript(transcript: Transcript, quiet: bool) -> None:
    """Shows the speakers, then the findings."""
    speakers = [_speaker_row(speaker) for speaker in transcript.speakers]
    _show_table("speakers", ("id", "role", "name", "talk time", "turns"), speakers, quiet)
    findings = [_finding_row(kind, transcript.findings) for kind in FindingKind]
    _show_table(
        "findings", ("kind", "count", "for example"), [row for row in findings if row[1] != "0"], quiet
    )


def show_files(paths: Sequence[Path]) -> None:
    for path in paths:
        _print(Console(), f"wrote {path}")


def show_scores(scores: Scores) -> None:
    """Prints the table of measures."""
    rows = [(row.label, f"{row.value:.1f} %" if row.unit else f"{row.value:.0f}") for row in scores.table]
    width = max((len(label) for label, _ in rows), default=0)
    for label, value in rows:
        print(f"{label:<{width}}  {value:>8}")


def _speaker_row(speaker: Speaker) -> tuple[str, ...]:
    name = f"{speaker.name} ({speaker.affiliation})" if speaker.affiliation else speaker.name
    return speaker.id, speaker.role, name, minutes(speaker.talk_time), str(speaker.turn_count)


def _finding_row(kind: FindingKind, findings: Sequence[Finding]) -> tuple[str, ...]:
    found = [finding for finding in findings if finding.kind is kind]
    return kind, str(len(found)), "; ".join(_example(finding) for finding in found[:EXAMPLES])


def _example(finding: Finding) -> str:
    """`1:23 “arouse” heard as “rouse”`."""
    words = [_quote(text) for text in (finding.text, finding.suggestion) if text]
    return f"{minutes(finding.start)} {' heard as '.join(words)}"


def _quote(text: str) -> str:
    return f"“{text if len(text) <= QUOTE_CHARACTERS else text[:QUOTE_CHARACTERS].rstrip() + '…'}”"


def _show_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], quiet: bool) -> None:
    console = Console()
    if quiet or not console.is_terminal:
        for row in rows:
            cells = (f"{label} {cell}" for label, cell in zip(header, row, strict=True) if cell)
            _print(console, f"{title.removesuffix('s')}: {', '.join(cells)}")
        return
    table = Table(*header, title=title, box=SIMPLE, title_justify="left")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console.print(table)


def _print(console: Console, line: str) -> None:
    """Prints one line as it is: no markup, no colours, no wrapping."""
    print(printable(line), file=console.file)
