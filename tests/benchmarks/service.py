"""The service under load, each figure by one command:

    python -m tests.benchmarks.service latency --jobs 4 --requests 2000
    python -m tests.benchmarks.service events --readers 200
    python -m tests.benchmarks.service upload --gigabytes 2

The server is a process of its own with a worker inside, on SQLite in a temporary folder. The jobs of the
first are real ones with the embedded engines; beside each time stands that of the same server without jobs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from threading import Event, Thread
from urllib.parse import urlsplit

import httpx

from tests.acceptance.server import DEMO, Service, recording, service, submit, wait_for

MEBIBYTE = 2**20
BLOCK_BYTES = MEBIBYTE


def latency(jobs: int, requests: int) -> None:
    """p50 and p99 of the two calls that others wait for, idle and while jobs compute."""
    with _served(concurrency=jobs, fake=False) as running, running.client() as client:
        first = submit(client, DEMO / "segment.opus")
        paths = ["/health/live", f"/v1/jobs/{first['id']}"]
        client.post(f"/v1/jobs/{first['id']}/cancel")
        idle = {path: _measure(running.url, path, requests) for path in paths}
        for _ in range(jobs):
            submit(client, DEMO / "segment.opus", text=(DEMO / "supplied.txt").read_text("utf-8"))
        _wait_until_all_run(client, jobs)
        busy = {path: _measure(running.url, path, requests) for path in paths}
        still = _running(client)
    print(f"processors {os.cpu_count()}, jobs running {jobs} at the start and {still} at the end")
    for path in paths:
        name = path.replace(first["id"], "{id}")
        for label, times in (("idle", idle[path]), ("busy", busy[path])):
            print(f"GET {name:<16} {label}: {_quantiles(times)}")
        ratio = _quantile(busy[path], 0.99) / _quantile(idle[path], 0.99)
        print(f"GET {name:<16} p99 busy / idle: {ratio:.1f}")


def events(readers: int) -> None:
    """How many readers of one job's events hear of its end, and what another call takes meanwhile."""
    with _served(fake=True) as running, tempfile.TemporaryDirectory() as folder:
        with running.client() as client:
            job = submit(client, recording(Path(folder)), name="slow-15.wav")["id"]
        times: list[float] = []
        prober = Thread(target=lambda: times.extend(_measure(running.url, f"/v1/jobs/{job}", 300)))
        ended, begun = asyncio.run(_read_all(running.url, job, readers, prober))
        prober.join()
        resident = _resident_bytes(running.programs[0].process.pid)
    print(f"readers {readers}, connected {begun}, heard of the end {ended}")
    print(f"the server takes {resident / MEBIBYTE:.0f} MiB")
    print(f"GET /v1/jobs/{{id}} meanwhile: {_quantiles(times)}")


def upload(gigabytes: float) -> None:
    """Growth of the server's memory while a recording of that size is sent, as a form and as tus."""
    size_bytes = round(gigabytes * 2**30)
    for name, send in (("form", _send_form), ("tus", _send_tus)):
        with _served(fake=True) as running:
            pid = running.programs[0].process.pid
            with running.client() as client:  # warmed up with a small one
                client.post("/v1/jobs", files={"audio": ("a.wav", b"nothing")})
            before = _resident_bytes(pid)
            begin = time.perf_counter()
            with _peak(pid) as peak:
                send(running.url, size_bytes)
            seconds = time.perf_counter() - begin
        growth = (max(peak) - before) / MEBIBYTE
        print(
            f"{name}: {gigabytes:g} GiB in {seconds:.1f} s; server {before / MEBIBYTE:.0f} MiB before,"
            f" at most {growth:.0f} MiB more"
        )


# --------------------------------------------------------------------------- measuring


@contextmanager
def _served(concurrency: int = 2, fake: bool = True) -> Iterator[Service]:
    with (
        tempfile.TemporaryDirectory() as folder,
        service(Path(folder) / "data", fake=fake, concurrency=concurrency) as running,
    ):
        running.serve()
        yield running


def _measure(url: str, path: str, requests: int) -> list[float]:
    """Seconds of each of so many calls over one connection, one after the other, 5 ms apart."""
    connection = HTTPConnection(urlsplit(url).netloc)
    times = []
    for _ in range(requests):
        begin = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
        times.append(time.perf_counter() - begin)
        time.sleep(0.005)
    connection.close()
    return times


