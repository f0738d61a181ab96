"""Connections that do not send a request, or do not read the answer: ended, and in nobody's way."""

from __future__ import annotations

import asyncio
import resource
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from service.running import door
from service.running.door import Door

LARGE = b"x" * 2**24
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """A small answer without looking at the body, or one that fills every buffer."""
    body = LARGE if scope["path"] == "/large" else b"ok"
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    for start in range(0, len(body), 2**16):
        await send({"type": "http.response.body", "body": body[start : start + 2**16], "more_body": True})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def server(monkeypatch: pytest.MonkeyPatch, most: int = 100) -> AsyncIterator[int]:
    """Its port."""
    monkeypatch.setattr(Door, "most", most)
    monkeypatch.setattr(Door, "_logged", float("-inf"))
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        application, http=Door, lifespan="off", log_config=None, timeout_graceful_shutdown=1
    )
    running = uvicorn.Server(config)
    serving = asyncio.create_task(running._serve([listener]))
    try:
        async with asyncio.timeout(60):  # or a fault would hang
            yield listener.getsockname()[1]
    finally:
        running.should_exit = True
        await serving
        assert not Door._silent


async def connect(port: int, sent: bytes) -> Connection:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**10)
    writer.write(sent)
    return reader, writer


async def answer(connection: Connection) -> bytes:
    """All that comes until the server closes."""
    reader, writer = connection
    received = b""
    with suppress(ConnectionError):
        received = await reader.read()
    writer.close()
    return received


async def ask(port: int) -> bytes:
    return await answer(await connect(port, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"))


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\nX-Half: "])
def test_who_sends_no_whole_head_is_told_and_ended(monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(door, "PATIENCE", 0.05)

    async def run() -> bytes:
        async with server(monkeypatch) as port:
            return await answer(await connect(port, sent))

    assert asyncio.run(run()).startswith(b"HTTP/1.1 408 ")


def test_a_byte_now_and_then_is_no_head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "PATIENCE", 0.1)

    async def run() -> bytes:
        async with server(monkeypatch) as port:
            connection = await connect(port, b"GET / HTTP/1.1\r\nX-Long: ")
            while not connection[0].at_eof() and not connection[0]._buffer:  # type: ignore[attr-defined]
                connection[1].write(b"x")
                await asyncio.sleep(0.01)
            return await answer(connection)

    assert asyncio.run(run()).startswith(b"HTTP/1.1 408 ")


def test_a_body_that_nobody_wants_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "PATIENCE", 0.1)

    async def run() -> bytes:
        async with server(monkeypatch) as port:
            connection = await connect(port, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n")
            assert await connection[0].readuntil(b"ok")
            with suppress(ConnectionError):
                while not connection[0].at_eof():
                    connection[1].write(b"x")
                    await connection[1].drain()
                    await asyncio.sleep(0.01)
            return await answer(connection)

    assert b"200" not in asyncio.run(run())


@pytest.mark.parametrize(
    "idle",
    [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n"],
    ids=["silent", "half", "answered", "unread"],
)
def test_the_most_silent_makes_room(monkeypatch: pytest.MonkeyPatch, idle: bytes) -> None:
    with capture_logs() as logged:
        answers = asyncio.run(crowd(monkeypatch, idle))
    assert all(answer.startswith(b"HTTP/1.1 200 ") for answer in answers)
    assert [line["event"] for line in logged] == ["too many connections, closing those idle longest"]


def test_a_crowd_that_stays_is_in_the_log_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "LOG_INTERVAL", 0.0)
    with capture_logs() as logged:
        asyncio.run(crowd(monkeypatch, b""))
    assert len(logged) > 1


async def crowd(monkeypatch: pytest.MonkeyPatch, idle: bytes) -> list[bytes]:
    """The answers that others get beside thirty connections, where there is room for four."""
    async with server(monkeypatch, most=4) as port:
        held = [await connect(port, idle) for _ in range(30)]
        answers = [await ask(port) for _ in range(5)]
        for _, writer in held:
            writer.transport.abort()
        return answers


def test_where_all_are_at_work_the_next_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("tests.service.test_door.application", wait)

    async def run() -> bytes:
        async with server(monkeypatch, most=3) as port:
            held = [await connect(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") for _ in range(3)]
            await asyncio.sleep(0.1)
            refused = await answer(await connect(port, b""))
            for _, writer in held:
                writer.transport.abort()
            return refused

    assert asyncio.run(run()).startswith(b"HTTP/1.1 503 ")


def test_several_requests_on_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also two at once, of which the second comes in halves."""

    async def run() -> bytes:
        async with server(monkeypatch) as port:
            one = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
            reader, writer = await connect(port, one + one[:9])
            assert await reader.readuntil(b"ok")
            writer.write(one[9:-2])
            await asyncio.sleep(0.02)
            writer.write(b"Connection: close\r\n\r\n")
            return await answer((reader, writer))

    assert asyncio.run(run()).startswith(b"HTTP/1.1 200 ")


def test_a_process_takes_the_descriptors_it_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"now": (64, 400)}
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits["now"])
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: limits.update(now=limit))
    monkeypatch.setattr(Door, "most", 0)
    Door.widen()
    assert (limits["now"], Door.most) == ((400, 400), 100)
    limits["now"] = (64, 10**6)
    Door.widen()
    assert Door.most == door.MOST
