"""Where an engine computes: on the processor, or on a graphics card that its library can use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipelines.errors import OptionError

PROCESSORS = Path("/proc/cpuinfo")
DEVICES = ("auto", "cpu", "cuda")


def choose(device: str, has_cuda: Callable[[], bool] | None = None) -> str:
    """Returns "cpu" or "cuda" for "auto", "cpu" or "cuda".

    `has_cuda` asks the library that will compute; without it, torch is asked.
    Raises OptionError for another name, and for "cuda" if no card can be used.
    """
    if device not in DEVICES:
        raise OptionError(f"There is no --device {device!r}: choose auto, cpu or cuda.")
    if device == "cpu":
        return device
    if (has_cuda or torch_has_cuda)():
        return "cuda"
    if device == "cuda":
        raise OptionError(
            "--device cuda: no graphics card can be used here: the card, its driver or a build of the library"
            " for it is missing; choose --device cpu."
        )
    return "cpu"


def torch_has_cuda() -> bool:
    """Whether torch can compute on a graphics card; imports it."""
    try:
        import torch  # noqa: PLC0415
    except ImportError:
        return False
    return torch.cuda.is_available()


def ctranslate2_has_cuda() -> bool:
    """Whether CTranslate2 can compute on a graphics card; imports it."""
    try:
        import ctranslate2  # noqa: PLC0415
    except ImportError:
        return False
    return bool(ctranslate2.get_cuda_device_count())


def lacks_avx() -> bool:
    """Whether this is an x86 processor from before 2011, on which CTranslate2 ends the process silently.

    False if the system does not say, and on other processors.
    """
    try:
        rows = PROCESSORS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return False
    flags = next((row.split(":", 1)[1].split() for row in rows if row.startswith("flags")), ["avx"])
    return "avx" not in flags
