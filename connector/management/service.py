"""Use cases of the management API that concern joining and contracts."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Final, TypeVar

from pydantic import ValidationError

from connector.agreement import store as agreements
from connector.agreement.model import Agreement, KnownDataset
from connector.negotiation import service as negotiating
from connector.negotiation import store as negotiation_store
from connector.negotiation.decide import Move, Refusal
from connector.negotiation.machine import FINAL
from connector.negotiation.machine import Message as NegotiationMessage
from connector.negotiation.model import Negotiation
from connector.offering import store as offerings
from connector.runtime import Runtime
from connector.side import IllegalTransitionError, Side
from connector.transfer import service as transferring
from connector.transfer import store as transfer_store
from connector.transfer.decide import Move as TransferMove
from connector.transfer.machine import Message, State
from connector.transfer.model import TransferProcess
from databank.kit.db import UnitOfWork
from databank.kit.http import RemoteRefusedError
from schemas.ids import AgreementId, ParticipantId, ProcessId, did_web
from schemas.management import (
    AgreementList,
    AgreementView,
    Joining,
    NegotiateRequest,
    NegotiationList,
    NegotiationView,
    ProcessRole,
    TransferView,
)
from schemas.participant import JoinRequest, Jwk, Participant, Status
from schemas.problem import (
    ConflictError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    RemoteUnavailableError,
)
from schemas.wire import Text

PERIOD: Final = re.compile(r"^\d{4}-(0[1-9]|1[0-2])$")
ValueT = TypeVar("ValueT")


class NotJoinedError(ForbiddenError):
    """We are not an active participant, so nobody answers us."""

    slug = "not-joined"
    title = Text(ko="참여 중인 기업이 아닙니다", en="This company is not an active participant")


class SupplierSuspendedError(ForbiddenError):
    """The supplier's participation is suspended or not approved yet."""

    slug = "supplier-suspended"
    title = Text(ko="정지된 공급기업입니다", en="The supplier is suspended")


class Change(StrEnum):
    """How a transfer process can be changed from our side."""

    START = "start"
    COMPLETION = "completion"
    SUSPENSION = "suspension"
    TERMINATION = "termination"


_CHANGES: Final = {
    Change.START: Message.START,
    Change.COMPLETION: Message.COMPLETE,
    Change.SUSPENSION: Message.SUSPEND,
    Change.TERMINATION: Message.TERMINATE,
}


def join(runtime: Runtime, joining: Joining) -> Participant:
    """Register at the broker.

    Raises:
        RemoteRefusedError: The broker says why not.
    """
    request = JoinRequest(
        handle=joining.handle,
        name=joining.name,
        brn=joining.brn,
        connector_url=runtime.settings.url,
        jwk=Jwk.model_validate(runtime.identity.key.public.jwk),
    )
    broker = runtime.settings.broker_url.rstrip("/")
    answer = runtime.client.call_json(
        "POST", f"{broker}/participants", audience=did_web(broker), json=request.to_json()
    )
    runtime.directory.forget(runtime.did)
    return Participant.model_validate(answer)


def own_participant(runtime: Runtime) -> Participant:
    """Return how the registry knows us.

    Raises:
        NotFoundError: We have not joined.
    """
    participant = runtime.directory.find(runtime.did)
    if participant is None:
        raise NotFoundError(
            ko="아직 가입하지 않았습니다. `databank join`으로 가입하세요.",
            en="Not registered yet. Join with `databank join`.",
        )
    return participant


def check_joined(runtime: Runtime) -> None:
    """Let an active participant pass, and one of whom the registry says nothing now.

    Raises:
        NotJoinedError: We have not joined, are not approved yet, or were revoked.
    """
    try:
        participant = runtime.directory.find(runtime.did)
    except (RemoteUnavailableError, RemoteRefusedError):
        return
    if participant is None:
        raise NotJoinedError(
            ko="아직 가입하지 않았습니다. `databank join`으로 가입하세요.",
            en="Not registered yet. Join with `databank join`.",
        )
    if participant.status is Status.PENDING:
        raise NotJoinedError(
            ko="가입 승인을 기다리고 있습니다. 운영기관에 문의하세요.",
            en="Waiting for approval. Ask the operator.",
        )
    if participant.status is Status.REVOKED:
        raise NotJoinedError(
            ko="우리 회사의 참여가 정지되었습니다. 운영기관에 문의하세요.",
            en="Our participation is suspended. Ask the operator.",
        )


