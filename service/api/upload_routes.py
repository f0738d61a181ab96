"""/v1/uploads: resumable uploads of large recordings.

Specification: tus resumable upload protocol 1.0.0 (https://tus.io/protocols/resumable-upload), the core
protocol and the extensions creation, expiration and termination. A sender may give the SHA-256 of the whole
file in Upload-Metadata; it is checked when a job uses the upload.
"""

from __future__ import annotations

import re
import time
from base64 import b64decode
from email.utils import formatdate
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response
from fastapi import Path as InPath
from pydantic import BeforeValidator, Field
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.access import ACCESS, Owner
from service.api.body import BODY, blocks, check_quota, check_space, used_bytes
from service.api.context import Context, Reach
from service.api.descriptions import FILE
from service.api.forms import clean_name
from service.api.handover import answered, expiry, own_upload, tail_of
from service.api.shapes import EXAMPLE_ID, ID_PATTERN, UploadView
from service.fields import must
from service.files.uploads import Info, Tail, Upload
from service.problems import Code, ProblemError, responses
from service.settings import MEBIBYTE

PREFIX = "/v1/uploads"
VERSION = "1.0.0"
EXTENSIONS = "creation,expiration,termination"
BODY_TYPE = "application/offset+octet-stream"
PLAIN_TYPE = "application/octet-stream"
"""Accepted too: few client generators know the protocol's own type."""
LONGEST_METADATA = 4096
MOST_BEGUN = 200
"""How many uploads of one key may be begun but not used, per process."""
BASE64 = r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
PAIR = rf"[!-+\--~]+(?: {BASE64})?"
METADATA = rf"^(?:{PAIR}(?:,{PAIR})*)?$"


async def _check_version(request: Request, owner: Owner) -> None:
    """Raises ProblemError for a request without the protocol's version, or with another one."""
    if request.method != "OPTIONS" and request.headers.get("tus-resumable") != VERSION:
        detail = f"This is tus {VERSION}: send the header Tus-Resumable: {VERSION}."
        raise ProblemError(Code.VERSION, detail, {"Tus-Version": VERSION})


router = APIRouter(prefix=PREFIX, tags=["uploads"], dependencies=[Depends(_check_version)])


def _digits(value: object) -> object:
    """Raises ValueError for a number with a sign, a blank or an underscore, which the protocol forbids."""
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        raise ValueError("it must consist of digits only")
    return value


