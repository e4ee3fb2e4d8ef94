"""Drafting a payout, approving it twice, booking it; taking it back before that.

A file is never changed. What it would pay is compared with the books again in the transaction
of each approval: if a payee's balance or account is no longer what it was, the payout is void and
must be drafted anew. Once an officer has approved it, disputes take nothing of what it pays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from pydantic import ValidationError

from clearing.billing.service import changed_accounts
from clearing.billing.store import profiles_of
from clearing.closing.store import unfinished_periods
from clearing.ledger.entries import bank_account, entry_id, payout_entry, reversal_id
from clearing.ledger.model import Book, Code, Kind, account_id
from clearing.ledger.service import BOOK_UNITS, Books
from clearing.ledger.store import find_digests, lock_accounts
from clearing.parties.store import find_parties
from clearing.payout import store
from clearing.payout.model import Payable, Payment, is_covered
from clearing.payout.pain import payout_xml
from clearing.returns.fees import return_view
from clearing.returns.store import returns
from databank.kit.db import UnitOfWork
from schemas.billing import StoredProfile
from schemas.ids import ParticipantId, did_web
from schemas.issuer import Issuer
from schemas.payout import (
    APPROVALS_NEEDED,
    ApprovalRequest,
    LeftOut,
    PaymentStatus,
    PayoutList,
    PayoutPayment,
    PayoutStatus,
    PayoutView,
    officer_key_id,
    verify_approval,
)
from schemas.problem import ConflictError, ForbiddenError, NotFoundError
from schemas.signature import BadSignatureError, PublicKey
from schemas.wire import Text

PAYMENTS_MAX: Final = 9_999  # of one file
ACCOUNT_WAIT: Final = timedelta(hours=48)
CHANGED: Final = "payee-changed: 잔액이나 계좌가 바뀌었습니다 (a balance or an account changed)"


class PayoutStateError(ConflictError):
    """A payout is not where this could follow, or there is nothing to pay."""

    slug = "payout-state"
    title = Text(ko="지금은 할 수 없는 송금 단계입니다", en="The payout does not allow this now")


class PayoutIncompleteError(ConflictError):
    """The operator's own account is not known."""

    slug = "payout-incomplete"
    title = Text(ko="송금 파일에 적을 내용이 빠졌습니다", en="The payout file misses something")


class ApprovalRefusedError(ForbiddenError):
    """An approval that does not count."""

    slug = "approval-refused"
    title = Text(ko="승인이 인정되지 않습니다", en="The approval does not count")


def draft(
    uow: UnitOfWork,
    issuer: Issuer,
    *,
    now: datetime,
    account_wait: timedelta = ACCOUNT_WAIT,
    exclude: Collection[ParticipantId] = (),
    again: Collection[ParticipantId] = (),
) -> PayoutView:
    """Make a file of all that may be paid now; nothing is booked yet.

    Left out are those excluded, and whoever changed its bank account within ``account_wait``: a
    change after the draft voids the whole file, so nobody may do that again and again. Left out
    is also whose last payment to the same account came back, unless it is named in ``again``.

    Raises:
        PayoutStateError: Another payout waits for approval, a close is not finished, or there is
            nothing to pay.
        PayoutIncompleteError: The operator's account is not known.
    """
    _lock(uow)
    _check_none_open(uow)
    _check_closed(uow)
    own = did_web(issuer.url)
    payables = store.payables(uow)
    profiles = profiles_of(uow, [own, *payables])
    if (account := profiles[own].profile.account) is None:
        raise PayoutIncompleteError(
            ko="운영기관의 출금 계좌가 없습니다: databank operator billing clearing --bank … "
            "--account … --holder …",
            en="The operator's own account is missing: databank operator billing clearing "
            "--bank … --account … --holder …",
            missing="account",
        )
    names = {id_: party.name for id_, party in find_parties(uow, payables).items()}
    held = dict.fromkeys(changed_accounts(uow, profiles, now - account_wait), "account-changed")
    held |= dict.fromkeys(_came_back(uow, profiles) - set(again), "returned")
    held |= dict.fromkeys(exclude, "excluded")
    number = store.next_number(uow)
    payout_id, payments = f"P{number:06d}", list[Payment]()
    for id_, each in payables.items():
        payee = None if id_ in held else profiles[id_].profile.account
        if each.amount > 0 and payee is not None and len(payments) < PAYMENTS_MAX:
            end_to_end_id = f"{payout_id}-{len(payments) + 1:04d}"
            payments.append(Payment(end_to_end_id, id_, names[id_], *each.parts, payee))
    left_out = tuple(_left_out(payables, names, {p.participant_id for p in payments}, held))
    if not payments:
        raise PayoutStateError(
            ko="송금할 금액이 없습니다. 마감했는지, 받을 계좌를 알렸는지 확인하세요.",
            en="There is nothing to pay out. Is the month closed, are accounts told?",
            left_out=[each.to_json() for each in left_out],
        )
    document = payout_xml(payout_id, payments, payer=issuer.name, account=account, now=now)
    sha256 = hashlib.sha256(document).hexdigest()
    payout = store.Payout(payout_id, number, document, sha256, now, tuple(payments), ())
    store.add_payout(uow, payout)
    return view_of(uow, payout).model_copy(update={"left_out": left_out})


