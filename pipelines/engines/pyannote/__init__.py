"""pyannote.audio 4 as a diarizer: its own networks and clustering, in bounded memory and without wasted work.

imports         pyannote.audio, on any build of torch and without its telemetry
folder          the files and parameters of a pipeline folder
networks        networks from files, without running their code
batches         how many chunks go through a network at once
windows         where the chunks and their frames lie in the recording
segmentation    which of a chunk's local speakers are active in which frames
embedding       a voice embedding for each local speaker of each chunk
clustering      which of the local speakers are the same
reconstruction  segments from the frames of all chunks
engine          all of it in order
"""

from pipelines.engines.pyannote.engine import Pyannote

__all__ = ["Pyannote"]
