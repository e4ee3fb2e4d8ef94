"""Rows of meters: usage since the beginning of an agreement, and by month."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import BigInteger, Column, select, update
from sqlalchemy import bindparam as bind
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Field, SQLModel

from clearing.rating.rate import Amounts, Meter, Rated, Run
from databank.kit.db import UnitOfWork
from schemas.ids import AgreementId
from schemas.price import Usage


class MeterRow(SQLModel, table=True):
    """Usage of an agreement since its beginning; ``months`` joined by spaces."""

    __tablename__ = "clearing_meter"
    agreement_id: str = Field(primary_key=True, foreign_key="clearing_agreement.agreement_id")
    acts: int = Field(sa_column=Column(BigInteger, nullable=False))
    queries: int = Field(sa_column=Column(BigInteger, nullable=False))
    rows: int = Field(sa_column=Column(BigInteger, nullable=False))
    bytes: int = Field(sa_column=Column(BigInteger, nullable=False))
    months: str


class PeriodUsageRow(SQLModel, table=True):
    """Usage and charges of an agreement in one month."""

    __tablename__ = "clearing_period_usage"
    agreement_id: str = Field(primary_key=True, foreign_key="clearing_agreement.agreement_id")
    period: str = Field(primary_key=True, index=True)
    acts: int = Field(sa_column=Column(BigInteger, nullable=False))
    queries: int = Field(sa_column=Column(BigInteger, nullable=False))
    rows: int = Field(sa_column=Column(BigInteger, nullable=False))
    bytes: int = Field(sa_column=Column(BigInteger, nullable=False))
    supply: int = Field(sa_column=Column(BigInteger, nullable=False))
    vat: int = Field(sa_column=Column(BigInteger, nullable=False))
    fee: int = Field(sa_column=Column(BigInteger, nullable=False))
    fee_vat: int = Field(sa_column=Column(BigInteger, nullable=False))


@dataclass(frozen=True, slots=True)
class PeriodUsage:
    """What an agreement used and was charged in one month, in micro-won."""

    agreement_id: AgreementId
    counts: Run
    amounts: Amounts


_COUNTED = ("acts", "queries", "rows", "bytes", "supply", "vat", "fee", "fee_vat")


def lock_meters(
    uow: UnitOfWork, ids: Iterable[AgreementId], *, by_month: Iterable[AgreementId] = ()
) -> dict[AgreementId, Meter]:
    """Return the meters of agreements, made where needed, locked until the transaction ends.

    Args:
        uow: The transaction.
        ids: Whose meters.
        by_month: Those of them whose plan counts by the month: their usage tells each month.
    """
    wanted = sorted(set(ids))
    empty = {"acts": 0, "queries": 0, "rows": 0, "bytes": 0, "months": ""}
    dialect = postgresql if uow.is_postgres else sqlite
    table: Any = MeterRow.__table__  # type: ignore[attr-defined]  # SQLModel adds it
    found: dict[AgreementId, Meter] = {}
    for start in range(0, len(wanted), 500):
        some = wanted[start : start + 500]
        is_ours = table.c.agreement_id.in_(some)
        known = set(uow.session.execute(select(table.c.agreement_id).where(is_ours)).scalars())
        missing = [{"agreement_id": id_, **empty} for id_ in some if id_ not in known]
        if missing:
            uow.session.execute(dialect.insert(table).on_conflict_do_nothing(), missing)
        query = select(table).where(is_ours).order_by(table.c.agreement_id).with_for_update()
        found |= {
            AgreementId(row.agreement_id): _from_meter(row) for row in uow.session.execute(query)
        }
    return found | _with_months(uow, found, sorted(set(by_month)))


def _with_months(
    uow: UnitOfWork, meters: Mapping[AgreementId, Meter], ids: list[AgreementId]
) -> dict[AgreementId, Meter]:
    """Return meters with what was used in each month; their locks hold these rows still."""
    table: Any = PeriodUsageRow.__table__  # type: ignore[attr-defined]  # SQLModel adds it
    runs: dict[AgreementId, list[Run]] = {id_: [] for id_ in ids}
    for start in range(0, len(ids), 500):
        is_ours = table.c.agreement_id.in_(ids[start : start + 500])
        query = select(table).where(is_ours).order_by(table.c.agreement_id, table.c.period)
        for row in uow.session.execute(query):
            run = Run(row.period, row.acts, row.queries, row.rows, row.bytes)
            runs[AgreementId(row.agreement_id)].append(run)
    return {
        id_: replace(meters[id_], usage=replace(meters[id_].usage, by_month=tuple(of_it)))
        for id_, of_it in runs.items()
    }


def add_usage(uow: UnitOfWork, rated: Mapping[AgreementId, Rated]) -> None:
    """Write the meters after a batch, and add the batch to its months."""
    table: Any = MeterRow.__table__  # type: ignore[attr-defined]  # SQLModel adds it
    uow.session.connection().execute(
        update(table).where(table.c.agreement_id == bind("key")),
        [_to_meter(agreement_id, its.meter) for agreement_id, its in rated.items()],
    )
    period: Any = PeriodUsageRow.__table__  # type: ignore[attr-defined]  # SQLModel adds it
    dialect = postgresql if uow.is_postgres else sqlite
    statement = dialect.insert(period)
    statement = statement.on_conflict_do_update(
        index_elements=["agreement_id", "period"],
        set_={name: period.c[name] + statement.excluded[name] for name in _COUNTED},
    )
    values = [
        _to_period(agreement_id, its.counts_by_month[month], its.by_month[month])
        for agreement_id, its in rated.items()
        for month in its.by_month
    ]
    uow.session.execute(statement, values)


def usage_in(uow: UnitOfWork, period: str) -> list[PeriodUsage]:
    """Return the usage of all agreements in a month, by agreement."""
    table: Any = PeriodUsageRow.__table__  # type: ignore[attr-defined]  # SQLModel adds it
    query = select(table).where(table.c.period == period).order_by(table.c.agreement_id)
    return [
        PeriodUsage(
            AgreementId(row.agreement_id),
            Run(row.period, row.acts, row.queries, row.rows, row.bytes),
            Amounts(row.supply, row.vat, row.fee, row.fee_vat),
        )
        for row in uow.session.execute(query)
    ]


def _from_meter(row: Any) -> Meter:  # noqa: ANN401 - a row of MeterRow's table
    months = frozenset(row.months.split())
    return Meter(Usage(row.acts, row.queries, row.rows, row.bytes, len(months)), months)


def _to_meter(agreement_id: AgreementId, meter: Meter) -> dict[str, Any]:
    usage = meter.usage
    return {
        "key": agreement_id,
        "acts": usage.acts,
        "queries": usage.queries,
        "rows": usage.rows,
        "bytes": usage.bytes,
        "months": " ".join(sorted(meter.months)),
    }


def _to_period(agreement_id: AgreementId, counts: Run, amounts: Amounts) -> dict[str, Any]:
    return {
        "agreement_id": agreement_id,
        "period": counts.month,
        "acts": counts.acts,
        "queries": counts.queries,
        "rows": counts.rows,
        "bytes": counts.bytes,
        "supply": amounts.supply,
        "vat": amounts.vat,
        "fee": amounts.fee,
        "fee_vat": amounts.fee_vat,
    }
