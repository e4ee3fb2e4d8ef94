"""A hard limit on what an agreement costs us in a month, kept before anything is sent.

What an act may cost is set aside first and told to the supplier, which refuses what would cost
more. So what is settled and what is under way never exceed the limit together, however many acts
there are at once. An act whose answer is lost stays set aside: it may have been charged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from zoneinfo import ZoneInfo

import structlog

from connector.agreement import store as agreements
from connector.runtime import Runtime
from connector.side import Side
from connector.spending import store
from databank.kit.db import UnitOfWork
from schemas.ids import AgreementId
from schemas.money import format_won
from schemas.problem import NotFoundError, ProblemError
from schemas.spending import Spending, SpendingLimit
from schemas.wire import Text

log = structlog.get_logger()
SEOUL: Final = ZoneInfo("Asia/Seoul")
DIGITS_MAX: Final = 19
AMOUNT_MAX: Final = 2**63 - 1  # of a column; more is no amount
CHARGE_HEADERS: Final = ("databank-charge-micro", "databank-vat-micro")


class SpendingLimitError(ProblemError):
    """The month's limit of this agreement is used up; nothing was sent."""

    slug = "spending-limit-reached"
    title = Text(ko="지출 한도에 이르렀습니다", en="The spending limit is reached")
    status = 402


class SpendingBusyError(ProblemError):
    """What is left of the limit is set aside for acts under way; nothing was sent."""

    slug = "spending-limit-reserved"
    title = Text(ko="지출 한도가 다른 이용에 잡혀 있습니다", en="The spending limit is set aside")
    status = 503


def reserve(
    runtime: Runtime, agreement_id: AgreementId, act_id: str, wanted_micro: int | None
) -> int | None:
    """Set aside what an act may cost; return the most that the supplier may charge.

    Args:
        runtime: Our connector.
        agreement_id: What is used.
        act_id: The act; sent again it keeps what was set aside for it.
        wanted_micro: The most that the caller allows, with VAT.

    Raises:
        SpendingLimitError: Nothing is left of the month's limit.
        SpendingBusyError: What is left is set aside for other acts.
    """
    with runtime.database.unit_of_work() as uow:
        limit = store.limit(uow, agreement_id)
        if limit is None:
            return wanted_micro
        known = store.of_act(uow, agreement_id, act_id)
        if known is not None and known[1]:
            return wanted_micro  # it is delivered again, and not charged again
        month = month_now(runtime)
        spent, reserved = store.sums(uow, agreement_id, month)
        own, _, own_month = known or (0, False, month)
        if own_month == month:
            reserved -= own
        left = max(0, limit - spent - reserved)
        if known is not None and own_month == month:
            left = min(left, own)  # the supplier may have charged as much the first time
        if not left:
            raise _refused(limit, spent, reserved, month)
        amount = left if wanted_micro is None else min(left, wanted_micro)
        if known is None:
            store.reserve(uow, agreement_id, act_id, month, amount)
            return amount
        # in the same month the first time may have cost up to what was set aside then
        kept = own if own_month == month else amount
        store.send_again(uow, agreement_id, act_id, month, kept)
    return amount


def settle(
    runtime: Runtime, agreement_id: AgreementId, act_id: str, headers: Mapping[str, str]
) -> None:
    """Note what the answer to an act says that it cost.

    An act whose answer does not say it in figures stays set aside, and the log says so.
    """
    said = [headers.get(name, "") for name in CHARGE_HEADERS]
    is_said = all(len(t) <= DIGITS_MAX and t.isascii() and t.isdigit() for t in said)
    amount = sum(map(int, said)) if is_said else AMOUNT_MAX + 1
    told = {"agreement_id": agreement_id, "act_id": act_id}
    if amount > AMOUNT_MAX:
        log.warning("charge_not_told", said=[text[:40] for text in said], **told)
        return
    with runtime.database.unit_of_work() as uow:
        is_limited = store.limit(uow, agreement_id) is not None
        known = store.of_act(uow, agreement_id, act_id)
        if known is not None and amount > known[0]:
            log.error("charge_above_what_was_set_aside", micro=amount, most=known[0], **told)
        if amount or is_limited:
            store.settle(uow, agreement_id, act_id, month_now(runtime), amount)


def release(runtime: Runtime, agreement_id: AgreementId, act_id: str) -> None:
    """Give back what was set aside for an act that was refused.

    An act that was sent before keeps it: that time it may have been charged.
    """
    with runtime.database.unit_of_work() as uow:
        store.release(uow, agreement_id, act_id)


def show(uow: UnitOfWork, runtime: Runtime, agreement_id: AgreementId) -> Spending:
    """Return what this month has cost so far.

    Raises:
        NotFoundError: We hold no such agreement as its buyer.
    """
    _require_bought(uow, agreement_id)
    month = month_now(runtime)
    limit = store.limit(uow, agreement_id)
    spent, reserved = store.sums(uow, agreement_id, month)
    return Spending(
        agreement_id=agreement_id,
        month=month,
        limit_micro=limit,
        spent_micro=spent,
        reserved_micro=reserved,
    )


def set_limit(
    uow: UnitOfWork, runtime: Runtime, agreement_id: AgreementId, wish: SpendingLimit
) -> Spending:
    """Set or lift the limit; it binds what is sent from now on.

    Raises:
        NotFoundError: We hold no such agreement as its buyer.
    """
    _require_bought(uow, agreement_id)
    store.set_limit(uow, agreement_id, wish.limit_micro)
    if wish.forget_unsettled:
        store.forget(uow, agreement_id)
    return show(uow, runtime, agreement_id)


def month_now(runtime: Runtime) -> str:
    """Return the calendar month in Seoul."""
    return f"{runtime.clock().astimezone(SEOUL):%Y-%m}"


def _require_bought(uow: UnitOfWork, agreement_id: AgreementId) -> None:
    agreement = agreements.get(uow, agreement_id)
    if agreement is None or agreement.side is not Side.CONSUMER:
        raise NotFoundError(
            ko="우리가 수요기업인 그런 합의가 없습니다. `databank agreements`로 확인하세요.",
            en="We are the buyer of no such agreement. Look at `databank agreements`.",
        )


def _refused(limit: int, spent: int, reserved: int, month: str) -> ProblemError:
    said = {"limit_micro": str(limit), "spent_micro": str(spent), "reserved_micro": str(reserved)}
    if spent < limit:
        return SpendingBusyError(
            ko=f"{month} 지출 한도 {format_won(limit)} 가운데 남은 {format_won(reserved)}이(가) "
            "진행 중이거나 답을 받지 못한 이용에 잡혀 있습니다. 잠시 뒤 다시 시도하세요.",
            en=f"Of {month}'s limit of {format_won(limit)} the rest, {format_won(reserved)}, is "
            "set aside for acts under way or without an answer. Try again soon.",
            retryable=True,
            **said,
        )
    return SpendingLimitError(
        ko=f"{month}에 {format_won(spent)}을(를) 써서 지출 한도 {format_won(limit)}(부가세 포함)에 "
        "이르렀습니다. 아무것도 보내지 않았습니다. 한도를 올리려면 `databank limit`을 쓰세요.",
        en=f"{format_won(spent)} was spent in {month}, which reaches the limit of "
        f"{format_won(limit)} (with VAT). Nothing was sent. Raise it with `databank limit`.",
        **said,
    )
