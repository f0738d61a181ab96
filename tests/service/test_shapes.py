"""What may be said about a recording: the command's rules, and no name that is a path in disguise."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.engines.choice import DIARIZERS, TRANSCRIBERS
from pipelines.errors import OptionError
from pipelines.pipeline import Stage
from pipelines.types import speaker_count
from service.api.shapes import JobOptions, JobView, check_engines, parse_options
from service.files.storage import Failure, Request
from service.problems import Code, ProblemError
from service.records.jobs import Job, JobState, StageProgress, StageState

COUNTS = st.none() | st.integers(1, 6) | st.integers(1, 1000)


def refused(**values: object) -> str:
    """What is said of options that are not taken."""
    with pytest.raises(ProblemError) as error:
        check_engines(parse_options(json.dumps(values)), ours=True)
    assert error.value.code is Code.INVALID
    return error.value.detail


# --------------------------------------------------------------------------- speakers


@given(COUNTS, COUNTS, COUNTS)
def test_speakers_are_counted_as_the_command_does(
    exact: int | None, least: int | None, most: int | None
) -> None:
    said = {"speakers": exact, "min_speakers": least, "max_speakers": most}
    sent = json.dumps({name: value for name, value in said.items() if value is not None})
    try:
        expected = speaker_count(exact, least, most)
    except OptionError:
        assert "speakers" in refused(**said)
        return
    assert parse_options(sent).options.speakers == expected
    assert parse_options(json.dumps(said)) == parse_options(sent)


@pytest.mark.parametrize("name", ["speakers", "min_speakers", "max_speakers"])
@pytest.mark.parametrize("value", [0, -1, 1001, 1.5, "many", "3", True, [], 10**30])
def test_numbers_that_are_none_of_speakers(name: str, value: object) -> None:
    assert refused(**{name: value}).startswith(f"options.{name}: ")


# --------------------------------------------------------------------------- engines

PATHS = [
    "whisper:/etc/passwd",
    "faster-whisper:..",
    "faster-whisper:.",
    "faster-whisper:../../models",
    "faster-whisper:.hidden",
    "whisper:C:\\models",
    "whisper:~/models",
    "whisper:file:///etc/passwd",
    "faster-whisper:someone/model",
    "whisper:small\n",
    "whisper:small\0",
    "whisper:",
    ":small",
    "/etc/passwd",
    "../embedded",
    "nowhere",
    "whisper:none-such",
    "pocketsphinx:en-us",
    "embedded:x",
]


@pytest.mark.parametrize("option", ["asr", "diarizer"])
@pytest.mark.parametrize("name", PATHS)
def test_no_path_is_an_engine(option: str, name: str) -> None:
    assert refused(**{option: name}).startswith(f"options.{option}: ")


@given(st.sampled_from(["", "whisper:", "faster-whisper:"]), st.text("ab.:/\\~ \n\0é-", max_size=8))
def test_what_is_taken_as_an_engine_names_one_thing(kind: str, rest: str) -> None:
    """Also where somebody else's engines take any model."""
    try:
        options = parse_options(json.dumps({"asr": kind + rest}))
    except ProblemError:
        return
    check_engines(options, ours=False)
    model = options.asr.partition(":")[2]
    assert not model or PurePosixPath("models", model).parts == ("models", model)
    assert model not in {".", ".."}


@pytest.mark.parametrize("ours", [True, False])
def test_every_engine_can_be_named(ours: bool) -> None:
    for option, table in (("asr", TRANSCRIBERS), ("diarizer", DIARIZERS)):
        for name in ["", "auto", *(entry.name for entry in table)]:
            options = parse_options(json.dumps({option: name}))
            check_engines(options, ours)
            assert getattr(options.options, option) == name
    for asr in ("faster-whisper:small", "whisper:large"):
        check_engines(parse_options(json.dumps({"asr": asr})), ours)


def test_other_engines_have_other_names() -> None:
    check_engines(parse_options('{"asr": "theirs:large-v9", "diarizer": "theirs"}'), ours=False)


# --------------------------------------------------------------------------- the others


@pytest.mark.parametrize("language", ["en", "de-CH", "zh-Hant-TW", ""])
def test_languages(language: str) -> None:
    assert parse_options(json.dumps({"language": language})).options.language == language
    assert parse_options(json.dumps({"language": language.replace("-", "_")})).options.language == language


@pytest.mark.parametrize(
    "language", ["e", "english language", "../de", "xx", "xx-CH", "de-", "d" * 40, "de\n", "日本"]
)
def test_what_is_no_language(language: str) -> None:
    assert refused(language=language).startswith("options.language: ")


def test_the_glossary_has_each_term_once() -> None:
    options = parse_options(json.dumps({"glossary": ["Basel", " Basel ", "  ", "Ana Ruiz", "Basel"]}))
    assert options.options.glossary == ("Basel", "Ana Ruiz")
    assert refused(glossary=["x" * 201]).startswith("options.glossary.0: ")
    assert refused(glossary=["x"] * 10_001).startswith("options.glossary: ")
    assert refused(glossary="Basel").startswith("options.glossary: ")


def test_metadata_comes_back_as_it_was_sent() -> None:
    notes = {f"{number:02}" + "é" * 62: "x" * 512 for number in range(16)} | {"00" + "é" * 62: " \n\0"}
    request = parse_options(json.dumps({"metadata": notes})).request("talk.wav", "")
    assert Request.from_json(request.to_json()).metadata == notes
    assert JobView.of(job(JobState.QUEUED), request, None).metadata == notes


