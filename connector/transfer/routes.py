"""Transfer process endpoints of DSP 2025-1, both sides."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends

from connector.dsp.edge import BodyDep, DspCallerDep, ErrorType, receive
from connector.runtime import Runtime, get_runtime
from connector.transfer import service
from connector.transfer.machine import Message
from connector.transfer.model import TransferProcess
from databank.kit.routes import Router
from schemas.dsp import transfer as wire

router = Router(prefix="/dsp/2025-1/transfers", tags=["dsp transfer"])
RuntimeDep = Annotated[Runtime, Depends(get_runtime)]
TRANSFER = ErrorType.TRANSFER


def _shown(process: TransferProcess) -> dict[str, Any]:
    return wire.TransferProcessMessage(
        consumer_pid=process.consumer_pid,
        provider_pid=process.provider_pid or "unknown",
        state=process.state.value,
    ).to_json()


@router.post("/request", status_code=201)
def request(runtime: RuntimeDep, body: BodyDep, caller: DspCallerDep) -> dict[str, Any]:
    """Take a consumer's request."""
    message, received = receive(body, wire.TransferRequestMessage, TRANSFER)
    process = service.on_request(caller.uow, runtime, caller.participant, message, received)
    return _shown(process)


@router.get("/{pid}")
def show(pid: str, caller: DspCallerDep) -> dict[str, Any]:
    """Return the state of a transfer process to its counterparty."""
    process, _ = service.load(caller.uow, pid, caller_id=caller.participant.id)
    return _shown(process)


@router.post("/{pid}/start")
def start(pid: str, runtime: RuntimeDep, body: BodyDep, caller: DspCallerDep) -> dict[str, Any]:
    """Take a start: from the provider with a data address, from the consumer to resume."""
    process, edge = service.load(caller.uow, pid, caller_id=caller.participant.id)
    _, received = receive(body, wire.TransferStartMessage, TRANSFER, edge)
    service.hear(caller.uow, runtime, process, edge, message=Message.START, received=received)
    return {}


@router.post("/{pid}/completion")
def completion(
    pid: str, runtime: RuntimeDep, body: BodyDep, caller: DspCallerDep
) -> dict[str, Any]:
    """Take the counterparty's completion."""
    process, edge = service.load(caller.uow, pid, caller_id=caller.participant.id)
    _, received = receive(body, wire.TransferCompletionMessage, TRANSFER, edge)
    service.hear(caller.uow, runtime, process, edge, message=Message.COMPLETE, received=received)
    return {}


@router.post("/{pid}/suspension")
def suspension(
    pid: str, runtime: RuntimeDep, body: BodyDep, caller: DspCallerDep
) -> dict[str, Any]:
    """Take the counterparty's suspension."""
    process, edge = service.load(caller.uow, pid, caller_id=caller.participant.id)
    _, received = receive(body, wire.TransferSuspensionMessage, TRANSFER, edge)
    service.hear(caller.uow, runtime, process, edge, message=Message.SUSPEND, received=received)
    return {}


@router.post("/{pid}/termination")
def termination(
    pid: str, runtime: RuntimeDep, body: BodyDep, caller: DspCallerDep
) -> dict[str, Any]:
    """Take the counterparty's termination."""
    process, edge = service.load(caller.uow, pid, caller_id=caller.participant.id)
    _, received = receive(body, wire.TransferTerminationMessage, TRANSFER, edge)
    service.hear(caller.uow, runtime, process, edge, message=Message.TERMINATE, received=received)
    return {}
