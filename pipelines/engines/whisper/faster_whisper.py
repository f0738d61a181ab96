"""faster-whisper: Whisper in CTranslate2, several times faster than PyTorch and with half the memory.

Sections go through the model in batches at temperature 0, without timestamps: with them, the library's
batched pipeline would lose the words after the last timestamp. It has neither temperature fallback nor a test
for speech, and may stop in the middle. So sections that come out repetitive, doubtful or with holes are
recognised once more, one at a time, in the library's way without batches. Either way, word times come from
dynamic time warping over the decoder's attention.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.engines import device, failures, workers
from pipelines.engines.whisper import prompting
from pipelines.engines.whisper.long_form import LongFormTranscriber, Recognizer
from pipelines.engines.whisper.sections import LONGEST_SAMPLES, LONGEST_SECTION
from pipelines.errors import EngineMissingError, ModelUnusableError
from pipelines.types import SAMPLE_RATE, HeardWord, Samples

BEAM_WIDTH = 5
BATCH = {"cpu": 4, "cuda": 16}  # sections
COMPUTE_TYPES = {"cpu": ("int8", "float32"), "cuda": ("float16", "int8_float32", "float32")}
"""The first that the device supports is used."""
MOST_THREADS = 16
MOST_COMPRESSION = 2.4  # a text that gzip compresses further repeats itself
LEAST_LOG_PROBABILITY = -1.0  # mean of the tokens
LONGEST_HOLE = 2.5  # from the start of one word to the next: a slow word and the longest pause in a section
SEED = 0
PARTS = ("model.bin", "config.json", "tokenizer.json")  # the library would ask the network for the last
VOCABULARIES = ("vocabulary.json", "vocabulary.txt")


class FasterWhisper(LongFormTranscriber):
    """Transcriber. `model` is a name in the models folder or the path of a folder with model.bin, `device`
    auto, cpu (8-bit integers) or cuda (half precision)."""

    family = "faster-whisper"
    distributions = ("faster-whisper",)

    def check(self) -> None:
        if device.lacks_avx():
            raise EngineMissingError(
                "faster-whisper needs a processor with AVX, which this one lacks: choose --asr whisper."
            )
        super().check()
        missing = [part for part in PARTS if not (self._path / part).is_file()]
        if not any((self._path / name).is_file() for name in VOCABULARIES):
            missing.append(VOCABULARIES[0])
        if missing:
            lacks = f"{self._path.name} lacks {', '.join(missing)}"
            raise ModelUnusableError(f"{lacks}: fetch the whole folder again.")

    def _choose_device(self) -> str:
        return device.choose(self._device, device.ctranslate2_has_cuda)

    def _load(self) -> Recognizer:
        chosen = self._choose_device()
        return _Recognizer(_load(self._path, chosen), BATCH[chosen])


def _load(path: Path, chosen: str) -> Any:
    with failures.explained("faster-whisper"):
        import ctranslate2  # noqa: PLC0415
        import faster_whisper  # noqa: PLC0415
        from faster_whisper.feature_extractor import FeatureExtractor  # noqa: PLC0415

    logging.getLogger("faster_whisper").addHandler(logging.NullHandler())  # or its messages reach the screen
    ctranslate2.set_log_level(logging.ERROR)
    with failures.loading(path.name, "faster-whisper"):
        supported = ctranslate2.get_supported_compute_types(chosen)
        most = min(workers.available_processors(), MOST_THREADS)
        threads = 0 if "OMP_NUM_THREADS" in os.environ else most  # 0 leaves it to that variable
        model = faster_whisper.WhisperModel(
            str(path.resolve()),
            device=chosen,
            compute_type=next(kind for kind in COMPUTE_TYPES[chosen] if kind in supported),
            cpu_threads=threads,
            local_files_only=True,
        )
        if len(model.feature_extractor.mel_filters) != model.model.n_mels:  # no preprocessor_config.json
            model.feature_extractor = FeatureExtractor(feature_size=model.model.n_mels)
    return model


class _Recognizer:
    def __init__(self, model: Any, batch: int) -> None:
        from faster_whisper import BatchedInferencePipeline  # noqa: PLC0415

        self._model = model
        self._batched = BatchedInferencePipeline(model)
        self.sections_at_once = batch

    @property
    def languages(self) -> Sequence[str]:
        known: Sequence[str] = self._model.supported_languages
        token = self._model.hf_tokenizer.token_to_id
        return [code for code in known if len(known) == 1 or token(f"<|{code}|>") is not None]

    def detect(self, samples: Samples) -> dict[str, float]:
        with failures.explained("faster-whisper"):
            _, _, probabilities = self._model.detect_language(audio=samples)
        return dict(probabilities)

    def recognize(
        self, pieces: Sequence[Samples], language: str, terms: Sequence[str]
    ) -> list[list[HeardWord]]:
        with failures.explained("faster-whisper"):
            import ctranslate2  # noqa: PLC0415

            ctranslate2.set_random_seed(SEED)
            options = {"language": language, "beam_size": BEAM_WIDTH, "word_timestamps": True}
            options["hotwords"] = self._prompt(terms) or None
            found = self._together(pieces, options)
            return [
                self._alone(samples, options) if answer is None else answer
                for samples, answer in zip(pieces, found, strict=True)
            ]

    def _together(self, pieces: Sequence[Samples], options: dict[str, Any]) -> list[list[HeardWord] | None]:
        """The words of each piece, None if they are doubtful. One array holds a piece every 30 s."""
        slots = np.zeros(len(pieces) * LONGEST_SAMPLES, dtype=np.float32)
        clips = []
        for k, samples in enumerate(pieces):
            first = k * LONGEST_SAMPLES
            slots[first : first + len(samples)] = samples
            clips.append({"start": k * LONGEST_SECTION, "end": (first + len(samples)) / SAMPLE_RATE})
        segments, _ = self._batched.transcribe(
            slots, clip_timestamps=clips, batch_size=len(pieces), without_timestamps=True, **options
        )
        found: list[list[HeardWord] | None] = [None for _ in pieces]
        for segment in segments:
            k = segment.seek // (self._model.frames_per_second * round(LONGEST_SECTION))
            words = _words(segment, k * LONGEST_SECTION)
            if not (_is_doubtful(segment) or _has_hole(words, len(pieces[k]) / SAMPLE_RATE)):
                found[k] = words
        return found

    def _alone(self, samples: Samples, options: dict[str, Any]) -> list[HeardWord]:
        """The words of one piece, with the library's temperature fallback and its test for speech."""
        segments, _ = self._model.transcribe(samples, condition_on_previous_text=False, **options)
        return [word for segment in segments for word in _words(segment, 0.0)]

    def _prompt(self, terms: Sequence[str]) -> str:
        encode = self._model.hf_tokenizer.encode
        return prompting.prompt(terms, lambda text: len(encode(text, add_special_tokens=False).ids))

    def shrink(self) -> bool:
        smaller = self.sections_at_once > 1
        self.sections_at_once = max(1, self.sections_at_once // 2)
        return smaller


def _is_doubtful(segment: Any) -> bool:
    """Whether Whisper would decode the segment again at a higher temperature, or find no speech."""
    return bool(segment.compression_ratio > MOST_COMPRESSION or segment.avg_logprob < LEAST_LOG_PROBABILITY)


def _has_hole(words: Sequence[HeardWord], duration: float) -> bool:
    """Whether speech was left out, which stretches the neighbouring words."""
    starts = [0.0, *(word.start for word in words), duration]
    return any(after - before > LONGEST_HOLE for before, after in pairwise(starts))


def _words(segment: Any, offset: float) -> list[HeardWord]:
    return [
        HeardWord(word.word, float(word.start) - offset, float(word.end) - offset, float(word.probability))
        for word in segment.words or ()
    ]
