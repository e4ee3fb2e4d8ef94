"""Rows of split plans, income reports and royalty lines.

They are only ever added: triggers refuse the rest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Integer, Text, UniqueConstraint, func, select
from sqlmodel import Field, SQLModel, col
from sqlmodel import select as select_rows

from clearing.rating.rate import Amounts
from clearing.shares.model import Key, Plan, Product, Recorded
from databank.kit.db import SERIAL, InsertNew, UnitOfWork, UtcTime, table_of
from databank.kit.statements import among
from schemas.ids import AgreementId, DatasetId, ParticipantId
from schemas.shares import (
    EdgeRole,
    IncomeReport,
    PlanEdge,
    PlanWeights,
    RoyaltyDemand,
    SealedPlan,
    ShownPolicy,
)
from schemas.wire import OwnWire

HEAD: Final = 1  # the only row of its table


class SplitHeadRow(SQLModel, table=True):
    """Locked by whoever registers a plan: whether plans run in a circle is seen of all together."""

    __tablename__ = "clearing_split_head"
    id: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))


class SplitPlanRow(SQLModel, table=True):
    """A plan with all its edges, and its seal."""

    __tablename__ = "clearing_split_plan"
    __table_args__ = (
        UniqueConstraint("curator_id", "product_id", "number", name="clearing_split_plan_number"),
        UniqueConstraint("curator_id", "request_id", name="clearing_split_plan_request"),
    )
    plan_sha256: str = Field(primary_key=True)
    curator_id: str
    product_id: str
    number: int
    from_period: str = Field(index=True)
    request_id: str
    request_sha256: str
    document: str = Field(sa_column=Column(Text, nullable=False))
    seal: str = Field(sa_column=Column(Text, nullable=False))
    registered_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


class SplitPartyRow(SQLModel, table=True):
    """Whom a plan owes something to."""

    __tablename__ = "clearing_split_party"
    party_id: str = Field(primary_key=True)
    plan_sha256: str = Field(primary_key=True, foreign_key="clearing_split_plan.plan_sha256")


class RoyaltyDemandRow(SQLModel, table=True):
    """What a shown policy says about deriving; the policy is the one that was agreed."""

    __tablename__ = "clearing_royalty_demand"
    agreement_id: str = Field(primary_key=True, foreign_key="clearing_agreement.agreement_id")
    demand: str = Field(sa_column=Column(Text, nullable=False))
    policy: str = Field(sa_column=Column(Text, nullable=False))
    shown_by: str
    shown_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


class IncomeReportRow(SQLModel, table=True):
    """What a product took in in a month, as one close found it, and its seal."""

    __tablename__ = "clearing_income_report"
    income_id: str = Field(primary_key=True)
    document: str = Field(sa_column=Column(Text, nullable=False))
    seal: str = Field(sa_column=Column(Text, nullable=False))


class RoyaltyLineRow(SQLModel, table=True):
    """What one issue says that a product owes an upstream dataset, and the entries that book it."""

    __tablename__ = "clearing_royalty_line"
    id: int | None = Field(
        default=None, sa_column=Column(SERIAL, primary_key=True, autoincrement=True)
    )
    curator_id: str = Field(index=True)
    product_id: str
    party_id: str = Field(index=True)
    upstream_id: str
    role: str
    period: str = Field(index=True)
    plan_sha256: str = Field(foreign_key="clearing_split_plan.plan_sha256")
    income_id: str
    supply_micro: int = Field(sa_column=Column(BigInteger, nullable=False))
    vat_micro: int = Field(sa_column=Column(BigInteger, nullable=False))
    fee_micro: int = Field(sa_column=Column(BigInteger, nullable=False))
    fee_vat_micro: int = Field(sa_column=Column(BigInteger, nullable=False))
    supply_won: int = Field(sa_column=Column(BigInteger, nullable=False))
    vat_won: int = Field(sa_column=Column(BigInteger, nullable=False))
    fee_won: int = Field(sa_column=Column(BigInteger, nullable=False))
    fee_vat_won: int = Field(sa_column=Column(BigInteger, nullable=False))
    accrual_entry_id: str | None = Field(default=None, foreign_key="clearing_entry.id")
    cash_entry_id: str | None = Field(default=None, foreign_key="clearing_entry.id")


_MICRO: Final = ("supply_micro", "vat_micro", "fee_micro", "fee_vat_micro")
_WON: Final = ("supply_won", "vat_won", "fee_won", "fee_vat_won")
_KEY: Final = ("curator_id", "product_id", "party_id", "upstream_id", "role")


class PlanDocument(OwnWire):
    """All of a plan: what is sealed, and what the hashes in it are of."""

    sealed: SealedPlan
    edges: tuple[PlanEdge, ...]
    weights: PlanWeights


@dataclass(frozen=True, slots=True)
class StoredPlan:
    """A plan as it was registered, its seal, and the hash of the request that made it."""

    document: PlanDocument
    seal: str
    request_id: str
    request_sha256: str

    @property
    def plan(self) -> Plan:
        """What royalties are computed from."""
        sealed = self.document.sealed
        return Plan(sealed, sealed.sha256, self.document.edges)


@dataclass(frozen=True, slots=True)
class NewLine:
    """A royalty line with the entries that book it."""

    key: Key
    plan_sha256: str
    income_id: str
    said: Recorded
    accrual_entry_id: str | None
    cash_entry_id: str | None


_PLAN: Final = table_of(SplitPlanRow)
_DEMAND: Final = table_of(RoyaltyDemandRow)
_REPORT: Final = table_of(IncomeReportRow)
_NEW_HEAD: Final = InsertNew(SplitHeadRow)
_NEW_DEMAND: Final = InsertNew(RoyaltyDemandRow)
_PLANS: Final = select(_PLAN).where(among(_PLAN.c.plan_sha256, "hashes"))
_DEMANDS: Final = select(_DEMAND).where(among(_DEMAND.c.agreement_id, "ids"))
_REPORTS: Final = select(_REPORT).where(among(_REPORT.c.income_id, "ids"))


def lock_plans(uow: UnitOfWork) -> None:
    """Let only one transaction register a plan at a time."""
    _NEW_HEAD.run(uow, id=HEAD)
    query = select_rows(SplitHeadRow).where(col(SplitHeadRow.id) == HEAD)
    uow.session.exec(query.with_for_update()).one()


def add_plan(uow: UnitOfWork, stored: StoredPlan) -> None:
    """Store a plan for good."""
    sealed = stored.document.sealed
    uow.session.add(
        SplitPlanRow(
            plan_sha256=sealed.sha256,
            curator_id=sealed.curator_id,
            product_id=sealed.product_id,
            number=sealed.number,
            from_period=sealed.from_period,
            request_id=stored.request_id,
            request_sha256=stored.request_sha256,
            document=stored.document.model_dump_json(exclude_none=True),
            seal=stored.seal,
            registered_at=sealed.registered_at,
        )
    )
    uow.session.flush()
    for party_id in sorted({edge.party_id for edge in stored.document.edges}):
        uow.session.add(SplitPartyRow(party_id=party_id, plan_sha256=sealed.sha256))
    uow.session.flush()


def plans_until(uow: UnitOfWork, period: str | None = None) -> list[StoredPlan]:
    """Return all plans that apply from a month or earlier, or all, by product and number."""
    query = select_rows(SplitPlanRow)
    if period is not None:
        query = query.where(col(SplitPlanRow.from_period) <= period)
    return [_from_plan(row) for row in uow.session.exec(_ordered(query))]


def plan_by_request(
    uow: UnitOfWork, curator_id: ParticipantId, request_id: str
) -> StoredPlan | None:
    """Return the plan that a request made."""
    query = select_rows(SplitPlanRow).where(
        col(SplitPlanRow.curator_id) == curator_id, col(SplitPlanRow.request_id) == request_id
    )
    row = uow.session.exec(query).one_or_none()
    return None if row is None else _from_plan(row)


def plans_of_product(uow: UnitOfWork, product: Product) -> list[StoredPlan]:
    """Return a product's plans by number."""
    query = select_rows(SplitPlanRow).where(
        col(SplitPlanRow.curator_id) == product.owner_id,
        col(SplitPlanRow.product_id) == product.dataset_id,
    )
    return [_from_plan(row) for row in uow.session.exec(_ordered(query))]


