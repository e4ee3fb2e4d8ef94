"""The sampler of noise against its exact probabilities, and what one entity can change."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from math import exp, log, sqrt
from typing import Any, Final

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.dataplane.gate import GateError
from connector.statistics.noise import discrete_laplace
from connector.statistics.private import (
    Contributions,
    PrivateRules,
    Public,
    Question,
    noisy,
    questions_of,
    sensitivity,
    table_of,
)
from connector.statistics.request import Item, Request
from schemas.dataset import ColumnType
from schemas.terms import Bound

DRAWS: Final = 60_000
FALSE_ALARM: Final = 1e-9  # how likely a right sampler fails one check of this file
VALUES: Final = ("서울", "부산")
RULES: Final = PrivateRules(500, 4, 1, (Bound(column="kwh", lower="-3", upper="10"),))
MEASURES: Final = ("count", "count:kwh", "sum:kwh")


def exact(z: int, scale: Fraction) -> float:
    q = exp(-1 / float(scale))
    return (1 - q) / (1 + q) * q ** abs(z)


@pytest.mark.parametrize("scale", [Fraction(1, 3), Fraction(1), Fraction(7, 2), Fraction(40)])
def test_the_sampler_has_the_probabilities_of_the_formula(scale: Fraction) -> None:
    """Each frequency is within Hoeffding's bound of its probability, tails included."""
    source = random.Random(20261124).randrange
    seen = Counter(discrete_laplace(scale, source) for _ in range(DRAWS))
    places = range(-12, 13)
    slack = sqrt(log(2 * (len(places) + 2) / FALSE_ALARM) / (2 * DRAWS))
    for z in places:
        assert abs(seen[z] / DRAWS - exact(z, scale)) <= slack, z
    far = int(3 * scale) + 1
    q = exp(-1 / float(scale))
    tail = 2 * q**far / (1 + q)
    assert abs(sum(n for z, n in seen.items() if abs(z) >= far) / DRAWS - tail) <= slack
    assert abs(sum(n for z, n in seen.items() if z > 0) / DRAWS - q / (1 + q)) <= slack


def test_the_check_of_probabilities_sees_a_wrong_scale() -> None:
    source = random.Random(20261124).randrange
    seen = Counter(discrete_laplace(Fraction(4), source) for _ in range(DRAWS))
    slack = sqrt(log(2 * 27 / FALSE_ALARM) / (2 * DRAWS))
    assert abs(seen[0] / DRAWS - exact(0, Fraction(7, 2))) > slack


def test_no_scale_no_noise_is_no_sampler() -> None:
    for scale in (Fraction(0), Fraction(-1)):
        with pytest.raises(ValueError, match="above zero"):
            discrete_laplace(scale, random.Random(1).randrange)


ROW = st.tuples(
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from([*VALUES, None]),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(-(10**18), 10**18) | st.integers(-50, 50).map(lambda n: n * 100_000),
)
ROWS = st.lists(ROW, min_size=5, max_size=9, unique_by=lambda row: row[:2])


def contributions(rows: list[Any]) -> Contributions:
    entity, region, n, finite, units = zip(*rows, strict=True) if rows else ([],) * 5
    table = pa.table(
        {
            "entity": pa.array(entity, pa.string()),
            "t0": pa.array(region, pa.string()),
            "n": pa.array(n, pa.int64()),
            "n_0": pa.array([min(some, all_) for some, all_ in zip(finite, n, strict=True)]),
            "u_0": pa.array(list(map(int, units)), pa.decimal128(38)),
        }
    )
    return Contributions(table, ("region",), ("kwh",))


def question(measure: str, rules: PrivateRules = RULES, *, is_grouped: bool = True) -> Question:
    groups = ("region",) if is_grouped else ()
    return Question("relation", "company", measure, groups, {"region": sorted(VALUES)}, rules)


@given(
    rows=ROWS,
    measure=st.sampled_from(MEASURES),
    cells_max=st.integers(1, 3),
    rows_max=st.integers(1, 6),
    is_grouped=st.booleans(),
)
def test_one_entity_changes_all_cells_together_by_no_more_than_the_sensitivity(
    *, rows: list[Any], measure: str, cells_max: int, rows_max: int, is_grouped: bool
) -> None:
    rules = replace(RULES, cells_max=cells_max, rows_max=rows_max)
    asked = question(measure, rules, is_grouped=is_grouped)
    with_all = contributions(rows).totals(asked)
    assert list(with_all) == asked.cells  # the same cells, whatever the data
    for entity in "abc":
        without = contributions([row for row in rows if row[0] != entity]).totals(asked)
        change = sum(abs(with_all[key] - without[key]) for key in asked.cells)
        assert change <= sensitivity(asked)


def test_the_sensitivity_is_reached() -> None:
    rows = [("a", "서울", 9, 9, 10**18), ("a", "부산", 9, 9, 10**18)]
    for measure, most in (("count", 4), ("sum:kwh", 100_000)):
        asked = question(measure)
        totals = contributions(rows).totals(asked)
        assert sensitivity(asked) == most
        assert sum(totals.values()) == most
        both = question(measure, replace(RULES, cells_max=2))
        assert sensitivity(both) == sum(contributions(rows).totals(both).values()) == 2 * most


