"""What schemathesis is told of this API beyond its document: real recordings, and types it cannot read."""

from __future__ import annotations

import io
import os
import wave
import zlib
from typing import Any

import numpy as np
import schemathesis
from hypothesis import strategies as st
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.core.parameters import ParameterLocation

from service.files.storage import is_id
from tests.acceptance.recordings import music

ENDED = "TURNWISE_TEST_ENDED"
"""In the environment: id of a job that has succeeded."""
TEXTS = ("text/vtt", "text/html", "application/x-subrip", "application/ttml+xml")


def wav() -> bytes:
    """Half a second of chords."""
    pcm = np.clip(music(1.0)[:8000] * 32767, -32768, 32767).astype("<i2")
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(pcm.tobytes())
    return buffer.getvalue()


WAV = wav()


schemathesis.openapi.format("binary", st.text())  # its own values break its validator


@schemathesis.deserializer(*TEXTS)
def read_text(context: schemathesis.DeserializationContext, response: schemathesis.Response) -> Any:
    return response.text


@schemathesis.hook
def map_body(context: schemathesis.HookContext, body: Any) -> Any:
    """Half of the files that are sent as recordings are some: bytes drawn by lot never are."""
    if isinstance(body, dict):
        for name in ("audio", "file"):
            if name in body and zlib.crc32(repr(body[name]).encode()) % 2:
                return {**body, name: WAV}
    return body


@schemathesis.hook
def map_path_parameters(context: schemathesis.HookContext, path_parameters: Any) -> Any:
    """Half of the ids with which results are asked for are that of a job which has one."""
    id = str(path_parameters.get("id", "")) if path_parameters else ""
    label = context.operation.label if context.operation else ""
    if label.startswith("GET /v1/jobs/") and is_id(id) and zlib.crc32(id.encode()) % 2:
        return {**path_parameters, "id": os.environ[ENDED]}
    return path_parameters


@schemathesis.hook
def filter_failure(
    context: schemathesis.HookContext, failure: Exception, case: schemathesis.Case[Any], response: Any
) -> bool:
    """Whether a failure is one: any bytes are a piece of an upload, and headers unknown to us are welcome."""
    if not isinstance(failure, AcceptedNegativeData) or case.meta is None:
        return True
    piece = case.operation.label == "PATCH /v1/uploads/{id}"
    unknown = "x-schemathesis-unknown-property" in (case.headers or {})
    return not (unknown or (piece and case.meta.is_negative_at(ParameterLocation.BODY)))
