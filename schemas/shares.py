"""Split plans: what a curator owes the sources of a derived product, and what follows from it.

A plan belongs to one product (a dataset of the curator's) and has edges: one for each amount that
one upstream dataset gets. It applies by calendar months in Seoul, is never changed, and is known by
the SHA-256 over the RFC 8785 form of ``SealedPlan``. That names each edge by its own hash, so that
an upstream party is shown its own edges and learns nothing of the others'.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import Field, model_validator

from schemas.canonical import digest
from schemas.ids import AgreementId, DatasetId, ParticipantId
from schemas.money import Integer, MicroWon, Won
from schemas.wire import OwnWire, Sha256, Time

PERIOD: Final = r"^[0-9]{4}-(0[1-9]|1[0-2])$"
MILLIONTHS: Final = 10**6  # a percentage is a share of so many
WEIGHT_TOTAL: Final = 10**9
EDGES_MAX: Final = 100
AMOUNT_MICRO_MAX: Final = 10**15  # of a month: one thousand million won
UNIT_MICRO_MAX: Final = 10**12  # of a unit: a million won


class Basis(StrEnum):
    """What the share of an edge is a share of."""

    PCT_OF_GROSS = "pct_of_gross"  # of what the product took in without VAT
    PCT_OF_NET = "pct_of_net"  # of that less the operator's fee
    PER_UNIT_ROYALTY = "per_unit_royalty"  # of each unit that buyers used
    FIXED_PER_PERIOD = "fixed_per_period"  # of each month in which the product took in anything


PERCENTAGES: Final = frozenset({Basis.PCT_OF_GROSS, Basis.PCT_OF_NET})


class Unit(StrEnum):
    """What an amount a unit is counted by."""

    QUERY = "query"
    ROW = "row"
    MEGABYTE = "megabyte"


class EdgeRole(StrEnum):
    """What the curator is towards the upstream party."""

    PRINCIPAL = "principal"  # buys from it and sells on: a purchase of its own
    AGENT = "agent"  # sells in its name: the money only passes through


class SplitEdge(OwnWire):
    """One amount for one upstream dataset, as the curator tells it.

    ``share`` is in millionths of a percentage's base (``300000`` is 30 %), or in micro-won of one
    unit or one month. ``floor_micro`` and ``cap_micro`` bound what a month in which the product
    took in anything makes due; other months owe nothing.
    """

    agreement_id: AgreementId  # under which the curator uses the upstream's dataset
    basis: Basis
    share: Annotated[Integer, Field(ge=1, le=AMOUNT_MICRO_MAX)]
    unit: Unit | None = None
    floor_micro: Annotated[MicroWon, Field(ge=1, le=AMOUNT_MICRO_MAX)] | None = None
    cap_micro: Annotated[MicroWon, Field(ge=1, le=AMOUNT_MICRO_MAX)] | None = None
    role: EdgeRole = EdgeRole.PRINCIPAL

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.basis in PERCENTAGES and self.share > MILLIONTHS:
            raise ValueError("비율은 1000000(100 %)까지입니다 (a percentage is at most 1000000)")
        if (self.unit is not None) != (self.basis is Basis.PER_UNIT_ROYALTY):
            raise ValueError(
                "unit은 per_unit_royalty에만, 그리고 꼭 적습니다 "
                "(unit belongs to per_unit_royalty, and to it alone)"
            )
        if self.unit is not None and self.share > UNIT_MICRO_MAX:
            raise ValueError("한 단위의 금액이 너무 큽니다 (the amount of a unit is too large)")
        if None not in (self.floor_micro, self.cap_micro) and self.floor_micro > self.cap_micro:  # type: ignore[operator]  # both are numbers here
            raise ValueError("최소가 최대보다 큽니다 (the floor is above the cap)")
        return self


class SplitPlanRequest(OwnWire):
    """A curator registers a plan; without edges nothing is owed from ``from_period`` on."""

    request_id: str = Field(min_length=1, max_length=80)  # made and stored by the caller
    product_id: DatasetId
    product_title: str = Field(min_length=1, max_length=300)
    from_period: str = Field(pattern=PERIOD)
    edges: tuple[SplitEdge, ...] = Field(max_length=EDGES_MAX)


class PlanEdge(SplitEdge):
    """An edge as it is kept, with whose dataset it is for.

    ``salt`` keeps its hash from being guessed.
    """

    party_id: ParticipantId
    upstream_id: DatasetId
    upstream_title: str
    salt: str

    @property
    def sha256(self) -> str:
        """SHA-256 over the RFC 8785 form."""
        return digest(self.to_json())


class PartyWeight(OwnWire):
    """What a party keeps of the product's sales, in thousand-millionths; or ``operator``."""

    participant_id: str
    weight: int = Field(ge=0, le=WEIGHT_TOTAL)


