"""The lock: the same models give the same bytes, and what is no lock is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import ModelCorruptError
from pipelines.models import lockfile as lock
from pipelines.models.lockfile import File, Pulled

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
FILES = st.dictionaries(TEXT, st.builds(File, TEXT, st.integers(0, 2**40)), max_size=4)
LOCKS = st.dictionaries(TEXT, st.builds(Pulled, st.dictionaries(TEXT, TEXT, max_size=3), FILES), max_size=4)


@given(LOCKS)
def test_what_is_written_is_read(models: dict[str, Pulled]) -> None:
    assert lock.parse(lock.serialize(models)) == models


@given(LOCKS)
def test_the_order_makes_no_difference(models: dict[str, Pulled]) -> None:
    assert lock.serialize(dict(reversed(models.items()))) == lock.serialize(models)


def test_no_lock_locks_nothing(tmp_path: Path) -> None:
    assert lock.load(tmp_path) == {}
    assert lock.load(tmp_path / "none") == {}


def test_the_file_is_replaced_whole(tmp_path: Path) -> None:
    one = {"a": Pulled({"r": "1"}, {"f": File("0", 3)})}
    lock.dump(tmp_path, one)
    lock.dump(tmp_path, {})
    lock.dump(tmp_path, one)
    assert lock.load(tmp_path) == one
    assert [path.name for path in tmp_path.iterdir()] == [lock.NAME]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"version": 2, "models": {}}',
        '{"version": 1, "models": []}',
        '{"version": 1, "models": {"a": 1}}',
        '{"version": 1, "models": {"a": {"revisions": {}, "files": {"f": {"sha256": "0"}}}}}',
        "\ud800",
    ],
)
def test_what_is_no_lock_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / lock.NAME).write_bytes(text.encode("utf-8", errors="surrogatepass"))
    with pytest.raises(ModelCorruptError, match="cannot be read: put a copy back, or remove it"):
        lock.load(tmp_path)
