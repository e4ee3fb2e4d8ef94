"""Rows of meters: usage since the beginning of an agreement, and by month."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import BigInteger, Column, select, update
from sqlalchemy import bindparam as bind
from sqlmodel import Field, SQLModel

from clearing.rating.rate import Amounts, Meter, Rated, Run
from databank.kit.db import AddTo, InsertNew, UnitOfWork, table_of
from databank.kit.statements import among
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
    compute_ms: int = Field(sa_column=Column(BigInteger, nullable=False))
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
    compute_ms: int = Field(sa_column=Column(BigInteger, nullable=False))
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


_COUNTS: Final = ("acts", "queries", "rows", "bytes", "compute_ms")
_COUNTED: Final = (*_COUNTS, "supply", "vat", "fee", "fee_vat")


_METER: Final = table_of(MeterRow)
_PERIOD: Final = table_of(PeriodUsageRow)
_NEW_METERS: Final = InsertNew(MeterRow)
_KNOWN: Final = select(_METER.c.agreement_id).where(among(_METER.c.agreement_id, "ids"))
_LOCK: Final = (
    select(_METER)
    .where(among(_METER.c.agreement_id, "ids"))
    .order_by(_METER.c.agreement_id)
    .with_for_update()
)
_MONTHS: Final = (
    select(_PERIOD)
    .where(among(_PERIOD.c.agreement_id, "ids"))
    .order_by(_PERIOD.c.agreement_id, _PERIOD.c.period)
)
_IN_PERIOD: Final = (
    select(_PERIOD).where(_PERIOD.c.period == bind("period")).order_by(_PERIOD.c.agreement_id)
)
_PUT: Final = update(_METER).where(_METER.c.agreement_id == bind("key"))
_ADD: Final = AddTo(PeriodUsageRow, _COUNTED)


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
    empty = {**dict.fromkeys(_COUNTS, 0), "months": ""}
    known = set(uow.run(_KNOWN, ids=wanted).scalars())
    missing = [{"agreement_id": id_, **empty} for id_ in wanted if id_ not in known]
    _NEW_METERS.run_each(uow, missing)
    found = {AgreementId(r.agreement_id): _from_meter(r) for r in uow.run(_LOCK, ids=wanted)}
    return found | _with_months(uow, found, sorted(set(by_month)))


def _with_months(
    uow: UnitOfWork, meters: Mapping[AgreementId, Meter], ids: list[AgreementId]
) -> dict[AgreementId, Meter]:
    """Return meters with what was used in each month; their locks hold these rows still."""
    runs: dict[AgreementId, list[Run]] = {id_: [] for id_ in ids}
    for row in uow.run(_MONTHS, ids=ids) if ids else ():
        runs[AgreementId(row.agreement_id)].append(_run_of(row))
    return {
        id_: replace(meters[id_], usage=replace(meters[id_].usage, by_month=tuple(of_it)))
        for id_, of_it in runs.items()
    }


def add_usage(uow: UnitOfWork, rated: Mapping[AgreementId, Rated]) -> None:
    """Write the meters after a batch, and add the batch to its months."""
    uow.run_each(_PUT, [_to_meter(agreement_id, its.meter) for agreement_id, its in rated.items()])
    _ADD.run_each(
        uow,
        [
            _to_period(agreement_id, its.counts_by_month[month], its.by_month[month])
            for agreement_id, its in rated.items()
            for month in its.by_month
        ],
    )


def usage_in(uow: UnitOfWork, period: str) -> list[PeriodUsage]:
    """Return the usage of all agreements in a month, by agreement."""
    return [
        PeriodUsage(
            AgreementId(row.agreement_id),
            _run_of(row),
            Amounts(row.supply, row.vat, row.fee, row.fee_vat),
        )
        for row in uow.run(_IN_PERIOD, period=period)
    ]


def _run_of(row: Any) -> Run:  # noqa: ANN401 - a row of PeriodUsageRow's table
    return Run(row.period, row.acts, row.queries, row.rows, row.bytes, row.compute_ms)


def _from_meter(row: Any) -> Meter:  # noqa: ANN401 - a row of MeterRow's table
    months = frozenset(row.months.split())
    counts = {name: getattr(row, name) for name in _COUNTS}
    return Meter(Usage(**counts, months=len(months)), months)


def _to_meter(agreement_id: AgreementId, meter: Meter) -> dict[str, Any]:
    usage = meter.usage
    return {
        "key": agreement_id,
        **{name: getattr(usage, name) for name in _COUNTS},
        "months": " ".join(sorted(meter.months)),
    }


def _to_period(agreement_id: AgreementId, counts: Run, amounts: Amounts) -> dict[str, Any]:
    return {
        "agreement_id": agreement_id,
        "period": counts.month,
        **{name: getattr(counts, name) for name in _COUNTS},
        "supply": amounts.supply,
        "vat": amounts.vat,
        "fee": amounts.fee,
        "fee_vat": amounts.fee_vat,
    }