@pytest.mark.parametrize(
    "notes",
    [
        {str(number): "" for number in range(17)},
        {"": "x"},
        {"k" * 65: "x"},
        {"k" * 100_000: 3},
        {"k": "x" * 513},
        {"k": 3},
        {"k": None},
        {"k": {"k": "x"}},
        ["k"],
        "k",
    ],
)
def test_metadata_is_a_few_short_strings(notes: object) -> None:
    said = refused(metadata=notes)
    assert said.startswith("options.metadata")
    assert len(said) < 300


def test_a_request_of_an_older_version_has_no_metadata() -> None:
    values = json.loads(Request("talk.wav").to_json())
    del values["metadata"]
    assert Request.from_json(json.dumps(values)) == Request("talk.wav")


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "3",
        "null",
        "{",
        '{"speaker": 3}',
        '{"asr": null}',
        '{"language": "\\ud800"}',
        "[" * 100_000,
        "\ud800",
    ],
)
def test_what_are_no_options(text: str) -> None:
    with pytest.raises(ProblemError) as error:
        parse_options(text)
    assert error.value.code is Code.INVALID
    assert error.value.detail.startswith("options")
    assert error.value.detail.endswith(".")
    assert "Value error" not in error.value.detail


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"asr": 3}', "asr: it must be NAME or NAME:MODEL, as GET /v1/engines lists them."),
        ('{"asr": "a b"}', "asr: it must be NAME or NAME:MODEL, as GET /v1/engines lists them."),
        ('{"asr": "auto:x"}', "asr: auto chooses the model, too: leave out ':x'."),
        ('{"language": "../de"}', "language: it must be a BCP 47 tag, such as en or de-CH."),
        ('{"language": null}', "language: it must be a BCP 47 tag, such as en or de-CH."),
        ('{"speakers": "3"}', "speakers: it must be a whole number."),
        ('{"speakers": 1.5}', "speakers: it must be a whole number."),
        ('{"speakers": 0}', "speakers: it must be 1 or more."),
        ('{"speakers": 1001}', "speakers: it must be 1000 or less."),
        ('{"glossary": "Basel"}', "glossary: it must be a list."),
        ('{"glossary": [""]}', "glossary.0: it must not be empty."),
        ('{"metadata": {"k": 3}}', "metadata.k: it must be a string."),
        ('{"metadata": []}', "metadata: it must be an object."),
        ('{"speaker": 3}', "speaker: there is no such option."),
    ],
)
def test_what_an_option_must_be(text: str, sentence: str) -> None:
    with pytest.raises(ProblemError) as error:
        check_engines(parse_options(text), ours=True)
    assert error.value.detail == f"options.{sentence}"


OPTIONS = st.dictionaries(
    st.sampled_from([*JobOptions.model_fields, "other"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=17) | st.dictionaries(st.text(), inner, max_size=17),
    ),
    min_size=1,
)


@given(OPTIONS)
def test_nobody_is_told_what_pydantic_says(options: dict[str, object]) -> None:
    said = ""
    try:
        parse_options(json.dumps(options))
    except ProblemError as error:
        said = error.detail
    assert not re.search("(Input|String|Dictionary|Tuple) should|pattern|Extra inputs", said)


def test_no_options_are_options() -> None:
    assert parse_options("") == parse_options("{}") == JobOptions()
    assert JobOptions().request("talk.wav", "talk.txt") == Request("talk.wav", "talk.txt")


# --------------------------------------------------------------------------- views


def job(state: JobState, **values: Any) -> Job:
    stages = tuple(
        StageProgress(stage, StageState.RUNNING, 1 / 3, 1000.25, None if stage == "decode" else 2000.5)
        for stage in Stage
    )
    known = {"failed_stage": "", "failure": "", "started": None, "finished": None} | values
    return Job(
        id="0" * 32, owner="", state=state, created=1000.0, revision=3, notify=False, stages=stages, **known
    )


def test_a_job_as_it_is_shown() -> None:
    view = JobView.of(job(JobState.RUNNING, started=1000.5), Request("talk.wav", "talk.txt"), None)
    assert (view.recording, view.text, view.state, view.failure) == ("talk.wav", "talk.txt", "running", None)
    assert view.stage == Stage.STORE
    assert view.created == datetime.fromtimestamp(1000, UTC)
    assert view.started == datetime.fromtimestamp(1000.5, UTC)
    assert view.finished is None
    assert [stage.stage for stage in view.stages] == list(Stage)
    assert {stage.fraction for stage in view.stages} == {view.fraction} == {0.3333}
    assert view.stages[0].finished is None
    assert view.stages[1].finished == datetime.fromtimestamp(2000.5, UTC)


def test_a_failure_as_it_is_shown() -> None:
    failed = job(JobState.FAILED, failed_stage="decode", failure="internal", finished=3000.0)
    told = JobView.of(failed, Request("talk.wav"), Failure("decode", "not_media", "No recording.")).failure
    assert told is not None
    assert (told.stage, told.code, told.message) == ("decode", "not_media", "No recording.")
    untold = JobView.of(failed, Request("talk.wav"), None).failure
    assert untold is not None
    assert (untold.stage, untold.code) == ("decode", "internal")
    late = JobView.of(job(JobState.CANCELLED), Request("talk.wav"), Failure("decode", "not_media", "No."))
    assert late.failure is None
