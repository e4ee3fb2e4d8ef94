"""Differentially private statistics: questions with public cells, bounded entities, noise. Pure.

Rule 1: the cells of an answer follow from the question and the terms alone, never from the
data: a grouped column has its values listed, and a cell that nobody is in is answered too.
Rule 2: what an entity changes depends on its own rows only, and is bounded: it is in at most
``cells_max`` cells of an answer, with at most ``rows_max`` rows and a total within ``bounds``.
Rule 3: sums are whole numbers of a step that follows from the bounds, added up exactly, so
that no order of rows and no rounding moves a sum by more than the bound says.
Rule 4: one measure over one set of cells is one question, and costs one epsilon; asked again,
by whomever, it has the answer it had.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from itertools import product
from math import prod
from typing import Any, Final

import pyarrow as pa

from connector.dataplane.gate import GateError
from connector.statistics.answer import ROWS, folded, measures_of
from connector.statistics.noise import Source, discrete_laplace
from connector.statistics.request import Item, Request
from schemas.canonical import digest
from schemas.dataset import ColumnType
from schemas.policy.relation import Bound

CELLS_MAX: Final = 1000
STEP_DIGITS: Final = 6  # a bound is between 100 000 and 1 000 000 steps
INT64_MAX: Final = 2**63 - 1
Key = tuple[str, ...]
_TYPES: Final = {
    ColumnType.TEXT: pa.string(),
    ColumnType.INTEGER: pa.int64(),
    ColumnType.DATE: pa.date32(),
    ColumnType.BOOLEAN: pa.bool_(),
}


@dataclass(frozen=True, slots=True)
class PrivateRules:
    """How much noise an answer has, and how much of it one entity can be."""

    epsilon_milli: int
    rows_max: int
    cells_max: int
    bounds: tuple[Bound, ...]


@dataclass(frozen=True, slots=True)
class Public:
    """What everybody may know of the columns that group: their types, and values if listed."""

    types: Mapping[str, ColumnType]
    values: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Question:
    """One measure over public cells; equal questions have equal hashes."""

    relation_sha256: str
    entity: str
    measure: str
    groups: tuple[str, ...]  # sorted
    conditions: dict[str, list[str]]  # of groups and of other columns; sorted
    rules: PrivateRules

    @property
    def sha256(self) -> str:
        """The question's identity within a dataset."""
        rules = asdict(self.rules)
        rules["bounds"] = [b.to_text() for b in self.rules.bounds if self._is_about(b.column)]
        return digest({**asdict(self), "groups": list(self.groups), "rules": rules})

    def _is_about(self, column: str) -> bool:
        return self.measure.partition(":")[2] == column

    @property
    def cells(self) -> list[Key]:
        """All cells, in order."""
        return list(product(*(self.conditions[name] for name in self.groups)))


def step_of(bound: Bound) -> Decimal:
    """Return the power of ten in which a column is added up."""
    return Decimal(1).scaleb(bound.magnitude.adjusted() + 1 - STEP_DIGITS)


def questions_of(
    request: Request, *, public: Public, relation_sha256: str, entity: str, rules: PrivateRules
) -> list[Question]:
    """Return the questions of a request.

    Raises:
        GateError: The values of a grouped column are not listed, do not fit or are too many, or
            the conditions leave none of a column's.
    """
    listed = {
        name: sorted({_canonical(name, text, public) for text in texts if text is not None})
        for name, texts in request.conditions.items()
    }
    for name in request.groups:
        if name not in listed:
            listed[name] = sorted({_canonical(name, v, public) for v in _known(name, public)})
    for name, values in listed.items():
        if not values:  # nothing but noise, for an epsilon
            raise GateError(f"statistics: WHERE leaves no value of {name}"[:150])
    if prod(len(listed[name]) for name in request.groups) > CELLS_MAX:
        raise GateError(f"statistics: more than {CELLS_MAX} cells")
    names = dict.fromkeys(name for item in request.items for name in measures_of(item))
    return [
        Question(relation_sha256, entity, name, tuple(sorted(request.groups)), listed, rules)
        for name in names
    ]


def _known(name: str, public: Public) -> tuple[str, ...]:
    if public.types[name] is ColumnType.BOOLEAN:
        return ("false", "true")
    if name not in public.values:
        raise GateError(f"statistics: GROUP BY {name} needs WHERE {name} IN (its values)"[:150])
    return public.values[name]


def _canonical(name: str, text: str, public: Public) -> str:
    """Return a constant as the engine writes a value of the column."""
    try:
        match public.types[name]:
            case ColumnType.INTEGER:
                return str(pa.scalar(int(text), pa.int64()).as_py())
            case ColumnType.DATE:
                return date.fromisoformat(text).isoformat()
            case ColumnType.BOOLEAN:
                return {"true": "true", "false": "false"}[text.casefold()]
            case _:
                return text
    except (ValueError, OverflowError, KeyError):
        raise GateError(f"statistics: a value that is not of the type of {name}"[:150]) from None


