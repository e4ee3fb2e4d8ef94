"""Table of uploads that wait to be published."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, Text
from sqlmodel import Field, SQLModel, col, select

from databank.kit.db import UnitOfWork, UtcTime
from schemas.management import UploadReport


class UploadRow(SQLModel, table=True):
    """One upload and its report."""

    __tablename__ = "connector_upload"
    upload_id: str = Field(primary_key=True)
    filename: str
    report_json: str = Field(sa_column=Column(Text, nullable=False))
    uploaded_at: datetime = Field(sa_column=Column(UtcTime, nullable=False, index=True))


def put(uow: UnitOfWork, report: UploadReport, *, uploaded_at: datetime) -> None:
    """Store an upload's report."""
    uow.session.add(
        UploadRow(
            upload_id=report.upload_id,
            filename=report.filename,
            report_json=report.model_dump_json(by_alias=True),
            uploaded_at=uploaded_at,
        )
    )
    uow.session.flush()


def get(uow: UnitOfWork, upload_id: str) -> UploadReport | None:
    """Return an upload's report."""
    row = uow.session.get(UploadRow, upload_id)
    return UploadReport.model_validate_json(row.report_json) if row else None


def mark_published(uow: UnitOfWork, upload_id: str) -> None:
    """Write that an upload has become a dataset."""
    row = uow.session.get_one(UploadRow, upload_id)
    report = UploadReport.model_validate_json(row.report_json)
    done = report.model_copy(update={"is_published": True})
    row.report_json = done.model_dump_json(by_alias=True)
    uow.session.flush()


def waiting(uow: UnitOfWork) -> dict[str, bool]:
    """Return the ids of all uploads, and whether each is published."""
    rows = uow.session.exec(select(UploadRow)).all()
    return {
        row.upload_id: UploadReport.model_validate_json(row.report_json).is_published
        for row in rows
    }


def remove_older(uow: UnitOfWork, before: datetime) -> list[str]:
    """Forget uploads from before a time; return their ids."""
    rows = uow.session.exec(select(UploadRow).where(col(UploadRow.uploaded_at) < before)).all()
    for row in rows:
        uow.session.delete(row)
    return [row.upload_id for row in rows]
