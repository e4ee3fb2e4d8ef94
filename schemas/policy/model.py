"""Terms of use as a value: one flat record whose fields are all "not limited" by default."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Self

from pydantic import Field, model_validator

from schemas.attested import CLAIMS_MAX, GROUPS_MAX, ClaimText, GroupName
from schemas.ids import ParticipantId
from schemas.policy.relation import Bound, ColumnName, Mask, RowCondition
from schemas.wire import OwnWire, Time

PROFILE: Final = "urn:idb:policy:1"
COLUMNS_MAX: Final = 512
CONDITIONS_MAX: Final = 20
STATISTICS_GROUPS_MAX: Final = 8
ENTITIES_MIN: Final = 3  # with two, each knows the other's value
EPSILON_MILLI_MAX: Final = 10_000  # beyond 10, noise hides nothing worth the name
BUDGET_MILLI_MAX: Final = 1_000_000


class Mode(StrEnum):
    """A way of use."""

    QUERY = "query"  # SQL runs at the supplier, only the result leaves
    READ = "read"  # the Arrow file itself is read


class UnknownTermError(ValueError):
    """A policy holds a term that this profile does not know, so it permits nothing."""


class Terms(OwnWire):
    """The terms of one offer or agreement; ``None`` or empty means not limited.

    Of ``recipient_groups`` the operator must attest one, of ``recipient_claims`` all.
    ``valid_days`` counts from the agreement's timestamp, ``deletion_days`` from its end.
    ``columns``, ``masks`` and ``row_filter`` make the licensed relation: what queries see and
    files hold. ``bytes_max`` counts Arrow bytes, as the meter does. With ``statistics_entity``,
    the column that says whose a row is, only statistics over ``statistics_groups`` leave: audited
    by ``entities_min``, or with the noise of differential privacy by ``epsilon_milli``. Epsilons
    are thousandths: of one answered statistic, of all answers about the dataset to whomever, and
    of those under one agreement. ``bounds`` keep an entity's total of a column,
    ``entity_rows_max`` its rows, and ``entity_cells_max`` the cells of one answer it counts in.
    """

    modes: tuple[Mode, ...] = Field(default=(Mode.QUERY,), min_length=1)
    valid_from: Time | None = None
    valid_until: Time | None = None
    valid_days: int | None = Field(default=None, ge=1, le=36_500)
    recipients: tuple[ParticipantId, ...] = Field(default=(), max_length=1000)
    recipient_groups: tuple[GroupName, ...] = Field(default=(), max_length=GROUPS_MAX)
    recipient_claims: tuple[ClaimText, ...] = Field(default=(), max_length=CLAIMS_MAX)
    columns: tuple[ColumnName, ...] = Field(default=(), max_length=COLUMNS_MAX)
    masks: tuple[Mask, ...] = Field(default=(), max_length=COLUMNS_MAX)
    row_filter: tuple[RowCondition, ...] = Field(default=(), max_length=CONDITIONS_MAX)
    statistics_entity: ColumnName | None = None
    statistics_groups: tuple[ColumnName, ...] = Field(default=(), max_length=STATISTICS_GROUPS_MAX)
    entities_min: int | None = Field(default=None, ge=ENTITIES_MIN, le=1000)
    dominance_percent_max: int | None = Field(default=None, ge=1, le=99)
    remainder_percent_min: int | None = Field(default=None, ge=1, le=99)
    epsilon_milli: int | None = Field(default=None, ge=1, le=EPSILON_MILLI_MAX)
    epsilon_budget_milli: int | None = Field(default=None, ge=1, le=BUDGET_MILLI_MAX)
    epsilon_agreement_milli: int | None = Field(default=None, ge=1, le=BUDGET_MILLI_MAX)
    bounds: tuple[Bound, ...] = Field(default=(), max_length=COLUMNS_MAX)
    entity_rows_max: int | None = Field(default=None, ge=1, le=10**9)
    entity_cells_max: int | None = Field(default=None, ge=1, le=1000)
    queries_max: int | None = Field(default=None, ge=1, le=10**12)
    rows_max: int | None = Field(default=None, ge=1, le=10**15)
    bytes_max: int | None = Field(default=None, ge=1, le=10**17)
    purposes: tuple[str, ...] = Field(default=(), max_length=20)
    redistribution_forbidden: bool = True
    derivation_forbidden: bool = False
    derivation_royalty_percent: int | None = Field(default=None, ge=1, le=100)
    deletion_days: int | None = Field(default=None, ge=1, le=3650)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.valid_from and self.valid_until and self.valid_from >= self.valid_until:
            raise ValueError("use would end before it begins")
        _check_unique(self.columns, "columns")
        _check_unique((mask.column for mask in self.masks), "masks")
        if self.columns and (hidden := {m.column for m in self.masks} - set(self.columns)):
            raise ValueError(f"masks of columns that are not licensed: {sorted(hidden)}")
        if self.derivation_forbidden and self.derivation_royalty_percent is not None:
            raise ValueError("a royalty on what may not be derived")
        _check_unique(self.statistics_groups, "statistics_groups")
        _check_unique((bound.column for bound in self.bounds), "bounds")
        self._check_statistics()
        self._check_privacy()
        return self

    def _check_statistics(self) -> None:
        rules = (self.entities_min, self.dominance_percent_max, self.remainder_percent_min)
        if self.statistics_entity is None:
            if self.statistics_groups or any(rules) or self.epsilon_milli is not None:
                raise ValueError("rules of statistics without statistics_entity")
            return
        named = {self.statistics_entity, *self.statistics_groups}
        if self.epsilon_milli is not None and any(rules):
            raise ValueError("statistics are audited (entities_min) or noisy (epsilon), not both")
        if self.epsilon_milli is None and self.entities_min is None:
            raise ValueError("statistics need entities_min, or epsilon")
        if Mode.READ in self.modes:
            raise ValueError("statistics only, and yet the file may be read")
        if len(named) != len(self.statistics_groups) + 1:
            raise ValueError("statistics_entity cannot be a group")
        if self.columns and not named <= set(self.columns):
            raise ValueError("statistics name columns that are not licensed")

    def _check_privacy(self) -> None:
        parts = (self.epsilon_budget_milli, self.entity_rows_max)
        rest = (self.epsilon_agreement_milli, self.entity_cells_max, self.bounds)
        if self.epsilon_milli is None:
            if any(parts) or any(rest):
                raise ValueError("rules of differential privacy without epsilon")
            return
        if self.epsilon_budget_milli is None or self.entity_rows_max is None:
            raise ValueError("epsilon needs a budget and entity_rows_max")
        if self.epsilon_milli > self.epsilon_budget_milli:
            raise ValueError("the budget does not cover one answer")
        most = self.epsilon_agreement_milli
        if most is not None and not self.epsilon_milli <= most <= self.epsilon_budget_milli:
            raise ValueError("an agreement's budget is between epsilon and the whole budget")
        named = {bound.column for bound in self.bounds}
        if named & {self.statistics_entity, *self.statistics_groups}:
            raise ValueError("bounds are of columns that are summed, not of entity and groups")
        if self.columns and not named <= set(self.columns):
            raise ValueError("bounds name columns that are not licensed")

    def ends_at(self, agreed_at: datetime) -> datetime | None:
        """Return when an agreement made at ``agreed_at`` ends, if ever."""
        ends = [self.valid_until] if self.valid_until else []
        if self.valid_days is not None:
            ends.append(agreed_at + timedelta(days=self.valid_days))
        return min(ends, default=None)


def _check_unique(names: Iterable[str], what: str) -> None:
    folded = [name.casefold() for name in names]
    if len(set(folded)) != len(folded):
        raise ValueError(f"{what} name a column twice")
