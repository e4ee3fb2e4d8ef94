"""What is suggested first is what the terms permit."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from databank.cli.suggesting import first_step
from schemas.policy.relation import Bound
from schemas.price import PricePlan
from schemas.terms import Mode, Terms, to_policy

STATISTICS: dict[str, Any] = {"modes": (Mode.QUERY,), "statistics_entity": "company"}
NOISE: dict[str, Any] = {
    "epsilon_milli": 100,
    "epsilon_budget_milli": 1000,
    "entity_rows_max": 1,
    "bounds": (Bound(column="kwh", lower="0", upper="9"),),
}


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        (Terms(), "FROM a.b LIMIT 5"),
        (Terms(rows_max=3), "FROM a.b LIMIT 3"),
        (Terms(**STATISTICS, entities_min=3), "SELECT count(*) FROM a.b"),
        (
            Terms(**STATISTICS, entities_min=3, statistics_groups=("region", "x")),
            "SELECT region, count(*) FROM a.b GROUP BY region",
        ),
        (
            Terms(**STATISTICS, entities_min=3, statistics_groups=("group",)),
            'SELECT "group", count(*) FROM a.b GROUP BY "group"',
        ),
        (
            Terms(**STATISTICS, **NOISE, statistics_groups=("region",)),
            "SELECT count(*) FROM a.b",
        ),
    ],
)
def test_the_first_query_is_one_that_the_terms_permit(terms: Terms, expected: str) -> None:
    command = shlex.split(first_step("a.b", to_policy(terms, PricePlan())))
    assert command == ["databank", "sql", "a.b", expected]


def test_who_may_only_read_is_told_how_to() -> None:
    policy = to_policy(Terms(modes=(Mode.READ,)), PricePlan())
    assert first_step("a.b", policy) == "databank read a.b -o a.b.arrow"


def test_terms_of_another_profile_leave_the_plain_suggestion() -> None:
    assert first_step("a.b", {}) == "databank sql a.b 'FROM a.b LIMIT 5'"
