"""Use cases of transfer processes: load, decide, store and queue, in one transaction.

Our own next message is decided when the counterparty's arrives, or later by whoever calls
``act``. Each side lifts the pause that it has made itself, nobody else's.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import partial
from typing import Any, Final

from connector.agreement import store as agreements
from connector.agreement.model import Agreement
from connector.dsp.edge import DspError, ErrorType, Process
from connector.dsp.redelivery import Received, Seen, code_in, is_repetition, note
from connector.outbox import store as outbox
from connector.outbox.model import Kind, OutgoingMessage
from connector.outbox.service import enqueue
from connector.runtime import Runtime
from connector.side import IllegalTransitionError, Side
from connector.transfer import store
from connector.transfer.decide import Move
from connector.transfer.machine import FINAL, SAID_ONCE, Message, State, step
from connector.transfer.model import TransferProcess
from connector.transfer.pause import NO_PAUSE, Pauses, step_heard, step_said
from connector.transfer.reconcile import ANNOUNCED, OVERTAKEN
from databank.kit.clock import new_secret
from databank.kit.db import UnitOfWork
from schemas.dcat import FORMAT_QUERY, FORMAT_READ
from schemas.dsp import transfer as wire
from schemas.dsp.message import Message as WireMessage
from schemas.ids import AgreementId, ParticipantId, ProcessId
from schemas.participant import Participant
from schemas.terms import Mode, UnknownTermError

REASON_CHARS_MAX: Final = 500
FORMATS: Final = {FORMAT_READ: Mode.READ, FORMAT_QUERY: Mode.QUERY}


def request(
    uow: UnitOfWork, runtime: Runtime, agreement: Agreement, *, peer_url: str
) -> TransferProcess:
    """Ask for a transfer process under an agreement (consumer), or return the running one.

    Args:
        uow: The transaction.
        runtime: The connector that asks.
        agreement: The agreement; we are its consumer.
        peer_url: The provider's DSP base.
    """
    known = running_as_consumer(uow, agreement.id)
    if known is not None:
        return known
    consumer_pid = ProcessId(runtime.make_id())
    process = TransferProcess(
        side=Side.CONSUMER,
        consumer_pid=consumer_pid,
        provider_pid=None,
        counterparty_id=agreement.provider_id,
        peer_url=peer_url.rstrip("/"),
        agreement_id=agreement.id,
        format=_wanted_format(agreement),
        state=step(None, Side.CONSUMER, Message.REQUEST),
        updated_at=runtime.clock(),
    )
    message = wire.TransferRequestMessage(
        consumer_pid=consumer_pid,
        agreement_id=agreement.id,
        format=process.format,
        callback_address=runtime.dsp_url,
    )
    _save(uow, runtime, process)
    _send(uow, runtime, process, "/transfers/request", message)
    return process


def running_as_consumer(uow: UnitOfWork, agreement_id: AgreementId) -> TransferProcess | None:
    """Return the transfer process that we have asked for under an agreement and that runs."""
    found = store.running(uow, agreement_id)
    return next((process for process in found if process.side is Side.CONSUMER), None)


def _wanted_format(agreement: Agreement) -> str:
    try:
        terms, _ = agreement.terms_and_plan()
    except UnknownTermError:
        return FORMAT_READ
    return FORMAT_QUERY if Mode.QUERY in terms.modes else FORMAT_READ


def on_request(
    uow: UnitOfWork,
    runtime: Runtime,
    consumer: Participant,
    message: wire.TransferRequestMessage,
    received: Received,
) -> TransferProcess:
    """Take a consumer's request (provider); the answer is the decider's.

    Raises:
        DspError: 404 for an agreement that is not this consumer's, 400 for another format or
            a push.
    """
    consumer_pid = ProcessId(message.consumer_pid)
    known = store.by_consumer_pid(uow, consumer_pid, consumer.id)
    if known is not None:
        return known
    agreement = agreements.get(uow, AgreementId(message.agreement_id))
    if (
        agreement is None
        or agreement.side is not Side.PROVIDER
        or agreement.consumer_id != consumer.id
    ):
        raise _request_error(404, "404", "no such agreement", consumer_pid)
    if agreement.is_over(runtime.clock()):
        code = "agreement-terminated" if agreement.is_terminated else "expired"
        raise _request_error(400, code, "the agreement has ended", consumer_pid)
    if message.format not in FORMATS or message.data_address is not None:
        raise _request_error(
            400, "unsupported-format", "only the listed formats, pulled", consumer_pid
        )
    process = TransferProcess(
        side=Side.PROVIDER,
        consumer_pid=consumer_pid,
        provider_pid=ProcessId(runtime.make_id()),
        counterparty_id=consumer.id,
        peer_url=message.callback_address.rstrip("/"),
        agreement_id=agreement.id,
        format=message.format,
        state=step(None, Side.CONSUMER, Message.REQUEST),
        updated_at=runtime.clock(),
    )
    if not store.add(uow, process):  # the same request came at the same moment
        known = store.by_consumer_pid(uow, consumer_pid, consumer.id)
        assert known is not None
        return known
    note(uow, process.pid, received)
    told = partial(runtime.processes.tell, process.pid, process)
    uow.after_commit(told, about=process.pid)
    _answer(uow, runtime, process)
    return process


def _request_error(status: int, code: str, reason: str, consumer_pid: str) -> DspError:
    pids = {"consumerPid": consumer_pid, "providerPid": "unknown"}
    return DspError(ErrorType.TRANSFER, status, code=code, reason=reason, pids=pids)


def load(uow: UnitOfWork, pid: str, *, caller_id: ParticipantId) -> tuple[TransferProcess, Process]:
    """Return the process that the caller may see.

    Raises:
        DspError: 404, absent or someone else's.
    """
    process = store.get(uow, ProcessId(pid))
    if process is None or process.counterparty_id != caller_id:
        raise Process(ErrorType.TRANSFER, Side.PROVIDER, pid).not_found()
    return process, Process(ErrorType.TRANSFER, process.side, pid)


def hear(
    uow: UnitOfWork,
    runtime: Runtime,
    process: TransferProcess,
    edge: Process,
    *,
    message: Message,
    received: Received,
) -> None:
    """Take a message of the counterparty and answer it; nothing if this very one came before.

    Raises:
        DspError: 400, the pids are not this process's, the state forbids it, or a provider
            starts a pull without a data address.
    """
    process = _with_peer_pid(process, edge, received)
    seen = note(uow, process.pid, received)
    if seen is Seen.MESSAGE:
        return
    try:
        state, pauses = _heard(process, message)
    except IllegalTransitionError as error:
        if is_repetition(seen, received, is_said_once=message in SAID_ONCE):
            return
        overtaken = _overtaken(uow, process, message)
        if overtaken is None:
            raise edge.illegal(error, received.raw) from None
        state, pauses = overtaken, NO_PAUSE
    moved = _moved(runtime, process, state, pauses)
    if message is Message.START and moved.side is Side.CONSUMER:
        address = _address_in(edge, received)
        moved = replace(moved, data_address=address if state is State.STARTED else None)
    elif message in {Message.SUSPEND, Message.TERMINATE}:
        moved = replace(moved, reason=_said(received), reason_code=code_in(received))
    if state in FINAL:
        outbox.drop(uow, process.pid)  # nothing more is said
    _save(uow, runtime, moved)
    if message is Message.START and moved.side is Side.PROVIDER and state is State.STARTED:
        # The consumer resumed and needs an address, since the old secret was cleared. Peers
        # for whom a start in STARTED is illegal may refuse it without ending the process.
        moved = _open(uow, runtime, moved, kind=Kind.FRESH_ADDRESS)
    _answer(uow, runtime, moved)


def _overtaken(uow: UnitOfWork, process: TransferProcess, message: Message) -> State | None:
    """Return where a message leads that crossed our last one, or None if it cannot have."""
    state = OVERTAKEN.get((process.state, message))
    waiting = {Message(m.body["@type"]) for m in outbox.waiting(uow, process.pid)}
    is_announced = any(ANNOUNCED[kind] is process.state for kind in waiting)
    return state if is_announced else None


def end(
    uow: UnitOfWork,
    runtime: Runtime,
    process: TransferProcess,
    *,
    state: State,
    reason: str,
    is_told: bool,
) -> None:
    """End a process that the counterparty does not go on with; ``is_told``: tell it so."""
    outbox.drop(uow, process.pid)
    ended = _end(uow, runtime, process, state, reason)
    if is_told and ended.provider_pid is not None:
        _tell(uow, runtime, ended, Move(Message.TERMINATE, ended.reason or ""))


def give_up(uow: UnitOfWork, runtime: Runtime, process: TransferProcess, *, reason: str) -> None:
    """End a process whose request goes on being said, so that its end can be told then."""
    _end(uow, runtime, process, State.TERMINATED, reason)


def _end(
    uow: UnitOfWork, runtime: Runtime, process: TransferProcess, state: State, reason: str
) -> TransferProcess:
    moved = _moved(runtime, process, state, NO_PAUSE)
    ended = replace(moved, reason=reason[:REASON_CHARS_MAX])
    _save(uow, runtime, ended)
    return ended


def learn_provider_pid(
    uow: UnitOfWork, runtime: Runtime, process: TransferProcess, provider_pid: ProcessId
) -> None:
    """Keep the pid that the answer to our request brings.

    If we have ended the process meanwhile, the provider can be told only now.
    """
    known = replace(process, provider_pid=provider_pid)
    _save(uow, runtime, known)
    if known.state is State.TERMINATED:
        _tell(uow, runtime, known, Move(Message.TERMINATE, known.reason or "", known.reason_code))


def _with_peer_pid(process: TransferProcess, edge: Process, received: Received) -> TransferProcess:
    """Check both pids; learn the provider's if its message overtakes the acknowledgement."""
    if process.provider_pid is None:
        process = replace(process, provider_pid=ProcessId(str(received.raw.get("providerPid"))))
    own = {"consumerPid": process.consumer_pid, "providerPid": process.provider_pid}
    for name, pid in own.items():
        if received.raw.get(name) != pid:
            raise DspError(
                ErrorType.TRANSFER,
                400,
                code="pid-mismatch",
                reason=f"{name} is not this process's",
                pids=edge.pids(received.raw),
            )
    return process


