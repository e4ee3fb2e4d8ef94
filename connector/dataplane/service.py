"""Queries, reads and quotes at the supplier.

Order of every act: decide, execute, cover by a grant, record durably, and only then answer.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from fastapi.concurrency import run_in_threadpool

from connector.dataplane import compute, statistics
from connector.dataplane.access import (
    Access,
    PolicyDeniedError,
    decide,
    denied,
    is_open,
    weigh,
)
from connector.dataplane.pool import QueryPool, Result
from connector.dataplane.visit import Visit
from connector.metering import service as metering
from connector.metering import store as meter
from connector.metering.service import NeedsGrant, Use
from connector.metering.store import Stored
from connector.policy import store as decisions
from connector.policy.evaluate import Decision, Epsilon
from connector.publish.arrow_file import FileIndex
from connector.runtime import Runtime
from databank.kit.db import UnitOfWork
from schemas.management import Quote
from schemas.problem import ConflictError
from schemas.terms import Mode
from schemas.usage import Act
from schemas.wire import Text

SLICE_BYTES: Final = 2**18  # what a socket takes at once; the event loop copies what it does not
CHECK_SECONDS: Final = 0.2  # how long is streamed before the agreement is looked at again


class QueryIdTakenError(ConflictError):
    """The query id stands for another query, or for another result of the same one."""

    slug = "query-id-taken"
    title = Text(ko="이미 쓴 query_id입니다", en="This query_id is taken")


@dataclass(frozen=True, slots=True)
class Answer:
    """A result that was recorded, with its record."""

    result: Result
    stored: Stored


def path_of(runtime: Runtime, access: Access) -> Path:
    """Return where the licensed file lies."""
    return runtime.data_folder / access.licensed.file_name


def query(
    runtime: Runtime,
    pool: QueryPool,
    visit: Visit,
    *,
    query_id: str,
    sql: str,
    total_max_micro: int | None = None,
) -> Answer:
    """Run SQL in place and record it; the same id again is delivered, not charged.

    Raises:
        NotAuthenticatedError: The visitor's token was used before.
        PolicyDeniedError: The terms do not permit it.
        QueryIdTakenError: The id stands for something else.
        ProblemError: As of the pool and of ``metering.with_grant``.
    """
    asked = _Asked(query_id, hashlib.sha256(sql.encode()).hexdigest(), total_max_micro)
    admitted = _admit(runtime, visit, query_id, asked.sql_sha256)
    bound = compute.Bound(runtime, admitted.access, total_max_micro, is_new=admitted.is_new)
    answers: list[Answer] = []

    def attempt() -> Stored | NeedsGrant:
        with runtime.database.unit_of_work() as uow:
            admitted.enter(uow)
            done = _deliver(uow, runtime, admitted.access, asked, look)
            if isinstance(done, Answer):
                answers.append(done)
                return done.stored
            if isinstance(done, NeedsGrant):
                return done
        raise denied(done)

    try:
        raw = bound.run(partial(_run, runtime, pool, admitted.access, sql))
        asked = replace(asked, compute_ms=raw.compute_ms)
        look = statistics.prepare(admitted.access, raw)
        metering.with_grant(runtime, admitted.access.agreement, attempt)
    except Exception:
        with runtime.database.unit_of_work() as uow:
            admitted.enter(uow)
        raise
    return answers[-1]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked for under one query id, what it may cost at most, and what it took."""

    query_id: str
    sql_sha256: str
    total_max_micro: int | None
    compute_ms: int = 0


def _deliver(
    uow: UnitOfWork, runtime: Runtime, access: Access, asked: _Asked, look: statistics.Look
) -> Answer | NeedsGrant | Decision:
    """Decide on what would leave and record it; a decision is returned if it is a denial."""
    pending = look(uow)()
    same = meter.find(uow, access.agreement.id, asked.query_id)
    if same is not None:
        _check_same(same, asked.sql_sha256)
        return _again(pending.make().result, same)
    decision = decide(
        uow,
        runtime,
        access,
        Mode.QUERY,
        act_id=asked.query_id,
        rows=pending.rows_count,
        bytes_=pending.bytes_count,
        queries=1,
        epsilon=pending.epsilon,
    )
    if not decision.is_allowed:
        return decision
    made = pending.make()
    use = _query_use(access, asked, made.result)
    stored = metering.record(uow, runtime, access.entitlement, use, now=runtime.clock())
    if isinstance(stored, NeedsGrant):
        return stored
    if access.entitlement.statistics is not None:
        statistics.remember(uow, runtime, access, made, act_id=asked.query_id)
    return Answer(made.result, stored)


