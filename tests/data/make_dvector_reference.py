"""Writes dvector_reference.json: what librosa and torch make of a seeded signal.

    pip install torch librosa && python tests/data/make_dvector_reference.py

The encoder here is `torch.nn.LSTM` and `Linear` with the weights of the models folder; the mel power is
librosa's. tests/pipelines/engines/embedded/test_dvector.py compares with both, and needs neither.
"""

from __future__ import annotations

import json
from pathlib import Path

import librosa  # type: ignore[import-not-found, unused-ignore]
import numpy as np
import torch  # type: ignore[import-not-found, unused-ignore]
from safetensors.torch import load_file

from pipelines import models

SEED, WINDOWS, FRAMES, BANDS, UNITS = 7, 3, 160, 40, 256


def signal() -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """Half a second of noise and a rising tone."""
    time = np.arange(8000) / 16000
    noise = np.random.default_rng(SEED).standard_normal(8000)
    return (0.05 * noise + 0.3 * np.sin(2 * np.pi * (200 + 3000 * time) * time)).astype(np.float32)


def windows() -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:
    return np.random.default_rng(SEED).random((WINDOWS, FRAMES, BANDS), dtype=np.float32) * 0.1


def mel() -> list[list[float]]:
    power = librosa.feature.melspectrogram(y=signal(), sr=16000, n_fft=400, hop_length=160, n_mels=BANDS)
    return [[float(x) for x in frame] for frame in power.T[::10]]


def voices() -> list[list[float]]:
    weights = load_file(models.find("d-vector"))
    lstm = torch.nn.LSTM(BANDS, UNITS, 3, batch_first=True)
    linear = torch.nn.Linear(UNITS, UNITS)
    for name, module in (("lstm.", lstm), ("linear.", linear)):
        own = {key.removeprefix(name): x for key, x in weights.items() if key.startswith(name)}
        module.load_state_dict(own)
    with torch.no_grad():
        _, (state, _) = lstm(torch.from_numpy(windows()))
        found = torch.nn.functional.normalize(torch.relu(linear(state[-1])))
    return [[float(x) for x in voice[::8]] for voice in found]


def main() -> None:
    content = {"mel_of_every_tenth_frame": mel(), "every_eighth_value_of_voices": voices()}
    rounded = {name: [[float(f"{x:.6g}") for x in row] for row in rows] for name, rows in content.items()}
    Path(__file__).with_name("dvector_reference.json").write_text(
        json.dumps(rounded) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