Bytes = Annotated[int, Field(ge=0, le=2**53), BeforeValidator(_digits)]
UploadId = Annotated[
    str,
    InPath(description="Id of the upload.", examples=[EXAMPLE_ID], json_schema_extra={"pattern": ID_PATTERN}),
]
TUS_RESUMABLE = {
    "name": "Tus-Resumable",
    "in": "header",
    "required": True,
    "description": "Version of the protocol.",
    # Not `const`: a client generator leaves out operations that have it.
    "schema": {"type": "string", "enum": [VERSION], "default": VERSION},
    "example": VERSION,
}
SENT: dict[str, dict[str, Any]] = {
    "Tus-Resumable": {"description": "Version of the protocol.", "schema": {"type": "string"}},
    "Upload-Offset": {
        "description": "How many bytes are safely stored.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Upload-Length": {"description": "Size of the recording.", "schema": {"type": "integer", "minimum": 0}},
    "Upload-Metadata": {"description": "As it was sent.", "schema": {"type": "string"}},
    "Upload-Expires": {
        "description": "When the upload is deleted if no more data arrive and no job uses it.",
        "schema": {"type": "string"},
        "example": "Wed, 25 Jun 2026 16:00:00 GMT",
    },
    "Location": {"description": "Address of the upload.", "schema": {"type": "string"}},
    "Cache-Control": {"description": "no-store", "schema": {"type": "string"}},
    "Tus-Version": {"description": "Supported versions of the protocol.", "schema": {"type": "string"}},
    "Tus-Extension": {"description": "Supported extensions.", "schema": {"type": "string"}},
    "Tus-Max-Size": {"description": "Largest upload, in bytes.", "schema": {"type": "integer"}},
}
COMMON = (*ACCESS, Code.VERSION, Code.INVALID)
OWN = (*COMMON, Code.NOT_FOUND, Code.UPLOAD_GONE)
EXTRA = {"parameters": [TUS_RESUMABLE]}


def _answer(status: int, description: str, *headers: str) -> dict[int | str, dict[str, Any]]:
    names = ("Tus-Resumable", *headers)
    return {status: {"description": description, "headers": {name: SENT[name] for name in names}}}


@router.options(
    "",
    status_code=204,
    response_class=Response,
    summary="Show which parts of the protocol this server supports",
    responses={
        **_answer(204, "Versions and extensions.", "Tus-Version", "Tus-Extension", "Tus-Max-Size"),
        **responses(*ACCESS),
    },
)
async def show_options(context: Reach) -> Response:
    headers = {
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(context.settings.max_upload_bytes),
    }
    return Response(status_code=204, headers=headers)


@router.post(
    "",
    status_code=201,
    response_model=UploadView,
    summary="Begin a resumable upload",
    openapi_extra=EXTRA,
    responses={
        **_answer(201, "The upload has begun, empty.", "Location", "Upload-Offset", "Upload-Expires"),
        **responses(*COMMON, Code.TOO_LARGE, Code.QUOTA, Code.DISK_FULL),
    },
)
async def create(
    response: Response,
    context: Reach,
    owner: Owner,
    upload_length: Annotated[
        Bytes,
        Header(alias="Upload-Length", description="Size of the recording in bytes.", examples=[52_428_800]),
    ],
    upload_metadata: Annotated[
        str,
        Header(
            alias="Upload-Metadata",
            description="Pairs of a name and a Base64 value, separated by commas: `filename`, the name of the"
            " recording, and `sha256`, 64 hexadecimal digits that are checked when a job uses the upload.",
            pattern=METADATA,
            examples=["filename aW50ZXJ2aWV3LndhdgA="],
        ),
        must("it must be pairs of a name and a Base64 value, separated by commas"),
    ] = "",
) -> UploadView:
    """Then send the recording with PATCH, in pieces or all at once. If a connection breaks, ask with HEAD how
    much has arrived. When all of it has, name the upload as `upload` in POST /v1/jobs."""
    most = context.settings.max_upload_bytes
    if upload_length > most:
        detail = f"A recording may have {most / MEBIBYTE:.0f} MiB at most: send less."
        raise ProblemError(Code.TOO_LARGE, detail)
    check_space(context, upload_length)
    name, sha256 = _described(upload_metadata)
    info = Info(owner, upload_length, upload_metadata, name, sha256, time.time())
    await _check_begun(upload_length, context, owner)
    upload = await run_in_threadpool(context.uploads.create, info)
    context.begun[owner].add(upload.id)
    headers = {"Location": f"{PREFIX}/{upload.id}", "Upload-Offset": "0", **await _expires(upload, context)}
    response.headers.update(headers)
    return UploadView(id=upload.id)


@router.head(
    "/{id}",
    response_class=Response,
    summary="Ask how much of an upload has arrived",
    openapi_extra=EXTRA,
    responses={
        **_answer(
            200,
            "The offset to continue from.",
            "Upload-Offset",
            "Upload-Length",
            "Upload-Metadata",
            "Upload-Expires",
            "Cache-Control",
        ),
        **responses(*OWN),
    },
)
async def show(id: UploadId, context: Reach, owner: Owner) -> Response:
    upload = await own_upload(id, context, owner)
    with answered():
        offset_bytes = await run_in_threadpool(upload.offset_bytes)
        headers = {
            "Upload-Offset": str(offset_bytes),
            "Upload-Length": str(upload.info.length_bytes),
            "Cache-Control": "no-store",
            **await _expires(upload, context),
        }
    if upload.info.metadata:
        headers["Upload-Metadata"] = upload.info.metadata
    return Response(headers=headers)


@router.patch(
    "/{id}",
    status_code=204,
    response_class=Response,
    summary="Send more of an upload",
    openapi_extra=EXTRA
    | {
        "requestBody": {
            "required": True,
            "content": {PLAIN_TYPE: {"schema": FILE, "example": "(some or all of the remaining bytes)"}},
            "description": f"The bytes. Programs written for tus send them as {BODY_TYPE}.",
        }
    },
    responses={
        **_answer(204, "The piece is safely stored.", "Upload-Offset", "Upload-Expires"),
        **responses(*OWN, *BODY, Code.UPLOAD_CONFLICT),
    },
)
async def append(
    id: UploadId,
    request: Request,
    context: Reach,
    owner: Owner,
    upload_offset: Annotated[
        Bytes,
        Header(
            alias="Upload-Offset",
            description="Where this piece begins: the offset that HEAD reports.",
            examples=[0],
        ),
    ],
) -> Response:
    """Everything that arrives is kept, even if the connection breaks."""
    upload = await own_upload(id, context, owner)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {BODY_TYPE, PLAIN_TYPE}:
        raise ProblemError(Code.MEDIA_TYPE, f"Send the piece as {BODY_TYPE}.", {"Connection": "close"})
    with answered():
        async with tail_of(upload) as tail:
            offset_bytes = await _receive(request, upload, tail, upload_offset, context)
        headers = {"Upload-Offset": str(offset_bytes), **await _expires(upload, context)}
    return Response(status_code=204, headers=headers)


async def _receive(request: Request, upload: Upload, tail: Tail, begin: int, context: Context) -> int:
    """Writes a piece and returns the offset after it. Raises ProblemError."""
    offset_bytes = await run_in_threadpool(tail.offset_bytes)
    if begin != offset_bytes:
        detail = f"The upload does not continue at byte {begin}: send from byte {offset_bytes}."
        headers = {"Upload-Offset": str(offset_bytes), "Connection": "close"}
        raise ProblemError(Code.UPLOAD_CONFLICT, detail, headers)
    length = request.headers.get("content-length", "")
    _check_piece(offset_bytes + (int(length) if length.isdecimal() else 0), upload)
    check_space(context)
    check_quota(context.settings, await used_bytes(context, upload.info.owner), upload.info.length_bytes)
    async for block in blocks(request, context.settings.upload_timeout):
        offset_bytes += len(block)
        _check_piece(offset_bytes, upload)
        check_space(context)
        await run_in_threadpool(tail.write, block)
    return await run_in_threadpool(tail.offset_bytes)


@router.delete(
    "/{id}",
    status_code=204,
    response_class=Response,
    summary="Delete an upload",
    openapi_extra=EXTRA,
    responses={**_answer(204, "The upload is deleted."), **responses(*OWN)},
)
async def remove(id: UploadId, context: Reach, owner: Owner) -> Response:
    upload = await own_upload(id, context, owner)
    await run_in_threadpool(context.storage.discard, upload.id)
    return Response(status_code=204)


async def _check_begun(more_bytes: int, context: Context, owner: str) -> None:
    """Raises ProblemError if the caller has too many uploads that no job has used, or if all of them together
    with this one exceed the quota. Asks for them only where it matters: it may take a request for each."""
    begun = context.begun[owner]
    if context.settings.quota_mb or len(begun) >= MOST_BEGUN:
        asked = list(begun)  # other requests begin uploads meanwhile
        found = await run_in_threadpool(lambda: [context.uploads.find(id) for id in asked])
        there = {upload.id: upload.info.length_bytes for upload in found if upload is not None}
        begun.difference_update(set(asked) - there.keys())
        used = await used_bytes(context, owner) + sum(there.values())
        check_quota(context.settings, used, more_bytes)
    if len(begun) >= MOST_BEGUN:
        detail = f"You have {MOST_BEGUN} unused uploads, the limit: use them for jobs, or delete some."
        raise ProblemError(Code.TOO_MANY_REQUESTS, detail, {"Retry-After": "30"})


def _check_piece(end_bytes: int, upload: Upload) -> None:
    if end_bytes > upload.info.length_bytes:
        detail = (
            f"The upload was begun with {upload.info.length_bytes} bytes, but more came: begin a new one."
        )
        raise ProblemError(Code.TOO_LARGE, detail, {"Connection": "close"})


async def _expires(upload: Upload, context: Context) -> dict[str, str]:
    return {"Upload-Expires": formatdate(await expiry(upload, context), usegmt=True)}


def _described(metadata: str) -> tuple[str, str]:
    """Returns the name and the SHA-256 in Upload-Metadata, "" for a missing one. Raises ProblemError."""
    if len(metadata) > LONGEST_METADATA:
        detail = f"Upload-Metadata may have {LONGEST_METADATA} characters at most: shorten it."
        raise ProblemError(Code.INVALID, detail)
    values: dict[str, bytes] = {}
    for pair in metadata.split(",") if metadata else ():
        name, _, value = pair.partition(" ")
        values.setdefault(name, b64decode(value))
    sha256 = values.get("sha256", b"").decode("latin-1").lower()
    if not re.fullmatch(r"([0-9a-f]{64})?", sha256):
        detail = "Upload-Metadata: sha256 must be 64 hexadecimal digits, encoded in Base64 like all values."
        raise ProblemError(Code.INVALID, detail)
    return clean_name(values.get("filename", b"").decode("utf-8", "replace")), sha256


class Tus:
    """ASGI middleware: adds the protocol's version to answers, and honours X-HTTP-Method-Override."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or not (path == PREFIX or path.startswith(f"{PREFIX}/")):
            await self._app(scope, receive, send)
            return

        async def send_with_version(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"tus-resumable", VERSION.encode())]
            await send(message)

        meant = dict(scope["headers"]).get(b"x-http-method-override", b"").decode("latin-1")
        # No safe method may become an unsafe one.
        if scope["method"] == "POST" and meant in {"PATCH", "DELETE"}:
            scope = {**scope, "method": meant}
        await self._app(scope, receive, send_with_version)
