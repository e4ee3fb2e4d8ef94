"""A supplier asks for a hold on the consumer's deposit before it delivers."""

from __future__ import annotations

from datetime import datetime, timedelta

from clearing.agreements.model import Agreement
from clearing.agreements.service import look_up
from clearing.credit import store as credit
from clearing.credit.model import STOPPED, room_micro
from clearing.credit.service import standing_of
from clearing.grants import store
from clearing.grants.model import coverable, hold_for
from clearing.ledger.entries import Wallet, hold_entry
from clearing.ledger.model import Book, HoldId
from clearing.ledger.service import Books
from databank.kit.db import UnitOfWork
from schemas.bank import AgreementStatus, Grant, GrantRequest
from schemas.ids import ParticipantId
from schemas.money import format_won
from schemas.problem import (
    ConflictError,
    ForbiddenError,
    InsufficientBalanceError,
    InvalidRequestError,
    ProblemError,
)
from schemas.wire import Text


class AgreementNotActiveError(ConflictError):
    """The other side has not confirmed the agreement yet."""

    slug = "agreement-not-active"
    title = Text(ko="합의가 아직 확정되지 않았습니다", en="The agreement is not active yet")


class ReceivableOpenError(ProblemError):
    """The consumer owes for earlier deliveries."""

    slug = "receivable-open"
    title = Text(ko="미수금이 있습니다", en="Earlier deliveries are unpaid")
    status = 402


class CreditStoppedError(ProblemError):
    """What the consumer owes is overdue for so long that its credit is stopped."""

    slug = "credit-stopped"
    title = Text(ko="외상 이용이 정지되었습니다", en="Credit is suspended")
    status = 402


class GrantConflictError(ConflictError):
    """The same grant id was used for another request."""

    slug = "grant-conflict"
    title = Text(
        ko="같은 번호의 다른 요청이 있습니다", en="This grant id stands for another request"
    )


def ask(
    uow: UnitOfWork,
    request: GrantRequest,
    supplier: ParticipantId,
    *,
    life: timedelta,
    now: datetime,
) -> Grant:
    """Hold as much as is wanted and available, at least the minimum.

    What the deposit does not cover is granted on credit, where the operator allows it.

    A refused request leaves nothing behind: the same id may be asked again after a deposit.

    Raises:
        ForbiddenError: The caller is not the supplier.
        AgreementNotActiveError: The consumer has not confirmed yet; try again.
        GrantConflictError: The grant id was used for another request.
        InsufficientBalanceError: Not even the minimum is there.
        ReceivableOpenError: Earlier deliveries must be paid first.
        CreditStoppedError: They are overdue for too long.
    """
    agreement = _billable(uow, request, supplier)
    books, wallet = _open_wallet(uow, agreement, now)
    stored = store.find_grant(uow, request.grant_id)  # under the wallet's lock
    if stored is not None:
        books.save()
        return _repeated(stored, request)
    on_credit = _credit_room(uow, books, wallet, now)
    deposited = books.account(wallet.deposit).available
    available = max(0, deposited) + on_credit
    is_free = agreement.record.plan.is_free
    amount = request.wanted_micro if is_free else min(request.wanted_micro, coverable(available))
    if amount < request.minimum_micro:
        raise _insufficient(available, request.minimum_micro)
    grant = Grant(
        grant_id=request.grant_id,
        agreement_id=request.agreement_id,
        amount_micro=amount,
        expires_at=now + life,
    )
    covered = 0 if is_free else hold_for(amount)
    held = min(covered, max(0, deposited))
    _hold(books, wallet, grant, held, now)
    books.save()
    store.put_grant(uow, request, grant)
    if covered > held:
        credit.put_grant(
            uow, request.grant_id, wallet.owner_id, covered - held, expires_at=grant.expires_at
        )
    return grant


