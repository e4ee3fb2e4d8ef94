"""Sources in the database."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column
from sqlmodel import Field, SQLModel, col, select

from broker.crawler.model import Source
from databank.kit.db import UnitOfWork, UtcTime
from schemas.ids import ParticipantId
from schemas.participant import Rejection


def _time() -> Any:  # noqa: ANN401 - Field is typed as whatever it stands for
    return Field(default=None, sa_column=Column(UtcTime, nullable=True))


class SourceRow(SQLModel, table=True):
    """One company's catalog and how crawling it goes."""

    __tablename__ = "broker_source"
    participant_id: str = Field(primary_key=True)
    last_started_at: datetime | None = _time()
    last_success_at: datetime | None = _time()
    nudged_at: datetime | None = _time()
    failures_count: int = 0
    error: str | None = None
    etag: str | None = None
    rejections: list[dict[str, Any]] = Field(
        default_factory=list, sa_column=Column(JSON, nullable=False)
    )


def add(uow: UnitOfWork, participant_id: ParticipantId) -> None:
    """Start to crawl a company."""
    if uow.session.get(SourceRow, participant_id) is None:
        uow.session.add(SourceRow(participant_id=participant_id))
        uow.session.flush()


def restart(uow: UnitOfWork, participant_id: ParticipantId, *, now: datetime) -> None:
    """Forget what is known of a catalog, so that it is read in full and soon."""
    if (row := uow.session.get(SourceRow, participant_id)) is not None:
        row.etag, row.nudged_at, row.failures_count, row.error = None, now, 0, None
        uow.session.add(row)
        uow.session.flush()


def nudge(uow: UnitOfWork, participant_id: ParticipantId, *, now: datetime) -> None:
    """Remember that the owner says its catalog changed."""
    if (row := uow.session.get(SourceRow, participant_id)) is not None:
        row.nudged_at = now
        uow.session.add(row)
        uow.session.flush()


def find(uow: UnitOfWork, participant_id: ParticipantId) -> Source | None:
    """Return a source."""
    row = uow.session.get(SourceRow, participant_id)
    return None if row is None else _from_row(row)


def list_all(uow: UnitOfWork) -> list[Source]:
    """Return all sources, also those of participants that are not active."""
    query = select(SourceRow).order_by(col(SourceRow.participant_id))
    return [_from_row(row) for row in uow.session.exec(query)]


def mark_started(uow: UnitOfWork, participant_id: ParticipantId, *, now: datetime) -> None:
    """Store that a crawl begins."""
    row = uow.session.get_one(SourceRow, participant_id)
    row.last_started_at = now
    uow.session.add(row)


def mark_failed(uow: UnitOfWork, participant_id: ParticipantId, *, error: str) -> None:
    """Store that a crawl failed; what was listed stays listed."""
    row = uow.session.get_one(SourceRow, participant_id)
    row.failures_count, row.error = row.failures_count + 1, error
    uow.session.add(row)


def mark_read(uow: UnitOfWork, participant_id: ParticipantId, *, now: datetime) -> None:
    """Store that a crawl succeeded."""
    row = uow.session.get_one(SourceRow, participant_id)
    row.last_success_at, row.failures_count, row.error = now, 0, None
    uow.session.add(row)


def set_content(
    uow: UnitOfWork,
    participant_id: ParticipantId,
    *,
    etag: str | None,
    rejections: tuple[Rejection, ...],
) -> None:
    """Store what the last full reading brought."""
    row = uow.session.get_one(SourceRow, participant_id)
    row.etag, row.rejections = etag, [rejection.to_json() for rejection in rejections]
    uow.session.add(row)


def _from_row(row: SourceRow) -> Source:
    return Source(
        participant_id=ParticipantId(row.participant_id),
        last_started_at=row.last_started_at,
        last_success_at=row.last_success_at,
        nudged_at=row.nudged_at,
        failures_count=row.failures_count,
        error=row.error,
        etag=row.etag,
        rejections=tuple(Rejection.model_validate(r) for r in row.rejections),
    )
