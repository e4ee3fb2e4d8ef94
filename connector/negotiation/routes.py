"""Contract negotiation endpoints of DSP 2025-1, both sides."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends

from connector.dsp.edge import BodyDep, DspCallerDep, DspError, ErrorType, receive
from connector.negotiation import service
from connector.negotiation.machine import Message
from connector.negotiation.model import Negotiation
from connector.runtime import Runtime, get_runtime
from connector.side import Side
from databank.kit.routes import Router
from schemas.dsp import negotiation as wire

router = Router(prefix="/dsp/2025-1/negotiations", tags=["dsp negotiation"])
RuntimeDep = Annotated[Runtime, Depends(get_runtime)]
NEGOTIATION = ErrorType.NEGOTIATION


def _shown(negotiation: Negotiation) -> dict[str, Any]:
    return wire.ContractNegotiation(
        consumer_pid=negotiation.consumer_pid,
        provider_pid=negotiation.provider_pid or "unknown",
        state=negotiation.state.value,
    ).to_json()


@router.post("/request", status_code=201)
def request(runtime: RuntimeDep, body: BodyDep, caller: DspCallerDep) -> dict[str, Any]:
    """Take a consumer's initial request."""
    message, received = receive(body, wire.ContractRequestMessage, NEGOTIATION)
    if message.callback_address is None or message.offer.target is None:
        raise DspError(
            NEGOTIATION,
            400,
            code="malformed",
            reason="an initial request has a callbackAddress and an offer with a target",
            pids={"consumerPid": message.consumer_pid, "providerPid": "unknown"},
        )
    negotiation = service.on_request(caller.uow, runtime, caller.participant, message, received)
    return _shown(negotiation)


@router.post("/offers", status_code=201)
def offers(body: BodyDep, caller: DspCallerDep) -> dict[str, Any]:
    """Refuse offers that nobody asked for: this connector begins negotiations itself."""
    del caller
    message, _ = receive(body, wire.ContractOfferMessage, NEGOTIATION)
    raise DspError(
        NEGOTIATION,
        400,
        code="not-requested",
        reason="this participant takes offers only in answer to its own requests",
        pids={"consumerPid": "unknown", "providerPid": message.provider_pid},
    )


@router.get("/{pid}")
def show(pid: str, caller: DspCallerDep) -> dict[str, Any]:
    """Return the state of a negotiation to its counterparty."""
    negotiation, _ = service.load(caller.uow, pid, caller_id=caller.participant.id)
    return _shown(negotiation)


@router.post("/{pid}/request")
def counter_request(
    pid: str, runtime: RuntimeDep, body: BodyDep, caller: DspCallerDep
) -> dict[str, Any]:
    """Take a consumer's counter-request (we are the provider)."""
    negotiation, process = service.load(
        caller.uow, pid, caller_id=caller.participant.id, side=Side.PROVIDER
    )
    message, received = receive(body, wire.ContractRequestMessage, NEGOTIATION, process)
    if message.provider_pid is None:
        raise DspError(
            NEGOTIATION,
            400,
            code="malformed",
            reason="a counter-request has a providerPid and no callbackAddress",
            pids=process.pids(received.raw),
        )
    service.hear(
        caller.uow, runtime, negotiation, process, message=Message.REQUEST, received=received
    )
    return {}


@router.post("/{pid}/offers")
def offer(pid: str, runtime: RuntimeDep, body: BodyDep, caller: DspCallerDep) -> dict[str, Any]:
    """Take a provider's offer (we are the consumer)."""
    negotiation, process = service.load(
        caller.uow, pid, caller_id=caller.participant.id, side=Side.CONSUMER
    )
    _, received = receive(body, wire.ContractOfferMessage, NEGOTIATION, process)
    service.hear(
        caller.uow, runtime, negotiation, process, message=Message.OFFER, received=received
    )
    return {}


@router.post("/{pid}/agreement")
def agreement(pid: str, runtime: RuntimeDep, body: BodyDep, caller: DspCallerDep) -> dict[str, Any]:
    """Take a provider's agreement (we are the consumer)."""
    negotiation, process = service.load(
        caller.uow, pid, caller_id=caller.participant.id, side=Side.CONSUMER
    )
    _, received = receive(body, wire.ContractAgreementMessage, NEGOTIATION, process)
    service.hear(
        caller.uow, runtime, negotiation, process, message=Message.AGREE, received=received
    )
    return {}


@router.post("/{pid}/agreement/verification")
def verification(
    pid: str, runtime: RuntimeDep, body: BodyDep, caller: DspCallerDep
) -> dict[str, Any]:
    """Take a consumer's verification (we are the provider)."""
    negotiation, process = service.load(
        caller.uow, pid, caller_id=caller.participant.id, side=Side.PROVIDER
    )
    _, received = receive(body, wire.ContractAgreementVerificationMessage, NEGOTIATION, process)
    service.hear(
        caller.uow, runtime, negotiation, process, message=Message.VERIFY, received=received
    )
    return {}


@router.post("/{pid}/events")
def events(pid: str, runtime: RuntimeDep, body: BodyDep, caller: DspCallerDep) -> dict[str, Any]:
    """Take ``ACCEPTED`` from a consumer or ``FINALIZED`` from a provider."""
    negotiation, process = service.load(caller.uow, pid, caller_id=caller.participant.id)
    message, received = receive(body, wire.ContractNegotiationEventMessage, NEGOTIATION, process)
    event = Message.ACCEPT if message.event_type == "ACCEPTED" else Message.FINALIZE
    service.hear(caller.uow, runtime, negotiation, process, message=event, received=received)
    return {}


@router.post("/{pid}/termination")
def termination(
    pid: str, runtime: RuntimeDep, body: BodyDep, caller: DspCallerDep
) -> dict[str, Any]:
    """Take the counterparty's termination."""
    negotiation, process = service.load(caller.uow, pid, caller_id=caller.participant.id)
    _, received = receive(body, wire.ContractNegotiationTerminationMessage, NEGOTIATION, process)
    service.hear(
        caller.uow, runtime, negotiation, process, message=Message.TERMINATE, received=received
    )
    return {}
