from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import AudioModel, AudioResponseFormat
from openai.types.audio import transcription_create_params

from pipelines.types import Options
from service.openai.answers import Granularity, ResponseFormat, Wish
from service.openai.form import LISTS, OPENAI_MODELS, TranscriptionForm, TranscriptionOptions, parse
from service.problems import Code, ProblemError


def refusal(*fields: tuple[str, str]) -> str:
    with pytest.raises(ProblemError) as caught:
        parse(fields)
    assert caught.value.code is Code.INVALID
    return caught.value.detail


def test_nothing_said_is_the_default() -> None:
    options = parse([])
    assert options == TranscriptionOptions()
    assert options.options == Options()
    assert options.wish == Wish(ResponseFormat.JSON, frozenset(), False)


def test_the_fields_that_openais_library_sends() -> None:
    options = parse(
        [
            ("model", "gpt-4o-transcribe-diarize"),
            ("chunking_strategy[type]", "server_vad"),
            ("chunking_strategy[threshold]", "0.5"),
            ("include[]", "logprobs"),
            ("language", "en"),
            ("response_format", "verbose_json"),
            ("stream", "true"),
            ("temperature", "0.2"),
            ("timestamp_granularities[]", "word"),
            ("timestamp_granularities[]", "segment"),
        ]
    )
    assert options.wish == Wish(ResponseFormat.VERBOSE_JSON, frozenset(Granularity), True)
    assert (options.asr, options.spoken_language, options.stream) == ("", "en", True)


def test_every_field_of_openais_is_known() -> None:
    theirs = set(transcription_create_params.TranscriptionCreateParamsStreaming.__annotations__) | set(
        transcription_create_params.TranscriptionCreateParamsBase.__annotations__
    )
    assert theirs - {"file"} == set(TranscriptionOptions.model_fields) - {"speakers"}


def test_every_format_and_model_of_openais_is_known() -> None:
    assert set(ResponseFormat) == set(get_args(AudioResponseFormat))
    assert set(OPENAI_MODELS) == set(get_args(AudioModel))


@pytest.mark.parametrize("model", ["auto", *OPENAI_MODELS])
def test_openais_models_mean_the_engine_that_is_set_up(model: str) -> None:
    assert parse([("model", model)]).asr == ""


@pytest.mark.parametrize(
    "model", ["pocketsphinx", "whisper", "whisper:small", "whisper:large", "whisper:large-v3-turbo"]
)
def test_our_engines_are_called_by_their_names(model: str) -> None:
    assert parse([("model", model)]).asr == model


@pytest.mark.parametrize(
    "model",
    [
        "whisper-2",
        "faster-whisper:service",
        "pocketsphinx:en-us",
        "d-vector",
    ],
)
def test_anything_else_is_no_model(model: str) -> None:
    assert refusal(("model", model)).startswith("There is no such model: choose auto or whisper-1")


@pytest.mark.parametrize(
    "model", ["", "whisper:", "whisper:../../etc/passwd", "faster-whisper:..", "faster-whisper:/etc", "A b"]
)
def test_what_cannot_be_a_name_is_none(model: str) -> None:
    assert refusal(("model", model)).startswith("The field 'model' cannot be used: ")
    with pytest.raises(ProblemError):
        parse([("model", model)], ours=False)


def test_engines_of_others_are_theirs_to_know() -> None:
    assert parse([("model", "theirs:large")], ours=False).asr == "theirs:large"
    assert parse([("model", "whisper-1")], ours=False).asr == ""


def test_a_model_that_the_user_copied_is_known_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.models.available", lambda kind: ["ours"])
    assert parse([("model", "whisper:ours")]).asr == "whisper:ours"


def test_lists_are_taken_without_brackets_too() -> None:
    assert parse([("timestamp_granularities", "word")]).timestamp_granularities == (Granularity.WORD,)


def test_one_possible_language_is_the_language_and_several_are_none() -> None:
    assert parse([("languages[]", "de")]).spoken_language == "de"
    assert parse([("languages[]", "de"), ("languages[]", "en")]).spoken_language == ""
    assert parse([("languages[]", "de"), ("language", "en")]).spoken_language == "en"


def test_a_prompt_is_a_list_of_terms() -> None:
    prompt = (
        "Ana Ruiz, University  of Basel;\nJon Berg,, Ana Ruiz.\r\nThis segment is about the talks in Geneva."
    )
    assert parse([("prompt", prompt)]).options.glossary == ("Ana Ruiz", "University of Basel", "Jon Berg")


def test_keywords_are_terms() -> None:
    fields = [("prompt", "Ana Ruiz"), ("keywords[]", "Basel, Switzerland"), ("keywords[]", "Ana Ruiz")]
    assert parse(fields).options.glossary == ("Ana Ruiz", "Basel, Switzerland")


def test_voices_are_not_compared_with_samples() -> None:
    for name in ("known_speaker_names", "known_speaker_references"):
        assert f"{name!r} cannot be used: voices are not compared" in refusal((f"{name}[]", "agent"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("response_format", "xml"),
        ("response_format", ""),
        ("temperature", "2"),
        ("temperature", "nan"),
        ("temperature", "warm"),
        ("timestamp_granularities[]", "letter"),
        ("include[]", "everything"),
        ("stream", "perhaps"),
        ("speakers", "-1"),
        ("speakers", "two"),
        ("language", "en; rm"),
        ("language", "../en"),
        ("language", "xx"),
    ],
)
def test_a_wrong_value_is_told_by_its_field(name: str, value: str) -> None:
    assert refusal((name, value)).startswith(f"The field {name.removesuffix('[]')!r} cannot be used: ")


def test_the_formats_are_named_to_who_asks_for_another() -> None:
    assert refusal(("response_format", "xml")) == (
        "The field 'response_format' cannot be used: it must be 'json', 'text', 'srt', 'verbose_json',"
        " 'vtt' or 'diarized_json'."
    )


def test_an_unknown_field_is_told_and_what_there_is() -> None:
    assert refusal(("langauge", "en")).startswith(
        "There is no field 'langauge': the fields are file, text, model, language,"
    )
    assert len(refusal(("x" * 10_000, "en"))) < 500


def test_a_field_comes_once() -> None:
    assert (
        refusal(("model", "auto"), ("model", "whisper-1")) == "The field 'model' comes twice: send it once."
    )


names = st.sampled_from([*TranscriptionOptions.model_fields, *(f"{name}[]" for name in LISTS)]) | st.text()


@settings(deadline=None)
@given(st.lists(st.tuples(names, st.text())))
def test_any_form_is_taken_or_refused_with_a_sentence(fields: list[tuple[str, str]]) -> None:
    try:
        options: TranscriptionOptions | str = parse(fields)
    except ProblemError as problem:
        options = problem.detail
    assert isinstance(options, TranscriptionOptions) or options.endswith(".")


def test_every_field_is_described_for_the_openapi_document() -> None:
    properties = TranscriptionForm.model_json_schema()["properties"]
    assert all(described["description"] for described in properties.values())
    assert "$defs" not in TranscriptionForm.model_json_schema()  # it is put into a document that has others
    assert TranscriptionForm.model_json_schema()["required"] == ["file"]