@dataclass(frozen=True, slots=True)
class _Admitted:
    """A visit that may go to work; that it may is stored with what comes of it."""

    visit: Visit
    access: Access
    taken: decisions.Taken
    is_new: bool  # not to be delivered once more

    def enter(self, uow: UnitOfWork) -> None:
        """Use the token up and store the decision, unless a transaction of this visit did."""
        meter.stream(uow)  # the lock that all acts take first
        if not self.visit.is_entered:
            self.visit.enter(uow)
            decisions.put(uow, self.taken)


def _query_use(access: Access, asked: _Asked, result: Result) -> Use:
    return Use(
        act_id=asked.query_id,
        act=Act.QUERY,
        agreement=access.agreement,
        process_id=access.pid,
        rows_count=result.rows_count,
        bytes_count=result.bytes_count,
        result_sha256=result.sha256,
        sql_sha256=asked.sql_sha256,
        total_max_micro=asked.total_max_micro,
        compute_ms=compute.paid_ms(access, asked.compute_ms),
    )


def _run(
    runtime: Runtime,
    pool: QueryPool,
    access: Access,
    sql: str,
    ms_max: int | None,
    *,
    is_quote: bool = False,
) -> Result:
    path, name = path_of(runtime, access), access.licensed.dataset.name
    scope = statistics.scope_of(access)
    return pool.run(
        path,
        process_id=access.pid,
        dataset=name,
        sql=sql,
        statistics=scope.to_json() if scope else None,
        is_quote=is_quote,
        compute_ms_max=ms_max,
    )


def _admit(runtime: Runtime, visit: Visit, query_id: str, sql_sha256: str) -> _Admitted:
    """Decide before anything runs; only a refusal is written down at once."""
    with runtime.database.unit_of_work() as uow:
        access = visit.look(uow)
        known = meter.find(uow, access.agreement.id, query_id)
        is_new = known is None
        taken = None
        if known is None or known.sql_sha256 == sql_sha256:
            taken = weigh(
                uow,
                runtime,
                access,
                Mode.QUERY,
                act_id=query_id,
                rows=None if is_new else 0,
                bytes_=None if is_new else 0,
                queries=int(is_new),
            )
            if taken.decision.is_allowed:
                return _Admitted(visit, access, taken, is_new)
            decisions.put(uow, taken)
        visit.enter(uow)
    if taken is not None:
        raise denied(taken.decision)
    raise _taken()


def _check_same(known: Stored, sql_sha256: str) -> None:
    if known.sql_sha256 != sql_sha256:
        raise _taken()


def _taken() -> QueryIdTakenError:
    return QueryIdTakenError(
        ko="이 query_id는 다른 질의에 쓰였습니다. 새 번호로 보내세요.",
        en="This query_id was used for another query. Use a new one.",
    )


def _again(result: Result, known: Stored) -> Answer:
    if result.sha256 != known.record.result_sha256:
        raise QueryIdTakenError(
            ko="같은 질의의 결과가 전과 다릅니다. 새 query_id로 보내면 새로 과금됩니다.",
            en="The query's result is not what it was. A new query_id will be charged anew.",
        )
    return Answer(result, known)


def quote(
    runtime: Runtime, pool: QueryPool, access: Access, index: FileIndex, *, sql: str | None
) -> Quote:
    """Return what a query, or reading the whole file, would cost now.

    Raises:
        PolicyDeniedError: It would be denied.
        ProblemError: As of the pool.
    """
    act_id = runtime.make_id()
    is_query = sql is not None
    mode = Mode.QUERY if is_query else Mode.READ
    queries, epsilon, ms = int(is_query), None, 0
    _require(runtime, access, mode, act_id, rows=None, bytes_=None, queries=queries)
    if sql is not None:
        run = partial(_run, runtime, pool, access, sql, is_quote=True)
        raw = compute.run_quote(runtime, access, run)
        ms = compute.paid_ms(access, raw.compute_ms)
        look = statistics.prepare(access, raw, is_quote=True)
        with runtime.database.unit_of_work() as uow:
            told = look(uow)
        pending = told()
        rows, bytes_, epsilon = pending.rows_count, pending.bytes_count, pending.epsilon
    else:
        left = _uncovered(runtime, access, list(range(len(index.batches))))
        rows = sum(index.batches[n].rows_count for n in left)
        bytes_ = sum(index.batches[n].body_bytes for n in left)
    _require(
        runtime, access, mode, act_id, rows=rows, bytes_=bytes_, queries=queries, epsilon=epsilon
    )
    use = Use(
        act_id,
        Act.QUERY if is_query else Act.READ,
        access.agreement,
        access.pid,
        rows_count=rows,
        bytes_count=bytes_,
        result_sha256="",
        compute_ms=ms,
    )
    with runtime.database.unit_of_work() as uow:
        by_month = access.entitlement.plan.counts_by_month
        total = meter.total(uow, access.agreement.id, by_month=by_month)
    cost = metering.price(access.entitlement, use, total, runtime.clock())
    return Quote(
        agreement_id=access.agreement.id,
        rows_count=rows,
        bytes_count=bytes_,
        charge_micro=cost.charge_micro if is_query or rows or bytes_ else 0,
        vat_micro=cost.vat_micro if is_query or rows or bytes_ else 0,
        **compute.quoted(runtime, access, use, total),
    )


