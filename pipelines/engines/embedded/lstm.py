"""A stack of LSTM layers as an ONNX model, from its weights: onnxruntime runs it in half of numpy's time.

A model is a Protocol Buffers message; the few fields needed are written by their numbers in `onnx.proto`
(https://github.com/onnx/onnx/blob/main/onnx/onnx.proto, IR version 8, operator set 14), so that the `onnx`
package is not needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

IR_VERSION: Final = 8
OPERATOR_SET: Final = 14
FLOAT, INT64 = 1, 7
INTEGER_ATTRIBUTE: Final = 2


def serialize_lstm(weights: Mapping[str, Array], layers: int) -> bytes:
    """A model from "frames", shape (frames, batch, n), to "state", (1, batch, units): the last hidden state.

    `weights` has PyTorch's names and gate order: weight_ih_l0 (4 units, n), weight_hh_l0 (4 units, units),
    bias_ih_l0 and bias_hh_l0 (4 units), and so on for each layer.
    """
    units = weights["weight_hh_l0"].shape[1]
    graph = _text(2, "lstm")
    graph += _field(5, _tensor("axes", np.array([1], np.int64), INT64))
    for layer in range(layers):
        graph += _layer(weights, layer, units)
    graph += _field(11, _value("frames", ("frames", "batch", str(weights["weight_ih_l0"].shape[1]))))
    graph += _field(12, _value("state", ("1", "batch", str(units))))
    return _number(1, IR_VERSION) + _field(7, graph) + _field(8, _text(1, "") + _number(2, OPERATOR_SET))


def _layer(weights: Mapping[str, Array], layer: int, units: int) -> bytes:
    """The initializers and nodes of one layer; the last one's state is the graph's output."""
    of_inputs = _reorder(weights[f"weight_ih_l{layer}"])[None]
    of_states = _reorder(weights[f"weight_hh_l{layer}"])[None]
    bias = np.concatenate([_reorder(weights[f"bias_{side}_l{layer}"]) for side in ("ih", "hh")])[None]
    last = f"weight_ih_l{layer + 1}" not in weights
    inputs = ["frames" if layer == 0 else f"y{layer - 1}", f"w{layer}", f"r{layer}", f"b{layer}"]
    outputs = ["", "state"] if last else [f"directions{layer}"]
    graph = b"".join(
        _field(5, _tensor(name, tensor, FLOAT))
        for name, tensor in zip(inputs[1:], (of_inputs, of_states, bias), strict=True)
    )
    size = _text(1, "hidden_size") + _number(3, units) + _number(20, INTEGER_ATTRIBUTE)
    graph += _field(1, _node("LSTM", inputs, outputs) + _field(5, size))
    if not last:  # (frames, directions = 1, batch, units) → (frames, batch, units)
        graph += _field(1, _node("Squeeze", [f"directions{layer}", "axes"], [f"y{layer}"]))
    return graph


def _reorder(gates: Array) -> Array:
    """From PyTorch's order of gates (input, forget, cell, output) to ONNX's (input, output, forget, cell)."""
    into, forget, cell, out = np.split(gates, 4)
    return np.concatenate([into, out, forget, cell])


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _field(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, value: str) -> bytes:
    return _field(field, value.encode())


def _node(operator: str, inputs: list[str], outputs: list[str]) -> bytes:
    wires = [_text(1, name) for name in inputs] + [_text(2, name) for name in outputs]
    return b"".join(wires) + _text(4, operator)


def _tensor(name: str, values: npt.NDArray[np.generic], kind: int) -> bytes:
    shape = b"".join(_number(1, size) for size in values.shape)
    little_endian = values.astype(values.dtype.newbyteorder("<"), order="C")
    return shape + _number(2, kind) + _text(8, name) + _field(9, little_endian.tobytes())


def _value(name: str, shape: tuple[str, ...]) -> bytes:
    """A float tensor's name and shape; a size that is not a number is variable."""
    sizes = (_number(1, int(size)) if size.isdigit() else _text(2, size) for size in shape)
    dimensions = b"".join(_field(1, size) for size in sizes)
    return _text(1, name) + _field(2, _field(1, _number(1, FLOAT) + _field(2, dimensions)))
