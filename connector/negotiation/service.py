"""Use cases of contract negotiations: load, decide, store and queue, in one transaction.

Our own next message is decided when the counterparty's arrives, and leaves through the
outbox. The stored state is the one that our queued message announces.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from connector.agreement import store as agreements
from connector.agreement.model import Agreement
from connector.dsp.edge import DspError, ErrorType, Process
from connector.dsp.redelivery import Received, Seen, note
from connector.negotiation import store
from connector.negotiation.decide import Refusal, decide
from connector.negotiation.machine import FINAL, Message, State, step
from connector.negotiation.model import Negotiation, agreement_error, make_agreement, rules_of
from connector.offering import store as offerings
from connector.outbox.model import Kind, OutgoingMessage
from connector.outbox.service import enqueue
from connector.runtime import Runtime
from connector.side import IllegalTransitionError, Side
from databank.kit.db import UnitOfWork
from schemas.dsp import negotiation as wire
from schemas.dsp.message import Message as WireMessage
from schemas.dsp.message import read_id
from schemas.ids import AgreementId, DatasetId, ParticipantId, ProcessId, did_web
from schemas.management import NegotiateRequest
from schemas.participant import Participant
from schemas.terms import UnknownTermError
from schemas.wire import parse_time

REASON_CHARS_MAX: Final = 500
TITLE_CHARS_MAX: Final = 300  # of AgreementRecord


def start(
    uow: UnitOfWork, runtime: Runtime, request: NegotiateRequest, provider: Participant
) -> Negotiation:
    """Ask a provider for an offer as it stands in its catalog (consumer)."""
    consumer_pid = ProcessId(runtime.make_id())
    offer = {**request.policy, "@id": request.offer_id, "@type": "Offer"}
    offer["target"] = request.dataset_id
    negotiation = Negotiation(
        side=Side.CONSUMER,
        consumer_pid=consumer_pid,
        provider_pid=None,
        counterparty_id=provider.id,
        peer_url=provider.dsp_url,
        dataset_id=request.dataset_id,
        dataset_title=request.dataset_title,
        offer=offer,
        state=step(None, Side.CONSUMER, Message.REQUEST),
        updated_at=runtime.clock(),
    )
    message = wire.ContractRequestMessage(
        consumer_pid=consumer_pid,
        callback_address=runtime.dsp_url,
        offer=wire.MessageOffer.model_validate(offer),
    )
    _save(uow, runtime, negotiation)
    _send(uow, runtime, negotiation, "/negotiations/request", message)
    return negotiation


def on_request(
    uow: UnitOfWork,
    runtime: Runtime,
    consumer: Participant,
    message: wire.ContractRequestMessage,
    received: Received,
) -> Negotiation:
    """Take an initial request (provider) and answer it: agree, or terminate with a reason."""
    consumer_pid = ProcessId(message.consumer_pid)
    known = store.by_consumer_pid(uow, consumer_pid, consumer.id)
    if known is not None:
        return known
    offer: dict[str, Any] = received.raw["offer"]
    target = DatasetId(str(offer.get("target", "")))
    published = offerings.get(uow, target)
    assert message.callback_address is not None  # the model wants it without a providerPid
    negotiation = Negotiation(
        side=Side.PROVIDER,
        consumer_pid=consumer_pid,
        provider_pid=ProcessId(runtime.make_id()),
        counterparty_id=consumer.id,
        peer_url=message.callback_address.rstrip("/"),
        dataset_id=target,
        dataset_title=published.dataset.title.ko[:TITLE_CHARS_MAX] if published else "",
        offer=offer,
        state=step(None, Side.CONSUMER, Message.REQUEST),
        updated_at=runtime.clock(),
    )
    if not store.add(uow, negotiation):  # the same request came at the same moment
        known = store.by_consumer_pid(uow, consumer_pid, consumer.id)
        assert known is not None
        return known
    note(uow, negotiation.pid, received)
    uow.after_commit(runtime.processes.give)
    _answer_offer(uow, runtime, negotiation)
    return negotiation


def _answer_offer(uow: UnitOfWork, runtime: Runtime, negotiation: Negotiation) -> None:
    published = offerings.get(uow, negotiation.dataset_id)
    refusal = decide(
        published,
        negotiation.offer,
        consumer_id=negotiation.counterparty_id,
        now=runtime.clock(),
    )
    if refusal is not None:
        terminate(uow, runtime, negotiation, refusal)
        return
    agreement = make_agreement(
        negotiation.offer,
        agreement_id=runtime.make_id(),
        target=negotiation.dataset_id,
        assigner=runtime.did,
        assignee=negotiation.counterparty_id,
        agreed_at=runtime.clock(),
    )
    agreed = replace(
        negotiation,
        state=step(negotiation.state, Side.PROVIDER, Message.AGREE),
        agreement=agreement,
        updated_at=runtime.clock(),
    )
    _save(uow, runtime, agreed)
    message = wire.ContractAgreementMessage(
        consumer_pid=agreed.consumer_pid,
        provider_pid=agreed.pid,
        agreement=wire.MessageAgreement.model_validate(agreement),
    )
    _send(uow, runtime, agreed, f"/negotiations/{agreed.consumer_pid}/agreement", message)


def load(
    uow: UnitOfWork, pid: str, *, caller_id: ParticipantId, side: Side | None = None
) -> tuple[Negotiation, Process]:
    """Return the negotiation that the caller may see.

    Raises:
        DspError: 404, absent, someone else's, or our side is not ``side``.
    """
    process = Process(ErrorType.NEGOTIATION, side or Side.PROVIDER, pid)
    negotiation = store.get(uow, ProcessId(pid))
    if negotiation is None or negotiation.counterparty_id != caller_id:
        raise process.not_found()
    if side is not None and negotiation.side is not side:
        raise process.not_found()
    return negotiation, Process(ErrorType.NEGOTIATION, negotiation.side, pid)


def advance(
    uow: UnitOfWork,
    runtime: Runtime,
    negotiation: Negotiation,
    process: Process,
    *,
    message: Message,
    received: Received,
) -> Negotiation | None:
    """Step on a message of the counterparty; None if this very message came before.

    Raises:
        DspError: 400, the pids are not this negotiation's, or the state forbids it.
    """
    sender = negotiation.side.other
    negotiation = _with_peer_pid(negotiation, process, received)
    seen = note(uow, negotiation.pid, received)
    if seen is Seen.MESSAGE:
        return None
    try:
        state = step(negotiation.state, sender, message)
    except IllegalTransitionError as error:
        if seen is Seen.CONTENT:
            return None
        raise process.illegal(error, received.raw) from None
    moved = replace(negotiation, state=state, updated_at=runtime.clock())
    _save(uow, runtime, moved)
    return moved


def _with_peer_pid(negotiation: Negotiation, process: Process, received: Received) -> Negotiation:
    """Check both pids; learn the provider's if its message overtakes the acknowledgement."""
    if negotiation.provider_pid is None:
        sent = received.raw.get("providerPid")
        negotiation = replace(negotiation, provider_pid=ProcessId(str(sent)))
    own = {"consumerPid": negotiation.consumer_pid, "providerPid": negotiation.provider_pid}
    for name, pid in own.items():
        if received.raw.get(name) != pid:
            raise DspError(
                ErrorType.NEGOTIATION,
                400,
                code="pid-mismatch",
                reason=f"{name} is not this negotiation's",
                pids=process.pids(received.raw),
            )
    return negotiation


