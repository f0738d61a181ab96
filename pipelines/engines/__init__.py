"""Engines: the only place that imports third-party engines, and only when they run."""

import os

# onnxruntime 1.32 writes an identity of the device into the user's cache folder and connects to its maker as
# soon as it is imported, by us or by pyannote.audio. Switched off after that it still writes.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
