"""Use cases of the management API that concern negotiations."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, Final

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError

from connector.agreement import store as agreements
from connector.agreement.model import KnownDataset
from connector.management.joining import (
    active_supplier,
    check_joined,
    known_participants,
    require_membership,
)
from connector.management.negotiation_view import view_negotiation
from connector.management.waiting import wait_aside
from connector.negotiation import service as negotiating
from connector.negotiation import store
from connector.negotiation.decide import Move, hindrance, refusal_for
from connector.negotiation.machine import FINAL, Message
from connector.negotiation.model import Negotiation, rules_of
from connector.publish.licensing import license_offer
from connector.runtime import Runtime
from connector.side import Side
from databank.kit.db import UnitOfWork
from schemas.ids import ProcessId
from schemas.management import (
    AnswerKind,
    EndRequest,
    NegotiateRequest,
    NegotiationAnswer,
    NegotiationList,
    NegotiationView,
)
from schemas.problem import ConflictError, InvalidRequestError, NotFoundError
from schemas.terms import UnknownTermError, from_policy
from schemas.wire import Text

_OWN_PID: Final = re.compile(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class NotOurTurnError(ConflictError):
    """Nothing waits for our answer in this negotiation, or something else than was seen."""

    slug = "not-our-turn"
    title = Text(ko="지금 답할 제안이 없습니다", en="Nothing to answer now")


class CannotAgreeError(ConflictError):
    """The proposal holds something that this connector could not keep."""

    slug = "cannot-agree"
    title = Text(ko="합의할 수 없는 제안입니다", en="This proposal cannot be agreed to")


def as_own_pid(text: str) -> ProcessId:
    """Return a pid that this connector has made for a negotiation which is not begun yet.

    Raises:
        InvalidRequestError: It is none.
    """
    if not _OWN_PID.fullmatch(text):
        raise InvalidRequestError(
            ko="양식의 pid가 없습니다. 페이지를 다시 열어 보내세요.",
            en="The form's pid is missing. Open the page again and send it.",
        )
    return ProcessId(text)


def negotiate(
    runtime: Runtime, request: NegotiateRequest, *, pid: ProcessId | None = None
) -> NegotiationView:
    """Start a negotiation.

    Args:
        runtime: The connector that asks.
        request: The offer, and whose it is.
        pid: The new negotiation's pid; if it is begun already, nothing is begun twice.

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
            started = negotiating.start(
                uow, runtime, request, peer_url=provider.dsp_url, consumer_pid=pid
            )
            return _view(runtime, started, has_rounds=False)
    except ValidationError as error:
        said = str(error.errors(include_input=False, include_url=False)[0]["msg"])
        raise InvalidRequestError(
            ko=f"policy를 제안으로 보낼 수 없습니다: {said}",
            en=f"The policy cannot be sent as an offer: {said}",
        ) from None


def negotiations(runtime: Runtime, limit: int) -> NegotiationList:
    """Return negotiations, latest change first."""
    with runtime.database.unit_of_work() as uow:
        found = store.newest(uow, limit=limit)
    return _list(runtime, found, has_rounds=False)


def inbox(runtime: Runtime, limit: int) -> NegotiationList:
    """Return what waits for our answer, longest waiting first, with all rounds."""
    with runtime.database.unit_of_work() as uow:
        found = store.waiting(uow, limit=limit)
    return _list(runtime, found, has_rounds=True)


def _list(runtime: Runtime, found: list[Negotiation], *, has_rounds: bool) -> NegotiationList:
    names = known_participants(runtime, {n.counterparty_id for n in found})
    views = (_view(runtime, n, has_rounds=has_rounds) for n in found)
    return NegotiationList(
        negotiations=tuple(
            view.model_copy(update={"counterparty_name": names[view.counterparty_id].name})
            if view.counterparty_id in names
            else view
            for view in views
        )
    )


def _view(runtime: Runtime, negotiation: Negotiation, *, has_rounds: bool) -> NegotiationView:
    days = timedelta(days=runtime.settings.negotiation_days)
    return view_negotiation(negotiation, patience=days, has_rounds=has_rounds)


def show_negotiation(runtime: Runtime, pid: ProcessId) -> NegotiationView:
    """Return a negotiation with its rounds, as it is now.

    Raises:
        NotFoundError: There is none with this pid.
    """
    with runtime.database.unit_of_work() as uow:
        negotiation = _get(uow, pid)
    return _named_view(runtime, negotiation)


async def wait_for_negotiation(
    request: Request, runtime: Runtime, pid: ProcessId, seconds: float
) -> NegotiationView:
    """Return a negotiation once it is final or awaits us, or as it is after ``seconds``.

    Raises:
        NotFoundError: There is none with this pid.
    """
    negotiation = await wait_aside(
        request,
        runtime,
        pid,
        lambda uow: store.look(uow, pid),
        is_done=lambda n: n.state in FINAL or n.awaits_us,
        seconds=seconds,
    )
    return await run_in_threadpool(_named_view, runtime, negotiation)


