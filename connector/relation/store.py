"""Table of licensed relations: which file an agreement's terms are about."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from sqlalchemy import Column, Text, bindparam, insert
from sqlalchemy import select as select_columns
from sqlmodel import Field, SQLModel, col, select

from databank.kit.db import UnitOfWork
from schemas.dataset import Dataset
from schemas.ids import DatasetId

PARSED_KEPT: Final = 256


class RelationRow(SQLModel, table=True):
    """One relation of one dataset, as listed; it stays, since agreements go on."""

    __tablename__ = "connector_relation"
    dataset_id: str = Field(primary_key=True)
    relation_sha256: str = Field(primary_key=True)
    file_name: str
    dataset_json: str = Field(sa_column=Column(Text, nullable=False))


@dataclass(frozen=True, slots=True)
class Licensed:
    """A relation: the dataset as its buyers see it, and the file ``<sha256>.arrow``."""

    dataset: Dataset
    file_name: str


_PUT: Final = insert(RelationRow)
_GET: Final = select(RelationRow).where(
    col(RelationRow.dataset_id) == bindparam("dataset"),
    col(RelationRow.relation_sha256) == bindparam("relation"),
)


@lru_cache(maxsize=PARSED_KEPT)
def _parse(dataset: str) -> Dataset:
    return Dataset.model_validate_json(dataset)


def get(uow: UnitOfWork, dataset_id: DatasetId, relation_sha256: str) -> Licensed | None:
    """Return a relation of a dataset, if it was ever offered."""
    row = uow.run(_GET, dataset=dataset_id, relation=relation_sha256).mapping_or_none()
    return Licensed(_parse(row["dataset_json"]), row["file_name"]) if row else None


_FILES: Final = select_columns(col(RelationRow.dataset_id), col(RelationRow.file_name))


def files(uow: UnitOfWork) -> list[tuple[DatasetId, str]]:
    """Return the files of all relations, with their datasets."""
    return [(DatasetId(row.dataset_id), row.file_name) for row in uow.run(_FILES)]


def put(uow: UnitOfWork, relation_sha256: str, licensed: Licensed) -> None:
    """Store a relation; one that is there already stays."""
    if get(uow, licensed.dataset.id, relation_sha256) is not None:
        return
    uow.run(
        _PUT,
        dataset_id=licensed.dataset.id,
        relation_sha256=relation_sha256,
        file_name=licensed.file_name,
        dataset_json=json.dumps(licensed.dataset.to_json(), ensure_ascii=False),
    )