def _quantile(times: Sequence[float], share: float) -> float:
    return statistics.quantiles(times, n=1000, method="inclusive")[round(share * 1000) - 1]


def _quantiles(times: Sequence[float]) -> str:
    median, high = (1000 * _quantile(times, share) for share in (0.5, 0.99))
    return f"p50 {median:.1f} ms, p99 {high:.1f} ms, most {1000 * max(times):.1f} ms ({len(times)} calls)"


def _running(client: httpx.Client) -> int:
    return len(client.get("/v1/jobs", params={"state": "running", "limit": 100}).json()["jobs"])


def _wait_until_all_run(client: httpx.Client, jobs: int) -> None:
    """Until each of them is past decoding, and the engines have their models."""
    newest = client.get("/v1/jobs", params={"limit": jobs}).json()["jobs"]
    for job in newest:
        wait_for(client, job["id"], "running")
        while client.get(f"/v1/jobs/{job['id']}").json()["stage"] not in {"transcribe", "diarize"}:
            time.sleep(0.2)


@contextmanager
def _peak(pid: int) -> Iterator[list[int]]:
    """What a process takes, sampled meanwhile."""
    samples = [_resident_bytes(pid)]
    done = Event()

    def watch() -> None:
        while not done.wait(0.05):
            samples.append(_resident_bytes(pid))

    watcher = Thread(target=watch)
    watcher.start()
    try:
        yield samples
    finally:
        done.set()
        watcher.join()


def _resident_bytes(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


# --------------------------------------------------------------------------- clients


async def _read_all(url: str, job: str, readers: int, prober: Thread) -> tuple[int, int]:
    """How many readers heard of the end, of how many that were connected before it."""
    begun, lock = 0, asyncio.Lock()
    limits = httpx.Limits(max_connections=readers + 10)

    async def read(client: httpx.AsyncClient) -> bool:
        nonlocal begun
        last = ""
        async with client.stream("GET", f"/v1/jobs/{job}/events") as answer:
            async with lock:
                begun += 1
                if begun == readers:
                    prober.start()
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    last = json.loads(line[6:])["state"]
        return last == "succeeded"

    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        ended = await asyncio.gather(*(read(client) for _ in range(readers)))
    return sum(ended), begun


def _blocks(size_bytes: int) -> Iterator[bytes]:
    block = os.urandom(BLOCK_BYTES)
    for start in range(0, size_bytes, BLOCK_BYTES):
        yield block[: min(BLOCK_BYTES, size_bytes - start)]


def _send_form(url: str, size_bytes: int) -> None:
    """Written by hand: httpx would need the file on the disk."""
    head = (
        b'--edge\r\nContent-Disposition: form-data; name="audio"; filename="a.wav"\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n"
    )
    tail = b"\r\n--edge--\r\n"
    connection = HTTPConnection(urlsplit(url).netloc)
    connection.putrequest("POST", "/v1/jobs")
    connection.putheader("Content-Type", "multipart/form-data; boundary=edge")
    connection.putheader("Content-Length", str(len(head) + size_bytes + len(tail)))
    connection.endheaders()
    for piece in (head, *_blocks(size_bytes), tail):
        connection.send(piece)
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 202, body
    connection.close()


def _send_tus(url: str, size_bytes: int) -> None:
    with httpx.Client(base_url=url, timeout=600, headers={"Tus-Resumable": "1.0.0"}) as client:
        made = client.post("/v1/uploads", headers={"Upload-Length": str(size_bytes)})
        assert made.status_code == 201, made.text
        headers = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        headers["Content-Length"] = str(size_bytes)
        sent = client.patch(made.headers["Location"], headers=headers, content=_blocks(size_bytes))
        assert sent.status_code == 204, sent.text


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.benchmarks.service", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("latency")
    command.add_argument("--jobs", type=int, default=4)
    command.add_argument("--requests", type=int, default=2000)
    command = commands.add_parser("events")
    command.add_argument("--readers", type=int, default=200)
    command = commands.add_parser("upload")
    command.add_argument("--gigabytes", type=float, default=2.0)
    asked = parser.parse_args()
    if asked.command == "latency":
        latency(asked.jobs, asked.requests)
    elif asked.command == "events":
        events(asked.readers)
    else:
        upload(asked.gigabytes)


if __name__ == "__main__":
    main()