def _active(runtime: Runtime, participant_id: ParticipantId) -> Participant:
    participant = runtime.directory.find(participant_id)
    if participant is None:
        raise NotFoundError(
            ko=f"{participant_id}: 등록된 참여자가 아닙니다.",
            en=f"{participant_id} is not a registered participant.",
        )
    if participant.status is not Status.ACTIVE:
        raise SupplierSuspendedError(
            ko=f"{participant.name}: 정지된 공급기업입니다. 다시 참여하면 합의를 이어서 쓸 수 "
            "있습니다. 운영기관에 문의하세요.",
            en=f"{participant.name} is a suspended supplier. Agreements go on once it is "
            "readmitted. Ask the operator.",
            participant_id=participant_id,
        )
    return participant


def negotiate(runtime: Runtime, request: NegotiateRequest) -> NegotiationView:
    """Start a negotiation.

    Raises:
        NotJoinedError: We are not an active participant.
        NotFoundError: The provider is not registered.
        SupplierSuspendedError: The provider is not active.
        InvalidRequestError: The policy is not an offer, the dataset is another one, or the
            provider is ourselves.
    """
    if request.provider_id == runtime.did:
        raise InvalidRequestError(
            ko="자기 회사의 데이터셋이라 합의할 상대가 없습니다.",
            en="This dataset is your own company's: there is nobody to agree with.",
        )
    check_joined(runtime)
    provider = _active(runtime, request.provider_id)
    if request.dataset is not None and request.dataset.id != request.dataset_id:
        raise InvalidRequestError(
            ko="dataset이 dataset_id의 것이 아닙니다.", en="dataset is not that of dataset_id."
        )
    if not request.policy.get("permission"):
        raise InvalidRequestError(
            ko="policy가 ODRL 제안이 아닙니다. 카탈로그의 policy를 그대로 보내세요.",
            en="policy is not an ODRL offer. Send the catalog's policy as it is.",
        )
    try:
        with runtime.database.unit_of_work() as uow:
            if request.dataset is not None:
                known = KnownDataset(
                    provider.id, provider.handle, provider.name, dataset=request.dataset
                )
                agreements.remember(uow, known)
            return view_negotiation(
                negotiating.start(uow, runtime, request, peer_url=provider.dsp_url)
            )
    except ValidationError as error:
        said = str(error.errors(include_input=False, include_url=False)[0]["msg"])
        raise InvalidRequestError(
            ko=f"policy를 제안으로 보낼 수 없습니다: {said}",
            en=f"The policy cannot be sent as an offer: {said}",
        ) from None


def view_negotiation(negotiation: Negotiation) -> NegotiationView:
    """Return a negotiation as its owner sees it."""
    agreement = negotiation.agreement
    return NegotiationView(
        pid=negotiation.pid,
        role=ProcessRole(negotiation.side.value),
        consumer_pid=negotiation.consumer_pid,
        provider_pid=negotiation.provider_pid,
        counterparty_id=negotiation.counterparty_id,
        dataset_id=negotiation.dataset_id,
        state=negotiation.state.value,
        agreement_id=AgreementId(agreement["@id"]) if agreement else None,
        reason=negotiation.reason,
        updated_at=negotiation.updated_at,
    )


def negotiations(runtime: Runtime, limit: int) -> NegotiationList:
    """Return negotiations, latest change first."""
    with runtime.database.unit_of_work() as uow:
        found = negotiation_store.newest(uow, limit=limit)
    return NegotiationList(negotiations=tuple(view_negotiation(n) for n in found))


def _wait(
    runtime: Runtime,
    look: Callable[[UnitOfWork], ValueT | None],
    *,
    is_done: Callable[[ValueT], bool],
    seconds: float,
) -> ValueT:
    deadline = time.monotonic() + seconds
    while True:
        seen = runtime.processes.count
        with runtime.database.unit_of_work() as uow:
            value = look(uow)
        if value is None:
            raise NotFoundError(ko="그런 절차가 없습니다.", en="There is no such process.")
        left = deadline - time.monotonic()
        if is_done(value) or left <= 0:
            return value
        runtime.processes.wait(seen, left)


def wait_for_negotiation(runtime: Runtime, pid: ProcessId, seconds: float) -> NegotiationView:
    """Return a negotiation once it is final, or as it is after ``seconds``.

    Raises:
        NotFoundError: There is none with this pid.
    """
    negotiation = _wait(
        runtime,
        lambda uow: negotiation_store.get(uow, pid),
        is_done=lambda n: n.state in FINAL,
        seconds=seconds,
    )
    return view_negotiation(negotiation)


