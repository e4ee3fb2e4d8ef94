"""Closing a period (마감) in recorded steps; whoever calls again goes on where it stopped.

The first transaction makes the cut and the statements together: a statement follows from what
stands in the log before its seal, so nothing may be booked between the two. Every later step is
one transaction of its own that looks first whether it is done. All of them hold the period's
lock. Usage that comes later begins another run, with supplementary statements.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from clearing.agreements.model import Agreement
from clearing.agreements.store import find_agreements
from clearing.attestation.service import Reading, compared
from clearing.attestation.store import acknowledged
from clearing.closing import store
from clearing.disputes import service as disputes
from clearing.disputes.model import Dispute, Terms
from clearing.disputes.money import set_off
from clearing.disputes.service import Found
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
    HeldDifference,
    HoldsResult,
    NettingResult,
    SetOff,
    SetOffResult,
    StatementsResult,
    StepDone,
)


@dataclass(frozen=True, slots=True)
class Rules:
    """What a close holds back by: buyers' time to sign, and how long disputes last."""

    silence: timedelta = timedelta(hours=72)
    terms: Terms = field(default_factory=Terms)


def close(
    database: Database,
    period: str,
    log: Log,
    *,
    clock: Clock,
    rules: Rules | None = None,
    transactions_max: int | None = None,
) -> CloseReport:
    """Do what is left of a period's close; repeating it, at any time, changes nothing.

    It begins one run at most: a month that is still in use would never end. Disputes whose time is
    over end first, so that what they refund is stated.

    Args:
        database: Where to; each step is a transaction of its own.
        period: A month, such as ``2026-11``.
        log: Seals statements.
        clock: The time.
        rules: What is held back for disputes.
        transactions_max: Stop after so many, for callers that show progress.

    Raises:
        LogBrokenError: The log does not continue what was signed.
        LedgerBrokenError: Sums that must be equal are not; nothing more is done.
    """
    left, first, rules = transactions_max, None, rules or Rules()
    disputes.expire(database, log, now=clock())
    while left is None or left > 0:
        found = _counted(database, period, rules, now=clock())
        with database.unit_of_work() as uow:
            runs = store.runs_of(uow, period)
            first = len(runs) if first is None else first
            is_done = len(runs) > first and all(run.is_finished for run in runs)
            if is_done or not advance(uow, period, log, now=clock(), rules=rules, found=found):
                break
        left = None if left is None else left - 1
    with database.unit_of_work() as uow:
        return report_of(uow, period, now=clock())


def advance(
    uow: UnitOfWork,
    period: str,
    log: Log,
    *,
    now: datetime,
    rules: Rules | None = None,
    found: Sequence[Found] | None = None,
) -> bool:
    """Do the next transaction of a period's close; return False if nothing is left.

    ``found`` are both sides' counts, where the next step needs them and they were compared before
    the transaction; without them they are compared inside it.
    """
    lock_period(uow, period)
    if (due := _next_step(store.runs_of(uow, period))) is None:
        return state(uow, period, log, now=now)
    run, step = due
    if step is CloseStep.HOLDS:
        planned = _planned(uow, period, rules or Rules(), now, found)
        disputes.hold(uow, planned, log, now=now)
        done = _held(planned, now)
    else:
        done = _later_step(uow, period, run, step, now)
    store.add_step(uow, period, run.number, done)
    return True


def _next_step(runs: Sequence[CloseRun]) -> tuple[CloseRun, CloseStep] | None:
    """Return the first step of the first run that is not done, and its run."""
    for run in runs:
        done = {step.step for step in run.steps}
        for step in CloseStep:
            if step not in done:
                return run, step
    return None


def _counted(database: Database, period: str, rules: Rules, *, now: datetime) -> list[Found] | None:
    """Compare both sides' counts outside of any transaction, if the next step needs that."""
    with database.unit_of_work() as uow:
        due = _next_step(store.runs_of(uow, period))
        if due is None or due[1] is not CloseStep.HOLDS:
            return None
        agreements = _acknowledged(uow, period)
    reading = database.unit_of_work
    return [_found(reading, each, period, rules, now) for each in agreements]


def _acknowledged(uow: UnitOfWork, period: str) -> list[Agreement]:
    """Return the agreements that were used in a period and that buyers have signed anything of."""
    ids = acknowledged(uow, (usage.agreement_id for usage in usage_in(uow, period)))
    return [each for _, each in sorted(find_agreements(uow, ids).items())]


def _found(
    reading: Reading, agreement: Agreement, period: str, rules: Rules, now: datetime
) -> Found:
    counts = compared(reading, agreement, period, silence=rules.silence, now=now)
    return Found(agreement, period, counts)


def _planned(
    uow: UnitOfWork, period: str, rules: Rules, now: datetime, found: Sequence[Found] | None
) -> list[Dispute]:
    if found is None:
        agreements = _acknowledged(uow, period)
        found = [_found(lambda: nullcontext(uow), a, period, rules, now) for a in agreements]
    return disputes.plan_holds(uow, found, rules.terms, now=now)


