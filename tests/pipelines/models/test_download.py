"""Downloads from a real server on this machine that breaks off, lies and refuses."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.errors import ModelFetchError
from pipelines.models import download as module
from pipelines.models.download import Download, download
from tests.support.hub_server import Fault, HubServer, serve

CONTENT = bytes(range(256)) * 4096  # 1 MiB: several blocks
WHERE = "/weights/tiny.pt"


@pytest.fixture(scope="module")
def running() -> Iterator[HubServer]:
    with serve() as server:
        yield server


@pytest.fixture
def server(running: HubServer, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """Its file is CONTENT, and nothing goes wrong yet."""
    monkeypatch.setattr(module, "PAUSE", 0.0)
    monkeypatch.setenv("no_proxy", "*")
    running.files = {WHERE: CONTENT}
    running.faults.clear()
    running.asked.clear()
    return running


def fetch(server: HubServer, path: Path, token: str = "") -> list[int]:
    """Downloads; returns what `progress` was told."""
    told: list[int] = []
    wanted = Download(f"{server.address}{WHERE}", lambda file: file.read_bytes() == CONTENT, token)
    download(wanted, path, told.append)
    return told


def part(path: Path, data: bytes) -> Path:
    result = path.with_name(f"{path.name}.part")
    result.write_bytes(data)
    return result


def test_a_file_comes_whole(server: HubServer, tmp_path: Path) -> None:
    told = fetch(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert told == sorted(told)
    assert told[-1] == len(CONTENT)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_beginning_is_gone_on_from(server: HubServer, tmp_path: Path) -> None:
    part(tmp_path / "file", CONTENT[:300_000])
    fetch(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.ranges(WHERE) == ["bytes=300000-"]


def test_a_complete_part_needs_no_bytes(server: HubServer, tmp_path: Path) -> None:
    part(tmp_path / "file", CONTENT)
    assert fetch(server, tmp_path / "file") == []
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_broken_connections_are_made_again(server: HubServer, tmp_path: Path) -> None:
    server.fail(WHERE, Fault(cut_bytes=1000), Fault(cut_bytes=0), Fault(status=503), Fault(cut_bytes=500_000))
    fetch(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.ranges(WHERE) == ["", "bytes=1000-", "bytes=1000-", "bytes=1000-", "bytes=501000-"]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.lists(st.integers(1, 400_000), max_size=5),
    begun=st.integers(0, len(CONTENT) + 10),
    ours=st.booleans(),
)
def test_however_it_breaks_the_file_is_right(
    server: HubServer, tmp_path: Path, cuts: list[int], begun: int, ours: bool
) -> None:
    """Any beginning, of this file or another's, and any cuts."""
    server.faults.clear()
    server.fail(WHERE, *(Fault(cut_bytes=each) for each in cuts))
    part(tmp_path / "file", (CONTENT if ours else b"\xff" * len(CONTENT))[:begun])
    fetch(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_server_that_knows_no_ranges_starts_anew(server: HubServer, tmp_path: Path) -> None:
    part(tmp_path / "file", CONTENT[:5000])
    server.fail(WHERE, Fault(whole=True))
    fetch(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_another_files_beginning_is_thrown_away(server: HubServer, tmp_path: Path) -> None:
    part(tmp_path / "file", b"another file")
    fetch(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT
    assert server.ranges(WHERE) == ["bytes=12-", ""]


def test_a_part_longer_than_the_file_is_thrown_away(server: HubServer, tmp_path: Path) -> None:
    part(tmp_path / "file", CONTENT + b"x")
    fetch(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_another_file_is_refused_and_leaves_nothing(server: HubServer, tmp_path: Path) -> None:
    server.fail(WHERE, Fault(flip=True))
    with pytest.raises(ModelFetchError, match="is wrong"):
        fetch(server, tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_what_came_is_kept_when_the_server_goes(server: HubServer, tmp_path: Path) -> None:
    server.fail(WHERE, Fault(cut_bytes=700_000), *[Fault(cut_bytes=0)] * module.ATTEMPTS)
    with pytest.raises(ModelFetchError, match=r"broke off.*0\.7 MB are kept: run the same command again"):
        fetch(server, tmp_path / "file")
    assert (tmp_path / "file.part").read_bytes() == CONTENT[:700_000]
    fetch(server, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_told_and_not_repeated(server: HubServer, tmp_path: Path, status: int) -> None:
    server.fail(WHERE, Fault(status=status))
    with pytest.raises(ModelFetchError, match=rf"localhost:\d+ refuses http.* with status {status}"):
        fetch(server, tmp_path / "file")
    assert len(server.asked) == 1


def test_nobody_answers(server: HubServer, tmp_path: Path) -> None:
    wanted = Download("http://localhost:9/file", lambda _: True)
    with pytest.raises(ModelFetchError, match=r"localhost:9 cannot be reached \(.+\): check the network"):
        download(wanted, tmp_path / "file", lambda _: None)


def test_a_server_that_falls_silent(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TIMEOUT", 0.2)
    hold = threading.Event()
    server.fail(WHERE, Fault(cut_bytes=400_000, hold=hold))
    fetch(server, tmp_path / "file")
    hold.set()
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_the_token_goes_to_the_host_it_is_for_and_no_further(server: HubServer, tmp_path: Path) -> None:
    elsewhere = {"Location": f"{server.other_address}/blobs/x"}
    server.files["/blobs/x"] = CONTENT
    server.fail(WHERE, Fault(status=302, headers={"Location": f"{server.address}/here"}))
    server.files["/here"] = b"-"
    server.fail("/here", Fault(status=302, headers=elsewhere))
    fetch(server, tmp_path / "file", token="secret")
    assert [(each.host, each.token) for each in server.asked] == [
        ("localhost", "secret"),
        ("localhost", "secret"),
        ("127.0.0.1", ""),
    ]


def test_a_full_disk_is_an_error_of_the_disk(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        fetch(server, tmp_path / "file")
    assert len(server.asked) == 1
