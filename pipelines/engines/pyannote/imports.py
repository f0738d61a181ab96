"""Importing pyannote.audio: with any build of torch, silently, and without its telemetry.

torchaudio. Its wheel on PyPI is built for CUDA: its native libraries cannot be loaded with a CPU build of
torch (`libc10_cuda.so`), and with another CUDA version it refuses to start. pyannote.audio uses only parts of
torchaudio in plain Python on top of torch: `compliance.kaldi.fbank`, `functional.resample` and
`transforms.MFCC`. So if the real import fails, torchaudio is imported again with a replacement for
`torchaudio._extension` that reports, as a build without native libraries would, that there are none.

torchcodec decodes files. This engine gets samples, so torchcodec is kept out while pyannote.audio is
imported: it would load a second ffmpeg into the process besides PyAV's, or warn that it cannot.

Telemetry. pyannote.audio 4 starts an OpenTelemetry exporter and its thread on import, and
PYANNOTE_METRICS_ENABLED=0 only keeps it from sending. Here the module that does so is never imported.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from threading import RLock
from types import ModuleType

LOCK = RLock()
"""Held while process-wide state is changed for a moment: modules, warning filters."""

LOGGER = logging.getLogger(__name__)
TRACKERS = ("track_model_init", "track_pipeline_init", "track_pipeline_apply")
PRINTING = ("pyannote.audio.pipelines.clustering", "pyannote.audio.utils.vbx")


def import_pyannote() -> None:
    """Makes `import pyannote.audio` work; afterwards its modules can be imported as usual.

    Raises ImportError if it is not installed.
    """
    with LOCK:
        if "pyannote.audio" in sys.modules:
            return
        os.environ["PYANNOTE_METRICS_ENABLED"] = "0"
        import_torchaudio()
        sys.modules["pyannote.audio.telemetry"] = telemetry = ModuleType("pyannote.audio.telemetry")
        vars(telemetry).update(dict.fromkeys(TRACKERS, lambda *_, **__: None))
        with silenced(), _kept_out("torchcodec"):
            for name in PRINTING:
                vars(import_module(name))["print"] = _log


def import_torchaudio() -> None:
    """Imports torchaudio, with its native libraries only if they fit the installed torch."""
    try:
        import_module("torchaudio")
    except (OSError, RuntimeError) as error:
        LOGGER.debug("torchaudio without its native libraries: %s", error)
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
            del sys.modules[name]
        sys.modules["torchaudio._extension"] = _no_extension()
        import_module("torchaudio")


@contextmanager
def silenced() -> Iterator[None]:
    """Hides warnings and lightning's log messages, in all threads: not for long work."""
    logger = logging.getLogger("lightning.pytorch")
    with LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        level = logger.level
        logger.setLevel(logging.CRITICAL)
        try:
            yield
        finally:
            logger.setLevel(level)


@contextmanager
def _kept_out(name: str) -> Iterator[None]:
    """Makes `name` impossible to import, unless it was imported before."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # "not found" (language reference, 5.3.1)
    try:
        yield
    finally:
        del sys.modules[name]


def _no_extension() -> ModuleType:
    """A torchaudio._extension like that of a torchaudio without native libraries."""
    module = ModuleType("torchaudio._extension")
    vars(module).update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False, _IS_ALIGN_AVAILABLE=False, fail_if_no_align=_missing
    )
    return module


def _missing(function: Callable[..., object]) -> Callable[..., object]:
    def fail(*_: object, **__: object) -> object:
        raise RuntimeError(f"{function.__name__} needs torchaudio's native libraries, which do not fit torch")

    return fail


def _log(*words: object, **_: object) -> None:
    """Sends what pyannote prints to the log."""
    LOGGER.debug("%s", " ".join(map(str, words)).strip())
