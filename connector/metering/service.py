"""Metering an act: decided, covered by a grant, recorded; only then may the answer leave."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from connector.agreement.model import Agreement
from connector.metering import grants, store
from connector.metering.store import Stored, Total
from connector.policy.entitlement import Entitlement
from connector.runtime import Runtime
from databank.kit.db import UnitOfWork
from schemas.ids import ProcessId
from schemas.money import format_won, vat_on
from schemas.price import Run, rate
from schemas.problem import ProblemError, RemoteUnavailableError
from schemas.usage import Act, UsageRecord
from schemas.wire import Text

SEOUL: Final = ZoneInfo("Asia/Seoul")
GRANT_TRIES_MAX: Final = 4


class ChargeAboveMaximumError(ProblemError):
    """The act would cost more than its consumer pays; it was neither delivered nor metered."""

    slug = "charge-above-maximum"
    title = Text(ko="정한 최대 금액보다 비쌉니다", en="Dearer than the maximum")
    status = 402


@dataclass(frozen=True, slots=True)
class Use:
    """What is about to be delivered; ``batches`` are those of a file that it newly covers."""

    act_id: str
    act: Act
    agreement: Agreement
    process_id: ProcessId
    rows_count: int
    bytes_count: int
    result_sha256: str
    sql_sha256: str | None = None
    batches: list[int] = field(default_factory=list)
    total_max_micro: int | None = None  # the most that its consumer pays for it, with VAT
    compute_ms: int = 0  # processor time that it took, where the price is by it

    @property
    def queries_count(self) -> int:
        """Queries to count."""
        return 1 if self.act is Act.QUERY else 0


@dataclass(frozen=True, slots=True)
class Price:
    """What an act costs, the totals after it, and the month in Seoul that it falls into."""

    charge_micro: int
    vat_micro: int
    after: Total
    month: str


@dataclass(frozen=True, slots=True)
class NeedsGrant:
    """The act waits for a hold of at least ``charge_micro``."""

    charge_micro: int


def price(entitlement: Entitlement, use: Use, total: Total, now: datetime) -> Price:
    """Return what an act costs after ``total``."""
    day = now.astimezone(SEOUL)
    month = f"{day.year:04}-{day.month:02}"
    run = Run(month, 1, use.queries_count, use.rows_count, use.bytes_count, use.compute_ms)
    is_new_month = run.month > total.last_month
    if entitlement.plan.counts_by_month:
        is_new_month = not total.usage.has_month(run.month)
    after = total.usage.plus(run, is_new_month=is_new_month)
    charged = rate(entitlement.plan, total.usage)
    charge = rate(entitlement.plan, after) - charged
    return Price(
        charge_micro=charge,
        vat_micro=vat_on(charged + charge) - vat_on(charged),
        after=Total(after, max(run.month, total.last_month)),
        month=run.month,
    )


def record(
    uow: UnitOfWork, runtime: Runtime, entitlement: Entitlement, use: Use, *, now: datetime
) -> Stored | NeedsGrant:
    """Append the record of an act; the caller has decided on it in the same transaction.

    Raises:
        ChargeAboveMaximumError: The consumer does not pay that much for it.
    """
    position = store.stream(uow)  # first of all locks: acts are recorded one at a time
    by_month = entitlement.plan.counts_by_month
    total = store.total(uow, use.agreement.id, by_month=by_month)
    cost = price(entitlement, use, total, now)
    check_maximum(use, cost)
    is_covered = cost.charge_micro == 0 or grants.spend(
        uow, runtime, use.agreement.id, cost.charge_micro
    )
    if not is_covered:
        grants.note_first_wish(uow, runtime, use.agreement.id, cost.charge_micro)
        return NeedsGrant(cost.charge_micro)
    stored = Stored(
        UsageRecord(
            seq=position.next_seq,
            act_id=use.act_id,
            act=use.act,
            agreement_id=use.agreement.id,
            process_id=use.process_id,
            consumer_id=use.agreement.consumer_id,
            dataset_id=use.agreement.dataset_id,
            rows_count=use.rows_count,
            bytes_count=use.bytes_count,
            queries_count=use.queries_count,
            result_sha256=use.result_sha256,
            occurred_at=now,
            compute_ms=use.compute_ms,
        ),
        use.sql_sha256,
        cost.charge_micro,
        cost.vat_micro,
    )
    store.append(uow, stored)
    store.put_total(uow, use.agreement.id, cost.after)
    if by_month:
        store.put_month(uow, use.agreement.id, cost.after, cost.month)
    if use.batches:
        store.cover(uow, use.process_id, use.batches, position.next_seq)
    uow.after_commit(runtime.usage.give)
    return stored


def check_maximum(use: Use, cost: Price) -> None:
    """Refuse what would cost more than its consumer pays for it.

    Raises:
        ChargeAboveMaximumError: It would.
    """
    total, most = cost.charge_micro + cost.vat_micro, use.total_max_micro
    if most is None or total <= most:
        return
    raise ChargeAboveMaximumError(
        ko=f"부가세를 포함해 {format_won(total)}이(가) 들어, 정한 최대 금액 {format_won(most)}을 "
        "넘습니다. 아무것도 청구되지 않았습니다. 질의를 좁히거나 예산·한도를 올리세요.",
        en=f"It would cost {format_won(total)} with VAT, above the maximum of {format_won(most)}. "
        "Nothing was charged. Narrow it, or raise the budget or limit.",
        total_micro=str(total),
        total_max_micro=str(most),
    )


def with_grant(
    runtime: Runtime, agreement: Agreement, attempt: Callable[[], Stored | NeedsGrant | None]
) -> Stored | None:
    """Repeat ``attempt``, each time after getting the grant that it lacked.

    Raises:
        InsufficientBalanceError: The deposit does not cover the charge.
        RemoteUnavailableError: Clearing is down.
    """
    for _ in range(GRANT_TRIES_MAX):
        outcome = attempt()
        if not isinstance(outcome, NeedsGrant):
            return outcome
        grants.ask(runtime, agreement.id, outcome.charge_micro)
    raise RemoteUnavailableError(
        ko="대금 예약이 다른 이용에 먼저 쓰였습니다. 다시 시도하세요.",
        en="Other uses were faster in spending the grant. Try again.",
        retryable=True,
    )
