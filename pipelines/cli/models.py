"""`turnwise models`: which weights there are, fetch them, check them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence

from pipelines import models as registry
from pipelines.models import State


def models(request: Namespace) -> int:
    """Runs one of ACTIONS on the models named, or on all."""
    ACTIONS[request.action](request.names)
    return 0


def _list(names: Sequence[str]) -> None:
    print(f"folder: {registry.folder()}")
    for model in registry.select(names):
        size = f"{model.size_bytes / 1e6:.1f} MB"
        state = registry.state(model.name)
        print(f"{model.bundle}: {model.name}, {state}, {size}, {model.licence}, {model.identity}")


def _pull(names: Sequence[str]) -> None:
    wanted = [model for model in registry.select(names) if registry.state(model.name) is not State.PRESENT]
    for model in wanted:
        print(f"fetching {model.name}: {model.identity}", flush=True)
    registry.pull(names)
    print(f"{len(registry.select(names))} models are in {registry.folder()}")


def _verify(names: Sequence[str]) -> None:
    """All of them are shown before the first that fails is raised."""
    for model in registry.select(names):
        print(f"{model.name}: {registry.state(model.name)}", flush=True)
    registry.verify(names)


ACTIONS: dict[str, Callable[[Sequence[str]], None]] = {"list": _list, "pull": _pull, "verify": _verify}