def _heard(process: TransferProcess, message: Message) -> tuple[State, Pauses]:
    if message is Message.START and process.is_address_awaited:
        return process.state, process.suspended_by
    return step_heard(process.state, process.suspended_by, process.side.other, message)


def _moved(
    runtime: Runtime, process: TransferProcess, state: State, pauses: Pauses
) -> TransferProcess:
    """Return the process in its new state; access is void in any but STARTED."""
    is_started = state is State.STARTED
    return replace(
        process,
        state=state,
        updated_at=runtime.clock(),
        secret_sha256=process.secret_sha256 if is_started else None,
        data_address=process.data_address if is_started else None,
        suspended_by=pauses,
    )


def _address_in(edge: Process, received: Received) -> dict[str, Any]:
    address: dict[str, Any] | None = received.raw.get("dataAddress")
    if address is None:
        raise DspError(
            ErrorType.TRANSFER,
            400,
            code="malformed",
            reason="a pull starts with a dataAddress",
            pids=edge.pids(received.raw),
        )
    return address


def _said(received: Received) -> str | None:
    """Return why the counterparty suspended or terminated."""
    reasons = received.raw.get("reason") or ()
    return "; ".join(str(reason) for reason in reasons)[:REASON_CHARS_MAX] or None


def _answer(uow: UnitOfWork, runtime: Runtime, heard: TransferProcess) -> None:
    """Ask the decider what we say to what was heard, and say it."""
    if heard.state in FINAL:
        return
    move = runtime.deciders.transfer.next_move(heard)
    if move is not None:
        act(uow, runtime, heard, move)


