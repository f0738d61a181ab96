"""`turnwise models`: lists, fetches, checks and locates the models."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import groupby
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.progress import Progress as Bars

from pipelines import models as registry
from pipelines.models import Model, State

LINE_INTERVAL = 10.0
"""Seconds between two lines about one download, if there is no terminal for a bar."""


def models(request: Namespace) -> int:
    """Runs one of ACTIONS on the models named."""
    ACTIONS[request.action](request.names)
    return 0


def _list(names: Sequence[str]) -> None:
    print(f"folder: {registry.folder()}")
    for kind, group in groupby(registry.select(names), key=lambda model: model.kind):
        print(f"\n{kind}")
        for model in group:
            terms = f"{model.licence}, gated" if model.gated else model.licence
            state = registry.look(model.name)
            print(f"  {model.name:<32} {state:<8} {_size(model.size_bytes):>8}  {terms:<26} {model.identity}")
        for name in () if names else [f"{kind}:{name}" for name in registry.copied(kind)]:
            if name not in registry.MODELS:
                print(f"  {name:<32} {State.COPIED}")


def _pull(names: Sequence[str]) -> None:
    with _progress() as progress:
        fetched = registry.pull(names, progress)
    for model in fetched:
        print(f"fetched {model.name}: {model.identity}, {model.licence}")
    print(f"the models are in {registry.folder()}")


def _verify(names: Sequence[str]) -> None:
    """Shows all of them before it raises the first failure."""
    for model in registry.select(names):
        state = registry.state(model.name)
        if names or state is not State.MISSING:
            print(f"{model.name}: {state}", flush=True)
    registry.verify(names)


def _path(names: Sequence[str]) -> None:
    """Prints one path per line and nothing else, for scripts."""
    found = [registry.find(model.name) for model in registry.select(names)] if names else [registry.folder()]
    print(*found, sep="\n")


ACTIONS: dict[str, Callable[[Sequence[str]], None]] = {
    "list": _list,
    "pull": _pull,
    "verify": _verify,
    "path": _path,
}


def _progress() -> AbstractContextManager[registry.Progress]:
    """Shows a bar for each model on a terminal, elsewhere a line now and then."""
    console = Console(stderr=True)
    return _bars(console) if console.is_terminal else nullcontext(_lines(console))


@contextmanager
def _bars(console: Console) -> Iterator[registry.Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Bars(*columns, TransferSpeedColumn(), TimeRemainingColumn(), console=console) as bars:
        tasks = {}

        def watch(model: Model, done_bytes: int, total_bytes: int) -> None:
            if model.name not in tasks:
                tasks[model.name] = bars.add_task(model.name, total=total_bytes)
            bars.update(tasks[model.name], completed=done_bytes, total=total_bytes)

        yield watch


def _lines(console: Console) -> registry.Progress:
    shown: dict[str, float] = {}

    def watch(model: Model, done_bytes: int, total_bytes: int) -> None:
        if model.name not in shown or monotonic() - shown[model.name] > LINE_INTERVAL:
            shown[model.name] = monotonic()
            text = f"fetching {model.name}: {_size(done_bytes)} of {_size(total_bytes)}"
            console.print(text, markup=False, highlight=False, soft_wrap=True)

    return watch


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.2f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.1f} MB"
