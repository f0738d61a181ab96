"""What signatures cannot describe of the operations on jobs: forms, files and streams, with examples."""

from __future__ import annotations

import json
from typing import Any

from pipelines.formats import FORMATS, result, serialize
from service.api.shapes import EXAMPLE_ID, ID_PATTERN

FILE = {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
"""Says it twice: OpenAPI 3.1 asks for the media type, client generators for the format."""
PARTS = {
    "audio": FILE | {"description": "The recording: any audio or video file."},
    "upload": {
        "type": "string",
        "pattern": ID_PATTERN,
        "description": "Instead of audio: the id of a finished resumable upload.",
    },
    "text": {"type": "string", "description": "Its text, as a field or a file: txt, srt, vtt or json."},
    "options": {"$ref": "#/components/schemas/JobOptions"},
    "heard": FILE | {"description": "Words recognised before: heard.json, or Whisper's JSON."},
    "diarization": FILE | {"description": "Speaker segments known before, as RTTM."},
}
JOB_FORM = {
    "type": "object",
    "description": "A recording, as a file or an upload, with optional files and options.",
    "properties": PARTS,
    "additionalProperties": False,
    # One or the other. From `oneOf`, client generators make two forms without parts.
    "if": {"required": ["upload"]},
    "then": {"not": {"required": ["audio"]}},
    "else": {"required": ["audio"]},
}
FORM = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {"$ref": "#/components/schemas/JobForm"},
            "encoding": {"options": {"contentType": "application/json"}},
            "examples": {
                "recording": {
                    "summary": "A recording with its text",
                    "value": {
                        "audio": "(the file's bytes)",
                        "text": "Good evening. Joining me is Ana Ruiz …",
                        "options": {"speakers": 2},
                    },
                },
                "upload": {
                    "summary": "A recording that was uploaded before",
                    "value": {"upload": EXAMPLE_ID, "options": {"language": "en"}},
                },
            },
        }
    },
}

EVENTS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "One event for each change until the job has ended; its id is the job's revision."
        " Comments keep the connection alive.",
        "content": {
            "text/event-stream": {
                # No type: client generators expect text, document testers an object for each event.
                "schema": {
                    "description": "Events named progress, then one named end; each holds a Progress."
                },
                "example": 'id: 7\nevent: progress\ndata: {"state": "running", "stage": "transcribe",'
                ' "fraction": 0.42, "stages": {"decode": 1.0, "transcribe": 0.5}}\n\n',
            }
        },
    },
    204: {"description": "The job has ended, and Last-Event-ID is its last event."},
}

TEXT = {"type": "string"}
JSON = "application/json"
SHOWN = 1000
"""Characters of an example that are shown."""

ENGINE = {"engine": "faster-whisper", "version": "1.2.1", "model": "small", "model_sha256": ""}
WORDS = [
    {"text": "Good", "start": 0.1, "end": 0.5, "confidence": 0.98},
    {"text": "evening", "start": 0.5, "end": 1.2, "confidence": 0.97},
]


def _ok(description: str, media_type: str, schema: Any, example: Any) -> dict[int | str, dict[str, Any]]:
    content = {media_type: {"schema": schema, "example": example}}
    return {200: {"description": description, "content": content}}


HEARD = _ok(
    "The recognised words, as heard.json",
    JSON,
    {"type": "object", "required": ["schema", "language", "engine", "words"]},
    {"schema": "turnwise-heard/1", "language": "en", "engine": ENGINE, "words": WORDS},
)
DIARIZATION = _ok(
    "Speaker segments, as RTTM",
    "text/plain",
    TEXT,
    "SPEAKER interview 1 0.100 1.100 <NA> <NA> S1 <NA> <NA>\n",
)
GOOD = {
    "text": "Good",
    "char_start": 0,
    "char_end": 4,
    "kind": "word",
    "line": 0,
    "cue": {"start": 0.0, "end": 1.5},
    "match": "matched",
    "start": 0.1,
    "end": 0.5,
    "speaker": "S1",
    "speaker_confidence": 1.0,
    "heard": "Good",
    "heard_start": 0,
    "heard_end": 1,
    "confidence": 0.98,
}
EVENING = GOOD | {"text": "evening.", "char_start": 5, "char_end": 13, "start": 0.5, "end": 1.2}
EVENING |= {"heard": "evening", "heard_start": 1, "heard_end": 2, "confidence": 0.97}
TRANSCRIPT = {
    "schema": "turnwise/1",
    "media": {
        "name": "interview.wav",
        "sha256": "4b69f0b58a3a51bee9f15b3d1b65e19befc4313763891b1d3a23aad27b9dd1d2",
        "size_bytes": 64044,
        "container": "wav",
        "codec": "pcm_s16le",
        "sample_rate_hz": 16000,
        "channels": 1,
        "duration": 2.0,
    },
    "language": "en",
    "engines": {"transcribe": ENGINE},
    "supplied": {"format": "srt", "encoding": "utf-8"},
    "readings": {"supplied": "Good evening.", "heard": "Good evening", "corrected": "Good evening."},
    "speakers": [
        {
            "id": "S1",
            "role": "unknown",
            "role_confidence": 0.55,
            "name": "",
            "name_confidence": 0.0,
            "affiliation": "",
            "evidence": [],
            "talk_time": 1.1,
            "turn_count": 1,
        }
    ],
    "turns": [
        {
            "speaker": "S1",
            "start": 0.1,
            "end": 1.2,
            "token_start": 0,
            "token_end": 2,
            "text": "Good evening.",
            "corrected": "Good evening.",
        }
    ],
    "tokens": [GOOD, EVENING],
    "heard": WORDS,
    "heard_by": {"language": "en", **ENGINE},
    "findings": [],
    "corrections": [],
    "warnings": [],
}
RESULT = _ok(
    "Text, speakers, turns, times and findings.",
    JSON,
    {"$ref": "#/components/schemas/Result"},
    TRANSCRIPT,
)


def _exports() -> dict[str, dict[str, Any]]:
    """Each media type of an export, text first: generated clients read all of them as the first."""
    transcript = result.parse(json.dumps(TRANSCRIPT))
    found: dict[str, dict[str, Any]] = {}
    for name, form in sorted(FORMATS.items(), key=lambda item: item[1].media_type == JSON):
        text, is_json = serialize(transcript, name), form.media_type == JSON
        described = {"schema": {} if is_json else TEXT, "examples": {}}
        kind = found.setdefault(form.media_type.partition(";")[0], described)
        kind["examples"][name] = {"value": json.loads(text) if is_json else text[:SHOWN]}
    return found


EXPORTS = _exports()
BYTES = {"schema": FILE, "example": "(the bytes)"}
RECORDING = dict.fromkeys(("audio/*", "video/*", "application/octet-stream"), BYTES)
AUDIO: dict[int | str, dict[str, Any]] = {
    200: {"description": "The recording; its name determines the media type.", "content": RECORDING},
    206: {
        "description": "The requested range.",
        "headers": {"Content-Range": {"schema": TEXT}},
        "content": RECORDING,
    },
}