def _hold(books: Books, wallet: Wallet, grant: Grant, amount: int, now: datetime) -> None:
    """Set aside what the deposit covers of a grant."""
    if amount:
        entry = hold_entry(
            wallet,
            amount,
            hold_id=HoldId(grant.grant_id),
            agreement_id=grant.agreement_id,
            now=now,
            expires_at=grant.expires_at,
        )
        books.post(entry)


def _billable(uow: UnitOfWork, request: GrantRequest, supplier: ParticipantId) -> Agreement:
    if request.minimum_micro > request.wanted_micro:
        raise InvalidRequestError(
            ko="minimum_micro는 wanted_micro보다 클 수 없습니다.",
            en="minimum_micro must not exceed wanted_micro.",
        )
    agreement = look_up(uow, request.agreement_id, supplier)
    if agreement.record.provider_id != supplier:
        raise ForbiddenError(
            ko="합의의 공급기업만 예약을 요청할 수 있습니다.",
            en="Only the supplier of an agreement may ask for a grant.",
        )
    if agreement.status is not AgreementStatus.ACTIVE:
        raise AgreementNotActiveError(
            ko="상대가 아직 합의를 청산소에 알리지 않았습니다. 잠시 뒤 다시 시도하세요.",
            en="The other side has not told clearing about the agreement yet. Try again soon.",
            agreement_id=request.agreement_id,
            retryable=True,
        )
    return agreement


def _open_wallet(uow: UnitOfWork, agreement: Agreement, now: datetime) -> tuple[Books, Wallet]:
    wallet = Wallet(Book.ACCRUAL, agreement.record.consumer_id)
    books = Books.open_to_hold(uow, wallet.accounts, now=now)
    books.freshen(wallet)
    return books, wallet


def _repeated(stored: store.StoredGrant, request: GrantRequest) -> Grant:
    if stored.request != request:
        raise GrantConflictError(
            ko="이 grant_id는 다른 요청에 쓰였습니다. 새 번호로 요청하세요.",
            en="This grant_id was used for another request. Use a new one.",
            grant_id=request.grant_id,
        )
    return stored.grant


def _credit_room(uow: UnitOfWork, books: Books, wallet: Wallet, now: datetime) -> int:
    """Return what may be granted beyond the deposit; refuse who owes and has no credit."""
    line = credit.line_of(uow, wallet.owner_id)
    found = standing_of(uow, line, wallet, books.account(wallet.receivable), now=now)
    owed = found.owed_micro
    if owed > 0 and line.limit_micro == 0:
        raise ReceivableOpenError(
            ko=f"수요기업의 미수금 {format_won(owed)}이(가) 있습니다. 입금하면 먼저 갚아집니다.",
            en=f"The consumer owes {format_won(owed)}. The next deposit pays it first.",
            receivable_micro=str(owed),
        )
    if found.status in STOPPED:
        raise CreditStoppedError(
            ko=f"수요기업의 외상값 {format_won(owed)}이(가) 기한에서 {found.days_overdue}일 지나 "
            "이용이 정지되었습니다. 입금하면 풀립니다.",
            en=f"The consumer owes {format_won(owed)}, {found.days_overdue} days overdue: use is "
            "suspended until a deposit pays it.",
            receivable_micro=str(owed),
            days_overdue=found.days_overdue,
            status=found.status.value,
        )
    granted = credit.granted_beyond(uow, wallet.owner_id, now=now)
    return room_micro(line, found, granted)


def _insufficient(available: int, minimum: int) -> InsufficientBalanceError:
    required = hold_for(minimum)
    missing = required - available
    return InsufficientBalanceError(
        ko=f"부가세를 포함해 {format_won(required)}이(가) 필요하지만 {format_won(available)}만 "
        f"쓸 수 있습니다. {format_won(missing)} 이상 입금한 뒤 다시 시도하세요.",
        en=f"{format_won(required)} with VAT is needed, {format_won(available)} is available. "
        f"Deposit at least {format_won(missing)} and try again.",
        required_micro=str(required),
        available_micro=str(available),
        missing_micro=str(missing),
    )
