"""pyannote.audio 4 as a diarizer: its own networks and clustering, in bounded memory and without wasted work.

imports         pyannote.audio, on any build of torch, and without its telemetry
folder          which files a pipeline folder is made of, and its parameters
networks        networks from files that cannot run code
batches         how many chunks go through a network at once
windows         where the chunks and their frames lie in the recording
segmentation    who of a chunk's local speakers is active in which frame
embedding       a voice for each local speaker of each chunk
clustering      which of the local speakers are the same
reconstruction  frames of all chunks put together: segments
engine          all of it in order
"""

from pipelines.engines.pyannote.engine import Pyannote

__all__ = ["Pyannote"]