class PlanWeights(OwnWire):
    """All parties' weights along all paths; they add up to 10^9. Percentages alone are in it."""

    salt: str
    weights: tuple[PartyWeight, ...]

    @property
    def sha256(self) -> str:
        """SHA-256 over the RFC 8785 form."""
        return digest(self.to_json())


class SealedPlan(OwnWire):
    """A plan as its hash and its seal are of. ``fee_bps`` is the operator's, of each royalty."""

    curator_id: ParticipantId
    product_id: DatasetId
    product_title: str
    number: int = Field(ge=1)  # 1, 2, … of the product
    from_period: str = Field(pattern=PERIOD)
    fee_bps: int = Field(ge=0, le=10_000)
    registered_at: Time
    edges_sha256: tuple[Sha256, ...]
    weights_sha256: Sha256

    @property
    def sha256(self) -> str:
        """SHA-256 over the RFC 8785 form: what the plan is known by."""
        return digest(self.to_json())


class PlanView(OwnWire):
    """A plan as one of its parties sees it: whole to the curator, its own edges to an upstream."""

    plan_sha256: Sha256
    plan: SealedPlan
    seal: str  # clearing's JWS, a leaf of its log
    curator_name: str
    edges: tuple[PlanEdge, ...]
    weights: tuple[PartyWeight, ...]
    party_names: dict[ParticipantId, str] = Field(default_factory=dict)  # of the edges' parties


class PlanList(OwnWire):
    """Plans by product and number."""

    plans: tuple[PlanView, ...]


class ShownPolicy(OwnWire):
    """A party of an agreement shows its policy, so that clearing knows what it asks for."""

    agreement_id: AgreementId
    policy: dict[str, Any]


class RoyaltyDemand(OwnWire):
    """What an agreement's policy says about deriving products."""

    agreement_id: AgreementId
    is_derivation_forbidden: bool
    royalty_percent: int | None = None


class IncomeReport(OwnWire):
    """매출 집계: what a product took in in a month, as far as statements said it then.

    Less what statements have credited of it: of everything, the part that the credited supply is of
    the stated. It tells no buyer. Royalties are computed from it; the curator's own bundle proves
    it from the signed records. ``received`` is what the product itself got as royalties.
    """

    income_id: str
    curator_id: ParticipantId
    product_id: DatasetId
    period: str = Field(pattern=PERIOD)
    number: int = Field(ge=1)  # of the product and month
    acts_count: int = Field(ge=0)
    queries_count: int = Field(ge=0)
    rows_count: int = Field(ge=0)
    bytes_count: int = Field(ge=0)
    supply_micro: Annotated[MicroWon, Field(ge=0)]
    fee_micro: Annotated[MicroWon, Field(ge=0)]
    received_micro: Annotated[MicroWon, Field(ge=0)]
    received_fee_micro: Annotated[MicroWon, Field(ge=0)]

    @property
    def sha256(self) -> str:
        """SHA-256 over the RFC 8785 form."""
        return digest(self.to_json())


class RoyaltyLine(OwnWire):
    """What one product owes one upstream dataset for a month, in whole won.

    It follows from the plan and the income report that it names. Of the view of who pays, both
    fees are zero. ``number`` counts the lines of one product, upstream dataset and role, over all
    statements: each carries what the ones before left of a won.

    After refunds a month makes less due: then the amounts are negative, ``original_statement_id``
    is the party's statement that said the first line of the key and month, and ``period`` tells the
    month, where that is not the statement's own.
    """

    number: int = Field(ge=1)
    period: str | None = Field(default=None, pattern=PERIOD)
    original_statement_id: str | None = None
    plan_sha256: Sha256
    income_id: str
    product_id: DatasetId
    product_title: str
    upstream_id: DatasetId
    upstream_title: str
    role: EdgeRole
    counterparty_id: ParticipantId
    counterparty_name: str
    supply_won: Won
    vat_won: Won
    fee_won: Won
    fee_vat_won: Won
    net_won: Won


class RoyaltyView(OwnWire):
    """What one product owes one upstream dataset so far: by usage booked, and by statements."""

    period: str
    plan_sha256: Sha256
    product_id: DatasetId
    product_title: str
    curator_id: ParticipantId
    curator_name: str
    upstream_id: DatasetId
    upstream_title: str
    party_id: ParticipantId
    party_name: str
    role: EdgeRole
    due_micro: MicroWon  # without VAT, of what was used so far
    due_vat_micro: MicroWon
    stated_won: Won  # of it, what statements have said
    stated_vat_won: Won


class RoyaltyList(OwnWire):
    """Royalties of a month that a participant gets or owes."""

    period: str
    royalties: tuple[RoyaltyView, ...]
