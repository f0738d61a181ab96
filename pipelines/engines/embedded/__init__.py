"""The engines of the base install: small, for any processor, without torch.

silero               Silero voice activity detection
pocketsphinx         PocketSphinx: speech recognition and forced alignment
pocketsphinx_worker  the script of its worker processes
pronunciation        the pronunciation of English words that the dictionary lacks
diarizer             speech cut into pieces, a d-vector for each, clustered
dvector              a voice as 256 numbers
agglomeration        pieces grouped into speakers, and how many there are
lstm                 an LSTM as an ONNX model
onnx                 small networks in onnxruntime
"""

from pipelines.engines.embedded.diarizer import EmbeddedDiarizer
from pipelines.engines.embedded.pocketsphinx import PocketSphinx, PocketSphinxAligner
from pipelines.engines.embedded.silero import SileroDetector

__all__ = ["EmbeddedDiarizer", "PocketSphinx", "PocketSphinxAligner", "SileroDetector"]
