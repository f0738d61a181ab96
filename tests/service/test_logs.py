"""The log is one JSON object a line, whatever is logged and whoever logs it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.observability import logs

OTHERS = ("turnwise", "dbos", "uvicorn", "uvicorn.error", "alembic", "somebody")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Leaves logging as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in OTHERS}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    written = capsys.readouterr()
    assert written.out == ""
    return [json.loads(line) for line in written.err.splitlines()]


def test_a_line_says_what_when_and_who(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info")
    structlog.contextvars.bind_contextvars(request_id="r1")
    structlog.get_logger("turnwise.test").info("job ends", job="j1", seconds=0.5)
    structlog.contextvars.unbind_contextvars("request_id")
    structlog.get_logger("turnwise.test").info("afterwards")
    first, second = _lines(capsys)
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "event": "job ends",
        "job": "j1",
        "seconds": 0.5,
        "request_id": "r1",
        "level": "info",
        "logger": "turnwise.test",
    }
    assert "request_id" not in second


LEVELS = ("debug", "info", "warning", "error")


@pytest.mark.parametrize("level", LEVELS)
def test_the_level_is_that_of_the_setting(level: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(level)
    logger = structlog.get_logger("turnwise.test")
    for name in LEVELS:
        getattr(logger, name)(name)
    assert tuple(line["event"] for line in _lines(capsys)) == LEVELS[LEVELS.index(level) :]


@pytest.mark.parametrize("name", ["uvicorn.error", "dbos", "alembic", "somebody"])
def test_libraries_speak_the_same_way_from_warnings_on(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logging.getLogger(name).setLevel(logging.NOTSET)
    monkeypatch.setattr(
        logging.getLogger(name), "filters", []
    )  # service/records/workflows.py has one of its own
    logs.set_up("debug")
    logging.getLogger(name).info("an advertisement")
    logging.getLogger(name).warning("two\nlines of %s", "it")
    [line] = _lines(capsys)
    assert (line["event"], line["level"], line["logger"]) == ("two\nlines of it", "warning", name)


def test_an_exception_is_one_line_with_its_trace(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info")
    try:
        raise KeyError("nothing")
    except KeyError:
        structlog.get_logger("turnwise.test").exception("fault")
        logging.getLogger("somebody").exception("fault")
    ours, theirs = _lines(capsys)
    for line in (ours, theirs):
        assert line["level"] == "error"
        assert "Traceback" in line["exception"]
        assert "KeyError: 'nothing'" in line["exception"]


def test_what_is_no_json_is_shown_somehow(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info")
    structlog.get_logger("turnwise.test").info("odd", value=object(), bytes=b"\xff", path={1, 2})
    [line] = _lines(capsys)
    assert "object object" in line["value"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.text())
def test_no_text_breaks_a_line(capsys: pytest.CaptureFixture[str], text: str) -> None:
    logs.set_up("info")
    structlog.get_logger("turnwise.test").info(text, value=text)
    [line] = _lines(capsys)
    assert (line["event"], line["value"]) == (text, text)


def test_setting_up_again_writes_no_line_twice(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up("info")
    logs.set_up("info")
    structlog.get_logger("turnwise.test").info("once")
    assert len(_lines(capsys)) == 1
