"""The command `turnwise` with the service's commands added: serve, worker, keys, jobs, health, settings.

The library's command knows nothing about the service; this one passes it the commands to add. The service's
own libraries are an optional extra; a command that needs them says so when they are missing.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pipelines.cli import Command
from pipelines.cli import main as run
from pipelines.errors import OptionError, TurnwiseError

if TYPE_CHECKING:
    from service.settings import Settings

STATES = ("queued", "running", "succeeded", "failed", "cancelled")
NEEDED = ("alembic", "dbos", "fastapi", "uvicorn")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status."""
    return run(arguments, COMMANDS)


def serve(request: Namespace) -> int:
    asked = _settings(host=request.host, port=request.port)
    from service.running import serving  # noqa: PLC0415

    serving.serve(asked, with_worker=not request.no_worker)
    return 0


def worker(request: Namespace) -> int:
    asked = _settings()
    from service.running import working  # noqa: PLC0415

    working.work(asked)
    return 0


def operate(request: Namespace) -> int:
    """Runs one action on keys or jobs."""
    asked = _settings()
    from service.running import operating  # noqa: PLC0415

    operating.act(request, asked)
    return 0


def health(request: Namespace) -> int:
    """Returns 0 or 1, whatever is wrong: Docker allows no other status."""
    try:
        asked = _settings(port=request.port)
        from service.observability import health as checks  # noqa: PLC0415

        executors = asked.data_dir / "executors"
        said = checks.check_worker(executors) if request.worker else checks.check_api(asked)
    except TurnwiseError as error:
        print(f"turnwise: {error}", file=sys.stderr)
        return 1
    print(said)
    return 0


def settings(request: Namespace) -> int:
    """Prints every setting with its value and meaning; secrets are not shown."""
    current = _settings()
    for name, field in type(current).model_fields.items():
        print(f"TURNWISE_{name.upper()}={_shown(current, name)}\n    {field.description}\n")
    return 0


def _shown(current: Settings, name: str) -> str:
    value = getattr(current, name)
    if name == "database_url" and value:
        from service.records.database import url  # noqa: PLC0415

        return url(current).render_as_string(hide_password=True)
    return "" if value is None else ",".join(value) if isinstance(value, tuple) else str(value)


def _settings(**overrides: object) -> Settings:
    """Reads the environment; options that were given come first.

    Raises OptionError, also where the service is not installed: checked before any of it is imported.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise OptionError("The service is not installed: run pip install 'turnwise[service]'.")
    from pydantic import ValidationError  # noqa: PLC0415

    from service.settings import Settings  # noqa: PLC0415

    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = f"TURNWISE_{str(first['loc'][0]).upper()}"
        reason = first["msg"].removeprefix("Value error, ")
        raise OptionError(f"{name} cannot be used ({reason}): see turnwise settings.") from None


def _add_serve(parser: ArgumentParser) -> None:
    parser.add_argument("--host", help="address to listen on (default: TURNWISE_HOST, or 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (default: TURNWISE_PORT, or 8000)")
    parser.add_argument("--no-worker", action="store_true", help="only the API; jobs run in turnwise worker")


def _add_keys(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    create = actions.add_parser("create", help="make a key and show it, once")
    create.add_argument("name", metavar="NAME", help="who will use it, as shown in the list")
    actions.add_parser("list", help="list all keys, without their secrets")
    revoke = actions.add_parser("revoke", help="revoke a key")
    revoke.add_argument("name", metavar="ID", help="id of the key, as turnwise keys list shows it")


def _add_jobs(parser: ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    shown = actions.add_parser("list", help="list jobs, oldest first: id, state, time, owner")
    delete = actions.add_parser("delete", help="delete jobs with all their files")
    delete.add_argument("ids", metavar="ID", nargs="*", help="id of a job, as turnwise jobs list shows it")
    adopt = actions.add_parser("adopt", help="give a key the jobs that no key reaches")
    adopt.add_argument("key", metavar="KEY", help="id of the key, as turnwise keys list shows it")
    for action in (shown, delete, adopt):
        action.add_argument("--owner", default="", metavar="KEY", help="only jobs of this key, or of nobody")
    for action in (shown, delete):
        action.add_argument("--orphans", action="store_true", help="only jobs that no key reaches")
        action.add_argument("--state", default="", choices=STATES, help="only jobs in this state")


def _add_health(parser: ArgumentParser) -> None:
    parser.add_argument("--port", type=int, help="port of the API (default: TURNWISE_PORT, or 8000)")
    parser.add_argument("--worker", action="store_true", help="check the worker on this data folder instead")


COMMANDS = {
    "serve": Command("serve the REST API, with a worker inside", _add_serve, serve),
    "worker": Command("run the jobs of an API that is served elsewhere", lambda parser: None, worker),
    "keys": Command("make, list and revoke keys of the API", _add_keys, operate),
    "jobs": Command("list and delete jobs, and give them to a key", _add_jobs, operate),
    "health": Command("check that the API, or the worker, is alive", _add_health, health),
    "settings": Command("list the settings of the service", lambda parser: None, settings),
}
