"""Turnwise: the right speaker turns, times, roles and names for a messy transcript.

    import pipelines as turnwise

    recording, notices = turnwise.load_recording("interview.mp3")
    text = turnwise.load_text("interview.txt")
    engines, choices = turnwise.choose_engines()
    transcript = turnwise.run(recording, text, engines)
    turnwise.save(transcript, "out", "json", "vtt")

A name is loaded when it is first used, so that importing a part of this package loads only that part.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.audio import load as load_recording
    from pipelines.engines import choose as choose_engines
    from pipelines.formats import save
    from pipelines.pipeline import run
    from pipelines.supplied import load as load_text
    from pipelines.types import Options

__all__ = ["Options", "choose_engines", "load_recording", "load_text", "run", "save"]

_PLACES = {
    "load_recording": ("pipelines.audio", "load"),
    "load_text": ("pipelines.supplied", "load"),
    "choose_engines": ("pipelines.engines", "choose"),
    "Options": ("pipelines.types", "Options"),
    "run": ("pipelines.pipeline", "run"),
    "save": ("pipelines.formats", "save"),
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _PLACES[name]
    return getattr(import_module(module), attribute)
