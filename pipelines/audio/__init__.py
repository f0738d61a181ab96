"""Any media file as samples, and a small copy of it to listen to.

decoding  any untrusted media file to mono 16 kHz float32
downmix   many channels to one, without losing any
preview   the recording as a small Opus file, for the result page
"""

from pipelines.audio.decoding import Limits, load, read
from pipelines.audio.preview import playable

__all__ = ["Limits", "load", "playable", "read"]
