"""From contributions to an answer: cells that may be answered, as an Arrow table. Pure."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from math import fsum
from typing import Any, Final

import pyarrow as pa

from connector.statistics.audit import Atom, Audit, Cell, Measure, Rules
from connector.statistics.related import Contributions, Related
from connector.statistics.request import Item, Request, Scope
from schemas.canonical import digest

Definition = Mapping[str, list[str | None]]
ROWS: Final = "count"  # the measure of rows


@dataclass(frozen=True, slots=True)
class Answer:
    """The table that may leave, and the cells in it by measure, to be remembered."""

    table: pa.Table
    cells: dict[str, list[Definition]]


def folded(name: str) -> str:
    """Return what is one entity however it is spelled: in capitals, wide letters or with spaces."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


class Atoms:
    """Each entity's contributions by combination of all groups, as the worker counted them."""

    def __init__(self, table: pa.Table, scope: Scope) -> None:
        self._scope = scope
        self._group_types = [table.schema.field(f"g{i}").type for i in range(len(scope.groups))]
        columns = {name: table[name].to_pylist() for name in table.column_names}
        entities = [folded(name) for name in columns["entity"]]
        texts = [columns[f"t{i}"] for i in range(len(scope.groups))]
        values = [columns[f"g{i}"] for i in range(len(scope.groups))]
        numbers: dict[tuple[str | None, ...], int] = {}
        self.combinations: list[tuple[str | None, ...]] = []
        self._values: list[tuple[Any, ...]] = []
        self._rows: dict[int, list[int]] = defaultdict(list)
        # rows with their atoms, by which measures have values in them: few kinds, if any
        self._by_given: dict[str, list[tuple[Atom, int]]] = defaultdict(list)
        for row in range(table.num_rows):
            key = tuple(text[row] for text in texts)
            if key not in numbers:
                numbers[key] = len(numbers)
                self.combinations.append(key)
                self._values.append(tuple(value[row] for value in values))
            self._rows[numbers[key]].append(row)
            self._by_given[columns["given"][row]].append((numbers[key], row))
        self._columns = columns
        self._entities = entities
        self._apart: dict[tuple[str, str], Measure | None] = {}
        self._all: Cell = frozenset(range(len(self.combinations)))
        self._by_value = [self._index(place) for place in range(len(scope.groups))]
        self.measures = {ROWS: self._measure("n", "n", is_sum=False)}
        for i, name in enumerate(scope.measures):
            counted = self._measure(f"n_{i}", f"n_{i}", is_sum=False)
            summed = self._measure(f"n_{i}", f"w_{i}", is_sum=True)
            self.measures |= {f"count:{name}": counted, f"sum:{name}": summed}

    def _index(self, place: int) -> dict[str | None, Cell]:
        atoms: dict[str | None, set[int]] = defaultdict(set)
        for atom, combination in enumerate(self.combinations):
            atoms[combination[place]].add(atom)
        return {value: frozenset(held) for value, held in atoms.items()}

    def _measure(
        self, count: str, weight: str, *, is_sum: bool, lacking: int | None = None
    ) -> Measure:
        """Return a measure; with ``lacking``, over the rows in which that column has no value."""
        return Measure(self._contributions(count, weight, lacking=lacking), is_sum=is_sum)

    def _contributions(
        self, count: str, weight: str, *, lacking: int | None = None
    ) -> Contributions:
        counts, weights = self._columns[count], self._columns[weight]
        contributions: dict[Atom, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        for given, held in self._by_given.items():
            if lacking is None or given[lacking] == "0":
                for atom, row in held:
                    if counts[row]:
                        contributions[atom][self._entities[row]] += float(weights[row])
        return contributions

    def column(self, name: str) -> Contributions | None:
        """Return what entities contribute to a sum, with its sign; None of other measures."""
        kind, _, column = name.partition(":")
        if kind != "sum":
            return None
        number = self._scope.measures.index(column)
        return self._contributions(f"n_{number}", f"s_{number}")

    def apart(self, one: str, other: str) -> Measure | None:
        """Return the sum ``one`` over the rows where the column of the sum ``other`` is empty."""
        if (one, other) not in self._apart:
            (kind, _, column), (other_kind, _, without) = one.partition(":"), other.partition(":")
            found = None
            if kind == other_kind == "sum":
                i, j = (self._scope.measures.index(name) for name in (column, without))
                if any(given[j] == "0" for given in self._by_given):
                    found = self._measure(f"n_{i}", f"w_{i}", is_sum=True, lacking=j)
            self._apart[one, other] = found
        return self._apart[one, other]

    def cell(self, definition: Definition) -> Cell:
        """Return the atoms that a definition holds."""
        found = self._all
        for column, values in definition.items():
            by_value = self._by_value[self.place(column)]
            found &= frozenset().union(*(by_value.get(value, frozenset()) for value in values))
        return found

    def unions(self, asked: Iterable[Definition]) -> Iterator[Callable[[Cell], Hashable]]:
        """Yield for each margin of the groups, and each list of values asked for, what is in it."""
        places = range(len(self._scope.groups))
        for size in places:
            yield from (partial(self._margin, held) for held in combinations(places, size))
        lists = [one for one in asked if any(len(values) > 1 for values in one.values())]
        for cell in dict.fromkeys(map(self.cell, lists)):
            yield partial(_is_part, cell)

    def _margin(self, places: tuple[int, ...], block: Cell) -> Hashable:
        found = {tuple(self.combinations[atom][place] for place in places) for atom in block}
        return found.pop() if len(found) == 1 else None

    def place(self, group: str) -> int:
        """Return the position of a group in a combination."""
        return self._scope.groups.index(group)

    def _total(self, cell: Cell, column: str) -> float | int:
        values = (self._columns[column][row] for atom in cell for row in self._rows[atom])
        return fsum(values) if column.startswith("s_") else sum(values)

    def value(self, item: Item, cell: Cell) -> Any:  # noqa: ANN401 - a value of the answer
        """Return one value of the answer, for a cell that may be answered."""
        if item.function is None:
            assert item.column is not None
            place = self.place(item.column)
            return self._values[min(cell)][place]
        if item.column is None:
            return self._total(cell, "n")
        number = self._scope.measures.index(item.column)
        count = self._total(cell, f"n_{number}")
        if item.function == "count":
            return count
        total = self._total(cell, f"s_{number}")
        return total / count if item.function == "avg" else total

    def type_of(self, item: Item) -> pa.DataType:
        """Return the type of a column of the answer."""
        if item.function is None:
            assert item.column is not None
            return self._group_types[self.place(item.column)]
        return pa.int64() if item.function == "count" else pa.float64()


def _is_part(cell: Cell, block: Cell) -> bool | None:
    return True if block <= cell else None


def measures_of(item: Item) -> list[str]:
    """Return the measures that a column of the answer tells."""
    if item.function is None:
        return []
    if item.column is None:
        return [ROWS]
    count, total = f"count:{item.column}", f"sum:{item.column}"
    return {"count": [count], "sum": [total], "avg": [count, total]}[item.function]


def answer(
    atoms: Atoms,
    request: Request,
    answered: Mapping[str, Iterable[Definition]],
    rules: Rules,
) -> Answer:
    """Return the cells that may be answered after all that was; the others are not there."""
    history = {name: [atoms.cell(cell) for cell in cells] for name, cells in answered.items()}
    related = Related(atoms.column)
    audit = Audit(atoms.measures, history, atoms.apart, related.keep)
    before = list(audit.blocks)
    names = list(dict.fromkeys(name for item in request.items for name in measures_of(item)))
    asked = _cells(atoms, request)
    admitted = [
        (definition, cell)
        for definition, cell in sorted(asked, key=lambda one: (-len(one[1]), str(one[0])))
        if audit.admit(cell, names, rules)
    ]
    told = [definition for cells in answered.values() for definition in cells]
    told += [definition for definition, _ in admitted]
    if not related.keep_unions(audit.blocks, atoms.unions(told), rules, before=before):
        admitted = []  # which of them shows too much together is nobody's choice
    admitted.sort(key=lambda one: min(one[1]))
    arrays = [
        pa.array([atoms.value(item, cell) for _, cell in admitted], atoms.type_of(item))
        for item in request.items
    ]
    table = pa.table(arrays, names=[item.name for item in request.items])
    return Answer(table, {name: [definition for definition, _ in admitted] for name in names})


def _cells(atoms: Atoms, request: Request) -> list[tuple[Definition, Cell]]:
    places = [atoms.place(name) for name in request.groups]
    whole = atoms.cell(request.conditions)
    keys = dict.fromkeys(tuple(atoms.combinations[a][p] for p in places) for a in sorted(whole))
    found = []
    for key in keys:
        grouped = {name: [value] for name, value in zip(request.groups, key, strict=True)}
        definition: Definition = {**request.conditions, **grouped}
        found.append((definition, atoms.cell(definition)))
    return found


def basis_of(relation_sha256: str, entity: str, groups: tuple[str, ...]) -> str:
    """Return the identity of what statistics are made from: one for all buyers of a dataset."""
    return digest({"relation": relation_sha256, "entity": entity, "groups": sorted(groups)})