def plans_about(uow: UnitOfWork, party_id: ParticipantId) -> list[StoredPlan]:
    """Return a party's own plans, and all plans of products that ever owed to it."""
    named = (
        select(col(SplitPlanRow.curator_id), col(SplitPlanRow.product_id))
        .join(SplitPartyRow, col(SplitPartyRow.plan_sha256) == col(SplitPlanRow.plan_sha256))
        .where(col(SplitPartyRow.party_id) == party_id)
    )
    products = {Product(*row) for row in uow.session.execute(named)}
    own = select(col(SplitPlanRow.curator_id), col(SplitPlanRow.product_id)).where(
        col(SplitPlanRow.curator_id) == party_id
    )
    products |= {Product(*row) for row in uow.session.execute(own)}
    return [each for product in sorted(products) for each in plans_of_product(uow, product)]


def find_plans(uow: UnitOfWork, hashes: Iterable[str]) -> dict[str, StoredPlan]:
    """Return those of the plans that there are."""
    rows = uow.run(_PLANS, hashes=sorted(set(hashes)))
    return {row.plan_sha256: _from_plan(row) for row in rows}


def put_demand(
    uow: UnitOfWork,
    demand: RoyaltyDemand,
    shown: ShownPolicy,
    *,
    shown_by: ParticipantId,
    now: datetime,
) -> None:
    """Store what an agreement asks for; the same again changes nothing."""
    _NEW_DEMAND.run(
        uow,
        agreement_id=demand.agreement_id,
        demand=demand.model_dump_json(exclude_none=True),
        policy=shown.model_dump_json(),
        shown_by=shown_by,
        shown_at=now,
    )