def _named_view(runtime: Runtime, negotiation: Negotiation) -> NegotiationView:
    names = known_participants(runtime, {negotiation.counterparty_id})
    name = names[negotiation.counterparty_id].name if names else None
    view = _view(runtime, negotiation, has_rounds=True)
    return view.model_copy(update={"counterparty_name": name})


def answer(runtime: Runtime, pid: ProcessId, said: NegotiationAnswer) -> NegotiationView:
    """Answer the counterparty's proposal: accept it, propose something else, or refuse.

    Raises:
        NotFoundError: There is none with this pid.
        NotOurTurnError: Nothing waits for our answer, or not what was seen.
        CannotAgreeError: The proposal cannot be agreed to.
        InvalidRequestError: The counter-proposal is what is on the table already.
        TermsDoNotFitError: The terms to agree to do not fit our dataset.
    """
    _license(runtime, pid, said)
    with runtime.database.unit_of_work() as uow:
        negotiation = _get(uow, pid)
        if not negotiation.awaits_us:
            raise _not_our_turn(negotiation)
        if said.rounds_count not in {None, len(negotiation.rounds)}:
            raise NotOurTurnError(
                ko="그 사이에 새 제안이 왔습니다. 다시 보고 답하세요.",
                en="There is a new proposal meanwhile. Look again before you answer.",
                rounds_count=len(negotiation.rounds),
            )
        move = _move(runtime, negotiation, said)
        return _view(runtime, negotiating.act(uow, runtime, negotiation, move), has_rounds=True)


def _license(runtime: Runtime, pid: ProcessId, said: NegotiationAnswer) -> None:
    """Make ready what the terms license that our answer may end in (provider)."""
    with runtime.database.unit_of_work() as uow:
        negotiation = _get(uow, pid)
    if negotiation.side is not Side.PROVIDER or said.kind is AnswerKind.REFUSE:
        return
    try:
        terms = said.proposal.terms if said.proposal else from_policy(negotiation.offer)[0]
    except UnknownTermError:
        return  # nobody can agree to it: the answer says so
    license_offer(runtime, negotiation.dataset_id, terms)


def _move(runtime: Runtime, negotiation: Negotiation, said: NegotiationAnswer) -> Move:
    is_provider = negotiation.side is Side.PROVIDER
    if said.kind is AnswerKind.REFUSE:
        return Move(Message.TERMINATE, refusal=refusal_for(said.code, said.reason))
    if said.kind is AnswerKind.ACCEPT:
        if is_provider:
            _check_possible(runtime, negotiation.offer)
        return Move(Message.AGREE if is_provider else Message.ACCEPT)
    assert said.proposal is not None  # the model wants it
    offer = {**said.proposal.policy(), "@id": runtime.make_id()}
    _check_possible(runtime, offer)
    if rules_of(offer) == rules_of(negotiation.offer):
        raise InvalidRequestError(
            ko="지금 제안과 같은 조건입니다. 그대로 좋으면 수락하세요.",
            en="These are the terms on the table. Accept them if they suit you.",
        )
    return Move(Message.OFFER if is_provider else Message.REQUEST, offer=offer)


def _check_possible(runtime: Runtime, offer: dict[str, Any]) -> None:
    refusal = hindrance(offer, runtime.clock())
    if refusal is not None:
        raise CannotAgreeError(
            ko=f"이 조건으로는 합의할 수 없습니다: {refusal.reason}. "
            "다른 조건을 내거나 거절하세요.",
            en=f"These terms cannot be agreed to: {refusal.reason}. Propose others, or refuse.",
            code=refusal.code,
        )


def _get(uow: UnitOfWork, pid: ProcessId) -> Negotiation:
    negotiation = store.get(uow, pid)
    if negotiation is None:
        raise NotFoundError(
            ko=f"협상 {pid}이(가) 없습니다. `databank negotiations`로 확인하세요.",
            en=f"There is no negotiation {pid}. See `databank negotiations`.",
        )
    return negotiation


def _not_our_turn(negotiation: Negotiation) -> NotOurTurnError:
    state = negotiation.state.value
    if negotiation.state in FINAL:
        return NotOurTurnError(
            ko=f"이미 끝난 협상입니다({state}). 맺은 합의를 끝내려면 `databank terminate`를 "
            "쓰세요.",
            en=f"The negotiation is over ({state}). An agreement is ended with `databank "
            "terminate`.",
        )
    return NotOurTurnError(
        ko=f"지금은 상대의 답을 기다리는 차례입니다({state}).",
        en=f"It is the counterparty's turn ({state}).",
    )


def terminate_negotiation(runtime: Runtime, pid: ProcessId, said: EndRequest) -> NegotiationView:
    """End a negotiation from our side.

    Raises:
        NotFoundError: There is none with this pid.
        NotOurTurnError: It is over already.
    """
    with runtime.database.unit_of_work() as uow:
        negotiation = _get(uow, pid)
        if negotiation.state in FINAL:
            raise _not_our_turn(negotiation)
        move = Move(Message.TERMINATE, refusal=refusal_for(said.code, said.reason))
        return _view(runtime, negotiating.act(uow, runtime, negotiation, move), has_rounds=False)
