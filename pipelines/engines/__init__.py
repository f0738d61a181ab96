"""Engines: the only place that imports third-party engines, and only when they run.

choice     the table of engines, and which one to use
given      engines that return what the user supplied
fake       engines that play back a script, for tests
embedded   the engines of the base install
whisper    openai-whisper and faster-whisper
pyannote   pyannote.audio
model_engine  engines with a model of the user's choice
device     processor or graphics card
footprint  whether two engines fit into memory
chunking   speech in chunks, cut in pauses
workers    jobs spread over processes
failures   errors of a library, as one sentence
"""

import os

# onnxruntime 1.32 writes a device id into the user's cache folder and contacts its vendor as soon as it is
# imported, by us or by pyannote.audio. Switching that off after the import is too late.
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
