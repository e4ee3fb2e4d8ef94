"""Rows of closes: which step of which run is done. Only ever added: triggers refuse the rest."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, Text
from sqlmodel import Field, SQLModel, col, select

from databank.kit.db import UnitOfWork, UtcTime
from schemas.close import CloseRun, CloseStep, StepDone


class CloseRow(SQLModel, table=True):
    """One run over a period."""

    __tablename__ = "clearing_close"
    period: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    started_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


class CloseStepRow(SQLModel, table=True):
    """One step that is done, and its result as JSON."""

    __tablename__ = "clearing_close_step"
    period: str = Field(primary_key=True)
    number: int = Field(primary_key=True)
    step: str = Field(primary_key=True)
    result: str = Field(sa_column=Column(Text, nullable=False))
    done_at: datetime = Field(sa_column=Column(UtcTime, nullable=False))


def runs_of(uow: UnitOfWork, period: str) -> list[CloseRun]:
    """Return the runs of a period in order, each with its steps in order."""
    steps: dict[int, list[StepDone]] = {}
    for row in uow.session.exec(select(CloseStepRow).where(col(CloseStepRow.period) == period)):
        steps.setdefault(row.number, []).append(StepDone.model_validate_json(row.result))
    order = list(CloseStep)
    query = select(CloseRow).where(col(CloseRow.period) == period).order_by(col(CloseRow.number))
    return [
        CloseRun(
            number=row.number,
            started_at=row.started_at,
            steps=tuple(sorted(steps.get(row.number, []), key=lambda s: order.index(s.step))),
            is_finished={s.step for s in steps.get(row.number, [])} == set(CloseStep),
        )
        for row in uow.session.exec(query)
    ]


def unfinished_periods(uow: UnitOfWork) -> list[str]:
    """Return the periods with a run whose steps are not all done, oldest first."""
    runs = {(row.period, row.number) for row in uow.session.exec(select(CloseRow))}
    done: dict[tuple[str, int], int] = {}
    for row in uow.session.exec(select(CloseStepRow)):
        done[row.period, row.number] = done.get((row.period, row.number), 0) + 1
    return sorted({key[0] for key in runs if done.get(key, 0) < len(CloseStep)})


def add_run(uow: UnitOfWork, period: str, number: int, *, started_at: datetime) -> None:
    """Begin a run."""
    uow.session.add(CloseRow(period=period, number=number, started_at=started_at))


def add_step(uow: UnitOfWork, period: str, number: int, done: StepDone) -> None:
    """Record that a step is done, for good."""
    uow.session.add(
        CloseStepRow(
            period=period,
            number=number,
            step=done.step.value,
            result=done.model_dump_json(exclude_none=True),
            done_at=done.done_at,
        )
    )
    uow.session.flush()