def _came_back(
    uow: UnitOfWork, profiles: Mapping[ParticipantId, StoredProfile]
) -> set[ParticipantId]:
    """Return whose last payment came back from the account that it still tells."""
    last = store.last_payments(uow)
    found = returns(uow, (each.end_to_end_id for each in last.values()))
    return {
        id_
        for id_, each in last.items()
        if each.end_to_end_id in found
        and id_ in profiles
        and profiles[id_].profile.account == each.account
    }


def _check_none_open(uow: UnitOfWork) -> None:
    for payout in store.payouts(uow):
        if not payout.is_released and payout.void_reason is None:
            raise PayoutStateError(
                ko=f"송금 {payout.id}이(가) 승인을 기다립니다. 승인하거나 무르세요: "
                f"databank operator payout void {payout.id}",
                en=f"Payout {payout.id} waits for approval. Approve it or take it back: "
                f"databank operator payout void {payout.id}",
                payout_id=payout.id,
            )


def _check_closed(uow: UnitOfWork) -> None:
    """Refuse to pay while a close is under way: what it will hold back is not held yet."""
    if periods := unfinished_periods(uow):
        raise PayoutStateError(
            ko=f"{', '.join(periods)} 마감이 끝나지 않았습니다. 먼저 마치세요: "
            f"databank operator close {periods[0]}",
            en=f"The close of {', '.join(periods)} is not finished. Finish it first: "
            f"databank operator close {periods[0]}",
            periods=periods,
        )


def _lock(uow: UnitOfWork) -> None:
    """Let one transaction work on payouts at a time, and nobody book at the bank meanwhile."""
    lock_accounts(uow, [bank_account(book) for book, _ in BOOK_UNITS])


def _left_out(
    payables: Mapping[ParticipantId, Payable],
    names: Mapping[ParticipantId, str],
    paid: set[ParticipantId],
    held: Mapping[ParticipantId, str],
) -> Iterable[LeftOut]:
    for id_, each in payables.items():
        whole = each.earned + each.vat
        reason = None
        if each.receivable > 0 and whole > 0:
            reason, amount = "owes", whole
        elif each.amount > 0 and id_ not in paid:
            reason, amount = held.get(id_, "no-account"), each.amount
        elif each.recoverable > 0 and whole > 0:
            reason, amount = "refunded", min(each.recoverable, whole)
        elif each.return_fee > 0 and whole > 0:
            reason, amount = "return-fee", min(each.return_fee, whole)
        elif each.withheld > 0:
            reason, amount = "buyer-owes", min(each.withheld, whole)
        if reason is not None:
            yield LeftOut(
                participant_id=id_, participant_name=names[id_], amount_won=amount, reason=reason
            )


def approve(
    uow: UnitOfWork,
    payout_id: str,
    request: ApprovalRequest,
    officers: Mapping[str, str],
    *,
    now: datetime,
) -> PayoutView:
    """Count an officer's approval; the second one of another officer books and releases.

    A payout that no longer holds becomes void.

    Args:
        uow: The transaction.
        payout_id: Which payout.
        request: Who approves, and the signed word.
        officers: Name and Ed25519 public key (JWK ``x``) of everybody who may.
        now: The time.

    Raises:
        NotFoundError: There is no such payout.
        ApprovalRefusedError: Not an officer, not its key, another file, or the same officer again.
        PayoutStateError: The payout is void or released.
    """
    _lock(uow)
    payout = _found(uow, payout_id)
    _check_open(payout)
    _check_approval(payout, request, officers)
    books, holds = _opened(uow, payout, now), _still_holds(uow, payout)
    payout = _add(uow, payout, store.Event("approved", request.officer, request.approval), now)
    if not holds:
        return view_of(uow, _add(uow, payout, store.Event("void", CHANGED), now))
    if len(_counted(payout, officers)) < APPROVALS_NEEDED:
        return view_of(uow, payout)
    _release(books, payout, now)
    return view_of(uow, _add(uow, payout, store.Event("released", ""), now))


