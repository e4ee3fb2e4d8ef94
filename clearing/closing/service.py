"""Closing a period (마감) in recorded steps; whoever calls again goes on where it stopped.

The first transaction makes the cut and the statements together: a statement follows from what
stands in the log before its seal, so nothing may be booked between the two. Every later step is
one transaction of its own that looks first whether it is done. All of them hold the period's
lock. Usage that comes later begins another run, with supplementary statements.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

from clearing.closing import store
from clearing.ledger.service import LedgerBrokenError
from clearing.log.service import Log
from clearing.log.store import size_of
from clearing.metering.store import stream_cuts
from clearing.rating.store import usage_in
from clearing.settlement import service as settlement
from clearing.settlement.netting import UnbalancedError, net_positions
from clearing.settlement.store import lock_period
from databank.kit.clock import Clock
from databank.kit.db import Database, UnitOfWork
from schemas.bank import Statement
from schemas.close import (
    CloseReport,
    CloseRun,
    CloseStep,
    CutResult,
    NettingResult,
    StatementsResult,
    StepDone,
)


def close(
    database: Database, period: str, log: Log, *, clock: Clock, transactions_max: int | None = None
) -> CloseReport:
    """Do what is left of a period's close; repeating it, at any time, changes nothing.

    It begins one run at most: a month that is still in use would never end.

    Args:
        database: Where to; each step is a transaction of its own.
        period: A month, such as ``2026-11``.
        log: Seals statements.
        clock: The time.
        transactions_max: Stop after so many, for callers that show progress.

    Raises:
        LogBrokenError: The log does not continue what was signed.
        LedgerBrokenError: Sums that must be equal are not; nothing more is done.
    """
    left, first = transactions_max, None
    while left is None or left > 0:
        with database.unit_of_work() as uow:
            runs = store.runs_of(uow, period)
            first = len(runs) if first is None else first
            is_done = len(runs) > first and all(run.is_finished for run in runs)
            if is_done or not advance(uow, period, log, now=clock()):
                break
        left = None if left is None else left - 1
    with database.unit_of_work() as uow:
        return report_of(uow, period)


def advance(uow: UnitOfWork, period: str, log: Log, *, now: datetime) -> bool:
    """Do the next transaction of a period's close; return False if nothing is left."""
    lock_period(uow, period)
    for run in store.runs_of(uow, period):
        done = {step.step for step in run.steps}
        for step in CloseStep:
            if step not in done:
                store.add_step(uow, period, run.number, _later_step(uow, period, run, step, now))
                return True
    return state(uow, period, log, now=now)


def state(uow: UnitOfWork, period: str, log: Log, *, now: datetime) -> bool:
    """Begin a run for what no statement has said yet: cut and statements; False if nothing is."""
    log.check()
    lock_period(uow, period)
    settlement.lock_usage(uow, period)
    cut = _cut(uow, period, now)
    issued = settlement.issue(uow, period, log, now=now)
    if not issued:
        return False
    number = len(store.runs_of(uow, period)) + 1
    store.add_run(uow, period, number, started_at=now)
    store.add_step(uow, period, number, cut)
    store.add_step(uow, period, number, _issued(issued, now))
    return True


def report_of(uow: UnitOfWork, period: str) -> CloseReport:
    """Return how far the close of a period is."""
    runs = store.runs_of(uow, period)
    is_stated = not settlement.has_unstated(uow, period)
    return CloseReport(
        period=period,
        is_closed=bool(runs) and is_stated and all(run.is_finished for run in runs),
        runs=tuple(runs),
    )


def rehearse(database: Database, period: str, *, now: datetime) -> CloseReport:
    """Return what a close would do now, and write nothing.

    It works out lines, cash entries and statements as the close does, in a transaction that is
    rolled back; nothing is signed.
    """
    with _rolled_back(database) as uow:
        lock_period(uow, period)
        settlement.lock_usage(uow, period)
        cut = _cut(uow, period, now)
        drafts = settlement.draft(uow, period, now=now).statements
        runs = store.runs_of(uow, period)
        unfinished = [run for run in runs if not run.is_finished]
        coming = [_rehearsed(uow, period, run, now) for run in unfinished]
        if drafts:
            steps = (cut, _issued(drafts, now), _netted(drafts, now))
            number = len(runs) + 1
            coming.append(CloseRun(number=number, started_at=now, steps=steps, is_finished=True))
        return CloseReport(
            period=period,
            is_dry_run=True,
            is_closed=bool(runs) and not coming,
            runs=tuple(coming),
        )


def _rehearsed(uow: UnitOfWork, period: str, run: CloseRun, now: datetime) -> CloseRun:
    done = {step.step for step in run.steps}
    steps = tuple(
        _later_step(uow, period, run, step, now) for step in CloseStep if step not in done
    )
    return run.model_copy(update={"steps": (*run.steps, *steps), "is_finished": True})


class _RolledBackError(Exception):
    """Ends a transaction that must leave nothing behind."""


@contextmanager
def _rolled_back(database: Database) -> Iterator[UnitOfWork]:
    with suppress(_RolledBackError), database.unit_of_work() as uow:
        yield uow
        raise _RolledBackError


def _cut(uow: UnitOfWork, period: str, now: datetime) -> StepDone:
    usage = usage_in(uow, period)
    result = CutResult(
        log_size=size_of(uow),
        agreements_count=len(usage),
        acts_count=sum(each.counts.acts for each in usage),
        streams=stream_cuts(uow),
    )
    return StepDone(step=CloseStep.CUT, done_at=now, cut=result)


def _issued(statements: tuple[Statement, ...], now: datetime) -> StepDone:
    sales = [line for each in statements for line in each.sales]
    royalties = [line for each in statements for line in each.royalties_paid or ()]
    result = StatementsResult(
        statement_ids=tuple(each.statement_id for each in statements),
        supply_won=sum(line.supply_won for line in sales),
        vat_won=sum(line.vat_won for line in sales),
        fee_won=sum(line.fee_won for line in sales),
        fee_vat_won=sum(line.fee_vat_won for line in sales),
        royalties_won=sum(line.supply_won for line in royalties) if royalties else None,
    )
    return StepDone(step=CloseStep.STATEMENTS, done_at=now, statements=result)


def _later_step(
    uow: UnitOfWork, period: str, run: CloseRun, step: CloseStep, now: datetime
) -> StepDone:
    """Do one of the steps after the first transaction's."""
    assert step is CloseStep.NETTING
    return _netted(_statements_of(uow, period, run), now)


def _statements_of(uow: UnitOfWork, period: str, run: CloseRun) -> tuple[Statement, ...]:
    (issued,) = (step.statements for step in run.steps if step.statements is not None)
    wanted = set(issued.statement_ids)
    found = settlement.all_of(uow, period).statements
    return tuple(each for each in found if each.statement_id in wanted)


def _netted(statements: tuple[Statement, ...], now: datetime) -> StepDone:
    try:
        positions = net_positions(statements)
    except UnbalancedError as error:
        raise LedgerBrokenError(str(error)) from None
    result = NettingResult(positions=positions)
    return StepDone(step=CloseStep.NETTING, done_at=now, netting=result)
