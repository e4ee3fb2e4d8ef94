"""Which cells may be answered, given all that was answered before, to whomever.

A cell is a set of atoms: combinations of all groups' values. All cells answered so far, of
whatever measure, cut the atoms into blocks: two atoms are in one block if every cell holds
both or neither. Any sum or difference that buyers can make of answers, together, is a sum over
whole blocks. So:

Rule 1: a cell is answered if it keeps the rules itself, and if afterwards every block keeps
them for each measure that was answered over it. Atoms in no answered cell cannot be reached.
Rule 2: the rules are a least number of entities and, for sums, a most for the largest
entity's share and a least for the rest beside the two largest.
Rule 3: blocks are common to all measures, since one may follow from another (kWh and MJ).
Rule 4: nor may a block show, as the difference of two sums over it, the few rows in which
only one of the two columns has a value, or the few entities that break a rule of several
columns (``connector.statistics.related``).
Rule 5: nothing here knows who asks: the history is one for all buyers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import isfinite

Atom = int
Cell = frozenset[Atom]


@dataclass(frozen=True, slots=True)
class Rules:
    """What a cell must keep; percentages are for sums only."""

    entities_min: int
    dominance_percent_max: int | None = None
    remainder_percent_min: int | None = None


class Measure:
    """What each entity contributes to one measure, atom by atom; no contribution, no entry.

    ``weights`` are magnitudes; ``is_sum`` False means that only entities are counted.
    """

    def __init__(self, weights: Mapping[Atom, Mapping[str, float]], *, is_sum: bool) -> None:
        self._weights = weights
        self._is_sum = is_sum

    def keeps(self, cell: Cell, rules: Rules) -> bool:
        """Whether a cell keeps the rules by itself."""
        totals = self._totals(cell)
        if len(totals) < rules.entities_min:
            return False
        return not self._is_sum or is_shared(list(totals.values()), rules)

    def keeps_or_lacks(self, block: Cell, rules: Rules) -> bool:
        """Whether a block keeps the rules; one to which nobody contributes hides nobody."""
        return not self._totals(block) or self.keeps(block, rules)

    def _totals(self, cell: Cell) -> dict[str, float]:
        totals: dict[str, float] = defaultdict(float)
        for atom in cell:
            for entity, weight in self._weights.get(atom, {}).items():
                totals[entity] += weight
        return totals


def is_shared(weights: list[float], rules: Rules) -> bool:
    """Whether the magnitudes of a sum keep the rules on the largest, so that it may be told."""
    total = sum(weights)
    if not isfinite(total) or total <= 0:
        return False  # a sum of nothing but zeros says that everybody's value is zero
    first, second = sorted([*weights, 0.0], reverse=True)[:2]
    most, least = rules.dominance_percent_max, rules.remainder_percent_min
    if most is not None and first * 100 > total * most:
        return False
    return least is None or (total - first - second) * 100 >= first * least


class Audit:
    """The blocks that answered cells have made, each with the measures answered over it."""

    def __init__(
        self,
        measures: Mapping[str, Measure],
        answered: Mapping[str, Iterable[Cell]],
        apart: Callable[[str, str], Measure | None] = lambda _one, _other: None,
        together: Callable[[Cell, Iterable[str], Rules], bool] = lambda _cell, _names, _rules: True,
    ) -> None:
        self._measures = measures
        self._apart = apart  # of two sums, the first over the rows that the second lacks
        self._together = together  # whether the measures told over a block keep the rules together
        signatures: dict[Atom, list[tuple[str, int]]] = defaultdict(list)
        for name, cells in answered.items():
            for number, cell in enumerate(cells):
                for atom in cell:
                    signatures[atom].append((name, number))
        blocks: dict[tuple[tuple[str, int], ...], set[Atom]] = defaultdict(set)
        for atom, signature in signatures.items():
            blocks[tuple(signature)].add(atom)
        self._blocks: list[tuple[Cell, frozenset[str]]] = [
            (frozenset(block), frozenset(name for name, _ in signature))
            for signature, block in blocks.items()
        ]

    @property
    def blocks(self) -> list[tuple[Cell, frozenset[str]]]:
        """The blocks, each with the measures told over it."""
        return self._blocks

    def admit(self, cell: Cell, names: Iterable[str], rules: Rules) -> bool:
        """Answer a cell for all named measures, if the rules stay kept; else change nothing."""
        before = self._blocks
        if all(self._admit(cell, name, rules) for name in names):
            return True
        self._blocks = before
        return False

    def _admit(self, cell: Cell, name: str, rules: Rules) -> bool:
        if not self._measures[name].keeps(cell, rules):
            return False
        outside, after = cell, []
        to_check: list[tuple[Cell, frozenset[str], frozenset[str]]] = []  # what is new, and all
        for block, covered in self._blocks:
            outside -= block
            inside, rest = block & cell, block - cell
            if not inside:
                after.append((block, covered))
                continue
            now = covered | {name}
            after.append((inside, now))
            to_check.append((inside, now if rest else frozenset({name}) - covered, now))
            if rest:
                after.append((rest, covered))
                to_check.append((rest, covered, covered))
        if outside:
            after.append((outside, frozenset({name})))
            to_check.append((outside, frozenset({name}), frozenset({name})))
        is_kept = all(
            self._measures[one].keeps_or_lacks(block, rules)
            and all(self._keeps_apart(block, one, other, rules) for other in every)
            for block, names, every in to_check
            for one in names
        ) and all(self._together(block, every, rules) for block, names, every in to_check if names)
        if is_kept:
            self._blocks = after
        return is_kept

    def _keeps_apart(self, block: Cell, one: str, other: str, rules: Rules) -> bool:
        differences = (self._apart(one, other), self._apart(other, one))
        return all(d is None or d.keeps_or_lacks(block, rules) for d in differences)
