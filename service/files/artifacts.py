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
    """Of the file in which a stage leaves what the plan says."""
    return {Stage.DECODE: MEDIA, Stage.STORE: TRANSCRIPT}.get(stage, LEFT)


def dump(path: Path, value: object) -> None:
    """JSON of a dataclass, or of a tuple of them.

    Halves of surrogates are written as they are: escaped, two of them would be read as one character.
    """
    path.write_text(json.dumps(_CONVERTER.unstructure(value), ensure_ascii=False), "utf-8", "surrogatepass")


def load(file: File, type: type[Value]) -> Value:
    """The value that `dump` was given, equal to the last bit."""
    return _CONVERTER.structure(json.loads(file.read_bytes().decode("utf-8", "surrogatepass")), type)


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter()
    converter.register_unstructure_hook_func(_is_array, _write_array)
    converter.register_structure_hook_func(_is_array, _read_array)
    return converter


def _is_array(type: Any) -> bool:
    return get_origin(type) is np.ndarray


def _write_array(array: np.ndarray[Any, Any]) -> dict[str, object]:
    return {"type": str(array.dtype), "shape": array.shape, "values": array.ravel().tolist()}


def _read_array(written: dict[str, Any], type: Any) -> np.ndarray[Any, Any]:
    return np.array(written["values"], dtype=written["type"]).reshape(written["shape"])


_CONVERTER = _converter()