@pytest.mark.parametrize("measure", MEASURES)
def test_noise_has_the_scale_that_epsilon_says(measure: str) -> None:
    """Answers to data without anybody are the noise itself: its mean size tells the scale."""
    source = random.Random(7).randrange
    asked = question(measure)
    scale = sensitivity(asked) * 1000 / RULES.epsilon_milli
    empty = contributions([])
    values = [value for _ in range(4000) for value in noisy(asked, empty.totals(asked), source)]
    mean = sum(map(abs, values)) / len(values)
    # the size is exponential of mean and deviation ``scale``: seven deviations of the mean
    assert abs(mean - scale) <= 7 * scale / sqrt(len(values)) + 1


def test_who_sees_an_answer_cannot_tell_whether_an_entity_is_there() -> None:
    """The likelihoods of any range of answers, with and without one, differ by exp(epsilon)."""
    source = random.Random(11).randrange
    asked = question("count", replace(RULES, epsilon_milli=1000), is_grouped=False)
    rows = [("a", "서울", 4, 4, 0), ("b", "부산", 2, 2, 0)]
    here, gone = (
        Counter(noisy(asked, contributions(held).totals(asked), source)[0] for _ in range(DRAWS))
        for held in (rows, rows[1:])
    )
    slack = sqrt(log(2 * 40 / FALSE_ALARM) / (2 * DRAWS))
    for least in range(-10, 20):
        with_it, without = (
            sum(n for z, n in seen.items() if z >= least) / DRAWS for seen in (here, gone)
        )
        assert with_it - slack <= exp(1) * (without + slack)
        assert (1 - without) - slack <= exp(1) * ((1 - with_it) + slack)
    assert sum(here[z] for z in here if z >= 6) > 1.5 * sum(gone[z] for z in gone if z >= 6)


def items(*functions: str) -> tuple[Item, ...]:
    group = Item("region", "region")
    return (group, *(Item(f, None if f == "count" else "kwh", f) for f in functions))


def test_an_answer_is_made_of_noisy_numbers_only() -> None:
    request = Request(items("count", "sum", "avg"), ("region",), {"region": list(VALUES)})
    public = Public({"region": ColumnType.TEXT}, {})
    asked = questions_of(request, public=public, relation_sha256="r", entity="company", rules=RULES)
    assert [one.measure for one in asked] == ["count", "sum:kwh", "count:kwh"]
    answered = {"count": [3, -1], "sum:kwh": [250_000, 70_000], "count:kwh": [5, 0]}
    made = table_of(request, answered, questions=asked, public=public).to_pylist()
    assert made == [
        {"region": "부산", "count": 3, "sum": 25.0, "avg": 5.0},
        {"region": "서울", "count": -1, "sum": 7.0, "avg": 7.0},
    ]


@given(st.permutations(["서울", "부산", "울산", "서울"]))
def test_the_same_cells_are_the_same_question_however_they_are_listed(values: list[str]) -> None:
    public = Public({"region": ColumnType.TEXT}, {})
    ask: Callable[[list[str]], list[Question]] = lambda listed: questions_of(  # noqa: E731
        Request(items("sum"), ("region",), {"region": [*listed]}),
        public=public,
        relation_sha256="r",
        entity="company",
        rules=RULES,
    )
    assert [q.sha256 for q in ask(values)] == [q.sha256 for q in ask(sorted(set(values)))]
    assert ask(values)[0].sha256 != ask(["서울", "부산"])[0].sha256


@pytest.mark.parametrize(
    ("kind", "conditions"),
    [
        (ColumnType.TEXT, {}),
        (ColumnType.INTEGER, {"region": ["서울"]}),
        (ColumnType.INTEGER, {"region": ["99999999999999999999"]}),
        (ColumnType.DATE, {"region": ["2026-13-01"]}),
        (ColumnType.BOOLEAN, {"region": ["maybe"]}),
        (ColumnType.INTEGER, {"region": [str(n) for n in range(1001)]}),
    ],
)
def test_cells_that_do_not_follow_from_the_question_are_refused(
    kind: ColumnType, conditions: dict[str, list[str | None]]
) -> None:
    request = Request(items("count"), ("region",), conditions)
    with pytest.raises(GateError):
        questions_of(
            request,
            public=Public({"region": kind}, {}),
            relation_sha256="r",
            entity="company",
            rules=RULES,
        )


def test_values_that_the_terms_list_need_not_be_asked_for() -> None:
    request = Request(items("count"), ("region",), {})
    for public, cells in (
        (Public({"region": ColumnType.TEXT}, {"region": VALUES}), sorted(VALUES)),
        (Public({"region": ColumnType.BOOLEAN}, {}), ["false", "true"]),
    ):
        [asked] = questions_of(
            request, public=public, relation_sha256="r", entity="company", rules=RULES
        )
        assert asked.cells == [(value,) for value in cells]
