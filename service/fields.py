"""Field types shared by the options of /v1/jobs and OpenAI's form, and what is said of a value that does not
fit: pydantic's own sentences are for programmers, and quote regular expressions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

from pydantic import (
    AfterValidator,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic_core import ErrorDetails

from pipelines.errors import OptionError
from pipelines.text import check_known

Value = TypeVar("Value")

REASONS = {
    "missing": "it is missing",
    "extra_forbidden": "there is no such option",
    "json_invalid": "it is not valid JSON ({error})",
    "string_type": "it must be a string",
    "string_too_short": "it must not be empty",
    "string_too_long": "it may have {max_length} characters at most",
    "tuple_type": "it must be a list",
    "too_long": "it may have {max_length} entries at most",
    "greater_than_equal": "it must be {ge} or more",
    "less_than_equal": "it must be {le} or less",
    **dict.fromkeys(("dict_type", "model_type"), "it must be an object"),
    **dict.fromkeys(("enum", "literal_error"), "it must be {expected}"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "it must be true or false"),
    **dict.fromkeys(
        ("int_type", "int_parsing", "int_parsing_size", "int_from_float"), "it must be a whole number"
    ),
    **dict.fromkeys(("float_type", "float_parsing", "finite_number"), "it must be a number"),
}
"""By pydantic's type of an error."""


def reason(error: ErrorDetails) -> str:
    """Returns what a value that was refused must be, without a full stop."""
    if known := REASONS.get(error["type"]):
        return known.format(**error.get("ctx", {}))
    sentence = error["msg"].removeprefix("Value error, ")
    return sentence[:1].lower() + sentence[1:]


def must(rule: str) -> WrapValidator:
    """Makes `rule` the reason for every value that the type before it refuses."""

    def check(value: object, validate: ValidatorFunctionWrapHandler) -> object:
        try:
            return validate(value)
        except ValidationError:
            raise ValueError(rule) from None

    return WrapValidator(check)


def said(rule: Callable[[], Value]) -> Value:
    """Returns the rule's value, or raises its sentence as a ValueError, which pydantic reports."""
    try:
        return rule()
    except OptionError as error:
        raise ValueError(str(error).removesuffix(".")) from None


Language = Annotated[
    str,
    StringConstraints(pattern=r"^([A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*)?$", max_length=35),
    must("it must be a BCP 47 tag, such as en or de-CH"),
    AfterValidator(lambda tag: said(lambda: check_known(tag))),
]
Term = Annotated[str, StringConstraints(min_length=1, max_length=200)]
EngineName = Annotated[
    str,
    StringConstraints(pattern=r"^([a-z0-9-]+(:[A-Za-z0-9_-][A-Za-z0-9._-]*)?)?$", max_length=100),
    must("it must be NAME or NAME:MODEL, as GET /v1/engines lists them"),
]
