"""What signatures cannot describe of the operations on jobs: forms, files and streams, with examples."""

from __future__ import annotations

import json
from importlib.resources import files
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


def _ok(description: str, media_type: str, schema: Any, **example: Any) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": description, "content": {media_type: {"schema": schema, **example}}}}


HEARD = _ok(
    "The recognised words, as heard.json",
    JSON,
    {"type": "object", "required": ["schema", "language", "engine", "words"]},
    example={
        "schema": "turnwise-heard/1",
        "language": "en",
        "engine": {"engine": "faster-whisper", "version": "1.2.1", "model": "small", "model_sha256": ""},
        "words": [{"text": "Good", "start": 0.1, "end": 0.5, "confidence": 0.98}],
    },
)
DIARIZATION = _ok(
    "Speaker segments, as RTTM",
    "text/plain",
    TEXT,
    example="SPEAKER interview 1 0.100 1.100 <NA> <NA> speaker_1 <NA> <NA>\n",
)
RESULT = _ok("Text, speakers, turns, times and findings.", JSON, {"$ref": "#/components/schemas/Result"})


def _exports() -> dict[str, dict[str, Any]]:
    """Each media type of an export, text first: generated clients read all of them as the first."""
    schema = json.loads(files("pipelines.formats").joinpath("result.schema.json").read_text("utf-8"))
    transcript = result.parse(json.dumps(schema["examples"][0]))
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
