"""Use cases of the management API that concern agreements."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from connector.agreement import service, store
from connector.agreement.model import Agreement, End
from connector.management.joining import known_participants
from connector.offering import store as offerings
from connector.runtime import Runtime
from connector.side import Side
from connector.transfer import store as transfer_store
from connector.transfer.model import TransferProcess
from databank.kit.db import UnitOfWork
from schemas.ids import AgreementId, ParticipantId
from schemas.management import AgreementEnd, AgreementList, AgreementView, EndRequest, ProcessRole
from schemas.participant import Participant
from schemas.problem import ConflictError, NotFoundError
from schemas.refusal import Termination


def agreement_list(runtime: Runtime, limit: int) -> AgreementList:
    """Return agreements, newest first, with their running transfer process."""
    now = runtime.clock()
    with runtime.database.unit_of_work() as uow:
        found = store.newest(uow, limit=limit)
        running = transfer_store.running_of_all(uow, [agreement.id for agreement in found])
        names = {a.id: _dataset_name(uow, a) for a in found}
    parties = known_participants(
        runtime, {p for a in found for p in (a.provider_id, a.consumer_id)}
    )
    views = tuple(
        view_agreement(a, running.get(a.id), now).model_copy(
            update={"dataset_name": names[a.id], **_party_names(a, parties)}
        )
        for a in found
    )
    return AgreementList(agreements=views)


def one_agreement(runtime: Runtime, agreement_id: AgreementId) -> AgreementView:
    """Return an agreement that we hold on either side, over or not.

    Raises:
        NotFoundError: We hold no such agreement.
    """
    with runtime.database.unit_of_work() as uow:
        found = _get(uow, agreement_id)
        running = transfer_store.running_of_all(uow, [found.id])
        name = _dataset_name(uow, found)
    parties = known_participants(runtime, {found.provider_id, found.consumer_id})
    view = view_agreement(found, running.get(found.id), runtime.clock())
    return view.model_copy(update={"dataset_name": name, **_party_names(found, parties)})


def agreed_policy(runtime: Runtime, agreement_id: AgreementId) -> dict[str, Any]:
    """Return the policy of an agreement that we hold on either side, as it was agreed.

    Raises:
        NotFoundError: We hold no such agreement.
    """
    with runtime.database.unit_of_work() as uow:
        return _get(uow, agreement_id).policy


def bought_agreements(runtime: Runtime, ref: str) -> AgreementList:
    """Return the running agreements that we hold for ``handle.name``, with their dataset."""
    handle, _, name = ref.partition(".")
    now = runtime.clock()
    with runtime.database.unit_of_work() as uow:
        found = store.bought_as(uow, handle, name, now=now)
        running = transfer_store.running_of_all(uow, [agreement.id for agreement, _ in found])
    views = tuple(
        view_agreement(agreement, running.get(agreement.id), now).model_copy(
            update={
                "provider_handle": known.provider_handle,
                "provider_name": known.provider_name,
                "dataset_name": known.dataset.name,
                "dataset": known.dataset,
            }
        )
        for agreement, known in found
    )
    return AgreementList(agreements=views)


def _dataset_name(uow: UnitOfWork, agreement: Agreement) -> str | None:
    if agreement.side is Side.PROVIDER:
        published = offerings.get(uow, agreement.dataset_id)
        return published.dataset.name if published else None
    known = store.known(uow, agreement.provider_id, agreement.dataset_id)
    return known.dataset.name if known else None


def _party_names(
    agreement: Agreement, parties: dict[ParticipantId, Participant]
) -> dict[str, str | None]:
    provider = parties.get(agreement.provider_id)
    consumer = parties.get(agreement.consumer_id)
    return {
        "provider_handle": provider.handle if provider else None,
        "provider_name": provider.name if provider else None,
        "consumer_name": consumer.name if consumer else None,
    }


def _view_end(end: End | None) -> AgreementEnd | None:
    if end is None:
        return None
    return AgreementEnd(by=end.by, code=end.code, reason=end.reason, at=end.at)


def view_agreement(
    agreement: Agreement, process: TransferProcess | None, now: datetime
) -> AgreementView:
    """Return an agreement as its owner sees it."""
    return AgreementView(
        agreement_id=agreement.id,
        role=ProcessRole(agreement.side.value),
        provider_id=agreement.provider_id,
        consumer_id=agreement.consumer_id,
        dataset_id=agreement.dataset_id,
        dataset_title=agreement.dataset_title,
        policy=agreement.policy,
        agreed_at=agreement.agreed_at,
        ends_at=agreement.ends_at,
        is_over=agreement.is_over(now),
        end=_view_end(agreement.end),
        transfer_pid=process.pid if process else None,
        transfer_state=process.state.value if process else None,
    )


def end_agreement(
    runtime: Runtime, agreement_id: AgreementId, request: EndRequest
) -> AgreementView:
    """End an agreement from our side; what was used until now stays owed.

    Raises:
        NotFoundError: We hold no such agreement, or the counterparty is not registered any more.
        ConflictError: It is over already.
    """
    now = runtime.clock()
    with runtime.database.unit_of_work() as uow:
        agreement = _open(uow, agreement_id, now)
    counterparty = runtime.directory.find(agreement.counterparty_id)
    if counterparty is None:
        raise NotFoundError(
            ko=f"{agreement.counterparty_id}: 등록된 참여자가 아닙니다.",
            en=f"{agreement.counterparty_id} is not a registered participant.",
        )
    termination = Termination(
        agreement_id=agreement_id, code=request.code.value, reason=request.reason
    )
    with runtime.database.unit_of_work() as uow:
        agreement = _open(uow, agreement_id, now)
        service.end(uow, runtime, termination, agreement=agreement, counterparty=counterparty)
        ended = store.get(uow, agreement_id)
    assert ended is not None
    return view_agreement(ended, None, now)


def _get(uow: UnitOfWork, agreement_id: AgreementId) -> Agreement:
    agreement = store.get(uow, agreement_id)
    if agreement is None:
        raise NotFoundError(
            ko=f"합의 {agreement_id}이(가) 없습니다. `databank agreements`로 확인하세요.",
            en=f"There is no agreement {agreement_id}. See `databank agreements`.",
        )
    return agreement


def _open(uow: UnitOfWork, agreement_id: AgreementId, now: datetime) -> Agreement:
    agreement = _get(uow, agreement_id)
    if agreement.is_over(now):
        raise ConflictError(ko="이미 끝난 합의입니다.", en="The agreement is over already.")
    return agreement
