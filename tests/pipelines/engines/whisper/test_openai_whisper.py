"""openai-whisper: what is its own, and all that can be wrong with its files."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
import whisper as library
from whisper.decoding import DecodingOptions

from pipelines.engines import device
from pipelines.engines.whisper.openai_whisper import Whisper, _Recognizer
from pipelines.errors import (
    EngineError,
    EngineMemoryError,
    EngineMissingError,
    ModelUnusableError,
    OptionError,
    TurnwiseError,
)
from pipelines.protocols import Transcriber
from pipelines.types import SAMPLE_RATE, Samples
from tests.pipelines.engines.conftest import CHECKPOINT, Spoken

DIMENSIONS = {
    "n_mels": 80,
    "n_audio_ctx": 1500,
    "n_audio_state": 16,
    "n_audio_head": 2,
    "n_audio_layer": 1,
    "n_vocab": 51_864,  # English only
    "n_text_ctx": 448,
    "n_text_state": 16,
    "n_text_head": 2,
    "n_text_layer": 1,
}


def save(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


@pytest.fixture(scope="module")
def english(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of an English-only model."""
    torch.manual_seed(1)
    model = library.model.Whisper(library.model.ModelDimensions(**DIMENSIONS))
    content = {"dims": DIMENSIONS, "model_state_dict": model.state_dict()}
    return save(tmp_path_factory.mktemp("english") / "small.en.pt", content)


def pieces() -> list[Samples]:
    return [np.zeros(SAMPLE_RATE, np.float32)]


def test_it_is_an_engine() -> None:
    transcriber: Transcriber = Whisper("small")
    assert transcriber


# --------------------------------------------------------------------------- files


def test_a_good_one_is_fine() -> None:
    Whisper(str(CHECKPOINT), "cpu").check()
    assert Whisper(str(CHECKPOINT)).weights_bytes == 3 * CHECKPOINT.stat().st_size // 2


def refused(path: Path, expected: str) -> None:
    with pytest.raises(ModelUnusableError, match=expected) as caught:
        Whisper(str(path), "cpu").check()
    assert "\n" not in str(caught.value)


def test_wrong_files(tmp_path: Path) -> None:
    path = tmp_path / "small.pt"
    path.write_bytes(CHECKPOINT.read_bytes()[:1_000_000])
    refused(path, "only a part of a file.*fetch it again")
    path.write_bytes(b"")
    refused(path, "an empty file.*fetch it again")
    path.write_text("<html>Sign in</html>", encoding="utf-8")
    refused(path, r"a text.*give the \.pt of a Whisper model")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("photo.jpg", b"1")
    refused(path, r"a zip archive without a model.*give the \.pt")
    safetensors.numpy.save_file({"w": np.zeros(2, np.float32)}, path)
    refused(path, r"a safetensors file.*give the \.pt")
    refused(save(path, {"state_dict": {}}), r"a checkpoint of another model.*give the \.pt")


def test_folders(tmp_path: Path, converted: Path) -> None:
    refused(converted, "a faster-whisper folder.*choose --asr faster-whisper")
    (tmp_path / "config.yaml").write_text("version: 4", encoding="utf-8")
    refused(tmp_path, "a pyannote folder.*choose --diarizer pyannote")


def unloadable(path: Path) -> str:
    engine = Whisper(str(path), "cpu")
    engine.check()  # its first bytes are right
    with pytest.raises(
        ModelUnusableError, match=r"cannot be loaded by openai-whisper.*fetch it again"
    ) as caught:
        engine._load()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_lies_about_itself_is_found_out_when_loaded(tmp_path: Path) -> None:
    unloadable(save(tmp_path / "a.pt", {"dims": DIMENSIONS, "model_state_dict": {}}))
    unloadable(save(tmp_path / "b.pt", {"model_state_dict": {}, "n_audio_ctx": 1}))
    unloadable(save(tmp_path / "c.pt", {"dims": {"n_audio_ctx": 1}, "model_state_dict": {}}))


class Program:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_a_model_is_never_run_as_a_program(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    content = {"dims": DIMENSIONS, "model_state_dict": {}, "extra": Program(trace)}
    unloadable(save(tmp_path / "small.pt", content))
    assert not trace.exists()


# --------------------------------------------------------------------------- the machine


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What is installed; nothing where it is empty."""
    installed = {"openai-whisper": "20250625", "torch": "2.6.0+cpu"}

    def version(name: str) -> str:
        if name not in installed:
            raise metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(metadata, "version", version)
    return installed


@pytest.mark.parametrize("missing", ["openai-whisper", "torch"])
def test_the_library_is_missing(versions: dict[str, str], missing: str) -> None:
    """A library of another project is imported by the same name: the distribution's name decides."""
    Whisper(str(CHECKPOINT), "cpu").check()
    del versions[missing]
    with pytest.raises(
        EngineMissingError, match=r"openai-whisper is not installed: run pip install 'turnwise\["
    ):
        Whisper(str(CHECKPOINT), "cpu").check()


def test_torch_that_runs_code_from_checkpoints_is_not_used(versions: dict[str, str]) -> None:
    versions["torch"] = "2.5.1"
    with pytest.raises(EngineMissingError, match=r"torch 2\.5\.1 is too old"):
        Whisper(str(CHECKPOINT), "cpu").check()


def test_no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNWISE_MODELS", str(tmp_path))
    with pytest.raises(EngineMissingError, match="turnwise models pull"):
        Whisper("small").check()


def test_no_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "torch_has_cuda", lambda: False)
    with pytest.raises(OptionError, match="choose --device cpu"):
        Whisper(str(CHECKPOINT), "cuda").check()
    with pytest.raises(OptionError, match="auto, cpu or cuda"):
        Whisper(str(CHECKPOINT), "gpu").check()
    Whisper(str(CHECKPOINT), "auto").check()


