"""Whisper, in PyTorch and in CTranslate2.

openai_whisper  openai-whisper
faster_whisper  faster-whisper
long_form       a whole recording through a window of 30 s, for both
sections        speech in sections that fill the window
prompting       a prompt with names and spellings
"""

from pipelines.engines.whisper.faster_whisper import FasterWhisper
from pipelines.engines.whisper.openai_whisper import Whisper

__all__ = ["FasterWhisper", "Whisper"]
