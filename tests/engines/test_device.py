"""Choosing where to compute."""

import pytest

from pipelines.engines.device import choose
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


@pytest.mark.parametrize("device", ["", "gpu", "CUDA", "cuda:1", "mps"])
def test_another_name_says_what_there_is(device: str) -> None:
    with pytest.raises(OptionError, match="auto, cpu or cuda"):
        choose(device, present)
