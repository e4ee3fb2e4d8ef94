"""Use cases of transfer processes: load, decide, store and queue, in one transaction."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any, Final

from connector.agreement import store as agreements
from connector.agreement.model import Agreement
from connector.dsp.edge import DspError, ErrorType, Process
from connector.dsp.redelivery import Received, Seen, note
from connector.outbox.model import Kind, OutgoingMessage
from connector.outbox.service import enqueue
from connector.runtime import Runtime
from connector.side import IllegalTransitionError, Side
from connector.transfer import store
from connector.transfer.machine import FINAL, Message, State, step
from connector.transfer.model import TransferProcess
from databank.kit.clock import new_secret
from databank.kit.db import UnitOfWork
from schemas.dcat import FORMAT_QUERY, FORMAT_READ
from schemas.dsp import transfer as wire
from schemas.dsp.message import Message as WireMessage
from schemas.dsp.message import read_id
from schemas.ids import AgreementId, ParticipantId, ProcessId
from schemas.participant import Participant
from schemas.terms import Mode, UnknownTermError

REASON_CHARS_MAX: Final = 500
FORMATS: Final = {FORMAT_READ: Mode.READ, FORMAT_QUERY: Mode.QUERY}


def request(
    uow: UnitOfWork, runtime: Runtime, agreement: Agreement, provider: Participant
) -> TransferProcess:
    """Start a transfer process for an agreement (consumer), or return the running one."""
    for process in store.running(uow, agreement.id):
        if process.side is Side.CONSUMER:
            return process
    consumer_pid = ProcessId(runtime.make_id())
    process = TransferProcess(
        side=Side.CONSUMER,
        consumer_pid=consumer_pid,
        provider_pid=None,
        counterparty_id=provider.id,
        peer_url=provider.dsp_url,
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
    """Take a consumer's request (provider) and start at once.

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
    if agreement.is_terminated:
        raise _request_error(400, "agreement-terminated", "the agreement has ended", consumer_pid)
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
    uow.after_commit(runtime.processes.give)
    start(uow, runtime, process)
    return process


def _request_error(status: int, code: str, reason: str, consumer_pid: str) -> DspError:
    pids = {"consumerPid": consumer_pid, "providerPid": "unknown"}
    return DspError(ErrorType.TRANSFER, status, code=code, reason=reason, pids=pids)


def start(
    uow: UnitOfWork, runtime: Runtime, process: TransferProcess, *, kind: Kind = Kind.TRANSFER
) -> TransferProcess:
    """Start, or resume, with a fresh secret (provider); only its hash is kept."""
    secret = new_secret()
    started = replace(
        process,
        state=step(process.state, Side.PROVIDER, Message.START),
        secret_sha256=hashlib.sha256(secret.encode()).hexdigest(),
        updated_at=runtime.clock(),
    )
    _save(uow, runtime, started)
    endpoint = f"{runtime.settings.url}/data/{started.pid}"
    message = wire.TransferStartMessage(
        **_pids(started), data_address=wire.bearer_address(endpoint, secret)
    )
    _send(uow, runtime, started, f"/transfers/{started.consumer_pid}/start", message, kind=kind)
    return started


def load(uow: UnitOfWork, pid: str, *, caller_id: ParticipantId) -> tuple[TransferProcess, Process]:
    """Return the process that the caller may see.

    Raises:
        DspError: 404, absent or someone else's.
    """
    process = store.get(uow, ProcessId(pid))
    if process is None or process.counterparty_id != caller_id:
        raise Process(ErrorType.TRANSFER, Side.PROVIDER, pid).not_found()
    return process, Process(ErrorType.TRANSFER, process.side, pid)


def advance(
    uow: UnitOfWork,
    runtime: Runtime,
    process: TransferProcess,
    edge: Process,
    *,
    message: Message,
    received: Received,
) -> TransferProcess | None:
    """Step on a message of the counterparty; None if this very message came before.

    Raises:
        DspError: 400, the pids are not this process's, or the state forbids it.
    """
    if process.provider_pid is None:  # its message overtakes the acknowledgement
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
    seen = note(uow, process.pid, received)
    if seen is Seen.MESSAGE:
        return None
    try:
        state = step(process.state, process.side.other, message)
    except IllegalTransitionError as error:
        if seen is Seen.CONTENT:
            return None
        raise edge.illegal(error, received.raw) from None
    moved = replace(
        process,
        state=state,
        updated_at=runtime.clock(),
        secret_sha256=process.secret_sha256 if state is State.STARTED else None,
        data_address=process.data_address if state is State.STARTED else None,
    )
    _save(uow, runtime, moved)
    return moved


