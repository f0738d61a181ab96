"""What libraries raise, in one sentence."""

from __future__ import annotations

import pytest

from pipelines.engines.failures import explained, is_memory_short, loading
from pipelines.errors import (
    CancelledError,
    EngineError,
    EngineMemoryError,
    ModelUnusableError,
    OptionError,
    first_line,
)

SHORT = [
    MemoryError(),
    RuntimeError("CUDA failed with error out of memory"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:119] DefaultCPUAllocator: can't allocate memory: you tried"),
    RuntimeError("std::bad_alloc"),
    RuntimeError("cuBLAS failed with status CUBLAS_STATUS_ALLOC_FAILED"),
]


@pytest.mark.parametrize("error", SHORT, ids=str)
def test_short_memory_is_told(error: Exception) -> None:
    assert is_memory_short(error)
    with pytest.raises(EngineMemoryError, match="choose a smaller model") as caught, explained("Whisper"):
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [ValueError("out of memory"), RuntimeError("no kernel image"), KeyError()])
def test_other_errors_are_not(error: Exception) -> None:
    assert not is_memory_short(error)
    with pytest.raises(EngineError, match="Whisper failed") as caught, explained("Whisper"):
        raise error
    assert not isinstance(caught.value, EngineMemoryError)


def test_the_sentence_is_one_line() -> None:
    with pytest.raises(EngineError) as caught, explained("faster-whisper"):
        raise RuntimeError("Library libcublas.so.12 is not found or cannot be loaded.\nstack\nof calls")
    assert str(caught.value) == (
        "faster-whisper failed (Library libcublas.so.12 is not found or cannot be loaded):"
        " try --device cpu, or choose another engine."
    )


@pytest.mark.parametrize("error", [CancelledError("stopped"), OptionError("no")])
def test_our_own_pass(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, explained("Whisper"):
        raise error
    assert caught.value is error


def test_an_interrupt_passes() -> None:
    with pytest.raises(KeyboardInterrupt), loading("small.pt", "openai-whisper"):
        raise KeyboardInterrupt


def test_what_cannot_be_loaded_is_unusable() -> None:
    with (
        pytest.raises(ModelUnusableError, match=r"small\.pt cannot be loaded by openai-whisper \(dims\)"),
        loading("small.pt", "openai-whisper"),
    ):
        raise RuntimeError("dims")
    with pytest.raises(EngineMemoryError), loading("small.pt", "openai-whisper"):
        raise MemoryError


@pytest.mark.parametrize(
    "text",
    [
        "CUDA driver version is insufficient for CUDA runtime version",
        "Library libcudnn_ops.so.9 is not found or cannot be loaded",
        "Found no NVIDIA driver on your system.",
    ],
)
def test_the_cards_trouble_is_not_the_models(text: str) -> None:
    with pytest.raises(EngineError, match="try --device cpu"), loading("small", "faster-whisper"):
        raise RuntimeError(text)


def test_an_error_without_text_has_its_name() -> None:
    assert first_line(KeyError()) == "KeyError"
    assert first_line(ValueError(" \n ")) == "ValueError"
