"""Use cases of the management API that concern negotiations."""

from __future__ import annotations

from pydantic import ValidationError

from connector.agreement import store as agreements
from connector.agreement.model import KnownDataset
from connector.management.joining import active_supplier, check_joined, require_membership
from connector.management.waiting import is_over, wait_for
from connector.negotiation import service as negotiating
from connector.negotiation import store
from connector.negotiation.decide import Move, Refusal
from connector.negotiation.machine import FINAL, Message
from connector.negotiation.model import Negotiation
from connector.runtime import Runtime
from schemas.ids import AgreementId, ProcessId
from schemas.management import NegotiateRequest, NegotiationList, NegotiationView, ProcessRole
from schemas.problem import InvalidRequestError, NotFoundError


def negotiate(runtime: Runtime, request: NegotiateRequest) -> NegotiationView:
    """Start a negotiation.

    Raises:
        NotJoinedError: We are not an active participant.
        NotFoundError: The provider is not registered.
        SupplierSuspendedError: The provider is not active.
        InvalidRequestError: The policy is not an offer, the dataset is another one, or the
            provider is ourselves.
        MembershipPendingError: We have no credential to show yet.
    """
    if request.provider_id == runtime.did:
        raise InvalidRequestError(
            ko="자기 회사의 데이터셋이라 합의할 상대가 없습니다.",
            en="This dataset is your own company's: there is nobody to agree with.",
        )
    check_joined(runtime)
    require_membership(runtime)
    provider = active_supplier(runtime, request.provider_id)
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
        found = store.newest(uow, limit=limit)
    return NegotiationList(negotiations=tuple(view_negotiation(n) for n in found))


def wait_for_negotiation(runtime: Runtime, pid: ProcessId, seconds: float) -> NegotiationView:
    """Return a negotiation once it is final, or as it is after ``seconds``.

    Raises:
        NotFoundError: There is none with this pid.
    """
    negotiation = wait_for(
        runtime,
        lambda uow: store.get(uow, pid),
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
        negotiation = store.get(uow, pid)
        if negotiation is None:
            raise NotFoundError(ko="그런 협상이 없습니다.", en="There is no such negotiation.")
        if negotiation.state in FINAL:
            raise is_over(negotiation.state.value)
        move = Move(Message.TERMINATE, refusal=Refusal("terminated", reason))
        return view_negotiation(negotiating.act(uow, runtime, negotiation, move))
