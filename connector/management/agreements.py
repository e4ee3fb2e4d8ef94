"""Use cases of the management API that concern agreements."""

from __future__ import annotations

from connector.agreement import store
from connector.agreement.model import Agreement
from connector.offering import store as offerings
from connector.runtime import Runtime
from connector.side import Side
from connector.transfer import store as transfer_store
from connector.transfer.model import TransferProcess
from databank.kit.db import UnitOfWork
from databank.kit.http import RemoteRefusedError
from schemas.ids import ParticipantId
from schemas.management import AgreementList, AgreementView, ProcessRole
from schemas.participant import Participant
from schemas.problem import RemoteUnavailableError


def agreement_list(runtime: Runtime, limit: int) -> AgreementList:
    """Return agreements, newest first, with their running transfer process."""
    with runtime.database.unit_of_work() as uow:
        found = store.newest(uow, limit=limit)
        running = transfer_store.running_of_all(uow, [agreement.id for agreement in found])
        names = {a.id: _dataset_name(uow, a) for a in found}
    parties = _parties(runtime, {p for a in found for p in (a.provider_id, a.consumer_id)})
    views = tuple(
        _view_agreement(a, running.get(a.id)).model_copy(
            update={"dataset_name": names[a.id], **_party_names(a, parties)}
        )
        for a in found
    )
    return AgreementList(agreements=views)


def bought_agreements(runtime: Runtime, ref: str) -> AgreementList:
    """Return the running agreements that we hold for ``handle.name``, with their dataset."""
    handle, _, name = ref.partition(".")
    with runtime.database.unit_of_work() as uow:
        found = store.bought_as(uow, handle, name)
        running = transfer_store.running_of_all(uow, [agreement.id for agreement, _ in found])
    views = tuple(
        _view_agreement(agreement, running.get(agreement.id)).model_copy(
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


def _parties(runtime: Runtime, ids: set[ParticipantId]) -> dict[ParticipantId, Participant]:
    """Return who is who as far as the registry answers; a list of agreements needs no more."""
    found: dict[ParticipantId, Participant] = {}
    for id_ in sorted(ids):
        try:
            participant = runtime.directory.find(id_)
        except (RemoteUnavailableError, RemoteRefusedError):
            break  # it would not answer for the others either
        if participant is not None:
            found[id_] = participant
    return found


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


def _view_agreement(agreement: Agreement, process: TransferProcess | None) -> AgreementView:
    return AgreementView(
        agreement_id=agreement.id,
        role=ProcessRole(agreement.side.value),
        provider_id=agreement.provider_id,
        consumer_id=agreement.consumer_id,
        dataset_id=agreement.dataset_id,
        dataset_title=agreement.dataset_title,
        policy=agreement.policy,
        agreed_at=agreement.agreed_at,
        is_terminated=agreement.is_terminated,
        transfer_pid=process.pid if process else None,
        transfer_state=process.state.value if process else None,
    )