def _add(uow: UnitOfWork, payout: store.Payout, event: store.Event, now: datetime) -> store.Payout:
    store.add_event(uow, payout, event, now=now)
    return _found(uow, payout.id)


def _found(uow: UnitOfWork, payout_id: str) -> store.Payout:
    found = store.payouts(uow, payout_id)
    if not found:
        raise NotFoundError(
            ko=f"송금 {payout_id}이(가) 없습니다. databank operator payout list로 확인하세요.",
            en=f"There is no payout {payout_id}. See databank operator payout list.",
        )
    return found[0]


def _check_open(payout: store.Payout) -> None:
    if payout.void_reason is not None:
        raise PayoutStateError(
            ko=f"송금 {payout.id}은(는) 무효입니다: {payout.void_reason}. 새로 만드세요.",
            en=f"Payout {payout.id} is void: {payout.void_reason}. Draft a new one.",
        )
    if payout.is_released:
        raise PayoutStateError(
            ko=f"송금 {payout.id}은(는) 이미 두 사람이 승인해 기록되었습니다.",
            en=f"Payout {payout.id} was approved by two officers and is booked.",
        )


def _check_approval(
    payout: store.Payout, request: ApprovalRequest, officers: Mapping[str, str]
) -> None:
    _verify(payout, request, officers)
    if request.officer in _counted(payout, officers):
        raise ApprovalRefusedError(
            ko=f"{request.officer}은(는) 이미 승인했습니다. 다른 승인권자가 필요합니다.",
            en=f"{request.officer} has approved already. Another officer is needed.",
        )


def _verify(payout: store.Payout, request: ApprovalRequest, officers: Mapping[str, str]) -> None:
    try:
        said = verify_approval(request.approval, officer_key(request.officer, officers))
    except BadSignatureError as error:
        raise ApprovalRefusedError(
            ko=f"{request.officer}의 열쇠로 서명한 승인이 아닙니다: {error}",
            en=f"Not an approval by {request.officer}'s key: {error}",
        ) from None
    if said != (payout.id, hashlib.sha256(payout.document).hexdigest()):
        raise ApprovalRefusedError(
            ko=f"다른 파일에 대한 승인입니다. 송금 {payout.id}의 파일을 다시 받아 보세요.",
            en=f"This approves another file. Fetch the file of payout {payout.id} again.",
        )


def officer_key(officer: str, officers: Mapping[str, str]) -> PublicKey:
    """Return an officer's public key.

    Raises:
        ApprovalRefusedError: Not an officer.
    """
    if officer not in officers:
        raise ApprovalRefusedError(
            ko=f"{officer}은(는) 승인권자가 아닙니다. DATABANK_CLEARING_OFFICERS를 보세요.",
            en=f"{officer} is not an officer. See DATABANK_CLEARING_OFFICERS.",
        )
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": officers[officer]}
    return PublicKey(officer_key_id(officer), jwk)


def _counted(payout: store.Payout, officers: Mapping[str, str]) -> dict[str, str]:
    """Return who has approved, and with which key, as far as it counts today.

    A stored row proves nothing: each signature is checked again, by the key that the officer has
    now, over the file as it is stored now. Nobody counts twice, and no key does.
    """
    counted: dict[str, str] = {}
    for event in payout.events:
        if event.kind != "approved" or event.approval is None:
            continue
        try:
            request = ApprovalRequest(officer=event.said, approval=event.approval)
            _verify(payout, request, officers)
        except (ApprovalRefusedError, ValidationError):
            continue
        if officers[event.said] not in counted.values():
            counted[event.said] = officers[event.said]
    return counted


def _opened(uow: UnitOfWork, payout: store.Payout, now: datetime) -> Books:
    """Lock what the payout takes from, against disputes that would take it meanwhile."""
    accounts = [
        account_id(book, code, each.participant_id)
        for each in payout.payments
        for book, _ in BOOK_UNITS
        for code in (Code.EARNED, Code.VAT_OUT, Code.IN_TRANSIT)
    ]
    return Books.open(uow, accounts, now=now)


