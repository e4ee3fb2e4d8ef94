"""Use cases of contract negotiations: load, decide, store and queue, in one transaction.

Our own next message is decided when the counterparty's arrives, or later by whoever calls
``act``; it leaves through the outbox. The stored state is the one that our queued message
announces.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Final

from connector.agreement import store as agreements
from connector.agreement.model import Agreement, End, end_of
from connector.dsp.edge import DspError, ErrorType, Process
from connector.dsp.redelivery import Received, Seen, code_in, is_repetition, note
from connector.negotiation import store
from connector.negotiation.decide import Move, Refusal, Situation
from connector.negotiation.machine import FINAL, SAID_ONCE, Message, State, step
from connector.negotiation.model import Negotiation, Round, agreement_error, make_agreement
from connector.negotiation.outgoing import initial_request, kind_of, message_of, path_of
from connector.negotiation.reconcile import ANNOUNCED, OVERTAKEN
from connector.offering import store as offerings
from connector.offering.model import Published
from connector.outbox import store as outbox
from connector.outbox.model import Kind, OutgoingMessage
from connector.outbox.service import enqueue
from connector.runtime import Runtime
from connector.side import IllegalTransitionError, Side
from connector.transfer import service as transferring
from databank.kit.db import UnitOfWork
from schemas.dsp import negotiation as wire
from schemas.dsp.message import Message as WireMessage
from schemas.ids import AgreementId, DatasetId, ParticipantId, ProcessId, did_web
from schemas.management import NegotiateRequest
from schemas.participant import Participant
from schemas.refusal import RefusalCode
from schemas.terms import UnknownTermError
from schemas.wire import parse_time

REASON_CHARS_MAX: Final = 500
TITLE_CHARS_MAX: Final = 300  # of AgreementRecord


def start(
    uow: UnitOfWork,
    runtime: Runtime,
    request: NegotiateRequest,
    *,
    peer_url: str,
    consumer_pid: ProcessId | None = None,
) -> Negotiation:
    """Ask a provider for an offer of its catalog, as it stands or on other terms (consumer).

    With a ``consumer_pid``, a negotiation that we have begun under it is returned instead.

    Args:
        uow: The transaction.
        runtime: The connector that asks.
        request: The offer, and whose it is.
        peer_url: The provider's DSP base.
        consumer_pid: The new negotiation's pid; without one, it is made.
    """
    now = runtime.clock()
    listed = _as_offer({**request.policy, "@id": request.offer_id}, request.dataset_id)
    wanted = request.proposal.policy() if request.proposal else request.policy
    offer = _as_offer({**wanted, "@id": request.offer_id}, request.dataset_id)
    negotiation = Negotiation(
        side=Side.CONSUMER,
        consumer_pid=consumer_pid or ProcessId(runtime.make_id()),
        provider_pid=None,
        counterparty_id=request.provider_id,
        peer_url=peer_url.rstrip("/"),
        dataset_id=request.dataset_id,
        dataset_title=request.dataset_title,
        offer=offer,
        state=step(None, Side.CONSUMER, Message.REQUEST),
        updated_at=now,
        rounds=(Round(Side.PROVIDER, listed, now), Round(Side.CONSUMER, offer, now)),
        starts_transfer=request.starts_transfer,
    )
    message = initial_request(negotiation, callback_address=runtime.dsp_url)
    if not store.add(uow, negotiation):  # the same form came twice
        begun = store.get(uow, negotiation.pid)
        assert begun is not None
        return begun
    told = partial(runtime.processes.tell, negotiation.pid, negotiation)
    uow.after_commit(told, about=negotiation.pid)
    _send(uow, runtime, negotiation, "/negotiations/request", message)
    return negotiation


def _as_offer(policy: dict[str, Any], target: DatasetId) -> dict[str, Any]:
    return {**policy, "@type": "Offer", "target": target}


def on_request(
    uow: UnitOfWork,
    runtime: Runtime,
    consumer: Participant,
    message: wire.ContractRequestMessage,
    received: Received,
) -> Negotiation:
    """Take an initial request (provider); the answer is the decider's."""
    consumer_pid = ProcessId(message.consumer_pid)
    known = store.by_consumer_pid(uow, consumer_pid, consumer.id)
    if known is not None:
        return known
    offer: dict[str, Any] = received.raw["offer"]
    target = DatasetId(str(offer.get("target", "")))
    published = offerings.get(uow, target)
    assert message.callback_address is not None  # the model wants it without a providerPid
    now = runtime.clock()
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
        updated_at=now,
        rounds=(
            *_listing_round(runtime, published, consumer.id, now),
            Round(Side.CONSUMER, offer, now),
        ),
    )
    if not store.add(uow, negotiation):  # the same request came at the same moment
        known = store.by_consumer_pid(uow, consumer_pid, consumer.id)
        assert known is not None
        return known
    note(uow, negotiation.pid, received)
    told = partial(runtime.processes.tell, negotiation.pid, negotiation)
    uow.after_commit(told, about=negotiation.pid)
    _answer(uow, runtime, negotiation, earlier_offer=offer)
    return negotiation


