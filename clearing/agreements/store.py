"""Rows of agreements."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import Column, Text, bindparam, select, update
from sqlmodel import Field, SQLModel

from clearing.agreements.model import Agreement
from databank.kit.db import InsertNew, UnitOfWork, table_of
from databank.kit.statements import among
from schemas.bank import AgreementRecord
from schemas.ids import AgreementId


class AgreementRow(SQLModel, table=True):
    """An agreement: what was told first, and by whom since."""

    __tablename__ = "clearing_agreement"
    agreement_id: str = Field(primary_key=True)
    provider_id: str = Field(index=True)
    consumer_id: str = Field(index=True)
    record: str = Field(sa_column=Column(Text, nullable=False))
    fee_bps: int
    is_confirmed_by_provider: bool
    is_confirmed_by_consumer: bool
    seal: str | None = Field(default=None, sa_column=Column(Text))  # once usage may be booked


_AGREEMENT: Final = table_of(AgreementRow)
_ADD: Final = InsertNew(AgreementRow)
_GET: Final = select(_AGREEMENT).where(_AGREEMENT.c.agreement_id == bindparam("id"))
_LOCK: Final = _GET.with_for_update()
_BY_IDS: Final = select(_AGREEMENT).where(among(_AGREEMENT.c.agreement_id, "ids"))
_CONFIRM: Final = update(_AGREEMENT).where(_AGREEMENT.c.agreement_id == bindparam("id"))


def find_agreement(
    uow: UnitOfWork, agreement_id: AgreementId, *, lock: bool = False
) -> Agreement | None:
    """Return an agreement, on request locked until the transaction ends."""
    row = uow.run(_LOCK if lock else _GET, id=agreement_id).one_or_none()
    return None if row is None else _from_row(row)


def find_agreements(uow: UnitOfWork, ids: Iterable[AgreementId]) -> dict[AgreementId, Agreement]:
    """Return those of the agreements that are known."""
    found = uow.run(_BY_IDS, ids=sorted(set(ids)))
    return {AgreementId(row.agreement_id): _from_row(row) for row in found}


def add_if_new(uow: UnitOfWork, agreement: Agreement) -> None:
    """Store an agreement unless there is one with its id, however recent."""
    record = agreement.record
    _ADD.run(
        uow,
        agreement_id=record.agreement_id,
        provider_id=record.provider_id,
        consumer_id=record.consumer_id,
        record=json.dumps(record.to_json(), ensure_ascii=False),
        fee_bps=agreement.fee_bps,
        is_confirmed_by_provider=agreement.is_confirmed_by_provider,
        is_confirmed_by_consumer=agreement.is_confirmed_by_consumer,
    )


def put_confirmations(uow: UnitOfWork, agreement: Agreement) -> None:
    """Write who has confirmed, and the supplier's title; the agreement must be locked."""
    uow.run(
        _CONFIRM,
        id=agreement.record.agreement_id,
        record=json.dumps(agreement.record.to_json(), ensure_ascii=False),
        is_confirmed_by_provider=agreement.is_confirmed_by_provider,
        is_confirmed_by_consumer=agreement.is_confirmed_by_consumer,
        seal=agreement.seal,
    )


def _from_row(row: Any) -> Agreement:  # noqa: ANN401 - of the table
    return Agreement(
        _record(row.record),
        row.fee_bps,
        row.is_confirmed_by_provider,
        row.is_confirmed_by_consumer,
        row.seal,
    )


@lru_cache(maxsize=4096)
def _record(text: str) -> AgreementRecord:
    """Read a stored record; batches of one supplier name the same agreements again and again."""
    return AgreementRecord.model_validate_json(text)
