"""What a notebook sees of the library."""

from __future__ import annotations

from pathlib import Path

import pytest

import pipelines as turnwise
from pipelines.errors import OptionError
from tests.pipelines.formats.sample import sample


@pytest.mark.parametrize("name", turnwise.__all__)
def test_every_name_is_there(name: str) -> None:
    assert callable(getattr(turnwise, name))


def test_no_other_name_is() -> None:
    with pytest.raises(AttributeError, match="no attribute 'transcribe'"):
        _ = turnwise.transcribe


def test_what_is_saved_lies_in_the_folder(tmp_path: Path) -> None:
    paths = turnwise.save(sample(), str(tmp_path / "new" / "out"), "json", "vtt")
    assert [path.name for path in paths] == ["result.json", "result.vtt"]
    assert paths[1].read_text("utf-8").startswith("WEBVTT")


def test_without_names_all_of_it_is_saved_as_json(tmp_path: Path) -> None:
    assert [path.name for path in turnwise.save(sample(), tmp_path)] == ["result.json"]


def test_an_unknown_format_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="There is no format 'doc'"):
        turnwise.save(sample(), tmp_path, "json", "doc")
    assert not list(tmp_path.iterdir())
