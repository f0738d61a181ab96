"""openai-whisper: speech recognition in a hundred languages, in PyTorch.

A. Radford et al., "Robust speech recognition via large-scale weak supervision", 2022. The library does the
temperature fallback, the seeking in a section, and word times by dynamic time warping over the attention.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.engines import failures
from pipelines.engines.whisper import prompting
from pipelines.engines.whisper.long_form import LongFormTranscriber, Recognizer
from pipelines.types import HeardWord, Samples

BEAM_WIDTH = 5
CANDIDATES = 5  # at temperatures above 0, where tokens are drawn at random
SEED = 0
OLDEST_SAFE_TORCH = (2, 6)  # older versions may run code from checkpoints even with weights_only


class Whisper(LongFormTranscriber):
    """Transcriber. `model`: a name in the models folder or the path of a .pt; `device`: auto, cpu or cuda."""

    family = "whisper"
    distributions = ("openai-whisper", "torch")

    def check(self) -> None:
        super().check()
        torch = metadata.version("torch")
        if tuple(int(part) for part in torch.split(".")[:2]) < OLDEST_SAFE_TORCH:
            raise self._missing(f"torch {torch} is too old to open model files safely")

    @property
    def weights_bytes(self) -> int:
        """Half of what loading takes: the file in half precision and the model in single precision."""
        return 3 * super().weights_bytes // 2

    def _load(self) -> Recognizer:
        return _Recognizer(_load(self._path, self._choose_device(), self.info.model_sha256))


def _load(path: Path, chosen: str, sha256: str) -> Any:
    """The model; if it is one of OpenAI's, with the alignment heads that OpenAI chose."""
    with _called():
        import whisper  # noqa: PLC0415

    with failures.loading(path.name, "openai-whisper"), _called():
        model = whisper.load_model(str(path.resolve()), device=chosen)  # a bare name would be downloaded
        for name, url in whisper._MODELS.items():
            if sha256 in url:
                model.set_alignment_heads(whisper._ALIGNMENT_HEADS[name])
        _keep_threads()
    return model


def _keep_threads() -> None:
    """Makes numba, which aligns the words, start its threads now, and restores torch's number of threads.

    They share OpenMP, and numba raises the number to that of the processors, whatever OMP_NUM_THREADS says.
    On a busy machine, everything after the first words would then be many times slower.
    """
    import torch  # noqa: PLC0415
    from whisper.timing import dtw_cpu  # noqa: PLC0415

    threads = torch.get_num_threads()
    dtw_cpu(np.zeros((1, 1)))
    torch.set_num_threads(threads)


class _Recognizer:
    sections_at_once = 1

    def __init__(self, model: Any) -> None:
        self._model = model
        self._beam_width = BEAM_WIDTH
        self._cuda = model.device.type == "cuda"

    @property
    def languages(self) -> Sequence[str]:
        from whisper.tokenizer import LANGUAGES  # noqa: PLC0415

        return tuple(LANGUAGES)[: self._model.num_languages] if self._model.is_multilingual else ("en",)

    def detect(self, samples: Samples) -> dict[str, float]:
        from whisper import log_mel_spectrogram, pad_or_trim  # noqa: PLC0415

        with _called():
            mel = log_mel_spectrogram(pad_or_trim(samples), self._model.dims.n_mels).to(self._model.device)
            _, probabilities = self._model.detect_language(mel.half() if self._cuda else mel)
        return dict(probabilities)

    def recognize(
        self, pieces: Sequence[Samples], language: str, terms: Sequence[str]
    ) -> list[list[HeardWord]]:
        with _called(), self._seeded():
            prompt = self._prompt(terms)
            return [self._words(samples, language, prompt) for samples in pieces]

    def _words(self, samples: Samples, language: str, prompt: str) -> list[HeardWord]:
        result = self._model.transcribe(
            samples,
            language=language,
            fp16=self._cuda,
            beam_size=self._beam_width,
            best_of=CANDIDATES,
            initial_prompt=prompt or None,
            carry_initial_prompt=bool(prompt),
            condition_on_previous_text=False,
            word_timestamps=True,
        )
        return [
            HeardWord(word["word"], float(word["start"]), float(word["end"]), float(word["probability"]))
            for segment in result["segments"]
            for word in segment["words"]
        ]

    def _prompt(self, terms: Sequence[str]) -> str:
        from whisper.tokenizer import get_tokenizer  # noqa: PLC0415

        multilingual, count = self._model.is_multilingual, self._model.num_languages
        tokenizer = get_tokenizer(multilingual, num_languages=count)
        return prompting.prompt(terms, lambda text: len(tokenizer.encode(text)))

    @contextmanager
    def _seeded(self) -> Iterator[None]:
        """Makes the same recording give the same words, whatever random numbers are drawn elsewhere."""
        import torch  # noqa: PLC0415

        with torch.random.fork_rng(devices=[self._model.device] if self._cuda else []):
            torch.manual_seed(SEED)
            yield

    def shrink(self) -> bool:
        import torch  # noqa: PLC0415

        torch.cuda.empty_cache()
        smaller, self._beam_width = self._beam_width > 1, 1
        return smaller


@contextmanager
def _called() -> Iterator[None]:
    """Wraps a call of the library: explains its errors and hides its warnings.

    A user can do nothing about those (no Triton, an unused card). They are switched off for good, since
    `warnings.catch_warnings` would also undo what another thread has changed in the meantime.
    """
    warnings.filterwarnings("ignore", module=r"whisper\b")
    with failures.explained("openai-whisper"):
        yield
