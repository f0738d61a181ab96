"""OpenAI's own Python library against a running service, used as its documentation says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.audio import (
    Transcription,
    TranscriptionDiarized,
    TranscriptionTextDeltaEvent,
    TranscriptionTextDoneEvent,
    TranscriptionTextSegmentEvent,
    TranscriptionVerbose,
)
from openai.types.audio.transcription import UsageDuration

from tests.acceptance.server import PATIENCE, Service, recording, service, wait_for

pytestmark = pytest.mark.acceptance

SECONDS = 6.0
File = tuple[str, bytes]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("openai") / "data") as running:
        running.serve()
        yield running


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return recording(tmp_path_factory.mktemp("audio"), seconds=SECONDS).read_bytes()


@pytest.fixture(scope="module")
def sdk(running: Service) -> Iterator[OpenAI]:
    with connect(running) as sdk:
        yield sdk


@pytest.fixture
def client(running: Service) -> Iterator[httpx.Client]:
    with running.client() as client:
        yield client


@pytest.fixture(scope="module")
def text(sdk: OpenAI, audio: bytes) -> str:
    """A text of the recording: what is heard in it, with capitals and full stops."""
    heard = sdk.audio.transcriptions.create(file=("talk.wav", audio), model="whisper-1").text.split()
    return " ".join(word.capitalize() + "." * (number % 5 == 4) for number, word in enumerate(heard))


def connect(running: Service, **options: Any) -> OpenAI:
    settings = {"api_key": "none", "max_retries": 0, "timeout": PATIENCE, **options}
    return OpenAI(base_url=f"{running.url}/v1", **settings)


def newest(client: httpx.Client) -> str:
    """Id of the job that was made last."""
    job: dict[str, str] = client.get("/v1/jobs", params={"limit": 1}).json()["jobs"][0]
    return job["id"]


# --------------------------------------------------------------------------- the six formats


def test_json(sdk: OpenAI, audio: bytes, text: str) -> None:
    answer = sdk.audio.transcriptions.create(
        file=("talk.wav", audio), model="gpt-4o-transcribe", extra_body={"text": text}
    )
    assert type(answer) is Transcription
    assert Transcription.model_validate(answer.model_dump(), strict=True, extra="forbid").text == text
    assert answer.usage == UsageDuration(type="duration", seconds=SECONDS)


def test_text(sdk: OpenAI, audio: bytes, text: str) -> None:
    answer = sdk.audio.transcriptions.create(
        file=("talk.wav", audio), model="whisper-1", response_format="text", extra_body={"text": text}
    )
    assert answer == f"{text}\n"


@pytest.mark.parametrize("format", ["srt", "vtt"])
def test_captions_are_the_jobs_exports(sdk: OpenAI, client: httpx.Client, audio: bytes, format: str) -> None:
    create: Callable[..., str] = sdk.audio.transcriptions.create
    answer = create(file=("talk.wav", audio), model="whisper-1", response_format=format)
    assert isinstance(answer, str)
    assert answer == client.get(f"/v1/jobs/{newest(client)}/export/{format}").text
    assert answer.startswith("WEBVTT\n" if format == "vtt" else "1\n00:00:00,000 --> ")


def test_verbose_json(sdk: OpenAI, audio: bytes, text: str) -> None:
    answer = sdk.audio.transcriptions.create(
        file=("talk.wav", audio),
        model="whisper-1",
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
        language="en",
        prompt="Ana Ruiz, Basel",
        temperature=0.2,
        extra_body={"text": text},
    )
    assert type(answer) is TranscriptionVerbose
    TranscriptionVerbose.model_validate(answer.model_dump(exclude={"task"}), strict=True, extra="forbid")
    assert (answer.text, answer.language, answer.duration) == (text, "english", SECONDS)
    assert answer.segments is not None
    assert answer.words is not None
    assert "".join(segment.text for segment in answer.segments) == f" {text}"
    assert " ".join(word.word for word in answer.words) == text


def test_diarized_json(sdk: OpenAI, audio: bytes, text: str) -> None:
    answer = sdk.audio.transcriptions.create(
        file=("talk.wav", audio),
        model="gpt-4o-transcribe-diarize",
        response_format="diarized_json",
        chunking_strategy={"type": "server_vad", "threshold": 0.4},
        extra_body={"text": text, "speakers": 2},
    )
    assert type(answer) is TranscriptionDiarized
    TranscriptionDiarized.model_validate(answer.model_dump(), strict=True, extra="forbid")
    assert [(segment.id, segment.speaker) for segment in answer.segments] == [
        ("seg_001", "A"),
        ("seg_002", "B"),
        ("seg_003", "A"),
    ]
    assert " ".join(segment.text for segment in answer.segments) == text == answer.text


# --------------------------------------------------------------------------- other ways to ask


def test_a_file_on_the_disk_is_sent_as_it_is(sdk: OpenAI, tmp_path: Path, text: str) -> None:
    path = recording(tmp_path, seconds=SECONDS)
    with path.open("rb") as file:
        opened = sdk.audio.transcriptions.create(file=file, model="whisper-1")
    assert opened.text == sdk.audio.transcriptions.create(file=path, model="whisper-1").text
    assert opened.text == text.lower().replace(".", "")


def test_a_text_with_times_is_sent_as_a_file(client: httpx.Client, audio: bytes) -> None:
    captions = b"1\n00:00:00,000 --> 00:00:02,000\nThe talks went on.\n"
    files = {"file": ("talk.wav", audio), "text": ("talk.srt", captions)}
    answer = client.post("/v1/audio/transcriptions", files=files)
    assert answer.status_code == 200
    result = client.get(f"/v1/jobs/{answer.headers['Turnwise-Job']}/result").json()
    assert result["supplied"]["format"] == "srt"
    assert result["tokens"][0]["text"] == "The"


def test_an_empty_text_is_none(sdk: OpenAI, audio: bytes, text: str) -> None:
    answer = sdk.audio.transcriptions.create(
        file=("talk.wav", audio), model="whisper-1", extra_body={"text": ""}
    )
    assert answer.text == text.lower().replace(".", "")


def test_the_raw_answer_names_the_job(sdk: OpenAI, client: httpx.Client, audio: bytes) -> None:
    raw = sdk.audio.transcriptions.with_raw_response.create(file=("talk.wav", audio), model="whisper-1")
    job = client.get(f"/v1/jobs/{raw.headers['Turnwise-Job']}").json()
    assert (job["state"], job["recording"]) == ("succeeded", "talk.wav")
    assert raw.headers["Content-Type"] == "application/json"
    parsed = raw.parse()
    assert isinstance(parsed, Transcription)
    assert parsed.text


def test_the_asynchronous_library(running: Service, audio: bytes, text: str) -> None:
    async def ask() -> list[str]:
        async with AsyncOpenAI(base_url=f"{running.url}/v1", api_key="none", timeout=PATIENCE) as sdk:
            wanted = [
                sdk.audio.transcriptions.create(file=("talk.wav", audio), model="whisper-1") for _ in range(3)
            ]
            return [answer.text for answer in await asyncio.gather(*wanted)]

    assert asyncio.run(ask()) == [text.lower().replace(".", "")] * 3


# --------------------------------------------------------------------------- streams


def test_a_stream_of_text(sdk: OpenAI, audio: bytes, text: str) -> None:
    stream = sdk.audio.transcriptions.create(
        file=("talk.wav", audio),
        model="gpt-4o-mini-transcribe",
        stream=True,
        include=["logprobs"],
        extra_body={"text": text},
    )
    *deltas, done = stream
    assert type(done) is TranscriptionTextDoneEvent
    assert done.text == text
    assert done.logprobs is not None
    assert [logprob.token for logprob in done.logprobs] == text.split()
    assert "".join(event.delta for event in deltas if type(event) is TranscriptionTextDeltaEvent) == text


def test_a_stream_of_segments(sdk: OpenAI, audio: bytes) -> None:
    stream = sdk.audio.transcriptions.create(
        file=("talk.wav", audio),
        model="gpt-4o-transcribe-diarize",
        response_format="diarized_json",
        stream=True,
    )
    events = list(stream)
    assert [type(event) for event in events] == [
        *[TranscriptionTextDeltaEvent, TranscriptionTextSegmentEvent] * 3,
        TranscriptionTextDoneEvent,
    ]
    segments = [event for event in events if type(event) is TranscriptionTextSegmentEvent]
    assert [segment.speaker for segment in segments] == ["A", "B", "A"]


def test_a_stream_says_why_it_breaks_off(sdk: OpenAI, audio: bytes) -> None:
    stream = sdk.audio.transcriptions.create(file=("deaf.wav", audio), model="whisper-1", stream=True)
    with pytest.raises(openai.APIError, match="The engine heard nothing: try another one") as caught:
        list(stream)
    assert (caught.value.code, caught.value.type) == ("internal", "server_error")


# --------------------------------------------------------------------------- errors


def test_a_file_that_is_no_recording(sdk: OpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match=r"talk\.mp3 is not audio or video") as caught:
        sdk.audio.transcriptions.create(file=("talk.mp3", b"no recording"), model="whisper-1")
    error = caught.value
    assert (error.code, error.type, error.param) == ("invalid", "invalid_request_error", None)
    assert error.request_id
    assert error.response.headers["Turnwise-Job"]
    assert error.response.headers["Content-Type"] == "application/problem+json"


def test_a_value_that_a_field_does_not_take(sdk: OpenAI, audio: bytes) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match="'response_format' cannot be used"):
        sdk.audio.transcriptions.create(
            file=("talk.wav", audio), model="whisper-1", extra_body={"response_format": "xml"}
        )


def test_a_field_that_does_not_exist(sdk: OpenAI, audio: bytes) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match="There is no field 'transcript'"):
        sdk.audio.transcriptions.create(
            file=("talk.wav", audio), model="whisper-1", extra_body={"transcript": "The talks"}
        )


def test_a_form_without_a_file(client: httpx.Client) -> None:
    answer = client.post("/v1/audio/transcriptions", files={"model": (None, "whisper-1")})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "The field file is missing: send the recording as a file."


def test_a_job_that_fails_is_not_tried_again(running: Service, client: httpx.Client, audio: bytes) -> None:
    with (
        connect(running, max_retries=2) as sdk,
        pytest.raises(openai.InternalServerError, match="The engine heard nothing") as caught,
    ):
        sdk.audio.transcriptions.create(file=("deaf.wav", audio), model="whisper-1")
    assert caught.value.status_code == 500
    assert newest(client) == caught.value.response.headers["Turnwise-Job"]
    names = [job["recording"] for job in client.get("/v1/jobs", params={"limit": 2}).json()["jobs"]]
    assert names.count("deaf.wav") == 1


def test_keys_are_asked_for(tmp_path: Path, audio: bytes) -> None:
    with service(tmp_path / "data") as guarded:
        key = guarded.run("keys", "create", "newsroom").split()[-1]
        guarded.serve()
        with connect(guarded) as stranger, pytest.raises(openai.AuthenticationError, match="A valid key"):
            stranger.audio.transcriptions.create(file=("talk.wav", audio), model="whisper-1")
        with connect(guarded, api_key=key) as known:
            assert known.audio.transcriptions.create(file=("talk.wav", audio), model="whisper-1").text


# --------------------------------------------------------------------------- coming and going


@pytest.mark.parametrize("stream", [False, True])
def test_a_caller_that_goes_away_cancels_the_job(
    sdk: OpenAI, client: httpx.Client, audio: bytes, stream: bool
) -> None:
    before = newest(client)
    with pytest.raises(openai.APITimeoutError):
        list(
            sdk.audio.transcriptions.create(
                file=("slow-60.wav", audio), model="whisper-1", stream=stream, timeout=2.0
            )
        )
    assert newest(client) != before
    assert wait_for(client, newest(client))["state"] == "cancelled"


def test_with_an_idempotency_key_the_job_goes_on_and_is_found_again(
    sdk: OpenAI, client: httpx.Client, audio: bytes
) -> None:
    headers = {"Idempotency-Key": "the talk of today"}
    with pytest.raises(openai.APITimeoutError):
        sdk.audio.transcriptions.create(
            file=("slow-4.wav", audio), model="whisper-1", timeout=1.0, extra_headers=headers
        )
    job = newest(client)
    again = sdk.audio.transcriptions.with_raw_response.create(
        file=("slow-4.wav", audio), model="whisper-1", response_format="text", extra_headers=headers
    )
    assert again.headers["Turnwise-Job"] == job
    assert wait_for(client, job)["state"] == "succeeded"


def test_a_job_that_somebody_else_cancels(sdk: OpenAI, client: httpx.Client, audio: bytes) -> None:
    before = newest(client)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(sdk.audio.transcriptions.create, file=("slow-60.wav", audio), model="whisper-1")
        while newest(client) == before:
            assert not waiting.done()
        client.post(f"/v1/jobs/{newest(client)}/cancel")
        with pytest.raises(openai.ConflictError, match="The job was cancelled"):
            waiting.result()


def test_a_job_that_somebody_else_deletes(sdk: OpenAI, client: httpx.Client, audio: bytes) -> None:
    before = newest(client)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(sdk.audio.transcriptions.create, file=("slow-60.wav", audio), model="whisper-1")
        while newest(client) == before:
            assert not waiting.done()
        client.delete(f"/v1/jobs/{newest(client)}")
        with pytest.raises(openai.ConflictError, match="The job was deleted"):
            waiting.result()


def test_a_server_that_stops_says_so_to_who_waits(tmp_path: Path, audio: bytes) -> None:
    with service(tmp_path / "data") as stopping:
        program = stopping.serve()
        with connect(stopping) as sdk, stopping.client() as client, ThreadPoolExecutor() as pool:
            waiting = pool.submit(
                sdk.audio.transcriptions.create, file=("slow-60.wav", audio), model="whisper-1"
            )
            while not client.get("/v1/jobs").json()["jobs"]:
                assert not waiting.done()
            wait_for(client, newest(client), "running")
            assert program.stop() == 0
            with pytest.raises(openai.InternalServerError, match="The service is being stopped"):
                waiting.result()