def demands_of(uow: UnitOfWork, ids: Iterable[AgreementId]) -> dict[AgreementId, RoyaltyDemand]:
    """Return what is known of what these agreements ask for."""
    return {
        AgreementId(row.agreement_id): RoyaltyDemand.model_validate_json(row.demand)
        for row in uow.run(_DEMANDS, ids=sorted(set(ids)))
    }


def add_report(uow: UnitOfWork, report: IncomeReport, seal: str) -> None:
    """Store an income report for good."""
    uow.session.add(
        IncomeReportRow(income_id=report.income_id, document=report.model_dump_json(), seal=seal)
    )
    uow.session.flush()


def find_reports(uow: UnitOfWork, ids: Iterable[str]) -> dict[str, tuple[IncomeReport, str]]:
    """Return income reports with their seals."""
    return {
        row.income_id: (IncomeReport.model_validate_json(row.document), row.seal)
        for row in uow.run(_REPORTS, ids=sorted(set(ids)))
    }


def reports_by_product(uow: UnitOfWork, period: str) -> dict[Product, int]:
    """Return how many income reports each product has of a month."""
    query = (
        select(
            col(RoyaltyLineRow.curator_id),
            col(RoyaltyLineRow.product_id),
            func.count(func.distinct(col(RoyaltyLineRow.income_id))),
        )
        .where(col(RoyaltyLineRow.period) == period)
        .group_by(col(RoyaltyLineRow.curator_id), col(RoyaltyLineRow.product_id))
    )
    return {
        Product(ParticipantId(owner), DatasetId(dataset)): int(count)
        for owner, dataset, count in uow.session.execute(query)
    }


def add_line(uow: UnitOfWork, period: str, line: NewLine) -> None:
    """Store what an issue says about a key."""
    (owner_id, product_id), (party_id, upstream_id), role = line.key
    micro, won = line.said.micro, line.said.won
    uow.session.add(
        RoyaltyLineRow(
            curator_id=owner_id,
            product_id=product_id,
            party_id=party_id,
            upstream_id=upstream_id,
            role=role.value,
            period=period,
            plan_sha256=line.plan_sha256,
            income_id=line.income_id,
            supply_micro=micro.supply,
            vat_micro=micro.vat,
            fee_micro=micro.fee,
            fee_vat_micro=micro.fee_vat,
            supply_won=won.supply,
            vat_won=won.vat,
            fee_won=won.fee,
            fee_vat_won=won.fee_vat,
            accrual_entry_id=line.accrual_entry_id,
            cash_entry_id=line.cash_entry_id,
        )
    )


def recorded(uow: UnitOfWork, *, period: str | None = None) -> dict[Key, Recorded]:
    """Return what statements have said about each key, in one month or in all together."""
    table = table_of(RoyaltyLineRow)
    key = [table.c[name] for name in _KEY]
    sums = (func.sum(table.c[name]) for name in (*_MICRO, *_WON))
    query = select(*key, func.count(table.c.id), *sums)
    if period is not None:
        query = query.where(table.c.period == period)
    found = {}
    for curator, product, party, upstream, role, *rest in uow.session.execute(query.group_by(*key)):
        count, *amounts = (int(each) for each in rest)
        found[Key(Product(curator, product), Product(party, upstream), EdgeRole(role))] = Recorded(
            Amounts(*amounts[:4]), Amounts(*amounts[4:]), count
        )
    return found


def _ordered(query: Any) -> Any:  # noqa: ANN401 - a select of SQLModel's
    return query.order_by(
        col(SplitPlanRow.curator_id), col(SplitPlanRow.product_id), col(SplitPlanRow.number)
    )


def _from_plan(row: Any) -> StoredPlan:  # noqa: ANN401 - a SplitPlanRow or a row of its table
    document = PlanDocument.model_validate_json(row.document)
    return StoredPlan(document, row.seal, row.request_id, row.request_sha256)