def on_start(
    uow: UnitOfWork,
    runtime: Runtime,
    moved: TransferProcess,
    address: dict[str, Any] | None,
    edge: Process,
) -> None:
    """Keep the data address (consumer), or resume with a fresh one (provider).

    Raises:
        DspError: 400, a provider's start of a pull without a data address.
    """
    if moved.side is Side.CONSUMER:
        if address is None:
            raise DspError(
                ErrorType.TRANSFER,
                400,
                code="malformed",
                reason="a pull starts with a dataAddress",
                pids=edge.pids(),
            )
        _save(uow, runtime, replace(moved, data_address=address))
        return
    # The consumer resumed: it needs an address, since the old secret was cleared. Peers for
    # whom a start in STARTED is illegal may refuse it without ending the process.
    start(uow, runtime, replace(moved, state=State.SUSPENDED), kind=Kind.FRESH_ADDRESS)


def on_end(
    uow: UnitOfWork, runtime: Runtime, moved: TransferProcess, reasons: tuple[Any, ...] | None
) -> None:
    """Keep why the counterparty suspended or terminated."""
    said = "; ".join(str(reason) for reason in reasons or ())[:REASON_CHARS_MAX]
    _save(uow, runtime, replace(moved, reason=said or None))


_ENDINGS: Final[dict[Message, tuple[str, type[WireMessage]]]] = {
    Message.COMPLETE: ("completion", wire.TransferCompletionMessage),
    Message.SUSPEND: ("suspension", wire.TransferSuspensionMessage),
    Message.TERMINATE: ("termination", wire.TransferTerminationMessage),
}


def end(
    uow: UnitOfWork, runtime: Runtime, process: TransferProcess, message: Message, reason: str = ""
) -> TransferProcess:
    """Complete, suspend or terminate from our side; the access secret is void at once.

    Raises:
        IllegalTransitionError: The state forbids it.
    """
    state = step(process.state, process.side, message)
    ended = replace(
        process,
        state=state,
        secret_sha256=None,
        data_address=None,
        reason=reason[:REASON_CHARS_MAX] or process.reason,
        updated_at=runtime.clock(),
    )
    _save(uow, runtime, ended)
    if ended.provider_pid is not None:
        path, model = _ENDINGS[message]
        peer_pid = ended.provider_pid if ended.side is Side.CONSUMER else ended.consumer_pid
        body: dict[str, Any] = {**_pids(ended)}
        if reason and message is not Message.COMPLETE:
            body["reason"] = (reason,)
        _send(uow, runtime, ended, f"/transfers/{peer_pid}/{path}", model.model_validate(body))
    return ended


def _pids(process: TransferProcess) -> dict[str, Any]:
    return {"consumer_pid": process.consumer_pid, "provider_pid": process.provider_pid}


def _save(uow: UnitOfWork, runtime: Runtime, process: TransferProcess) -> None:
    store.put(uow, process)
    uow.after_commit(runtime.processes.give)


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


class TransferDelivery:
    """What follows when one of our transfer messages was taken, or never will be."""

    def delivered(
        self, uow: UnitOfWork, runtime: Runtime, message: OutgoingMessage, answer: dict[str, Any]
    ) -> None:
        """Learn the provider's pid from the answer to our request."""
        process = store.get(uow, ProcessId(message.process_key))
        provider_pid = read_id(answer.get("providerPid"))
        if process is None or process.provider_pid is not None:
            return
        if provider_pid is not None:
            _save(uow, runtime, replace(process, provider_pid=ProcessId(provider_pid)))

    def refused(
        self, uow: UnitOfWork, runtime: Runtime, message: OutgoingMessage, reason: str
    ) -> None:
        """End the process: the counterparty will not go on."""
        process = store.get(uow, ProcessId(message.process_key))
        if process is None or process.state in FINAL:
            return
        ended = replace(
            process,
            state=State.TERMINATED,
            secret_sha256=None,
            data_address=None,
            reason=reason[:REASON_CHARS_MAX],
            updated_at=runtime.clock(),
        )
        _save(uow, runtime, ended)
