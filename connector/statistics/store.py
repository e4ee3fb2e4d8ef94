"""Tables of statistics: what was answered of a dataset, to whomever, for good."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import Column, Text, bindparam, insert
from sqlmodel import Field, SQLModel, col, select

from databank.kit.db import UnitOfWork, UtcTime
from schemas.canonical import digest
from schemas.ids import DatasetId

Definition = Mapping[str, list[str | None]]  # group column: the values that the cell holds


class StatisticBasisRow(SQLModel, table=True):
    """What all statistics of a dataset are made from: one relation, entity and set of groups."""

    __tablename__ = "connector_statistic_basis"
    dataset_id: str = Field(primary_key=True)
    basis_sha256: str


class StatisticCellRow(SQLModel, table=True):
    """One cell that was answered first by the act ``act_id``; never changed."""

    __tablename__ = "connector_statistic_cell"
    dataset_id: str = Field(primary_key=True)
    measure: str = Field(primary_key=True)
    cell_sha256: str = Field(primary_key=True)
    cell_json: str = Field(sa_column=Column(Text, nullable=False))
    act_id: str
    answered_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


_BASIS: Final = (
    select(StatisticBasisRow)
    .where(col(StatisticBasisRow.dataset_id) == bindparam("dataset"))
    .with_for_update()
)
_PUT_BASIS: Final = insert(StatisticBasisRow)
_CELLS: Final = select(StatisticCellRow).where(
    col(StatisticCellRow.dataset_id) == bindparam("dataset"),
    col(StatisticCellRow.measure) == bindparam("of"),
)
_PUT_CELL: Final = insert(StatisticCellRow)


def basis(uow: UnitOfWork, dataset_id: DatasetId) -> str | None:
    """Return what a dataset's statistics are made from; locked until the transaction ends."""
    row = uow.run(_BASIS, dataset=dataset_id).mappings().one_or_none()
    return row["basis_sha256"] if row else None


def put_basis(uow: UnitOfWork, dataset_id: DatasetId, basis_sha256: str) -> None:
    """Fix what a dataset's statistics are made from."""
    uow.run(_PUT_BASIS, dataset_id=dataset_id, basis_sha256=basis_sha256)


def answered(uow: UnitOfWork, dataset_id: DatasetId, measure: str) -> list[Definition]:
    """Return all cells of a measure that were ever answered."""
    rows = uow.run(_CELLS, dataset=dataset_id, of=measure).mappings()
    return [json.loads(row["cell_json"]) for row in rows]


def put_cells(
    uow: UnitOfWork,
    dataset_id: DatasetId,
    measure: str,
    cells: list[Definition],
    *,
    act_id: str,
    now: datetime,
) -> None:
    """Remember cells as answered; those that were before stay as they are."""
    known = {digest(dict(cell)) for cell in answered(uow, dataset_id, measure)}
    rows = [
        {
            "dataset_id": dataset_id,
            "measure": measure,
            "cell_sha256": digest(dict(cell)),
            "cell_json": json.dumps(cell, ensure_ascii=False),
            "act_id": act_id,
            "answered_at": now,
        }
        for cell in cells
    ]
    new = [row for row in rows if row["cell_sha256"] not in known]
    if new:
        uow.run_each(_PUT_CELL, new)