def terminate_negotiation(runtime: Runtime, pid: ProcessId, reason: str) -> NegotiationView:
    """End a negotiation from our side.

    Raises:
        NotFoundError: There is none with this pid.
        ConflictError: It is over already.
    """
    with runtime.database.unit_of_work() as uow:
        negotiation = negotiation_store.get(uow, pid)
        if negotiation is None:
            raise NotFoundError(ko="그런 협상이 없습니다.", en="There is no such negotiation.")
        if negotiation.state in FINAL:
            raise _is_over(negotiation.state.value)
        move = Move(NegotiationMessage.TERMINATE, refusal=Refusal("terminated", reason))
        return view_negotiation(negotiating.act(uow, runtime, negotiation, move))


def _is_over(state: str) -> ConflictError:
    return ConflictError(
        ko=f"지금 상태({state})에서는 할 수 없습니다.", en=f"Not possible in state {state}."
    )


def agreement_list(runtime: Runtime, limit: int) -> AgreementList:
    """Return agreements, newest first, with their running transfer process."""
    with runtime.database.unit_of_work() as uow:
        found = agreements.newest(uow, limit=limit)
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
        found = agreements.bought_as(uow, handle, name)
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
    known = agreements.known(uow, agreement.provider_id, agreement.dataset_id)
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


def transfer(runtime: Runtime, agreement_id: AgreementId) -> TransferView:
    """Start the transfer process of an agreement that we hold as consumer.

    Raises:
        NotFoundError: There is no such agreement.
        ConflictError: The agreement has ended.
        NotJoinedError: We are not an active participant.
        SupplierSuspendedError: The supplier is not active.
    """
    with runtime.database.unit_of_work() as uow:
        agreement = agreements.get(uow, agreement_id)
    if agreement is None or agreement.side is not Side.CONSUMER:
        raise NotFoundError(
            ko="우리가 수요기업인 합의 가운데 그런 것이 없습니다.",
            en="We hold no such agreement as consumer.",
        )
    if agreement.is_terminated:
        raise ConflictError(ko="끝난 합의입니다.", en="The agreement has ended.")
    check_joined(runtime)
    provider = _active(runtime, agreement.provider_id)
    with runtime.database.unit_of_work() as uow:
        return view_transfer(
            transferring.request(uow, runtime, agreement, peer_url=provider.dsp_url)
        )


def view_transfer(process: TransferProcess) -> TransferView:
    """Return a transfer process as its owner sees it; the data address stays inside."""
    return TransferView(
        pid=process.pid,
        role=ProcessRole(process.side.value),
        consumer_pid=process.consumer_pid,
        provider_pid=process.provider_pid,
        counterparty_id=process.counterparty_id,
        agreement_id=process.agreement_id,
        state=process.state.value,
        reason=process.reason,
        updated_at=process.updated_at,
    )


def wait_for_transfer(runtime: Runtime, pid: ProcessId, seconds: float) -> TransferView:
    """Return a transfer process once it has left REQUESTED, or as it is after ``seconds``.

    Raises:
        NotFoundError: There is none with this pid.
    """
    process = _wait(
        runtime,
        lambda uow: transfer_store.get(uow, pid),
        is_done=lambda p: p.state is not State.REQUESTED,
        seconds=seconds,
    )
    return view_transfer(process)


def change_transfer(runtime: Runtime, pid: ProcessId, change: Change, reason: str) -> TransferView:
    """Start or resume, complete, suspend or terminate a transfer process from our side.

    Raises:
        NotFoundError: There is none with this pid.
        ConflictError: Its state forbids it, or the counterparty has suspended it.
    """
    with runtime.database.unit_of_work() as uow:
        process = transfer_store.get(uow, pid)
        if process is None:
            raise NotFoundError(ko="그런 전송이 없습니다.", en="There is no such transfer process.")
        try:
            move = TransferMove(_CHANGES[change], reason)
            changed = transferring.act(uow, runtime, process, move)
        except IllegalTransitionError:
            raise _is_over(process.state.value) from None
        return view_transfer(changed)


def check_period(period: str) -> None:
    """Let a period pass that is a calendar month.

    Raises:
        InvalidRequestError: It is not written ``YYYY-MM``.
    """
    if not PERIOD.match(period):
        raise InvalidRequestError(
            ko=f"정산 기간은 2026-11처럼 씁니다: {period}",
            en=f"A period is written like 2026-11, not {period}.",
        )
