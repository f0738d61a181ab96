"""What the tests of the real Whisper engines share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.audio import decoding as audio
from pipelines.engines.embedded.silero import SileroDetector
from pipelines.engines.whisper.faster_whisper import FasterWhisper
from pipelines.engines.whisper.openai_whisper import Whisper
from pipelines.protocols import Transcriber
from pipelines.types import Audio, Heard, Span

TESTS = Path(__file__).parents[2]
CHECKPOINT = TESTS / "checkpoints" / "whisper-clip.pt"
CLIP = TESTS / "data" / "clip"


@dataclass(frozen=True, slots=True)
class Spoken:
    """A recording, and where in it somebody speaks."""

    audio: Audio
    speech: tuple[Span, ...]


@pytest.fixture(scope="session")
def clip() -> Spoken:
    recording, _ = audio.load(CLIP / "clip.opus")
    return Spoken(recording, SileroDetector().detect(recording))


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint as faster-whisper reads it; made in three seconds, and never changed."""
    from tests.checkpoints.convert_whisper import convert  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("models") / "whisper-clip"
    convert(CHECKPOINT, folder)
    return folder


@pytest.fixture(scope="session")
def whispers(converted: Path) -> dict[str, Transcriber]:
    """Both libraries, by the names of the engines."""
    return {
        "whisper": Whisper(str(CHECKPOINT), "cpu"),
        "faster-whisper": FasterWhisper(str(converted), "cpu"),
    }


@pytest.fixture(scope="session", params=["whisper", "faster-whisper"])
def engine(request: pytest.FixtureRequest, whispers: dict[str, Transcriber]) -> Transcriber:
    """One library after the other: every test with it runs over both."""
    return whispers[request.param]


@pytest.fixture(scope="session")
def heard_by(whispers: dict[str, Transcriber], clip: Spoken) -> dict[str, Heard]:
    """The clip."""
    return {name: whisper.transcribe(clip.audio, clip.speech, "en") for name, whisper in whispers.items()}


@pytest.fixture(scope="session")
def heard(engine: Transcriber, heard_by: dict[str, Heard]) -> Heard:
    return heard_by[engine.info.engine]