class Failing:
    """A model that cannot do its work."""

    is_multilingual = False
    num_languages = 99
    device = torch.device("cpu")

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.widths: list[int] = []

    def transcribe(self, samples: Samples, **options: Any) -> dict[str, Any]:
        self.widths.append(options["beam_size"])
        if options["beam_size"] > 1 or not isinstance(self.error, MemoryError):
            raise self.error
        return {"segments": []}


def test_short_memory_narrows_the_beam_once() -> None:
    model = Failing(MemoryError())
    recognizer = _Recognizer(model)
    with pytest.raises(EngineMemoryError, match="choose a smaller model"):
        recognizer.recognize(pieces(), "en", ())
    assert recognizer.shrink()
    assert recognizer.recognize(pieces(), "en", ()) == [[]]
    assert not recognizer.shrink()
    assert model.widths == [5, 1]


def test_other_failures_are_one_sentence() -> None:
    failing = _Recognizer(Failing(RuntimeError("CUDA error: no kernel image is available\nCompile with")))
    with pytest.raises(EngineError, match="no kernel image is available"):
        failing.recognize(pieces(), "en", ())


# --------------------------------------------------------------------------- the library


def test_an_english_model(english: Path, clip: Spoken) -> None:
    engine = Whisper(str(english), "cpu")
    assert engine.transcribe(clip.audio, [], "").language == "und"
    assert engine.transcribe(clip.audio, [], "en-GB").language == "en"
    with pytest.raises(OptionError, match=r"small\.en knows English only, not 'fr'"):
        engine.transcribe(clip.audio, clip.speech, "fr")


def test_all_languages_of_a_multilingual_model(whispers: dict[str, Transcriber]) -> None:
    engine = whispers["whisper"]
    assert isinstance(engine, Whisper)
    assert len(engine._recognizer.languages) == 99


def test_openais_own_models_get_their_alignment_heads(monkeypatch: pytest.MonkeyPatch, english: Path) -> None:
    """The library forgets them where a model is loaded by its path."""
    engine = Whisper(str(english), "cpu")
    monkeypatch.setitem(library._MODELS, "tiny.en", f"https://host/{engine.info.model_sha256}/tiny.en.pt")
    set_heads: list[bytes] = []
    monkeypatch.setattr(
        library.model.Whisper, "set_alignment_heads", lambda self, heads: set_heads.append(heads)
    )
    engine._load()
    assert set_heads == [library._ALIGNMENT_HEADS["tiny.en"]]


@pytest.mark.engine
def test_the_number_of_threads_stays(clip: Spoken) -> None:
    """numba changes it for torch too when it aligns its first words: seen in a fresh process."""
    program = (
        "import sys, numpy as np, torch\n"
        "from pipelines.engines.whisper import Whisper\n"
        "recognizer = Whisper(sys.argv[1], 'cpu')._load()\n"
        "recognizer.recognize([np.zeros(16000, np.float32)], 'en', ())\n"
        "from whisper.timing import dtw_cpu\n"
        "dtw_cpu(np.zeros((3, 3)))\n"
        "print(torch.get_num_threads())\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(CHECKPOINT)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (result.stdout, result.stderr) == ("1\n", "")


@pytest.mark.engine
def test_terms_reach_every_window(
    whispers: dict[str, Transcriber], clip: Spoken, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts: list[list[int]] = []
    decode = library.model.Whisper.decode

    def spy(self: Any, mel: Any, options: DecodingOptions) -> Any:
        assert isinstance(options.prompt, list)
        prompts.append(options.prompt)
        return decode(self, mel, options)

    monkeypatch.setattr(library.model.Whisper, "decode", spy)
    speech = [span for span in clip.speech if span.end < 42]
    whispers["whisper"].transcribe(clip.audio, speech, "en", terms=("Zanzibar", "Estmark"))
    tokenizer = library.tokenizer.get_tokenizer(True)
    assert len(prompts) >= 2
    assert {tokenizer.decode(prompt) for prompt in prompts} == {" Zanzibar, Estmark."}
    prompts.clear()
    whispers["whisper"].transcribe(clip.audio, speech[:3], "en")
    assert prompts
    assert not any(prompts)


@pytest.mark.engine
def test_no_spectrogram_is_longer_than_a_window(
    whispers: dict[str, Transcriber], clip: Spoken, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []
    compute = library.transcribe.__globals__["log_mel_spectrogram"]

    def spy(samples: Samples, *arguments: Any, **options: Any) -> Any:
        lengths.append(len(samples))
        return compute(samples, *arguments, **options)

    monkeypatch.setitem(library.transcribe.__globals__, "log_mel_spectrogram", spy)
    whispers["whisper"].transcribe(clip.audio, clip.speech, "en")
    assert len(lengths) >= 3
    assert max(lengths) <= 30 * SAMPLE_RATE


def test_a_missing_path_is_no_name_of_the_library(tmp_path: Path) -> None:
    """openai-whisper would fetch what is called like one of its models."""
    with pytest.raises(TurnwiseError):
        Whisper(str(tmp_path / "tiny")).check()