def _require(
    runtime: Runtime,
    access: Access,
    mode: Mode,
    act_id: str,
    *,
    rows: int | None,
    bytes_: int | None,
    queries: int,
    epsilon: Epsilon | None = None,
) -> None:
    with runtime.database.unit_of_work() as uow:
        decision = decide(
            uow,
            runtime,
            access,
            mode,
            act_id=act_id,
            rows=rows,
            bytes_=bytes_,
            queries=queries,
            epsilon=epsilon,
        )
    if not decision.is_allowed:
        raise denied(decision)


def _uncovered(runtime: Runtime, access: Access, batches: list[int]) -> list[int]:
    with runtime.database.unit_of_work() as uow:
        paid = meter.covered(uow, access.pid)
    return [n for n in batches if n not in paid]


@dataclass(frozen=True, slots=True)
class Reading:
    """A visit that asks for bytes ``[start, end)`` of a file, and what it may cost at most."""

    visit: Visit
    access: Access
    index: FileIndex
    start: int
    end: int
    total_max_micro: int | None = None


def admit_read(runtime: Runtime, reading: Reading) -> Stored | None:
    """Decide on a range and record the record batches that it newly touches.

    The visit's token is used up in the same transaction.

    Returns:
        The record, or None if this process has paid for all of them before.

    Raises:
        NotAuthenticatedError: The visitor's token was used before.
        PolicyDeniedError: The terms do not permit it.
        ProblemError: As of ``metering.with_grant``.
    """
    access, act_id = reading.access, runtime.make_id()
    touched = reading.index.touched(reading.start, reading.end)

    def attempt() -> Stored | NeedsGrant | None:
        with runtime.database.unit_of_work() as uow:
            meter.stream(uow)
            reading.visit.enter(uow)
            paid = meter.covered(uow, access.pid)
            use = _read_use(access, reading.index, [n for n in touched if n not in paid], act_id)
            use = replace(use, total_max_micro=reading.total_max_micro)
            decision: Decision = decide(
                uow,
                runtime,
                access,
                Mode.READ,
                act_id=act_id,
                rows=use.rows_count,
                bytes_=use.bytes_count,
            )
            if decision.is_allowed:
                if not use.batches:
                    return None
                return metering.record(uow, runtime, access.entitlement, use, now=runtime.clock())
        raise denied(decision)

    return metering.with_grant(runtime, access.agreement, attempt)


def _read_use(access: Access, index: FileIndex, batches: list[int], act_id: str) -> Use:
    return Use(
        act_id=act_id,
        act=Act.READ,
        agreement=access.agreement,
        process_id=access.pid,
        rows_count=sum(index.batches[n].rows_count for n in batches),
        bytes_count=sum(index.batches[n].body_bytes for n in batches),
        result_sha256=access.licensed.dataset.data_sha256,
        batches=batches,
    )


async def stream_file(
    runtime: Runtime,
    access: Access,
    view: memoryview,
    *,
    start: int,
    end: int,
    check_seconds: float = CHECK_SECONDS,
) -> AsyncIterator[memoryview]:
    """Yield ``[start, end)`` of the mapped file; stop where the right to it ends.

    Raises:
        PolicyDeniedError: The agreement or process ended meanwhile: the answer breaks off.
    """
    checked = time.monotonic()
    for offset in range(start, end, SLICE_BYTES):
        if time.monotonic() - checked >= check_seconds:
            await run_in_threadpool(_require_open, runtime, access)
            checked = time.monotonic()
        yield view[offset : min(offset + SLICE_BYTES, end)]


def _require_open(runtime: Runtime, access: Access) -> None:
    with runtime.database.unit_of_work() as uow:
        if not is_open(uow, runtime, access):
            raise PolicyDeniedError(
                ko="전송 중에 합의나 전송이 끝났습니다.", en="The right to read has ended."
            )
