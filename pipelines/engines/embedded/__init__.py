"""The engines of the base install: small, on any processor, without torch.

silero               Silero voice activity detection
pocketsphinx         PocketSphinx: speech recognition and forced alignment
pocketsphinx_worker  what its worker processes run
pronunciation        how an English word sounds that the dictionary lacks
diarizer             speech in pieces, a d-vector for each, clustered
dvector              a voice as 256 numbers
agglomeration        pieces into speakers, and how many there are
lstm                 an LSTM as an ONNX model
onnx                 small networks in onnxruntime
"""

from pipelines.engines.embedded.diarizer import EmbeddedDiarizer
from pipelines.engines.embedded.pocketsphinx import PocketSphinx, PocketSphinxAligner
from pipelines.engines.embedded.silero import SileroDetector

__all__ = ["EmbeddedDiarizer", "PocketSphinx", "PocketSphinxAligner", "SileroDetector"]
