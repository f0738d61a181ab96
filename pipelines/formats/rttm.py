"""RTTM, Rich Transcription Time Marked: who speaks when.

Specification: NIST, "The 2009 (RT-09) Rich Transcription Meeting Recognition Evaluation Plan", appendix A.

    SPEAKER <recording> 1 <onset> <duration> <NA> <NA> <speaker> <NA> <NA>
"""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.errors import TextError
from pipelines.formats import nist
from pipelines.types import SpeakerSegment, Transcript

MOST_SPEAKERS = 1000
"""In one file; a file with more has something else in the speaker field."""


def serialize(transcript: Transcript) -> str:
    """One line per turn, with the speaker's id; turns shorter than a millisecond are left out."""
    turns = [SpeakerSegment(turn.start, turn.end, turn.speaker) for turn in transcript.turns]
    return serialize_segments(turns, transcript.media.name)


def serialize_segments(segments: Sequence[SpeakerSegment], name: str) -> str:
    """One line per segment of a recording's diarization; `name` is the recording's file name."""
    recording = nist.recording_id(name)
    lines = ((nist.milliseconds(s.start), nist.milliseconds(s.end), nist.field(s.speaker)) for s in segments)
    return "".join(
        f"SPEAKER {recording} 1 {nist.seconds(start)} {nist.seconds(end - start)} <NA> <NA> {who} <NA> <NA>\n"
        for start, end, who in lines
        if end > start
    )


def parse(text: str) -> tuple[SpeakerSegment, ...]:
    """Returns the SPEAKER lines in order of start time; lines of other types are skipped.

    Accepts the nine fields of older versions. Raises TextError if a line is not RTTM, if the lines belong to
    several recordings, or if they name more than MOST_SPEAKERS.
    """
    segments, recordings = [], []
    for number, line in nist.lines(text):
        kind, *fields = line.split()
        if len(fields) not in {8, 9}:
            raise TextError(f"Line {number} is not RTTM, which has 10 fields: correct {line[:80]!r}.")
        if kind == "SPEAKER":
            onset, duration = nist.times("RTTM", number, fields[2], fields[3])
            segments.append(SpeakerSegment(onset, round(onset + duration, 6), fields[6]))
            recordings.append(fields[0])
    nist.check_single("RTTM", recordings)
    count = len({segment.speaker for segment in segments})
    if count > MOST_SPEAKERS:
        raise TextError(
            f"This RTTM names {count} speakers, more than {MOST_SPEAKERS}: the speaker is the eighth field."
        )
    return tuple(sorted(segments, key=lambda segment: (segment.start, segment.end)))