def act(uow: UnitOfWork, runtime: Runtime, process: TransferProcess, move: Move) -> TransferProcess:
    """Start, resume, suspend, complete or terminate from our side.

    Raises:
        IllegalTransitionError: The state forbids it, or only the counterparty has suspended.
    """
    state, pauses = step_said(process.state, process.suspended_by, process.side, move.message)
    moved = _moved(runtime, process, state, pauses)
    if move.message in {Message.START, Message.SUSPEND}:
        moved = replace(moved, has_resumed=move.message is Message.START)
    if move.message is Message.START and moved.side is Side.PROVIDER:
        return _open(uow, runtime, moved, kind=Kind.TRANSFER)
    if move.reason:
        moved = replace(moved, reason=move.reason[:REASON_CHARS_MAX], reason_code=move.code)
    _save(uow, runtime, moved)
    if moved.provider_pid is not None:  # else our request is not acknowledged: nobody to tell
        _tell(uow, runtime, moved, move)
    return moved


def _open(
    uow: UnitOfWork, runtime: Runtime, process: TransferProcess, *, kind: Kind
) -> TransferProcess:
    """Send the consumer an address with a fresh secret (provider); only its hash is kept.

    While the consumer's own pause holds the process up, the address opens nothing.
    """
    secret, is_open = new_secret(), process.state is State.STARTED
    sha256 = hashlib.sha256(secret.encode()).hexdigest() if is_open else None
    opened = replace(process, secret_sha256=sha256)
    _save(uow, runtime, opened)
    if is_open and opened.format == FORMAT_QUERY:
        for action in runtime.before_queries:
            uow.after_commit(action)
    endpoint = f"{runtime.settings.url}/data/{opened.pid}"
    address = wire.bearer_address(endpoint, secret)
    message = wire.TransferStartMessage(**_pids(opened), data_address=address)
    _send(uow, runtime, opened, f"/transfers/{opened.consumer_pid}/start", message, kind=kind)
    return opened


