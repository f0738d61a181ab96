"""Files: read whole or refused; written all or none, and never half of one."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import OutputError, TextError
from pipelines.files import (
    MINIMUM_FREE_BYTES,
    check_folder,
    read_bytes,
    read_text,
    whole,
    write_files,
    write_new,
    write_whole,
)


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
    with pytest.raises(OutputError, match="is full, and nothing there was changed"):
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


# --------------------------------------------------------------------------- one file


@pytest.mark.parametrize("moment", ["write", "flush", "replace"])
def test_a_write_that_breaks_off_changes_nothing(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "request.json"
    write_whole(path, "before")

    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(
            *{"write": (Path, "write_bytes"), "flush": (os, "fsync"), "replace": (Path, "replace")}[moment],
            fail,
        )
        with pytest.raises(OSError, match="No space"):
            write_whole(path, "after")
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"request.json": "before"}
    write_whole(path, "after")
    assert path.read_text() == "after"


CRASH = """
import os, sys
from pathlib import Path
from pipelines.files import write_whole

os.fsync = lambda descriptor: os._exit(7)
write_whole(Path(sys.argv[1]), "after")
"""


@pytest.mark.acceptance
def test_a_crash_between_writing_and_renaming_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "failure.json"
    write_whole(path, "before")
    crashed = subprocess.run([sys.executable, "-c", CRASH, str(path)], check=False)
    assert crashed.returncode == 7
    assert path.read_text() == "before"
    write_whole(path, "after")
    assert path.read_text() == "after"


def test_what_is_written_is_flushed_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = []
    fsync, replace = os.fsync, Path.replace

    def note_fsync(descriptor: int) -> None:
        events.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def note_replace(path: Path, target: Path) -> Path:
        events.append(f"{path.name} > {target.name}")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)
    write_whole(tmp_path / "request.json", "text")
    assert events == [events[0], f"{events[0]} > request.json", tmp_path.name]


def test_a_folder_that_cannot_be_flushed_is_written_to_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on some network drives; the file itself is flushed, or it is an error."""
    fsync = os.fsync

    def refuse(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().is_dir():
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    write_whole(tmp_path / "a.txt", "text")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "text"


def test_no_folder_is_made_for_a_file(tmp_path: Path) -> None:
    """A job's note that comes after its deletion must not bring its folder back."""
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "gone" / "note", "text")
    assert names(tmp_path) == []


def test_a_file_is_seen_when_it_is_whole(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("before", encoding="utf-8")
    with whole(place) as part:
        part.write_text("after", encoding="utf-8")
        assert place.read_text(encoding="utf-8") == "before"
    assert place.read_text(encoding="utf-8") == "after"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("written", [False, True])
def test_where_a_block_fails_what_was_there_stays(tmp_path: Path, written: bool) -> None:
    place = tmp_path / "file"
    place.write_text("before", encoding="utf-8")

    def fail() -> None:
        with whole(place) as part:
            if written:
                part.write_text("half", encoding="utf-8")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert place.read_text(encoding="utf-8") == "before"
    assert names(tmp_path) == ["file"]


def test_a_new_file_takes_the_next_free_name(tmp_path: Path) -> None:
    (tmp_path / "heard-2.json").mkdir()
    for content in ("first", "second", "third"):
        write_new(tmp_path / "heard.json", content)
    assert names(tmp_path) == ["heard-2.json", "heard-3.json", "heard-4.json", "heard.json"]
    assert (tmp_path / "heard-4.json").read_text(encoding="utf-8") == "third"


def test_a_new_file_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(descriptor: int) -> NoReturn:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match="File too large"):
        write_new(tmp_path / "heard.json", "text")
    assert names(tmp_path) == []


# --------------------------------------------------------------------------- reading


@given(st.integers(1, 9), st.binary(max_size=10))
def test_what_is_read_is_all_of_it_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, limit: int, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("read") / "names.txt"
    path.write_bytes(data)
    if len(data) > limit:
        with pytest.raises(TextError, match=r"^names\.txt is larger than .* MiB, the limit for a glossary: "):
            read_text(path, "glossary", limit)
    else:
        assert read_bytes(path, "glossary", limit) == data


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"", ""), ("één\r\n".encode(), "één\r\n"), (b"\xef\xbb\xbfa", "a"), ("é".encode()[:1], None)],
)
def test_text_is_utf_8(tmp_path: Path, data: bytes, text: str | None) -> None:
    path = tmp_path / "names.txt"
    path.write_bytes(data)
    if text is None:
        with pytest.raises(TextError, match=r"^The glossary .*names\.txt is not UTF-8 text: check .*\.$"):
            read_text(path, "glossary")
    else:
        assert read_text(path, "glossary") == text


@pytest.mark.parametrize(("name", "reason"), [("none", "no such file or directory"), (".", "is a directory")])
def test_what_cannot_be_read_is_a_sentence(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(
        TextError, match=rf"^The text {tmp_path}.* cannot be read \({reason}\): check its name"
    ):
        read_bytes(tmp_path / name, "text")
