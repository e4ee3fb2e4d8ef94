"""Table of what we have agreed on as a buyer: the relation as its supplier told it once."""

from __future__ import annotations

import json
from typing import Final

from sqlalchemy import Column, Text, bindparam
from sqlmodel import Field, SQLModel, col, select

from databank.kit.db import InsertNew, UnitOfWork
from schemas.dataset import Dataset
from schemas.ids import AgreementId


class AgreedDatasetRow(SQLModel, table=True):
    """The dataset of one agreement: its columns, rows, bytes and hash never change."""

    __tablename__ = "connector_agreed_dataset"
    agreement_id: str = Field(primary_key=True)
    dataset_json: str = Field(sa_column=Column(Text, nullable=False))


_REMEMBER: Final = InsertNew(AgreedDatasetRow)
_GET: Final = select(AgreedDatasetRow.dataset_json).where(
    col(AgreedDatasetRow.agreement_id) == bindparam("agreement")
)


def agreed(uow: UnitOfWork, agreement_id: AgreementId) -> Dataset | None:
    """Return what an agreement is about, if its supplier has told us."""
    text = uow.run(_GET, agreement=agreement_id).scalar_one_or_none()
    return None if text is None else Dataset.model_validate_json(text)


def remember(uow: UnitOfWork, agreement_id: AgreementId, dataset: Dataset) -> None:
    """Keep what an agreement is about; what was told first stays."""
    text = json.dumps(dataset.to_json(), ensure_ascii=False)
    _REMEMBER.run(uow, agreement_id=agreement_id, dataset_json=text)
