from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from service import stages


def test_a_missing_model_is_told_without_the_path_of_its_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TURNWISE_MODELS", str(tmp_path))

    def perform(request: Any, progress: Any) -> None:
        stages._choose("pipelines.engines.choice:choose", "whisper:tiny", "embedded", "cpu", "")

    monkeypatch.setattr(stages, "perform", perform)
    failed: Any = stages.answer({"stage": "transcribe"}, lambda fraction: None)["failed"]
    assert failed["code"] == "EngineMissingError"
    assert " is not in the models folder: " in failed["message"]
    assert str(tmp_path) not in failed["message"]