def _listing_round(
    runtime: Runtime, published: Published | None, consumer_id: ParticipantId, now: datetime
) -> tuple[Round, ...]:
    attested = runtime.verifier.attested(consumer_id)
    if published is None or not published.is_visible_to(consumer_id, attested):
        return ()
    offer = _as_offer(published.offer(), published.dataset.id)
    return (Round(Side.PROVIDER, offer, now),)


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


def hear(
    uow: UnitOfWork,
    runtime: Runtime,
    negotiation: Negotiation,
    process: Process,
    *,
    message: Message,
    received: Received,
) -> None:
    """Take a message of the counterparty and answer it; nothing if this very one came before.

    Raises:
        DspError: 400, the pids are not this negotiation's, the state forbids it, or it would
            conclude an agreement under the id of another.
    """
    negotiation = _with_peer_pid(negotiation, process, received)
    seen = note(uow, negotiation.pid, received)
    if seen is Seen.MESSAGE:
        return
    try:
        state = step(negotiation.state, negotiation.side.other, message)
    except IllegalTransitionError as error:
        if is_repetition(seen, received, is_said_once=message in SAID_ONCE):
            return
        overtaken = _overtaken(uow, negotiation, message)
        if overtaken is None:
            raise process.illegal(error, received.raw) from None
        state = overtaken
    moved = replace(negotiation, state=state, updated_at=runtime.clock())
    if message in {Message.REQUEST, Message.OFFER}:
        offer = _offer_in(moved, process, received)
        moved = moved.proposed(negotiation.side.other, offer, moved.updated_at)
    elif message is Message.AGREE:
        agreement: dict[str, Any] = received.raw["agreement"]
        refusal = _agreement_refusal(uow, runtime, moved, agreement)
        if refusal is not None:
            act(uow, runtime, moved, Move(Message.TERMINATE, refusal=refusal))
            return
        moved = replace(moved, agreement=agreement)
    elif message is Message.TERMINATE:
        moved = replace(moved, reason=_said(received), reason_code=code_in(received))
        _void(uow, negotiation.state, moved, by=moved.counterparty_id)
    _save(uow, runtime, moved)
    if message is Message.FINALIZE:
        _check_free(uow, moved, process, received)
        _conclude(uow, runtime, moved)
    _answer(uow, runtime, moved, earlier_offer=negotiation.offer)


def _check_free(
    uow: UnitOfWork, negotiation: Negotiation, process: Process, received: Received
) -> None:
    """Let no two negotiations conclude the same agreement."""
    assert negotiation.agreement is not None
    error = _taken(uow, AgreementId(negotiation.agreement["@id"]))
    if error is not None:
        raise process.refused("agreement-taken", error, received.raw)