class Contributions:
    """What each entity has in each combination of groups, as the worker counted it."""

    def __init__(self, table: pa.Table, groups: tuple[str, ...], measures: tuple[str, ...]) -> None:
        columns = {name: table[name].to_pylist() for name in table.column_names}
        self._rows = range(table.num_rows)
        self._entities = [folded(name) for name in columns["entity"]]
        self._texts: dict[str, list[str | None]] = {
            name: columns[f"t{i}"] for i, name in enumerate(groups)
        }
        self._counts: dict[str, list[int]] = {ROWS: columns["n"]}
        self._units: dict[str, list[int]] = {}
        for i, name in enumerate(measures):
            self._counts[f"count:{name}"] = columns[f"n_{i}"]
            self._units[f"sum:{name}"] = [int(units) for units in columns[f"u_{i}"]]

    def totals(self, question: Question) -> dict[Key, int]:
        """Return the exact total of each cell, of bounded contributions; to be told to nobody."""
        totals = dict.fromkeys(question.cells, 0)
        for cells in self._by_entity(question).values():
            # which cells an entity is in depends on its own rows alone
            chosen = sorted(cells, key=lambda key: (-self._count(cells[key]), key))
            for key in chosen[: question.rules.cells_max]:
                totals[key] += self._bounded(question, cells[key])
        return totals

    def _by_entity(self, question: Question) -> dict[str, dict[Key, list[int]]]:
        wanted = {name: set(values) for name, values in question.conditions.items()}
        held: dict[str, dict[Key, list[int]]] = defaultdict(lambda: defaultdict(list))
        for row in self._rows:
            if all(self._texts[name][row] in values for name, values in wanted.items()):
                key = tuple(str(self._texts[name][row]) for name in question.groups)
                held[self._entities[row]][key].append(row)
        return held

    def _count(self, rows: Iterable[int]) -> int:
        return sum(self._counts[ROWS][row] for row in rows)

    def _bounded(self, question: Question, rows: list[int]) -> int:
        if question.measure in self._units:
            least, most = _limits(question)
            total = sum(self._units[question.measure][row] for row in rows)
            counts = self._counts["count:" + question.measure.removeprefix("sum:")]
            return min(max(total, least), most) if any(counts[row] for row in rows) else 0
        counts = self._counts[question.measure]
        return min(sum(counts[row] for row in rows), question.rules.rows_max)


def _bound(question: Question) -> Bound:
    column = question.measure.removeprefix("sum:")
    return next(bound for bound in question.rules.bounds if bound.column == column)


def _limits(question: Question) -> tuple[int, int]:
    """Return the bounds in steps, rounded inwards."""
    bound = _bound(question)
    step = Fraction(step_of(bound))
    lower, upper = Fraction(Decimal(bound.lower)) / step, Fraction(Decimal(bound.upper)) / step
    return -int(-lower // 1), int(upper // 1)


def sensitivity(question: Question) -> int:
    """Return by how much one entity, there or not, can change all cells together."""
    one = question.rules.rows_max
    if question.measure.startswith("sum:"):
        one = max(map(abs, _limits(question)))
    return one * min(question.rules.cells_max, len(question.cells))


def noisy(question: Question, totals: Mapping[Key, int], source: Source) -> list[int]:
    """Return the answer to a question with these totals, cell by cell; a sum is in steps."""
    scale = Fraction(sensitivity(question) * 1000, question.rules.epsilon_milli)
    return [totals[key] + discrete_laplace(scale, source) for key in question.cells]


def table_of(
    request: Request,
    answered: Mapping[str, list[int]],
    *,
    questions: list[Question],
    public: Public,
) -> pa.Table:
    """Return the answer to a request, made of the answers to its questions and nothing else."""
    groups, cells = questions[0].groups, questions[0].cells
    steps = {b.column: Fraction(step_of(b)) for b in questions[0].rules.bounds}
    arrays = []
    for item in request.items:
        if item.function is None:
            place = groups.index(str(item.column))
            kind = _TYPES[public.types[str(item.column)]]
            arrays.append(pa.array([key[place] for key in cells], pa.string()).cast(kind))
        elif item.function == "count":
            name = measures_of(item)[0]
            kept = [max(-INT64_MAX, min(value, INT64_MAX)) for value in answered[name]]
            arrays.append(pa.array(kept, pa.int64()))
        else:
            arrays.append(pa.array(_amounts(item, answered, steps), pa.float64()))
    return pa.table(arrays, names=[item.name for item in request.items])


def _amounts(
    item: Item, answered: Mapping[str, list[int]], steps: Mapping[str, Fraction]
) -> list[Any]:
    step = steps[str(item.column)]
    sums = [value * step for value in answered[f"sum:{item.column}"]]
    if item.function == "sum":
        return [float(value) for value in sums]
    counts = answered[f"count:{item.column}"]
    return [float(s / max(count, 1)) for s, count in zip(sums, counts, strict=True)]


def private_basis(entity: str) -> str:
    """Return the identity of private statistics: they never mix with audited ones."""
    return digest({"private": entity})