def on_counter_offer(uow: UnitOfWork, runtime: Runtime, moved: Negotiation, offer: Any) -> None:  # noqa: ANN401 - wire JSON
    """Answer a counter-request of the consumer (provider): the offer as it stands, or nothing."""
    changed = replace(moved, offer=offer)
    store.put(uow, changed)
    _answer_offer(uow, runtime, changed)


def on_offer(uow: UnitOfWork, runtime: Runtime, moved: Negotiation, offer: dict[str, Any]) -> None:
    """Answer an offer of the provider (consumer): accepted if its rules are what we asked for."""
    if rules_of(offer) != rules_of(moved.offer):
        reason = "조건이 요청한 제안과 다릅니다 (not the terms that were asked for)"
        terminate(uow, runtime, moved, Refusal("terms-differ", reason))
        return
    accepted = replace(moved, state=step(moved.state, Side.CONSUMER, Message.ACCEPT))
    _save(uow, runtime, accepted)
    message = wire.ContractNegotiationEventMessage(**_pids(accepted), event_type="ACCEPTED")
    _send(uow, runtime, accepted, f"/negotiations/{accepted.provider_pid}/events", message)


def on_accepted(uow: UnitOfWork, runtime: Runtime, moved: Negotiation) -> None:
    """Agree after the consumer accepted our offer (provider)."""
    _answer_offer(uow, runtime, moved)


def on_agreement(
    uow: UnitOfWork, runtime: Runtime, moved: Negotiation, agreement: dict[str, Any]
) -> None:
    """Verify an agreement (consumer), or terminate if it is not what we asked for."""
    error = (
        agreement_error(moved, agreement, runtime.did)
        or _unreadable(agreement)
        or _taken(uow, AgreementId(agreement["@id"]))
    )
    if error is not None:
        terminate(uow, runtime, moved, Refusal("agreement-differs", error))
        return
    verified = replace(
        moved,
        state=step(moved.state, Side.CONSUMER, Message.VERIFY),
        agreement=agreement,
        updated_at=runtime.clock(),
    )
    _save(uow, runtime, verified)
    message = wire.ContractAgreementVerificationMessage(**_pids(verified))
    path = f"/negotiations/{verified.provider_pid}/agreement/verification"
    _send(uow, runtime, verified, path, message)


def _unreadable(agreement: dict[str, Any]) -> str | None:
    try:
        parse_time(agreement["timestamp"])
    except ValueError as error:
        return str(error)
    return None


