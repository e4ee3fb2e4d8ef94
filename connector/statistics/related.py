"""What the sums of several columns show together: the few entities that break a rule of theirs.

Where one column follows from others for all but a few entities (planned and actual, kWh and MJ,
a total and its parts), their sums have a difference that is about these few alone. So:

Rule 1: of columns that are told over a block, no such difference may be about entities that do
not keep the rules; one that is about nobody hides nobody.
Rule 2: a column follows from another by a factor that the entities show, or by 1, and a total
from its parts. An entity follows if it is off by a thousandth at most.
Rule 3: that is a rule of theirs if half of the entities follow, or all but fewer than the least.
Rule 4: what is off in single blocks may be even in several together (this month's and the next
one's), so that unions are looked at, too: all margins of the groups, and cells that were asked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from connector.statistics.audit import Atom, Cell, Rules, is_shared

Contributions = Mapping[Atom, Mapping[str, float]]  # of one column, by atom and entity
Values = Mapping[str, float]  # of one column over a block, by entity
Told = tuple[Cell, frozenset[str]]  # a block, and the measures told over it
Pair = tuple[float, float]  # what an entity has, and what it would have if it followed
TOLERANCE: Final = 1e-3  # relative: what rounding leaves is less
FACTOR_FOLLOWERS_MIN: Final = 2  # one entity alone shows no factor
PARTS_MAX: Final = 4  # of a total
TOLD_MAX: Final = 10  # beyond so many columns, only totals of two parts are looked for
LOOKS_MAX: Final = 64  # at so many contributions it is seen whether a total follows at all
FIRST_LOOKS: Final = 16


@dataclass(frozen=True, slots=True)
class _Difference:
    """How many entities follow, and by how much the others are off."""

    followers_count: int
    off: list[float]

    def keeps(self, rules: Rules, *, followers_min: int = 1) -> bool:
        """Whether it is no rule of the columns, or about nobody, or about enough."""
        followers, off, least = self.followers_count, len(self.off), rules.entities_min
        is_rule = followers >= off or (followers >= followers_min and off < least)
        if not off or not is_rule:
            return True
        return off >= least and is_shared(self.off, rules)


class Related:
    """The columns of one dataset; tells whether their sums may be told over the same block.

    ``column`` returns the contributions to a measure that is a sum, and None of any other.
    """

    def __init__(self, column: Callable[[str], Contributions | None]) -> None:
        self._column = column
        self._columns: dict[str, Contributions | None] = {}
        self._totals: dict[tuple[str, ...], list[tuple[str, tuple[str, ...]]]] = {}

    def keep(self, block: Cell, names: Iterable[str], rules: Rules) -> bool:
        """Whether no difference of these measures over a block is about too few."""
        told = tuple(sorted(name for name in names if self._of(name) is not None))
        if len(told) <= 1:
            return True
        values = {name: self._over(block, name) for name in told}
        return all(
            _keep_two(values[one], values[other], rules) for one, other in combinations(told, 2)
        ) and all(
            _difference(_as_total(values[total], [values[part] for part in parts])).keeps(rules)
            for total, parts in self._totals_of(told)
        )

    def keep_unions(
        self,
        told: Iterable[Told],
        unions: Iterable[Callable[[Cell], Hashable]],
        rules: Rules,
        *,
        before: Iterable[Told] = (),
    ) -> bool:
        """Whether ``keep`` holds for blocks together, too, where they are not as ``before``.

        Each of ``unions`` returns which union a block is part of, or None.
        """
        new = {block for block, _ in {*told}.difference(before)}
        blocks = [(block, {n for n in names if self._of(n) is not None}) for block, names in told]
        sums = tuple(sorted({name for _, names in blocks for name in names}))
        if len(sums) <= 1 or not new:
            return True
        related = [*combinations(sums, 2), *((t, *parts) for t, parts in self._totals_of(sums))]
        return all(
            self.keep(union, one, rules)
            for of in unions
            for one in related
            for union in _united([block for block, names in blocks if names >= {*one}], of, new)
        )

    def _of(self, name: str) -> Contributions | None:
        if name not in self._columns:
            self._columns[name] = self._column(name)
        return self._columns[name]

    def _over(self, block: Cell, name: str) -> Values:
        column, totals = self._of(name) or {}, defaultdict[str, float](float)
        for atom in block:
            for entity, value in column.get(atom, {}).items():
                totals[entity] += value
        return totals

    def _totals_of(self, told: tuple[str, ...]) -> list[tuple[str, tuple[str, ...]]]:
        """Return the columns that look like totals of others, and those others."""
        if told not in self._totals:
            most = PARTS_MAX if len(told) <= TOLD_MAX else 2
            self._totals[told] = [
                (total, parts)
                for total in told
                for size in range(2, most + 1)
                for parts in combinations([name for name in told if name != total], size)
                if self._is_total(total, parts)
            ]
        return self._totals[told]

    def _is_total(self, total: str, parts: tuple[str, ...]) -> bool:
        whole = self._of(total) or {}
        places = [(atom, entity) for atom, held in whole.items() for entity in held]
        looked = places[:: max(len(places) // LOOKS_MAX, 1)]
        found = 0
        for number, (atom, entity) in enumerate(looked):
            if number == FIRST_LOOKS and not found:
                return False
            sum_ = sum((self._of(part) or {}).get(atom, {}).get(entity, 0.0) for part in parts)
            found += _follows(whole[atom][entity], sum_)
        return found > 0


def _united(
    blocks: list[Cell], union_of: Callable[[Cell], Hashable], new: set[Cell]
) -> Iterator[Cell]:
    """Yield the unions of several blocks of which one is new."""
    united: dict[Hashable, list[Cell]] = defaultdict(list)
    for block in blocks:
        united[union_of(block)].append(block)
    united.pop(None, None)
    for parts in united.values():
        if len(parts) > 1 and not new.isdisjoint(parts):
            yield frozenset().union(*parts)


def _keep_two(one: Values, other: Values, rules: Rules) -> bool:
    entities = [e for e in {**one, **other} if one.get(e) or other.get(e)]
    pairs = [(other.get(e, 0.0), one.get(e, 0.0)) for e in entities]
    if not _difference(pairs).keeps(rules):
        return False
    least = max(len(pairs) - rules.entities_min + 1, FACTOR_FOLLOWERS_MIN)
    return all(
        _difference((have, factor * from_) for have, from_ in pairs).keeps(
            rules, followers_min=FACTOR_FOLLOWERS_MIN
        )
        for factor in _factors(pairs, min(least, (len(pairs) + 1) // 2))
    )


def _factors(pairs: list[Pair], followers_min: int) -> Iterator[float]:
    """Yield the factors that so many entities share."""
    ratios = sorted(have / from_ for have, from_ in pairs if have and from_)
    end = 0
    for start, first in enumerate(ratios):
        before = end
        while end < len(ratios) and _follows(first, ratios[end]):
            end += 1
        if end > before and end - start >= max(followers_min, FACTOR_FOLLOWERS_MIN):
            yield ratios[(start + end) // 2]


def _as_total(whole: Values, parts: list[Values]) -> list[Pair]:
    entities = dict.fromkeys(e for values in (whole, *parts) for e in values)
    return [(whole.get(e, 0.0), sum(part.get(e, 0.0) for part in parts)) for e in entities]


def _difference(pairs: Iterable[Pair]) -> _Difference:
    followers, off = 0, []
    for have, expected in pairs:
        if not _follows(have, expected):
            off.append(abs(have - expected))
        elif have or expected:
            followers += 1
    return _Difference(followers, off)


def _follows(have: float, expected: float) -> bool:
    return abs(have - expected) <= TOLERANCE * max(abs(have), abs(expected))
