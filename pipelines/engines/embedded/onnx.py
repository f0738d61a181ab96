"""Small networks in onnxruntime, on one thread of the processor."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnxruntime

ERRORS_ONLY = 3


def open_session(model: bytes, *, arena: bool = True) -> onnxruntime.InferenceSession:
    """The network of an ONNX file; without the `arena` it frees the memory of its largest call."""
    import onnxruntime  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = arena
    options.log_severity_level = ERRORS_ONLY
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
