"""Sums of several columns: where the others follow a rule, no few entities stand out."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Final

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from connector.statistics.answer import Answer, Atoms, Definition, answer
from connector.statistics.audit import Rules
from connector.statistics.request import Item, Request, Scope

ENTITIES: Final = [f"c{n}" for n in range(9)]
MONTHS: Final = ("1", "2", "3")
Row = tuple[str, str, tuple[float, ...]]  # month, company, value of each column
FACTORS: Final = st.sampled_from([1.0, 3.6, -1.0, 0.001])
VALUES: Final = st.integers(100, 200).map(float)
RULES: Final = Rules(3)


def atoms_of(rows: Iterable[Row], count: int) -> Atoms:
    """Return contributions as a worker counts them; one row of a company in a month."""
    names = tuple(f"m{i}" for i in range(count))
    listed = list(rows)
    columns: dict[str, list[object]] = {
        "g0": [month for month, _, _ in listed],
        "t0": [month for month, _, _ in listed],
        "entity": [company for _, company, _ in listed],
        "n": [1] * len(listed),
        "given": ["1" * count] * len(listed),
    }
    for i in range(count):
        columns[f"n_{i}"] = [1] * len(listed)
        columns[f"s_{i}"] = [values[i] for _, _, values in listed]
        columns[f"w_{i}"] = [abs(values[i]) for _, _, values in listed]
    return Atoms(pa.table(columns), Scope("company", ("month",), names))


def ask(
    atoms: Atoms,
    *columns: str,
    by_month: bool = True,
    after: dict[str, list[Definition]] | None = None,
    rules: Rules = RULES,
) -> Answer:
    items = tuple(Item(f"v{i}", column, "sum") for i, column in enumerate(columns))
    return answer(atoms, Request(items, ("month",) if by_month else (), {}), after or {}, rules)


def together(*answers: Answer) -> dict[str, list[Definition]]:
    """Return what was told as a history."""
    told: dict[str, list[Definition]] = {}
    for each in answers:
        for name, cells in each.cells.items():
            told.setdefault(name, []).extend(cells)
    return told


@given(st.data(), FACTORS, st.lists(VALUES, min_size=5, max_size=9))
def test_of_two_columns_that_differ_for_a_few_only_one_is_told(
    data: st.DataObject, factor: float, values: list[float]
) -> None:
    few = data.draw(st.integers(1, RULES.entities_min - 1))
    off = data.draw(st.lists(st.sampled_from([-0.5, 0.01, 0.5]), min_size=few, max_size=few))
    shares = [*off, *([0.0] * (len(values) - few))]
    rows = [
        ("1", company, (value, value * factor * (1 + share)))
        for company, value, share in zip(ENTITIES, values, shares, strict=False)
    ]
    atoms = atoms_of(rows, 2)
    for first, second in (("m0", "m1"), ("m1", "m0")):
        told = ask(atoms, first)
        assert told.table.num_rows == 1
        assert ask(atoms, second, after=together(told)).table.num_rows == 0
        assert ask(atoms, first, after=together(told)).table.num_rows == 1
    assert ask(atoms, "m0", "m1").table.num_rows == 0


@given(FACTORS, st.lists(VALUES, min_size=3, max_size=9))
def test_columns_that_follow_from_each_other_for_all_are_both_told(
    factor: float, values: list[float]
) -> None:
    rows = [
        ("1", company, (value, round(value * factor, 6)))
        for company, value in zip(ENTITIES, values, strict=False)
    ]
    assert ask(atoms_of(rows, 2), "m0", "m1").table.num_rows == 1


def test_columns_of_their_own_are_told_together() -> None:
    rows = [
        ("1", company, (101.0 + 7 * n, 33.0 + 11 * (n * n % 7), 900.0 - 53 * (n % 4)))
        for n, company in enumerate(ENTITIES[:5])
    ]
    assert ask(atoms_of(rows, 3), "m0", "m1", "m2").table.num_rows == 1


PARTS: Final = ("m0", "m1", "m2")
TOTAL: Final = ("m3",)


@given(
    st.lists(st.tuples(VALUES, VALUES, VALUES), min_size=5, max_size=9),
    st.permutations([PARTS, TOTAL]),
)
def test_a_total_that_is_off_for_one_is_not_told_with_all_its_parts(
    values: list[tuple[float, float, float]], order: list[tuple[str, ...]]
) -> None:
    rows = [
        ("1", company, (*parts, sum(parts) + (25.0 if company == "c0" else 0.0)))
        for company, parts in zip(ENTITIES, values, strict=False)
    ]
    first, second = order
    atoms = atoms_of(rows, 4)
    told = ask(atoms, *first)
    if told.table.num_rows:  # two parts may be alike for some, by chance
        assert ask(atoms, *second, after=together(told)).table.num_rows == 0


def test_what_is_off_in_each_month_and_even_in_all_hides_no_one() -> None:
    """All but one make up in the second month for what they missed of the plan in the first."""
    rows: list[Row] = []
    for n, company in enumerate(ENTITIES):
        value, shift = 100.0 + 7 * n, 10.0 + n
        rows.append(("1", company, (value, value - shift)))
        rows.append(("2", company, (value, value + (shift if n else 3 * shift))))
    atoms = atoms_of(rows, 2)
    told = ask(atoms, "m0")
    assert told.table.num_rows == 2
    assert ask(atoms, "m1", after=together(told)).table.num_rows == 0
    year = ask(atoms, "m0", by_month=False)
    assert ask(atoms, "m1", after=together(year)).table.num_rows == 0
    one = Request((Item("v", "m1", "sum"),), ("month",), {"month": ["1"]})
    first = answer(atoms, one, together(told), RULES)
    assert first.table.num_rows == 1  # nobody follows in one month alone
    other = Request((Item("v", "m1", "sum"),), ("month",), {"month": ["2"]})
    assert answer(atoms, other, together(told, first), RULES).table.num_rows == 0


def test_what_was_told_before_is_told_again_whatever_it_shows() -> None:
    """A history may be from before a rule: to ask the same again tells nothing new."""
    rows = [
        (m, company, (100.0, 100.0 + 9 * (company == "c0"))) for m in "12" for company in ENTITIES
    ]
    atoms = atoms_of(rows, 2)
    months: list[Definition] = [{"month": ["1"]}, {"month": ["2"]}]
    history = {"sum:m0": months, "sum:m1": months}
    assert ask(atoms, "m0", "m1", after=history).table.num_rows == 2
    assert ask(atoms, "m0", "m1", after={"sum:m0": months}).table.num_rows == 0


MONTHLY: Final = st.lists(
    st.tuples(
        st.sampled_from(MONTHS),
        st.sampled_from(ENTITIES[:6]),
        st.tuples(st.integers(1, 9).map(float), st.integers(1, 9).map(float)),
    ),
    min_size=6,
    max_size=18,
    unique_by=lambda row: row[:2],
)
ASKED: Final = st.lists(
    st.tuples(st.sampled_from(["m0", "m1"]), st.booleans()), min_size=2, max_size=5
)


@settings(deadline=None, max_examples=150)
@given(MONTHLY, ASKED, st.integers(2, 4))
def test_no_difference_of_what_was_told_is_about_fewer_than_the_least(
    rows: list[Row], asked: list[tuple[str, bool]], least: int
) -> None:
    """By months and over all of them, added up as a buyer would."""
    atoms = atoms_of(rows, 2)
    answers: list[Answer] = []
    for column, by_month in asked:
        told = ask(atoms, column, by_month=by_month, after=together(*answers), rules=Rules(least))
        answers.append(told)
    history = together(*answers)
    held = {month for month, _, _ in rows}
    known: list[set[str]] = []  # for each column, the unions that its answers give away
    for column in ("m0", "m1"):
        cells = [atoms.cell(one) for one in history.get(f"sum:{column}", [])]
        whole = frozenset(range(len(held)))
        months = {atoms.combinations[min(cell)][0] for cell in cells if len(cell) == 1}
        known.append(
            {str(m) for m in months} | ({"all"} if whole in cells or months == held else set())
        )
    for union in known[0] & known[1]:
        off: dict[str, Fraction] = {}
        for month, company, (one, other) in rows:
            if union in {"all", month}:
                off[company] = off.get(company, Fraction(0)) + Fraction(one) - Fraction(other)
        standing_out = [company for company, difference in off.items() if difference]
        assert not standing_out or len(standing_out) >= least
