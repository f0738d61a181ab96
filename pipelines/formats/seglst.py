"""SegLST, segment-wise long-form speech transcription: a JSON list with one object per turn.

Specification: the documentation of meeteval and of the CHiME-7 and CHiME-8 challenges.
"""

from __future__ import annotations

import json

from pipelines.formats import nist
from pipelines.types import Transcript


def serialize(transcript: Transcript) -> str:
    """One segment per turn in the corrected reading, with the speaker's id and times in seconds."""
    recording = nist.recording_id(transcript.media.name)
    segments = [
        {
            "session_id": recording,
            "speaker": turn.speaker,
            "start_time": round(turn.start, 3),
            "end_time": round(turn.end, 3),
            "words": turn.corrected,
        }
        for turn in transcript.turns
    ]
    return json.dumps(segments, ensure_ascii=False, indent=1) + "\n"