def _still_holds(uow: UnitOfWork, payout: store.Payout) -> bool:
    """Whether the payees still have these accounts, and may still be paid this much."""
    profiles = profiles_of(uow, (each.participant_id for each in payout.payments))
    is_same = all(
        profiles[each.participant_id].profile.account == each.account for each in payout.payments
    )
    is_reserved = bool(payout.approved_by)
    return is_same and is_covered(payout.payments, store.payables(uow), is_reserved=is_reserved)


def _release(books: Books, payout: store.Payout, now: datetime) -> None:
    """Book all payments in both books."""
    for each in payout.payments:
        for book, units in BOOK_UNITS:
            entry = payout_entry(
                book,
                each.participant_id,
                earned=each.earned * units,
                vat=each.vat * units,
                payment_id=each.end_to_end_id,
                now=now,
            )
            books.post(entry)
    books.save()


def void(uow: UnitOfWork, payout_id: str, reason: str, *, now: datetime) -> PayoutView:
    """Take a payout back before its second approval.

    Raises:
        NotFoundError: There is no such payout.
        PayoutStateError: It is void or released.
    """
    _lock(uow)
    payout = _found(uow, payout_id)
    _check_open(payout)
    return view_of(uow, _add(uow, payout, store.Event("void", reason), now))


def file_of(uow: UnitOfWork, payout_id: str) -> bytes:
    """Return a payout's file.

    Raises:
        NotFoundError: There is no such payout.
    """
    return _found(uow, payout_id).document


def all_payouts(uow: UnitOfWork) -> PayoutList:
    """Return all payouts."""
    return PayoutList(payouts=tuple(view_of(uow, each) for each in store.payouts(uow)))


def one_payout(uow: UnitOfWork, payout_id: str) -> PayoutView:
    """Return a payout.

    Raises:
        NotFoundError: There is no such payout.
    """
    payout = _found(uow, payout_id)
    view, profiles = (
        view_of(uow, payout),
        profiles_of(uow, (p.participant_id for p in payout.payments)),
    )
    payments = (
        each.model_copy(update={"profile_told_at": profiles[each.participant_id].recorded_at})
        for each in view.payments
    )
    return view.model_copy(update={"payments": tuple(payments)})


def view_of(uow: UnitOfWork, payout: store.Payout) -> PayoutView:
    """Return a payout with the state of each payment."""
    states = payment_states(uow, payout)
    back = returns(uow, states)
    return PayoutView(
        payout_id=payout.id,
        status=_status(payout),
        sha256=payout.sha256,
        total_won=sum(each.amount for each in payout.payments),
        drafted_at=payout.drafted_at,
        approved_by=payout.approved_by,
        void_reason=payout.void_reason,
        payments=tuple(
            PayoutPayment(
                end_to_end_id=each.end_to_end_id,
                participant_id=each.participant_id,
                participant_name=each.name,
                amount_won=each.amount,
                account=each.account,
                status=states[each.end_to_end_id],
                came_back=return_view(uow, back[each.end_to_end_id])
                if each.end_to_end_id in back
                else None,
            )
            for each in payout.payments
        ),
    )


def _status(payout: store.Payout) -> PayoutStatus:
    if payout.void_reason is not None:
        return PayoutStatus.VOID
    if payout.is_released:
        return PayoutStatus.RELEASED
    return PayoutStatus.HALF_APPROVED if payout.approved_by else PayoutStatus.DRAFTED


def payment_states(
    uow: UnitOfWork, payout: store.Payout, payments: Iterable[Payment] | None = None
) -> dict[str, PaymentStatus]:
    """Return where each payment, or each of these, stands, as the ledger has it."""
    wanted = payout.payments if payments is None else payments
    ids = [each.end_to_end_id for each in wanted]
    if not payout.is_released:
        status = PaymentStatus.DRAFTED if payout.void_reason is None else PaymentStatus.VOID
        return dict.fromkeys(ids, status)
    paid = {id_: entry_id(Book.CASH, Kind.PAID, id_) for id_ in ids}
    returned = {id_: reversal_id(Book.CASH, entry_id(Book.CASH, Kind.PAYOUT, id_)) for id_ in ids}
    known = find_digests(uow, [*paid.values(), *returned.values()])
    return {
        id_: (PaymentStatus.RETURNED if paid[id_] in known else PaymentStatus.REJECTED)
        if returned[id_] in known
        else PaymentStatus.PAID
        if paid[id_] in known
        else PaymentStatus.IN_TRANSIT
        for id_ in ids
    }