def _overtaken(uow: UnitOfWork, negotiation: Negotiation, message: Message) -> State | None:
    """Return where a message leads that crossed our last one, or None if it cannot have."""
    state = OVERTAKEN.get((negotiation.state, message))
    waiting = {kind_of(m.body) for m in outbox.waiting(uow, negotiation.pid)}
    is_announced = any(ANNOUNCED[kind] is negotiation.state for kind in waiting)
    return state if is_announced else None


def _void(uow: UnitOfWork, before: State, ended: Negotiation, *, by: ParticipantId) -> None:
    """Let go of what a negotiation that has ended did not say yet, and of its agreement."""
    outbox.drop(uow, ended.pid)
    if before is State.FINALIZED and ended.agreement is not None:
        held = AgreementId(ended.agreement["@id"])
        code, reason = ended.reason_code or RefusalCode.OTHER.value, ended.reason or ""
        agreements.put_end(uow, held, End(by, code, reason, ended.updated_at))


def end(
    uow: UnitOfWork, runtime: Runtime, negotiation: Negotiation, *, reason: str, is_told: bool
) -> None:
    """End a negotiation that the counterparty does not go on with; ``is_told``: tell it so."""
    ended = _given_up(runtime, negotiation, reason)
    _void(uow, negotiation.state, ended, by=runtime.did)
    _save(uow, runtime, ended)
    if is_told:
        tell_end(uow, runtime, ended)


def give_up(uow: UnitOfWork, runtime: Runtime, negotiation: Negotiation, *, reason: str) -> None:
    """End a negotiation whose request goes on being said, so that its end can be told then."""
    _save(uow, runtime, _given_up(runtime, negotiation, reason))


def _given_up(runtime: Runtime, negotiation: Negotiation, reason: str) -> Negotiation:
    return replace(
        negotiation,
        state=State.TERMINATED,
        reason=reason[:REASON_CHARS_MAX],
        reason_code=RefusalCode.OTHER.value,
        updated_at=runtime.clock(),
    )


def tell_end(uow: UnitOfWork, runtime: Runtime, ended: Negotiation) -> None:
    """Tell the counterparty that a negotiation is over; not if nothing is known of its own."""
    if ended.provider_pid is None:
        return
    refusal = Refusal(ended.reason_code or RefusalCode.OTHER.value, ended.reason or "")
    message = message_of(ended, Message.TERMINATE, refusal if ended.reason else None)
    _send(uow, runtime, ended, path_of(ended, Message.TERMINATE), message)


def learn_provider_pid(
    uow: UnitOfWork, runtime: Runtime, negotiation: Negotiation, provider_pid: ProcessId
) -> None:
    """Keep the pid that the answer to our request brings.

    If we have ended the negotiation meanwhile, the provider can be told only now.
    """
    known = replace(negotiation, provider_pid=provider_pid)
    _save(uow, runtime, known)
    if known.state is State.TERMINATED:
        tell_end(uow, runtime, known)


def _offer_in(negotiation: Negotiation, process: Process, received: Received) -> dict[str, Any]:
    offer: dict[str, Any] = received.raw["offer"]
    if offer.get("target", negotiation.dataset_id) != negotiation.dataset_id:
        raise DspError(
            ErrorType.NEGOTIATION,
            400,
            code="other-dataset",
            reason="the offer's target is not the dataset of this negotiation",
            pids=process.pids(received.raw),
        )
    return offer


def _said(received: Received) -> str | None:
    """Return why the counterparty ended it."""
    reasons = received.raw.get("reason") or ()
    return "; ".join(str(reason) for reason in reasons)[:REASON_CHARS_MAX] or None


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


def _agreement_refusal(
    uow: UnitOfWork, runtime: Runtime, negotiation: Negotiation, agreement: dict[str, Any]
) -> Refusal | None:
    """Say why an agreement is not the one that was negotiated (consumer); nobody may waive it."""
    error = (
        agreement_error(negotiation, agreement, runtime.did)
        or _unreadable(agreement)
        or _taken(uow, AgreementId(agreement["@id"]))
    )
    return None if error is None else Refusal(RefusalCode.AGREEMENT_DIFFERS.value, error)


