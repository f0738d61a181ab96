"""Sums of files and folders, against the standard tools."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.models.hashing import combine, hash_file, hash_folder, hash_git_blob, list_files

EMPTY_BLOB = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"  # `git hash-object /dev/null`


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    first = hash_file(path)
    path.write_bytes(b"two")
    assert hash_file(path) == hashlib.sha256(b"two").hexdigest() != first


def test_an_unchanged_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    first = hash_file(path)
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert hash_file(path) == first


def test_a_folder_is_its_files_without_the_hidden_ones(tmp_path: Path) -> None:
    for name in ("b.bin", "a/c.bin", ".hidden", ".cache/x", "a/.y"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    assert list_files(tmp_path) == ["a/c.bin", "b.bin"]
    assert hash_folder(tmp_path) == {
        name: hashlib.sha256(name.encode()).hexdigest() for name in ("a/c.bin", "b.bin")
    }


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="none"):
        hash_folder(tmp_path / "none")


def test_files_reached_through_links_count(tmp_path: Path) -> None:
    """The hub's own cache is made of them, and users copy it."""
    (tmp_path / "blob").write_bytes(b"x")
    folder = tmp_path / "snapshot"
    folder.mkdir()
    (folder / "model.bin").symlink_to(tmp_path / "blob")
    assert hash_folder(folder) == {"model.bin": hashlib.sha256(b"x").hexdigest()}


def test_a_blob_is_named_as_git_names_it(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert hash_git_blob(tmp_path / "empty") == EMPTY_BLOB


@pytest.mark.parametrize("data", [b"text\n", bytes(range(256)) * 5])
def test_git_agrees(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "file").write_bytes(data)
    git = subprocess.run(
        ["git", "hash-object", "--no-filters", "file"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert hash_git_blob(tmp_path / "file") == git.stdout.strip()


SUMS = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.just("0" * 64))


@given(SUMS)
def test_the_order_of_the_files_does_not_matter(sums: dict[str, str]) -> None:
    assert combine(sums) == combine(dict(reversed(sums.items())))


@given(SUMS, SUMS)
def test_other_files_give_another_sum(one: dict[str, str], two: dict[str, str]) -> None:
    assert (combine(one) == combine(two)) is (one == two)
