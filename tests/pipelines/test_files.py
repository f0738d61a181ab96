"""Result files: all or none, and never a half-written one."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import NamedTuple, NoReturn

import pytest

from pipelines.errors import OutputError
from pipelines.files import MINIMUM_FREE_BYTES, check_folder, write_files


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_are_written_as_utf_8_with_the_line_ends_they_have(tmp_path: Path) -> None:
    paths = write_files(tmp_path, {"a.txt": "één\r\n", "b.txt": ""})
    assert paths == [tmp_path / "a.txt", tmp_path / "b.txt"]
    assert paths[0].read_bytes() == "één\r\n".encode()
    assert names(tmp_path) == ["a.txt", "b.txt"]


def test_a_file_that_is_there_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old", encoding="utf-8")
    write_files(tmp_path, {"a.txt": "new"})
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "new"


def test_a_link_is_replaced_and_what_it_points_to_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("mine", encoding="utf-8")
    (tmp_path / "a.txt").symlink_to(target)
    write_files(tmp_path, {"a.txt": "new"})
    assert target.read_text(encoding="utf-8") == "mine"


def test_a_disk_that_fills_up_leaves_the_old_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = {"a.txt": "old a", "b.txt": "old b"}
    write_files(tmp_path, old)
    synced = []

    def fill_up(descriptor: int) -> None:
        synced.append(descriptor)
        if len(synced) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fill_up)
    with pytest.raises(OutputError, match="is full, and what was there is as it was"):
        write_files(tmp_path, {"a.txt": "new a", "b.txt": "new b"})
    assert {name: (tmp_path / name).read_text(encoding="utf-8") for name in names(tmp_path)} == old


def test_a_stop_in_the_middle_leaves_no_part_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(descriptor: int) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", stop)
    with pytest.raises(KeyboardInterrupt):
        write_files(tmp_path, {"a.txt": "new"})
    assert names(tmp_path) == []


def test_the_folder_is_made(tmp_path: Path) -> None:
    check_folder(tmp_path / "new" / "deep", ["a.txt"])
    assert names(tmp_path / "new" / "deep") == []


@pytest.mark.parametrize("below", ["", "/sub"])
def test_a_file_in_place_of_the_folder(tmp_path: Path, below: str) -> None:
    (tmp_path / "out").write_text("", encoding="utf-8")
    with pytest.raises(OutputError, match="choose another folder"):
        check_folder(Path(f"{tmp_path}/out{below}"), ["a.txt"])


def test_a_folder_that_takes_no_files() -> None:
    with pytest.raises(OutputError, match="choose another folder"):
        check_folder(Path("/proc"), ["a.txt"])


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(OutputError, match=r"a\.txt is a folder"):
        check_folder(tmp_path, ["a.txt"])


def test_too_little_space_is_noticed_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**9, 10**9, MINIMUM_FREE_BYTES - 1))
    with pytest.raises(OutputError, match="63 MiB of free space left"):
        check_folder(tmp_path, ["a.txt"])
