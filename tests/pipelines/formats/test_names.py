from __future__ import annotations

from hypothesis import given

from pipelines.formats.names import display_names
from pipelines.types import Role, Speaker
from tests.pipelines.formats.sample import speaker
from tests.pipelines.formats.strategies import speakers


def test_the_name_wins_then_the_role_then_the_id() -> None:
    people = [speaker("S1", Role.ANCHOR), speaker("S2", Role.ANALYST, "Ana Ruiz"), speaker("S3")]
    assert display_names(people) == {"S1": "Anchor", "S2": "Ana Ruiz", "S3": "S3"}


def test_a_shared_role_is_numbered() -> None:
    people = [speaker("S1", Role.ANALYST), speaker("S2", Role.ANCHOR), speaker("S3", Role.ANALYST)]
    assert display_names(people) == {"S1": "Analyst 1", "S2": "Anchor", "S3": "Analyst 2"}


def test_an_analyst_with_a_name_does_not_count() -> None:
    people = [speaker("S1", Role.ANALYST, "Ana Ruiz"), speaker("S2", Role.ANALYST)]
    assert display_names(people) == {"S1": "Ana Ruiz", "S2": "Analyst"}


def test_a_number_is_never_given_twice() -> None:
    people = [speaker("S1", name="Analyst 1"), speaker("S2", Role.ANALYST), speaker("S3", Role.ANALYST)]
    assert display_names(people) == {"S1": "Analyst 1", "S2": "Analyst 2", "S3": "Analyst 3"}


def test_a_name_is_one_line() -> None:
    assert display_names([speaker("S1", name=" Ana\n Ruiz ")]) == {"S1": "Ana Ruiz"}


@given(speakers())
def test_names_are_distinct_and_never_empty(people: tuple[Speaker, ...]) -> None:
    names = display_names(people)
    assert len(set(names.values())) == len(people)
    assert all(names.values())