def _taken(uow: UnitOfWork, agreement_id: AgreementId) -> str | None:
    is_held = agreements.get(uow, agreement_id) is not None
    return "the agreement's id is that of another agreement" if is_held else None


def on_verification(uow: UnitOfWork, runtime: Runtime, moved: Negotiation) -> None:
    """Finalize (provider): from here on the agreement is in force."""
    final = replace(
        moved,
        state=step(moved.state, Side.PROVIDER, Message.FINALIZE),
        updated_at=runtime.clock(),
    )
    _save(uow, runtime, final)
    message = wire.ContractNegotiationEventMessage(**_pids(final), event_type="FINALIZED")
    _send(uow, runtime, final, f"/negotiations/{final.consumer_pid}/events", message)
    conclude(uow, runtime, final)


def conclude(uow: UnitOfWork, runtime: Runtime, final: Negotiation) -> None:
    """Store the agreement of a finalized negotiation and tell clearing (both sides)."""
    assert final.agreement is not None
    policy = final.agreement
    agreement = Agreement(
        id=AgreementId(policy["@id"]),
        side=final.side,
        provider_id=ParticipantId(policy["assigner"]),
        consumer_id=ParticipantId(policy["assignee"]),
        dataset_id=final.dataset_id,
        dataset_title=final.dataset_title,
        policy=policy,
        agreed_at=parse_time(policy["timestamp"]),
    )
    agreements.put(uow, agreement)
    try:
        record = agreement.record()
    except UnknownTermError:
        return  # a foreign policy: nothing that we can price, and the entitlement denies all use
    clearing = runtime.settings.clearing_url.rstrip("/")
    enqueue(
        uow,
        runtime,
        OutgoingMessage(
            kind=Kind.AGREEMENT_RECORD,
            process_key=f"agreement:{agreement.id}",
            url=f"{clearing}/agreements",
            audience=did_web(clearing),
            body=record.to_json(),
        ),
    )


def terminate(
    uow: UnitOfWork, runtime: Runtime, negotiation: Negotiation, refusal: Refusal
) -> Negotiation:
    """End a negotiation from our side and tell the counterparty why."""
    ended = replace(
        negotiation,
        state=step(negotiation.state, negotiation.side, Message.TERMINATE),
        reason=refusal.reason[:REASON_CHARS_MAX],
        updated_at=runtime.clock(),
    )
    _save(uow, runtime, ended)
    if ended.provider_pid is not None:
        peer_pid = ended.provider_pid if ended.side is Side.CONSUMER else ended.consumer_pid
        message = wire.ContractNegotiationTerminationMessage(
            **_pids(ended), code=refusal.code, reason=(refusal.reason,)
        )
        _send(uow, runtime, ended, f"/negotiations/{peer_pid}/termination", message)
    return ended


def on_termination(
    uow: UnitOfWork, runtime: Runtime, moved: Negotiation, reasons: tuple[Any, ...] | None
) -> None:
    """Keep why the counterparty ended it."""
    said = "; ".join(str(reason) for reason in reasons or ())[:REASON_CHARS_MAX]
    _save(uow, runtime, replace(moved, reason=said or None))


def _pids(negotiation: Negotiation) -> dict[str, Any]:
    return {"consumer_pid": negotiation.consumer_pid, "provider_pid": negotiation.provider_pid}


def _save(uow: UnitOfWork, runtime: Runtime, negotiation: Negotiation) -> None:
    store.put(uow, negotiation)
    uow.after_commit(runtime.processes.give)


def _send(
    uow: UnitOfWork, runtime: Runtime, negotiation: Negotiation, path: str, message: WireMessage
) -> None:
    outgoing = OutgoingMessage(
        kind=Kind.NEGOTIATION,
        process_key=negotiation.pid,
        url=negotiation.peer_url + path,
        audience=negotiation.counterparty_id,
        body={"@id": runtime.make_id(), **message.to_json()},
    )
    enqueue(uow, runtime, outgoing)


class NegotiationDelivery:
    """What follows when one of our negotiation messages was taken, or never will be."""

    def delivered(
        self, uow: UnitOfWork, runtime: Runtime, message: OutgoingMessage, answer: dict[str, Any]
    ) -> None:
        """Learn the provider's pid from the answer to our request."""
        negotiation = store.get(uow, ProcessId(message.process_key))
        provider_pid = read_id(answer.get("providerPid"))
        if negotiation is None or negotiation.provider_pid is not None:
            return
        if provider_pid is not None:
            _save(uow, runtime, replace(negotiation, provider_pid=ProcessId(provider_pid)))

    def refused(
        self, uow: UnitOfWork, runtime: Runtime, message: OutgoingMessage, reason: str
    ) -> None:
        """End the negotiation: the counterparty will not go on."""
        negotiation = store.get(uow, ProcessId(message.process_key))
        if negotiation is None or negotiation.state in FINAL:
            return
        ended = replace(
            negotiation,
            state=State.TERMINATED,
            reason=reason[:REASON_CHARS_MAX],
            updated_at=runtime.clock(),
        )
        _save(uow, runtime, ended)
