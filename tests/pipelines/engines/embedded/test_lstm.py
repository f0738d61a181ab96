from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from pipelines.engines.embedded.lstm import Array, serialize_lstm

BATCH, FRAMES, INPUTS, UNITS = 3, 7, 4, 5


def random_weights(layers: int) -> dict[str, Array]:
    rng = np.random.default_rng(layers)
    weights: dict[str, Array] = {}
    for layer in range(layers):
        shapes = {
            "weight_ih": (4 * UNITS, UNITS if layer else INPUTS),
            "weight_hh": (4 * UNITS, UNITS),
            "bias_ih": (4 * UNITS,),
            "bias_hh": (4 * UNITS,),
        }
        weights |= {f"{n}_l{layer}": rng.normal(size=s).astype(np.float32) for n, s in shapes.items()}
    return weights


def sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)), np.float32)


def last_state(weights: dict[str, Array], layers: int, frames: Array) -> Array:
    """The equations of torch.nn.LSTM, one frame after the other."""
    for layer in range(layers):
        hidden = cell = np.zeros((frames.shape[1], UNITS), np.float32)
        states = []
        for frame in frames:
            gates = frame @ weights[f"weight_ih_l{layer}"].T + weights[f"bias_ih_l{layer}"]
            gates = gates + hidden @ weights[f"weight_hh_l{layer}"].T + weights[f"bias_hh_l{layer}"]
            into, forget, candidate, out = np.split(gates, 4, axis=1)
            cell = sigmoid(forget) * cell + sigmoid(into) * np.tanh(candidate)
            hidden = sigmoid(out) * np.tanh(cell)
            states.append(hidden)
        frames = np.stack(states)
    return np.asarray(frames[-1])


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_model_computes_the_equations_of_the_layers(layers: int) -> None:
    weights = random_weights(layers)
    frames = np.random.default_rng(0).normal(size=(FRAMES, BATCH, INPUTS)).astype(np.float32)
    session = onnxruntime.InferenceSession(
        serialize_lstm(weights, layers), providers=["CPUExecutionProvider"]
    )
    (state,) = session.run(["state"], {"frames": frames})
    np.testing.assert_allclose(state[0], last_state(weights, layers, frames), atol=1e-5)