def _held(planned: Sequence[Dispute], now: datetime) -> StepDone:
    result = HoldsResult(
        disputes=tuple(
            HeldDifference(
                dispute_id=each.id, agreement_id=each.agreement_id, claimed_won=each.claimed_won
            )
            for each in planned
        )
    )
    return StepDone(step=CloseStep.HOLDS, done_at=now, holds=result)


def state(uow: UnitOfWork, period: str, log: Log, *, now: datetime) -> bool:
    """Begin a run for what no statement has said yet: cut and statements; False if nothing is."""
    log.check()
    credited = settlement.lock(uow, period)
    cut = _cut(uow, period, now)
    issued = settlement.issue(uow, period, credited, log, now=now).statements
    if not issued:
        return False
    number = len(store.runs_of(uow, period)) + 1
    store.add_run(uow, period, number, started_at=now)
    store.add_step(uow, period, number, cut)
    store.add_step(uow, period, number, _issued(issued, now))
    return True


def report_of(uow: UnitOfWork, period: str, *, now: datetime) -> CloseReport:
    """Return how far the close of a period is."""
    runs = store.runs_of(uow, period)
    left = settlement.unstated_of(uow, period, now=now)
    return CloseReport(
        period=period,
        is_closed=bool(runs) and not left.is_any and all(run.is_finished for run in runs),
        runs=tuple(runs),
        royalties_waiting=tuple(sorted(left.waiting)) or None,
    )


def rehearse(
    database: Database, period: str, *, now: datetime, rules: Rules | None = None
) -> CloseReport:
    """Return what a close would do now, and write nothing.

    It works out lines, cash entries and statements as the close does, in a transaction that is
    rolled back; nothing is signed.
    """
    with _rolled_back(database) as uow:
        credited = settlement.lock(uow, period)
        rules = rules or Rules()
        runs = store.runs_of(uow, period)
        coming = list[CloseRun]()
        for run in runs:
            if not run.is_finished:
                rest = _rest(uow, period, rules, now)
                coming.append(_rehearsed(uow, period, run, rest, now))
        cut = _cut(uow, period, now)
        drafted = settlement.draft(uow, period, credited, now=now)
        if said := drafted.statements:
            rest = _rest(uow, period, rules, now)
            steps = (cut, _issued(said, now), _netted(said, now), *rest.values())
            number = len(runs) + 1
            coming.append(CloseRun(number=number, started_at=now, steps=steps, is_finished=True))
        return CloseReport(
            period=period,
            is_dry_run=True,
            is_closed=bool(runs) and not coming,
            runs=tuple(coming),
            royalties_waiting=tuple(sorted(drafted.waiting)) or None,
        )


def _rest(uow: UnitOfWork, period: str, rules: Rules, now: datetime) -> dict[CloseStep, StepDone]:
    """Rehearse what follows netting: book what is held and set off, and sign nothing."""
    planned = _planned(uow, period, rules, now, None)
    disputes.rehearse(uow, planned, now=now)
    return {
        CloseStep.HOLDS: _held(planned, now),
        CloseStep.SET_OFF: _set_off(uow, now),
    }


def _rehearsed(
    uow: UnitOfWork,
    period: str,
    run: CloseRun,
    rest: Mapping[CloseStep, StepDone],
    now: datetime,
) -> CloseRun:
    done = {step.step for step in run.steps}
    steps = tuple(
        rest[step] if step in rest else _later_step(uow, period, run, step, now)
        for step in CloseStep
        if step not in done
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
    credited = [line for each in statements for line in each.credits or () if not line.is_sale]
    royalties = [line for each in statements for line in each.royalties_paid or ()]
    result = StatementsResult(
        statement_ids=tuple(each.statement_id for each in statements),
        supply_won=sum(line.supply_won for line in sales),
        vat_won=sum(line.vat_won for line in sales),
        fee_won=sum(line.fee_won for line in sales),
        fee_vat_won=sum(line.fee_vat_won for line in sales),
        credited_won=sum(each.net_won for each in credited) or None,
        royalties_won=sum(line.supply_won for line in royalties) if royalties else None,
    )
    return StepDone(step=CloseStep.STATEMENTS, done_at=now, statements=result)


def _later_step(
    uow: UnitOfWork, period: str, run: CloseRun, step: CloseStep, now: datetime
) -> StepDone:
    """Do one of the steps after the first transaction's."""
    if step is CloseStep.SET_OFF:
        return _set_off(uow, now)
    assert step is CloseStep.NETTING
    return _netted(_statements_of(uow, period, run), now)


def _set_off(uow: UnitOfWork, now: datetime) -> StepDone:
    paid = tuple(
        SetOff(participant_id=owner, amount_won=amount) for owner, amount in set_off(uow, now=now)
    )
    result = SetOffResult(participants=paid)
    return StepDone(step=CloseStep.SET_OFF, done_at=now, set_off=result)


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