def _unreadable(agreement: dict[str, Any]) -> str | None:
    try:
        parse_time(agreement["timestamp"])
    except ValueError as error:
        return str(error)
    return None


def _taken(uow: UnitOfWork, agreement_id: AgreementId) -> str | None:
    is_held = agreements.get(uow, agreement_id) is not None
    return "the agreement's id is that of another agreement" if is_held else None


def _answer(
    uow: UnitOfWork, runtime: Runtime, heard: Negotiation, *, earlier_offer: dict[str, Any]
) -> None:
    """Ask the decider what we say to what was heard, and say it."""
    if heard.state in FINAL:
        return
    is_provider = heard.side is Side.PROVIDER
    situation = Situation(
        published=offerings.get(uow, heard.dataset_id) if is_provider else None,
        earlier_offer=earlier_offer,
        now=runtime.clock(),
        attested=runtime.verifier.attested(heard.counterparty_id) if is_provider else None,
    )
    move = runtime.deciders.negotiation.next_move(heard, situation)
    if move is not None:
        act(uow, runtime, heard, move)


def act(uow: UnitOfWork, runtime: Runtime, negotiation: Negotiation, move: Move) -> Negotiation:
    """Say our next message, at once or whenever somebody has decided.

    Raises:
        IllegalTransitionError: The state forbids it.
        ValidationError: The move's offer is not one that the protocol knows.
    """
    now = runtime.clock()
    state = step(negotiation.state, negotiation.side, move.message)
    moved = replace(negotiation, state=state, updated_at=now)
    if move.offer is not None:
        offer = _as_offer(move.offer, moved.dataset_id)
        moved = moved.proposed(moved.side, offer, now)
    if move.message is Message.AGREE:
        agreement = make_agreement(
            moved.offer,
            agreement_id=runtime.make_id(),
            target=moved.dataset_id,
            assigner=runtime.did,
            assignee=moved.counterparty_id,
            agreed_at=now,
        )
        moved = replace(moved, agreement=agreement)
    if move.refusal is not None:
        said = move.refusal.reason[:REASON_CHARS_MAX]
        moved = replace(moved, reason=said, reason_code=move.refusal.code)
    _save(uow, runtime, moved)
    if moved.provider_pid is not None:  # else our request is not acknowledged: nobody to tell
        message = message_of(moved, move.message, move.refusal)
        _send(uow, runtime, moved, path_of(moved, move.message), message)
    if move.message is Message.FINALIZE:
        _conclude(uow, runtime, moved)
    return moved


def _conclude(uow: UnitOfWork, runtime: Runtime, final: Negotiation) -> None:
    """Store the agreement of a finalized negotiation and tell clearing (both sides)."""
    assert final.agreement is not None
    policy = final.agreement
    agreed_at = parse_time(policy["timestamp"])
    agreement = Agreement(
        id=AgreementId(policy["@id"]),
        side=final.side,
        provider_id=ParticipantId(policy["assigner"]),
        consumer_id=ParticipantId(policy["assignee"]),
        dataset_id=final.dataset_id,
        dataset_title=final.dataset_title,
        policy=policy,
        agreed_at=agreed_at,
        ends_at=end_of(policy, agreed_at),
    )
    agreements.put(uow, agreement)
    if agreement.ends_at is not None:
        uow.after_commit(partial(runtime.deadlines.give_for, agreement.ends_at))
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
    if final.starts_transfer:
        transferring.request(uow, runtime, agreement, peer_url=final.peer_url)


def _save(uow: UnitOfWork, runtime: Runtime, negotiation: Negotiation) -> None:
    store.put(uow, negotiation)
    told = partial(runtime.processes.tell, negotiation.pid, negotiation)
    uow.after_commit(told, about=negotiation.pid)


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
