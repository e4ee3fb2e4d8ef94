"""Holds on a consumer's deposit, asked of clearing before a priced delivery."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Final

from connector.metering import store
from connector.metering.store import HeldGrant
from connector.runtime import Runtime
from databank.kit.db import UnitOfWork
from databank.kit.http import RemoteRefusedError
from schemas.bank import Grant, GrantRequest
from schemas.ids import AgreementId, did_web
from schemas.problem import InsufficientBalanceError, RemoteUnavailableError

MARGIN: Final = timedelta(seconds=30)  # before its end a grant is not relied upon
PAYMENT_REQUIRED: Final = 402
_ASKING: Final = threading.Lock()  # one wish at a time, or parallel acts would hold twice


def spend(uow: UnitOfWork, runtime: Runtime, agreement_id: AgreementId, charge: int) -> bool:
    """Count a charge down from the agreement's grant; False if it does not cover it."""
    return store.spend_grant(uow, agreement_id, charge, expires_after=runtime.clock() + MARGIN)


def left(runtime: Runtime, agreement_id: AgreementId) -> int:
    """Return what an agreement's grant still covers, in micro-won without VAT."""
    with runtime.database.unit_of_work() as uow:
        held = store.grant(uow, agreement_id)
    return held.remaining_micro if held is not None and _is_running(runtime, held) else 0


def _is_running(runtime: Runtime, held: HeldGrant) -> bool:
    return held.expires_at is not None and runtime.clock() < held.expires_at - MARGIN


def note_first_wish(
    uow: UnitOfWork, runtime: Runtime, agreement_id: AgreementId, charge: int
) -> None:
    """Note the wish for a grant where none runs, so that `ask` need not.

    One that runs stays: `ask` puts it back where more is refused.
    """
    held = store.grant(uow, agreement_id)
    if held is None or (held.expires_at is not None and not _is_running(runtime, held)):
        _note(uow, runtime, agreement_id, charge)


def _note(
    uow: UnitOfWork, runtime: Runtime, agreement_id: AgreementId, charge: int, wanted: int = 0
) -> HeldGrant:
    wanted = max(charge, wanted, runtime.settings.grant_slice_micro)
    wished = HeldGrant(runtime.make_id(), charge, wanted, 0, None)
    store.put_grant(uow, agreement_id, wished)
    return wished


def ask(runtime: Runtime, agreement_id: AgreementId, charge: int, *, wanted: int = 0) -> None:
    """Get a grant for at least ``charge``, unless another act just did.

    ``wanted``: as much as that would be welcome.

    Raises:
        InsufficientBalanceError: The deposit does not cover it.
        RemoteUnavailableError: Clearing does not answer, or not yet.
    """
    with _ASKING:
        with runtime.database.unit_of_work() as uow:
            held, before = store.grant(uow, agreement_id), None
            if held is not None and held.expires_at is not None:
                if _is_running(runtime, held):
                    if held.remaining_micro >= charge:
                        return
                    before = held
                held = None
            wished = held or _note(uow, runtime, agreement_id, charge, wanted)
        grant = _call(runtime, agreement_id, wished, before)
        # the disk gets it with the record that spends it; else the same wish is asked for again
        with runtime.database.unit_of_work(waits_for_disk=False) as uow:
            answered = replace(
                wished, remaining_micro=grant.amount_micro, expires_at=grant.expires_at
            )
            store.put_grant(uow, agreement_id, answered)


def _call(
    runtime: Runtime, agreement_id: AgreementId, wished: HeldGrant, before: HeldGrant | None
) -> Grant:
    """Ask for ``wished``; if it is refused, ``before`` still pays for what costs less."""
    clearing = runtime.settings.clearing_url.rstrip("/")
    wish = GrantRequest(
        grant_id=wished.grant_id,
        agreement_id=agreement_id,
        minimum_micro=wished.minimum_micro,
        wanted_micro=wished.wanted_micro,
    )
    try:
        answer = runtime.client.call_json(
            "POST", f"{clearing}/grants", audience=did_web(clearing), json=wish.to_json()
        )
        return Grant.model_validate(answer)
    except RemoteRefusedError as error:
        with runtime.database.unit_of_work() as uow:
            if before is None:
                store.drop_grant(uow, agreement_id)  # a refused wish left nothing at clearing
            else:
                store.put_grant(uow, agreement_id, before)
        if error.remote_status == PAYMENT_REQUIRED:
            raise InsufficientBalanceError(
                ko=f"수요기업의 잔액으로 대가를 낼 수 없습니다. {error.detail.ko}",
                en=f"The buyer's deposit does not cover the charge. {error.detail.en}",
            ) from None
        raise RemoteUnavailableError(
            ko=f"청산소가 대금 예약을 받지 않았습니다: {error.detail.ko}",
            en=f"Clearing did not take the hold: {error.detail.en}",
            retryable=True,
        ) from None
