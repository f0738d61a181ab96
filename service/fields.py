"""Field types shared by the options of /v1/jobs and OpenAI's form: the library's rules as pydantic types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

from pydantic import AfterValidator, StringConstraints

from pipelines.errors import OptionError
from pipelines.text import check_known

Value = TypeVar("Value")


def said(rule: Callable[[], Value]) -> Value:
    """Returns the rule's value, or raises its sentence as a ValueError, which pydantic reports."""
    try:
        return rule()
    except OptionError as error:
        raise ValueError(str(error).removesuffix(".")) from None


Language = Annotated[
    str,
    StringConstraints(pattern=r"^([A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})*)?$", max_length=35),
    AfterValidator(lambda tag: said(lambda: check_known(tag))),
]
Term = Annotated[str, StringConstraints(min_length=1, max_length=200)]
EngineName = Annotated[
    str, StringConstraints(pattern=r"^([a-z0-9-]+(:[A-Za-z0-9_-][A-Za-z0-9._-]*)?)?$", max_length=100)
]
