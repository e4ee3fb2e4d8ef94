"""Audited statistics: no combination of answers isolates too few, by exact linear algebra."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from connector.statistics.audit import Audit, Cell, Measure, Rules

ENTITIES = [f"c{n}" for n in range(7)]
ATOMS = 6
# which entities contribute to which atom, and how much
WEIGHTS = st.lists(
    st.dictionaries(st.sampled_from(ENTITIES), st.integers(1, 20).map(float), max_size=6),
    min_size=ATOMS,
    max_size=ATOMS,
)
CELLS = st.lists(st.frozensets(st.integers(0, ATOMS - 1), min_size=1), min_size=1, max_size=8)


def measure(weights: list[dict[str, float]], *, is_sum: bool = True) -> Measure:
    return Measure(dict(enumerate(weights)), is_sum=is_sum)


def rank(rows: Iterable[list[Fraction]]) -> int:
    left, found = [row[:] for row in rows], 0
    width = len(left[0]) if left else 0
    for column in range(width):
        pivot = next((row for row in left if row[column]), None)
        if pivot is None:
            continue
        left.remove(pivot)
        found += 1
        for row in left:
            factor = row[column] / pivot[column]
            row[:] = [a - factor * b for a, b in zip(row, pivot, strict=True)]
    return found


def isolates(answered: list[Cell], weights: list[dict[str, float]], group: set[str]) -> bool:
    """Whether a combination of answers is about nobody but ``group``, and about it indeed.

    It is, if among the columns that others contribute to, the answers are less independent.
    """
    owned = [n for n, by in enumerate(weights) if by]
    others = [n for n in owned if not set(weights[n]) <= group]
    whole = [[Fraction(n in cell) for n in owned] for cell in answered]
    rest = [[Fraction(n in cell) for n in others] for cell in answered]
    return rank(rest) < rank(whole)


@settings(deadline=None, max_examples=300)
@given(WEIGHTS, CELLS, st.integers(2, 4))
def test_no_combination_of_answers_is_about_fewer_than_the_least(
    weights: list[dict[str, float]], asked: list[Cell], least: int
) -> None:
    audit = Audit({"m": measure(weights)}, {})
    answered = [cell for cell in asked if audit.admit(cell, ["m"], Rules(least))]
    for size in range(1, least):
        for group in combinations(ENTITIES, size):
            assert not isolates(answered, weights, set(group))


def test_without_the_history_the_same_questions_isolate_one() -> None:
    weights: list[dict[str, float]] = [{name: 5.0} for name in ENTITIES[:6]]
    everybody, all_but_one = frozenset(range(6)), frozenset(range(5))
    rules = Rules(3)
    for cell in (everybody, all_but_one):  # each alone keeps the rules
        assert Audit({"m": measure(weights)}, {}).admit(cell, ["m"], rules)
    assert isolates([everybody, all_but_one], weights, {ENTITIES[5]})
    audit = Audit({"m": measure(weights)}, {"m": [everybody]})
    assert not audit.admit(all_but_one, ["m"], rules)
    assert audit.admit(everybody, ["m"], rules)  # the same again tells nothing new
    assert audit.admit(frozenset(range(3)), ["m"], rules)


@given(WEIGHTS, CELLS, st.permutations(range(8)))
def test_a_history_means_the_same_whoever_loads_it(
    weights: list[dict[str, float]], asked: list[Cell], order: list[int]
) -> None:
    rules, measures = Rules(2, 80), {"m": measure(weights)}
    running = Audit(measures, {})
    answered: list[Cell] = []
    for cell in asked:
        mixed = [answered[n] for n in order if n < len(answered)]
        loaded = Audit(measures, {"m": mixed}).admit(cell, ["m"], rules)
        assert running.admit(cell, ["m"], rules) == loaded
        if loaded:
            answered.append(cell)


@settings(deadline=None)
@given(WEIGHTS, CELLS, st.integers(30, 90))
def test_every_part_that_can_be_reached_keeps_the_dominance_rule(
    weights: list[dict[str, float]], asked: list[Cell], most: int
) -> None:
    rules, sums = Rules(1, most), measure(weights)
    audit = Audit({"m": sums}, {})
    answered = [cell for cell in asked if audit.admit(cell, ["m"], rules)]
    for cell in answered:
        assert sums.keeps(cell, rules)
    for one, other in combinations(answered, 2):  # what a difference of two answers shows
        for part in (one - other, other - one):
            owned = any(weights[atom] for atom in part)
            if owned and (one <= other or other <= one):
                assert sums.keeps(part, rules)


def test_two_measures_that_follow_from_each_other_share_their_history() -> None:
    weights: list[dict[str, float]] = [{name: 5.0} for name in ENTITIES[:6]]
    both = {"sum:kwh": measure(weights), "sum:mj": measure(weights)}
    audit = Audit(both, {"sum:kwh": [frozenset(range(6))]})
    assert not audit.admit(frozenset(range(5)), ["sum:mj"], Rules(3))
    assert audit.admit(frozenset(range(6)), ["sum:mj"], Rules(3))


def test_a_cell_that_one_dominates_is_no_sum_though_it_may_be_counted() -> None:
    weights: list[dict[str, float]] = [{"a": 90.0, "b": 5.0, "c": 5.0}]
    measures = {"sum:x": measure(weights), "count": measure(weights, is_sum=False)}
    cell = frozenset({0})
    assert not Audit(measures, {}).admit(cell, ["sum:x"], Rules(3, 60))
    assert Audit(measures, {}).admit(cell, ["count"], Rules(3, 60))
    assert Audit(measures, {}).admit(cell, ["sum:x"], Rules(3, 95))
    assert not Audit(measures, {}).admit(cell, ["sum:x"], Rules(3, 95, 10))  # the rest is 5
    nothing: list[dict[str, float]] = [dict.fromkeys("abc", 0.0)]
    assert not Audit({"m": measure(nothing)}, {}).admit(cell, ["m"], Rules(3))
    broken: list[dict[str, float]] = [{"a": float("nan"), "b": 1.0, "c": 1.0}]
    assert not Audit({"m": measure(broken)}, {}).admit(cell, ["m"], Rules(3, 60))
