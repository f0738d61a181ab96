"""Engines: the only place that imports third-party engines, and only when they run.

choice     which engines there are, and which of them to take
given      engines that give back what the user brought along
fake       engines that play back a script, for tests
embedded   the engines of the base install
whisper    openai-whisper and faster-whisper
pyannote   pyannote.audio
device     processor or graphics card
footprint  whether two engines fit into memory
chunking   speech in pieces, cut in pauses
workers    jobs spread over processes
failures   what a library raises, as one sentence
"""

import os

# onnxruntime 1.32 writes an identity of the device into the user's cache folder and connects to its maker as
# soon as it is imported, by us or by pyannote.audio. Switched off after that it still writes.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

from pipelines.engines.choice import AUTO, DIARIZERS, TRANSCRIBERS, Engine, Entry, check_name, choose
from pipelines.engines.given import GivenDiarizer, GivenTranscriber, check_fit, one_voice

__all__ = [
    "AUTO",
    "DIARIZERS",
    "TRANSCRIBERS",
    "Engine",
    "Entry",
    "GivenDiarizer",
    "GivenTranscriber",
    "check_fit",
    "check_name",
    "choose",
    "one_voice",
]
