"""The OpenAPI document: complete, valid, and in agreement with itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from schemathesis.core.result import Ok

from service.api.app import create_app
from service.api.context import Context
from service.api.shapes import EXAMPLE_ID
from service.problems import EXAMPLES, MEDIA_TYPE, Code, responses
from service.records.jobs import JobState
from service.running.serving import opened
from service.settings import Settings
from service.work.webhooks import payload, sign

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    with opened(Settings(data_dir=tmp_path_factory.mktemp("openapi") / "data", max_upload_mb=3)) as context:
        yield context


@pytest.fixture(scope="module")
def document(context: Context) -> dict[str, Any]:
    document: dict[str, Any] = create_app(context).openapi()
    return document


@pytest.fixture(scope="module")
def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By method and path."""
    return {
        f"{method.upper()} {path}": operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
    }


def media_types(operation: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Of every body: where it is, its type, and what is said of it."""
    for name, content in operation.get("requestBody", {}).get("content", {}).items():
        yield "request", name, content
    for status, answer in operation["responses"].items():
        for name, content in answer.get("content", {}).items():
            yield status, name, content


def resolve(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """A schema that can stand alone."""
    return schema | {"components": document["components"]}


def has_example(document: dict[str, Any], schema: dict[str, Any]) -> bool:
    """Whether a reader is shown what a value of this schema looks like."""
    if "$ref" in schema:
        found = document["components"]["schemas"][schema["$ref"].split("/")[3]]
        return has_example(document, found)
    if any(name in schema for name in ("example", "examples", "enum", "const", "default")):
        return True
    if "properties" in schema:
        return all(has_example(document, inner) for inner in schema["properties"].values())
    return schema.get("type") in {"boolean", "number", "integer"} or (
        schema.get("type") == "array" and has_example(document, schema["items"])
    )


def check(example: object, schema: dict[str, Any]) -> None:
    error = best_match(Draft202012Validator(schema).iter_errors(example))
    assert error is None, f"{error.message} {example}"


def test_schemathesis_reads_it_and_finds_every_operation(
    document: dict[str, Any], operations: dict[str, Any]
) -> None:
    schema = schemathesis.openapi.from_dict(document)
    schema.validate()
    found = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    assert {operation.label for operation in found} == set(operations)


def test_every_schema_is_one(document: dict[str, Any], operations: dict[str, dict[str, Any]]) -> None:
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for operation in operations.values():
        for _, _, content in media_types(operation):
            Draft202012Validator.check_schema(content["schema"])
        for parameter in operation.get("parameters", []):
            Draft202012Validator.check_schema(parameter["schema"])


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for inner in value.values():
                yield from references(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from references(inner)

    found = set(references(document))
    assert "#/components/schemas/Problem" in found
    for reference in found:
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def test_every_operation_says_what_it_is(
    document: dict[str, Any], operations: dict[str, dict[str, Any]]
) -> None:
    tags = {tag["name"] for tag in document["tags"]}
    ids = [operation["operationId"] for operation in operations.values()]
    assert len(set(ids)) == len(ids)
    for name, operation in operations.items():
        assert operation["summary"], name
        assert not operation["summary"].endswith("."), name
        assert len(operation["tags"]) == 1, name
        assert set(operation["tags"]) <= tags, name
        for parameter in operation.get("parameters", []):
            said = parameter.get("description") or parameter["schema"]
            assert said, (name, parameter["name"])


def test_every_body_is_shown_by_an_example(
    document: dict[str, Any], operations: dict[str, dict[str, Any]]
) -> None:
    for name, operation in operations.items():
        for where, media_type, content in media_types(operation):
            shown = "example" in content or "examples" in content
            assert shown or has_example(document, content["schema"]), (name, where, media_type)


def test_examples_are_what_their_schemas_say(
    document: dict[str, Any], operations: dict[str, dict[str, Any]]
) -> None:
    count = 0
    for operation in operations.values():
        for _, _, content in media_types(operation):
            examples = [content["example"]] if "example" in content else []
            examples += [example["value"] for example in content.get("examples", {}).values()]
            for example in examples:
                check(example, resolve(document, content["schema"]))
                count += 1
    assert count > 100


def test_examples_of_fields_are_what_their_schemas_say(document: dict[str, Any]) -> None:
    shapes = document["components"]["schemas"]
    assert shapes["Result"]["examples"]
    for shape in shapes.values():
        for schema in (shape, *shape.get("properties", {}).values()):
            for example in schema.get("examples", []):
                check(example, resolve(document, schema))


def test_every_operation_describes_its_problems(operations: dict[str, dict[str, Any]]) -> None:
    for name, operation in operations.items():
        answers = operation["responses"]
        assert "500" in answers, name
        if "security" in operation:
            assert {"401", "403", "429", "503"} <= set(answers), name
        if "{id}" in name:
            assert "404" in answers, name
        for status, answer in answers.items():
            assert answer["description"], (name, status)
            if int(status) >= 400:
                assert list(answer["content"]) == [MEDIA_TYPE], (name, status)
                for code in answer["content"][MEDIA_TYPE]["examples"]:
                    assert str(int(next(c for c in Code if c.text == code).status)) == status, (name, code)


def test_everything_but_health_needs_a_key(operations: dict[str, dict[str, Any]]) -> None:
    for name, operation in operations.items():
        assert ("security" in operation) == (operation["tags"] != ["health"]), name


def test_every_problem_is_one_of_some_operation(operations: dict[str, dict[str, Any]]) -> None:
    described = {
        code
        for operation in operations.values()
        for _, media_type, content in media_types(operation)
        if media_type == MEDIA_TYPE
        for code in content["examples"]
    }
    of_addresses = {
        Code.METHOD_NOT_ALLOWED.text
    }  # of addresses, not of operations: the text at the top tells
    assert described | of_addresses == {code.text for code in Code}


def test_every_problem_has_an_example() -> None:
    assert set(EXAMPLES) == set(Code)
    assert len({code.text for code in Code}) == len(Code)
    described = responses(*Code)
    assert set(described) == {int(code.status) for code in Code}
    assert described[409]["description"].startswith("Conflict: idempotency_key_reused, not_finished,")


def test_what_settings_limit_is_in_the_document(operations: dict[str, dict[str, Any]]) -> None:
    parameters = {
        parameter["name"].lower(): parameter for parameter in operations["POST /v1/uploads"]["parameters"]
    }
    assert parameters["upload-length"]["schema"]["maximum"] == 3 * 2**20
    assert parameters["upload-length"]["schema"]["minimum"] == 0
    assert parameters["tus-resumable"]["required"]


def test_links_lead_to_operations_and_name_their_parameters(operations: dict[str, dict[str, Any]]) -> None:
    by_id = {operation["operationId"]: operation for operation in operations.values()}
    links = [
        link
        for operation in operations.values()
        for answer in operation["responses"].values()
        for link in answer.get("links", {}).values()
    ]
    assert len(links) >= 12
    for link in links:
        target = by_id[link["operationId"]]
        names = {parameter["name"].lower() for parameter in target.get("parameters", [])}
        assert {name.lower() for name in link.get("parameters", {})} <= names


@pytest.mark.parametrize("state", [state for state in JobState if state.ended])
def test_webhooks_are_as_the_document_says(document: dict[str, Any], state: JobState) -> None:
    described = document["webhooks"]["job-ended"]["post"]
    assert described["operationId"] == "jobs_ended"
    body = json.loads(payload(EXAMPLE_ID, state, 1.7e9, {"episode": "7"}))
    check(body, resolve(document, described["requestBody"]["content"]["application/json"]["schema"]))
    sent = sign(f"msg_{EXAMPLE_ID}", 1.7e9, json.dumps(body).encode(), "whsec_" + "c2VjcmV0" * 4)
    parameters = {parameter["name"]: parameter["schema"] for parameter in described["parameters"]}
    assert set(parameters) == set(sent)
    for schema in parameters.values():
        check(schema["examples"][0], schema)
    assert set(described["responses"]) == {"204", "410"}


def ask(context: Context, method: str, path: str) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(create_app(context))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.request(method, path)

    return asyncio.run(send())


@pytest.mark.parametrize("method", ["TRACE", "PUT", "POST", "PATCH", "DELETE", "HEAD", "GET", "OPTIONS"])
def test_a_method_that_an_address_does_not_take(
    context: Context, document: dict[str, Any], method: str
) -> None:
    for path, item in document["paths"].items():
        if method.lower() not in item:
            answer = ask(context, method, path.replace("{", "").replace("}", ""))
            assert answer.status_code == 405, (method, path)
            allowed = {name.strip().lower() for name in answer.headers["allow"].split(",")}
            assert allowed == set(item) & METHODS, (method, path)
            assert answer.headers["content-type"] == MEDIA_TYPE
            assert method == "HEAD" or answer.json()["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", ["/v1", "/v1/job", "/v1/jobs/", "/v1/jobs/1/2/3", "/v1/uploads/", "/%00"])
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_there_is_nothing_at_other_addresses(context: Context, method: str, path: str) -> None:
    answer = ask(context, method, path)
    assert answer.status_code in {404, 405}
    assert answer.headers["content-type"] == MEDIA_TYPE


def test_the_document_is_served_with_its_reader(context: Context) -> None:
    assert ask(context, "GET", "/openapi.json").json()["info"]["title"] == "Turnwise"
    assert ask(context, "GET", "/docs").status_code == 200
