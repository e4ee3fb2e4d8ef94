"""Tables of statistics: what was answered of a dataset, to whomever, for good.

Answers with noise are also the budget's account: what they spent is the sum of their rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Column, Text, bindparam, func, insert
from sqlmodel import Field, SQLModel, col, select

from databank.kit.db import UnitOfWork, UtcTime
from schemas.canonical import digest
from schemas.ids import AgreementId, DatasetId

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


class PrivateAnswerRow(SQLModel, table=True):
    """One question that was answered with noise, what it spent, and its answer for good."""

    __tablename__ = "connector_private_answer"
    dataset_id: str = Field(primary_key=True)
    question_sha256: str = Field(primary_key=True)
    entity: str
    question_json: str = Field(sa_column=Column(Text, nullable=False))
    values_json: str = Field(sa_column=Column(Text, nullable=False))
    epsilon_milli: int
    agreement_id: str = Field(index=True)
    act_id: str
    answered_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


@dataclass(frozen=True, slots=True)
class PrivateAnswer:
    """A question that was answered with noise, by its hash, and what it spent."""

    question_sha256: str
    question: Mapping[str, Any]
    values: list[int]
    epsilon_milli: int


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
_PRIVATE: Final = select(PrivateAnswerRow).where(
    col(PrivateAnswerRow.dataset_id) == bindparam("dataset"),
    col(PrivateAnswerRow.question_sha256) == bindparam("question"),
)
_SPENT: Final = (
    select(
        col(PrivateAnswerRow.agreement_id),
        func.sum(col(PrivateAnswerRow.epsilon_milli)).label("spent"),
    )
    .where(col(PrivateAnswerRow.dataset_id) == bindparam("dataset"))
    .group_by(col(PrivateAnswerRow.agreement_id))
)
_PUT_PRIVATE: Final = insert(PrivateAnswerRow)


def basis(uow: UnitOfWork, dataset_id: DatasetId) -> str | None:
    """Return what a dataset's statistics are made from; locked until the transaction ends."""
    row = uow.run(_BASIS, dataset=dataset_id).mapping_or_none()
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


def private_answer(
    uow: UnitOfWork, dataset_id: DatasetId, question_sha256: str
) -> list[int] | None:
    """Return the answer that a question had, cell by cell; None if it was never answered."""
    row = uow.run(_PRIVATE, dataset=dataset_id, question=question_sha256).mapping_or_none()
    return None if row is None else [int(value) for value in json.loads(row["values_json"])]


def spent_milli(uow: UnitOfWork, dataset_id: DatasetId) -> dict[AgreementId, int]:
    """Return what was spent of a dataset's budget, in thousandths of epsilon, by agreement."""
    found = uow.run(_SPENT, dataset=dataset_id).mappings()
    return {AgreementId(row["agreement_id"]): int(row["spent"]) for row in found}


def put_private_answers(
    uow: UnitOfWork,
    dataset_id: DatasetId,
    answers: list[PrivateAnswer],
    *,
    entity: str,
    agreement_id: AgreementId,
    act_id: str,
    now: datetime,
) -> None:
    """Spend: remember answers in the transaction in which they are recorded."""
    rows = [
        {
            "dataset_id": dataset_id,
            "question_sha256": answer.question_sha256,
            "entity": entity,
            "question_json": json.dumps(answer.question, ensure_ascii=False),
            "values_json": json.dumps(answer.values),
            "epsilon_milli": answer.epsilon_milli,
            "agreement_id": agreement_id,
            "act_id": act_id,
            "answered_at": now,
        }
        for answer in answers
    ]
    if rows:
        uow.run_each(_PUT_PRIVATE, rows)
