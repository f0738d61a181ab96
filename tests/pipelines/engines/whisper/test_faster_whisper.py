"""faster-whisper: what is its own, and all that can be wrong with its folders."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ctranslate2
import numpy as np
import pytest

from pipelines.engines import device
from pipelines.engines.whisper.faster_whisper import COMPUTE_TYPES, FasterWhisper, _Recognizer
from pipelines.engines.whisper.sections import LONGEST_SAMPLES
from pipelines.errors import (
    EngineError,
    EngineMemoryError,
    EngineMissingError,
    ModelUnusableError,
    OptionError,
)
from pipelines.protocols import Transcriber
from pipelines.types import SAMPLE_RATE, Samples
from tests.pipelines.engines.conftest import CHECKPOINT, Spoken


def test_it_is_an_engine() -> None:
    transcriber: Transcriber = FasterWhisper("small")
    assert transcriber


# --------------------------------------------------------------------------- folders


@pytest.fixture
def folder(converted: Path, tmp_path: Path) -> Path:
    """A model that may be broken."""
    return Path(shutil.copytree(converted, tmp_path / "small"))


def refused(path: Path, expected: str) -> None:
    with pytest.raises(ModelUnusableError, match=expected) as caught:
        FasterWhisper(str(path), "cpu").check()
    assert "\n" not in str(caught.value)


def test_a_good_one_is_fine(folder: Path) -> None:
    FasterWhisper(str(folder), "cpu").check()
    assert FasterWhisper(str(folder)).weights_bytes > (folder / "model.bin").stat().st_size


@pytest.mark.parametrize("part", ["config.json", "tokenizer.json", "vocabulary.json"])
def test_a_missing_part(folder: Path, part: str) -> None:
    """Without tokenizer.json the library would ask the network for one."""
    (folder / part).unlink()
    refused(folder, f"small lacks {part}: fetch the whole folder again")


def test_wrong_folders(tmp_path: Path) -> None:
    refused(CHECKPOINT, "an openai-whisper model.*choose --asr whisper")
    (tmp_path / "config.yaml").write_text("version: 4", encoding="utf-8")
    refused(tmp_path, "a pyannote folder.*choose --diarizer pyannote")
    (tmp_path / "config.yaml").unlink()
    refused(tmp_path, "a folder without a model.*give the folder")
    (tmp_path / "model.safetensors").write_bytes(b"1")
    refused(tmp_path, "a transformers folder.*ct2-transformers-converter")


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x06\0\0\0\x10\0TransformerSpec\0"])
def test_another_model(folder: Path, content: bytes) -> None:
    (folder / "model.bin").write_bytes(content)
    refused(folder, "a CTranslate2 folder of another model.*give the folder")


def unloadable(folder: Path) -> None:
    engine = FasterWhisper(str(folder), "cpu")
    engine.check()
    with pytest.raises(
        ModelUnusableError, match=r"cannot be loaded by faster-whisper.*fetch it again"
    ) as caught:
        engine._load()
    assert "\n" not in str(caught.value)


def test_half_downloaded(folder: Path) -> None:
    content = (folder / "model.bin").read_bytes()
    (folder / "model.bin").write_bytes(content[: len(content) // 2])
    unloadable(folder)


@pytest.mark.parametrize("part", ["tokenizer.json", "vocabulary.json", "config.json"])
def test_damaged_parts(folder: Path, part: str) -> None:
    (folder / part).write_text('{"half', encoding="utf-8")
    unloadable(folder)


def test_without_the_spectrograms_size_the_model_says_it(folder: Path) -> None:
    """large-v3 has 128 bands, and early conversions lack the file that says so."""
    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_size": 128}), encoding="utf-8")
    recognizer = FasterWhisper(str(folder), "cpu")._load()
    assert recognizer.detect(np.zeros(SAMPLE_RATE, np.float32))


def test_the_network_is_never_asked(folder: Path, monkeypatch: pytest.MonkeyPatch, clip: Spoken) -> None:
    def forbidden(*arguments: object, **options: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", forbidden)
    monkeypatch.setattr(socket, "create_connection", forbidden)
    FasterWhisper(str(folder), "cpu").transcribe(clip.audio, clip.speech[1:2], "")


# --------------------------------------------------------------------------- the machine


def test_the_library_is_missing(monkeypatch: pytest.MonkeyPatch, converted: Path) -> None:
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(EngineMissingError, match=r"run pip install 'turnwise\[faster-whisper\]'"):
        FasterWhisper(str(converted)).check()


def test_no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURNWISE_MODELS", str(tmp_path))
    with pytest.raises(EngineMissingError, match="turnwise models pull"):
        FasterWhisper("small").check()


def test_no_card(converted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "ctranslate2_has_cuda", lambda: False)
    with pytest.raises(OptionError, match="choose --device cpu"):
        FasterWhisper(str(converted), "cuda").check()
    FasterWhisper(str(converted), "auto").check()


def test_a_processor_that_ends_it_all(converted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "lacks_avx", lambda: True)
    with pytest.raises(EngineMissingError, match=r"a processor with AVX.*choose --asr whisper"):
        FasterWhisper(str(converted), "cpu").check()


@pytest.mark.parametrize(
    ("supported", "taken"), [({"int8", "float32"}, "int8"), ({"float32", "int16"}, "float32")]
)
def test_a_processor_without_fast_integers_computes_in_floats(
    supported: set[str], taken: str, converted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ctranslate2, "get_supported_compute_types", lambda device: supported)
    recognizer = FasterWhisper(str(converted), "cpu")._load()
    assert isinstance(recognizer, _Recognizer)
    assert recognizer._model.model.compute_type.startswith(taken)


def test_floats_are_the_last_resort_everywhere() -> None:
    assert {kinds[-1] for kinds in COMPUTE_TYPES.values()} == {"float32"}


def test_a_processor_without_avx2(converted: Path) -> None:
    """CTranslate2 has code for any x86-64; here it is told to take that."""
    program = (
        "import sys, numpy as np\n"
        "from pipelines.engines.whisper.faster_whisper import FasterWhisper\n"
        "recognizer = FasterWhisper(sys.argv[1], 'cpu')._load()\n"
        "print(len(recognizer.detect(np.zeros(16000, np.float32))))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, str(converted)],
        env={"CT2_FORCE_CPU_ISA": "GENERIC", "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (result.stdout, result.stderr) == ("99\n", "")


# --------------------------------------------------------------------------- batches


class Pipeline:
    """Stands for the library: answers each slot with what the test has for it."""

    frames_per_second = 100
    hf_tokenizer = SimpleNamespace(encode=lambda text, add_special_tokens: SimpleNamespace(ids=text.split()))

    def __init__(self, answers: list[dict[str, Any]], error: Exception | None = None) -> None:
        self.answers = answers
        self.error = error
        self.calls: list[tuple[int, dict[str, Any]]] = []

    def transcribe(self, samples: Samples, **options: Any) -> tuple[list[SimpleNamespace], None]:
        if self.error:
            raise self.error
        self.calls.append((len(samples), options))
        words = [SimpleNamespace(word=" a", start=1.0, end=2.0, probability=0.9)]
        defaults = {"compression_ratio": 1.0, "avg_logprob": -0.2, "words": words, "seek": 0}
        return [SimpleNamespace(**(defaults | answer)) for answer in self.answers], None


def recognizer_with(together: Pipeline, alone: Pipeline) -> _Recognizer:
    recognizer = _Recognizer.__new__(_Recognizer)
    recognizer._model, recognizer._batched, recognizer.sections_at_once = alone, together, 4
    return recognizer


def spoken(start: float) -> list[SimpleNamespace]:
    return [SimpleNamespace(word=" b", start=start, end=start + 1, probability=0.5)]


def test_every_piece_has_a_slot() -> None:
    talk = [spoken(30.0 + 2 * k)[0] for k in range(1, 14)]
    together = Pipeline(
        [
            {"seek": 6000, "words": spoken(61.0)},
            {"seek": 0, "words": spoken(2.0)},
            {"seek": 3000, "words": talk},
        ]
    )
    recognizer = recognizer_with(together, Pipeline([]))
    pieces = [np.ones(SAMPLE_RATE * k, np.float32) for k in (4, 28, 3)]
    found = recognizer.recognize(pieces, "en", ("Estmark", "Selby"))
    assert [[(w.text, w.start, w.end) for w in words] for words in found] == [
        [(" b", 2.0, 3.0)],
        [(" b", 2.0 * k, 2.0 * k + 1) for k in range(1, 14)],
        [(" b", 1.0, 2.0)],
    ]
    ((length, options),) = together.calls
    assert length == 3 * LONGEST_SAMPLES
    assert options["clip_timestamps"] == [
        {"start": 0, "end": 4},
        {"start": 30, "end": 58},
        {"start": 60, "end": 63},
    ]
    assert (options["language"], options["hotwords"], options["batch_size"]) == ("en", "Estmark, Selby.", 3)


@pytest.mark.parametrize("doubt", [{"compression_ratio": 2.5}, {"avg_logprob": -1.1}])
def test_the_doubtful_are_heard_again_alone(doubt: dict[str, float]) -> None:
    alone = Pipeline([{"words": spoken(3.0)}])
    recognizer = recognizer_with(Pipeline([{}, {"seek": 3000} | doubt]), alone)
    found = recognizer.recognize([np.zeros(100, np.float32), np.zeros(200, np.float32)], "en", ())
    assert [[w.text for w in words] for words in found] == [[" a"], [" b"]]
    ((length, options),) = alone.calls
    assert length == 200
    assert options["condition_on_previous_text"] is False
    assert options["hotwords"] is None


@pytest.mark.parametrize("words", [[], spoken(0.5), [*spoken(1.0), *spoken(3.7)]])
def test_so_are_those_that_leave_something_out(words: list[SimpleNamespace]) -> None:
    alone = Pipeline([{"words": spoken(3.0)}])
    recognizer = recognizer_with(Pipeline([{"words": words}]), alone)
    (found,) = recognizer.recognize([np.zeros(5 * SAMPLE_RATE, np.float32)], "en", ())
    assert [w.text for w in found] == [" b"]
    assert len(alone.calls) == 1


def test_and_those_of_which_nothing_comes_back() -> None:
    alone = Pipeline([])
    recognizer = recognizer_with(Pipeline([]), alone)
    assert recognizer.recognize([np.zeros(SAMPLE_RATE, np.float32)], "en", ()) == [[]]
    assert len(alone.calls) == 1


def test_short_memory_and_other_failures() -> None:
    short = recognizer_with(Pipeline([], RuntimeError("CUDA failed with error out of memory")), Pipeline([]))
    with pytest.raises(EngineMemoryError):
        short.recognize([np.zeros(100, np.float32)], "en", ())
    assert [short.shrink() for _ in range(3)] == [True, True, False]
    assert short.sections_at_once == 1
    broken = recognizer_with(
        Pipeline([], RuntimeError("Library libcublas.so.12 is not found or cannot be loaded")), Pipeline([])
    )
    with pytest.raises(EngineError, match=r"libcublas\.so\.12 is not found.*try --device cpu"):
        broken.recognize([np.zeros(100, np.float32)], "en", ())


def test_an_english_model_has_one_language() -> None:
    model = SimpleNamespace(
        supported_languages=["en"], hf_tokenizer=SimpleNamespace(token_to_id=lambda text: None)
    )
    recognizer = recognizer_with(Pipeline([]), Pipeline([]))
    recognizer._model = model
    assert recognizer.languages == ["en"]


@pytest.mark.engine
def test_terms_reach_every_section(
    whispers: dict[str, Transcriber], clip: Spoken, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = whispers["faster-whisper"]
    assert isinstance(engine, FasterWhisper)
    recognizer = engine._recognizer
    assert isinstance(recognizer, _Recognizer)
    given: list[list[int]] = []
    get_prompt = recognizer._model.get_prompt

    def spy(*arguments: Any, **options: Any) -> list[int]:
        given.append(list(get_prompt(*arguments, **options)))
        return given[-1]

    monkeypatch.setattr(recognizer._model, "get_prompt", spy)
    engine.transcribe(clip.audio, clip.speech, "en", terms=("Zanzibar", "Estmark"))
    decode = recognizer._model.hf_tokenizer.decode
    assert given
    assert all(decode(prompt) == " Zanzibar, Estmark." for prompt in given)
    given.clear()
    engine.transcribe(clip.audio, clip.speech, "en")
    assert all(decode(prompt) == "" for prompt in given)
