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


def wish(
    uow: UnitOfWork, runtime: Runtime, agreement_id: AgreementId, charge: int
) -> HeldGrant | None:
    """Return what is to be asked for, noted before it is; None if a grant covers the charge."""
    held = store.grant(uow, agreement_id)
    if held is not None and held.expires_at is None:
        return held  # under way, or its answer was lost
    if held is not None and _covers(runtime, held, charge):
        return None
    wanted = max(charge, runtime.settings.grant_slice_micro)
    wished = HeldGrant(runtime.make_id(), charge, wanted, 0, None)
    store.put_grant(uow, agreement_id, wished)
    return wished


def _covers(runtime: Runtime, held: HeldGrant, charge: int) -> bool:
    if held.expires_at is None or held.remaining_micro < charge:
        return False
    return runtime.clock() < held.expires_at - MARGIN


def ask(runtime: Runtime, agreement_id: AgreementId, charge: int) -> None:
    """Get a grant for at least ``charge``, unless another act just did.

    Raises:
        InsufficientBalanceError: The deposit does not cover it.
        RemoteUnavailableError: Clearing does not answer, or not yet.
    """
    with _ASKING:
        with runtime.database.unit_of_work() as uow:
            wished = wish(uow, runtime, agreement_id, charge)
        if wished is None:
            return
        grant = _call(runtime, agreement_id, wished)
        # the disk gets it with the record that spends it; else the same wish is asked for again
        with runtime.database.unit_of_work(waits_for_disk=False) as uow:
            answered = replace(
                wished, remaining_micro=grant.amount_micro, expires_at=grant.expires_at
            )
            store.put_grant(uow, agreement_id, answered)


def _call(runtime: Runtime, agreement_id: AgreementId, held: HeldGrant) -> Grant:
    clearing = runtime.settings.clearing_url.rstrip("/")
    wish = GrantRequest(
        grant_id=held.grant_id,
        agreement_id=agreement_id,
        minimum_micro=held.minimum_micro,
        wanted_micro=held.wanted_micro,
    )
    try:
        answer = runtime.client.call_json(
            "POST", f"{clearing}/grants", audience=did_web(clearing), json=wish.to_json()
        )
        return Grant.model_validate(answer)
    except RemoteRefusedError as error:
        with runtime.database.unit_of_work() as uow:
            store.drop_grant(uow, agreement_id)  # a refused wish left nothing at clearing
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
