"""A file gets its place when all of it is there, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.files.disk import whole


def test_a_file_is_seen_when_it_is_whole(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("before")
    with whole(place) as part:
        part.write_text("after")
        assert place.read_text() == "before"
    assert place.read_text() == "after"
    assert list(tmp_path.iterdir()) == [place]


@pytest.mark.parametrize("written", [False, True])
def test_where_that_fails_what_was_there_stays_alone(tmp_path: Path, written: bool) -> None:
    place = tmp_path / "file"
    place.write_text("before")

    def fail() -> None:
        with whole(place) as part:
            if written:
                part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert place.read_text() == "before"
    assert list(tmp_path.iterdir()) == [place]
