"""stub"""

from pipelines.types import Transcript


def serialize(transcript: Transcript, audio_uri: str = "") -> str:
    return ""
