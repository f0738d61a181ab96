"""Silero voice activity detection through onnxruntime: the `SpeechDetector` of the embedded engines.

The network (Silero Team, 2021-2025, version 6) gives one probability for each window of 512 samples (32 ms),
from the window and the 64 samples before it. This build takes many windows per call and passes the state of
its LSTM on, so that a recording of any length is read in bounded memory with the same result.
"""

from __future__ import annotations

from functools import cached_property
from importlib import metadata
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines import models
from pipelines.engines.embedded.onnx import open_session
from pipelines.protocols import Progress, no_progress
from pipelines.types import SAMPLE_RATE, Audio, EngineInfo, Samples, Span, join_spans

WINDOW_SAMPLES = 512
CONTEXT_SAMPLES = 64
WINDOWS_PER_CALL = 2048  # 65 s of audio, about 5 MB
STATE_SHAPE = (1, 1, 128)

SPEECH_PROBABILITY = 0.4
SILENCE_PROBABILITY = 0.1
"""Far apart: the first word after a pause ("Well,") on a telephone or by a synthetic voice may reach 0.5 only
for a moment and fall to 0.1. Synthetic music and noise stayed below 0.15, except in isolated windows."""
SHORTEST_SPEECH = 0.15
SHORTEST_SILENCE = 0.16
PADDING = 0.06  # only before the speech: the probability rises late, and falls late too

Probabilities = npt.NDArray[np.float32]


def spans_of_speech(probabilities: Probabilities, duration: float) -> tuple[Span, ...]:
    """Stretches of speech by hysteresis, ordered, without overlap.

    probability   ▁▃▇█▇▅▇██▂▁▁▁▁▁▁▁▃▇▇█▆▂▁▁
    speech          [──────)        [────)     opens at 0.4, closes below 0.1
    joined over silences < SHORTEST_SILENCE, dropped if < SHORTEST_SPEECH, then PADDING in front
    """
    hop = WINDOW_SAMPLES / SAMPLE_RATE
    spans = [Span(start * hop, end * hop) for start, end in _hysteresis(probabilities)]
    spans = [span for span in join_spans(spans, SHORTEST_SILENCE) if span.duration >= SHORTEST_SPEECH]
    return tuple(join_spans(Span(max(0.0, s.start - PADDING), min(duration, s.end)) for s in spans))


def _hysteresis(probabilities: Probabilities) -> list[tuple[int, int]]:
    """Runs [start, end) of windows: each reaches SPEECH_PROBABILITY and stays above SILENCE_PROBABILITY."""
    runs: list[tuple[int, int]] = []
    start = -1
    for i, probability in enumerate([*probabilities.tolist(), 0.0]):
        if start < 0 and probability >= SPEECH_PROBABILITY:
            start = i
        elif start >= 0 and probability < SILENCE_PROBABILITY:
            runs.append((start, i))
            start = -1
    return runs


class SileroDetector:
    """Finds speech in about 0.0015 of the recording's length on one core."""

    @property
    def info(self) -> EngineInfo:
        model = models.MODELS["silero-vad"]
        return EngineInfo("silero", metadata.version("onnxruntime"), model.identity, model.sha256)

    @cached_property
    def _session(self) -> Any:
        return open_session(models.read("silero-vad"), arena=False)

    def probabilities(self, samples: Samples, progress: Progress = no_progress) -> Probabilities:
        """The probability of speech in each window of WINDOW_SAMPLES; the last one is padded with silence."""
        found = [np.empty(0, np.float32)]
        h = c = np.zeros(STATE_SHAPE, np.float32)
        step = WINDOWS_PER_CALL * WINDOW_SAMPLES
        for start in range(0, len(samples), step):
            windows = _windows(samples, start, start + step)
            output, h, c = self._session.run(None, {"input": windows, "h": h, "c": c})
            found.append(output)
            progress(min(1.0, (start + step) / len(samples)))
        return np.concatenate(found)

    def detect(self, audio: Audio, progress: Progress = no_progress) -> tuple[Span, ...]:
        """Stretches of speech, ordered, without overlap; none in silence and hardly any in music.

        Raises EngineMissingError if the weights are missing and ModelCorruptError if they are not the
        expected ones.
        """
        return spans_of_speech(self.probabilities(audio.samples, progress), audio.duration)


def _windows(samples: Samples, start: int, end: int) -> Samples:
    """The windows of samples [start, end), each preceded by its context, shape (n, 576)."""
    part = samples[max(0, start - CONTEXT_SAMPLES) : end]
    part = np.pad(part, (max(0, CONTEXT_SAMPLES - start), -(len(samples[start:end])) % WINDOW_SAMPLES))
    whole = np.lib.stride_tricks.sliding_window_view(part, CONTEXT_SAMPLES + WINDOW_SAMPLES)
    return np.ascontiguousarray(whole[::WINDOW_SAMPLES], dtype=np.float32)
