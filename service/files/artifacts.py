"""What a stage leaves for the next ones: values of dataclasses as JSON, every number exactly as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar, get_origin

import cattrs
import numpy as np

from pipelines.pipeline import Stage
from service.files.storage import File

Value = TypeVar("Value")

LEFT = "left.json"
"""Name of the file in a stage's folder that holds what it leaves."""
MEDIA, SAMPLES = "media.json", "samples.f32"
"""What service/work/decode_process.py leaves."""
TRANSCRIPT = "transcript.json"
"""Name of the file beside the results that holds the transcript itself."""


def name(stage: Stage) -> str:
    """Name of the file in which a stage leaves its output."""
    return {Stage.DECODE: MEDIA, Stage.STORE: TRANSCRIPT}.get(stage, LEFT)


def dump(path: Path, value: object) -> None:
    """Writes a dataclass, or a tuple of them, as JSON.

    Lone surrogates are written as they are: escaped, two of them would be read as one character.
    """
    path.write_text(json.dumps(_CONVERTER.unstructure(value), ensure_ascii=False), "utf-8", "surrogatepass")


def load(file: File, type: type[Value]) -> Value:
    """The value that `dump` was given, equal to the last bit."""
    return _CONVERTER.structure(json.loads(file.read_bytes().decode("utf-8", "surrogatepass")), type)


def _is_array(type: Any) -> bool:
    return get_origin(type) is np.ndarray


_CONVERTER = cattrs.Converter()
_CONVERTER.register_unstructure_hook_func(
    _is_array,
    lambda array: {"type": str(array.dtype), "shape": array.shape, "values": array.ravel().tolist()},
)
_CONVERTER.register_structure_hook_func(
    _is_array,
    lambda written, _: np.array(written["values"], dtype=written["type"]).reshape(written["shape"]),
)