_SAID: Final[dict[Message, tuple[str, type[WireMessage]]]] = {
    Message.START: ("start", wire.TransferStartMessage),
    Message.COMPLETE: ("completion", wire.TransferCompletionMessage),
    Message.SUSPEND: ("suspension", wire.TransferSuspensionMessage),
    Message.TERMINATE: ("termination", wire.TransferTerminationMessage),
}


def _tell(uow: UnitOfWork, runtime: Runtime, process: TransferProcess, move: Move) -> None:
    ending, model = _SAID[move.message]
    peer_pid = process.provider_pid if process.side is Side.CONSUMER else process.consumer_pid
    body = _pids(process)
    if move.reason and move.message in {Message.SUSPEND, Message.TERMINATE}:
        body |= {"reason": (move.reason,), "code": move.code}
    _send(uow, runtime, process, f"/transfers/{peer_pid}/{ending}", model.model_validate(body))


def _pids(process: TransferProcess) -> dict[str, Any]:
    return {"consumer_pid": process.consumer_pid, "provider_pid": process.provider_pid}


def _save(uow: UnitOfWork, runtime: Runtime, process: TransferProcess) -> None:
    store.put(uow, process)
    told = partial(runtime.processes.tell, process.pid, process)
    uow.after_commit(told, about=process.pid)


def _send(
    uow: UnitOfWork,
    runtime: Runtime,
    process: TransferProcess,
    path: str,
    message: WireMessage,
    *,
    kind: Kind = Kind.TRANSFER,
) -> None:
    outgoing = OutgoingMessage(
        kind=kind,
        process_key=process.pid,
        url=process.peer_url + path,
        audience=process.counterparty_id,
        body={"@id": runtime.make_id(), **message.to_json()},
    )
    enqueue(uow, runtime, outgoing)
