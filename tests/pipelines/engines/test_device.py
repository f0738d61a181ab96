"""Choosing where to compute."""

from pathlib import Path

import pytest

from pipelines.engines import device
from pipelines.engines.device import choose, lacks_avx
from pipelines.errors import OptionError


def absent() -> bool:
    return False


def present() -> bool:
    return True


def never() -> bool:
    raise AssertionError("the processor is there without asking")


def test_automatic_takes_the_card_if_there_is_one() -> None:
    assert choose("auto", present) == "cuda"
    assert choose("auto", absent) == "cpu"


def test_a_named_device_is_taken() -> None:
    assert choose("cuda", present) == "cuda"
    assert choose("cpu", never) == "cpu"


def test_no_card_says_what_to_choose() -> None:
    with pytest.raises(OptionError, match="choose --device cpu"):
        choose("cuda", absent)


@pytest.mark.parametrize("name", ["", "gpu", "CUDA", "cuda:1", "mps"])
def test_another_name_says_what_there_is(name: str) -> None:
    with pytest.raises(OptionError, match="auto, cpu or cuda"):
        choose(name, present)


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        ("processor\t: 0\nflags\t\t: fpu sse4_1 avx avx2\n", False),
        ("processor\t: 0\nflags\t\t: fpu sse4_1 avx\n", False),
        ("processor\t: 0\nflags\t\t: fpu sse4_1 sse4a\n", True),
        ("processor\t: 0\nFeatures\t: fp asimd\n", False),  # ARM
    ],
)
def test_the_processors_instructions(
    text: str, lacks: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "PROCESSORS", tmp_path / "cpuinfo")
    assert not lacks_avx()  # macOS and Windows have no such file
    (tmp_path / "cpuinfo").write_text(text, encoding="ascii")
    assert lacks_avx() is lacks
