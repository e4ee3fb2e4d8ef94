"""Rows of split plans, income reports and royalty lines.

They are only ever added: triggers refuse the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Integer, Text, UniqueConstraint, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel, col
from sqlmodel import select as select_rows

from clearing.rating.rate import Amounts
from clearing.shares.model import Key, Plan, Product, Recorded
from databank.kit.db import UnitOfWork, UtcTime
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

SERIAL: Final = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts INTEGER only
HEAD: Final = 1  # the only row of its table
_CHUNK: Final = 500  # below every database's limit of parameters in one statement


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


def lock_plans(uow: UnitOfWork) -> None:
    """Let only one transaction register a plan at a time."""
    dialect = postgresql if uow.is_postgres else sqlite
    uow.session.execute(dialect.insert(SplitHeadRow).on_conflict_do_nothing(), {"id": HEAD})
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
    found: dict[str, StoredPlan] = {}
    for some in _chunks(sorted(set(hashes))):
        query = select_rows(SplitPlanRow).where(col(SplitPlanRow.plan_sha256).in_(some))
        found |= {row.plan_sha256: _from_plan(row) for row in uow.session.exec(query)}
    return found


def put_demand(
    uow: UnitOfWork,
    demand: RoyaltyDemand,
    shown: ShownPolicy,
    *,
    shown_by: ParticipantId,
    now: datetime,
) -> None:
    """Store what an agreement asks for; the same again changes nothing."""
    dialect = postgresql if uow.is_postgres else sqlite
    uow.session.execute(
        dialect.insert(RoyaltyDemandRow).on_conflict_do_nothing(),
        {
            "agreement_id": demand.agreement_id,
            "demand": demand.model_dump_json(exclude_none=True),
            "policy": shown.model_dump_json(),
            "shown_by": shown_by,
            "shown_at": now,
        },
    )


def demands_of(uow: UnitOfWork, ids: Iterable[AgreementId]) -> dict[AgreementId, RoyaltyDemand]:
    """Return what is known of what these agreements ask for."""
    found: dict[AgreementId, RoyaltyDemand] = {}
    for some in _chunks(sorted(set(ids))):
        query = select_rows(RoyaltyDemandRow).where(col(RoyaltyDemandRow.agreement_id).in_(some))
        for row in uow.session.exec(query):
            found[AgreementId(row.agreement_id)] = RoyaltyDemand.model_validate_json(row.demand)
    return found


def add_report(uow: UnitOfWork, report: IncomeReport, seal: str) -> None:
    """Store an income report for good."""
    uow.session.add(
        IncomeReportRow(income_id=report.income_id, document=report.model_dump_json(), seal=seal)
    )
    uow.session.flush()


def find_reports(uow: UnitOfWork, ids: Iterable[str]) -> dict[str, tuple[IncomeReport, str]]:
    """Return income reports with their seals."""
    found: dict[str, tuple[IncomeReport, str]] = {}
    for some in _chunks(sorted(set(ids))):
        query = select_rows(IncomeReportRow).where(col(IncomeReportRow.income_id).in_(some))
        for row in uow.session.exec(query):
            found[row.income_id] = IncomeReport.model_validate_json(row.document), row.seal
    return found


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
    table: Any = RoyaltyLineRow.__table__  # type: ignore[attr-defined]  # SQLModel adds it
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


def _from_plan(row: SplitPlanRow) -> StoredPlan:
    document = PlanDocument.model_validate_json(row.document)
    return StoredPlan(document, row.seal, row.request_id, row.request_sha256)


def _chunks(items: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK))
