"""Registering split plans, and showing each party what concerns it.

A plan applies from a month on. The first plan of a product may begin with the month that runs; a
later one begins with a month to come, so what was sold keeps the split that it was sold under.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import rfc8785

from clearing.agreements.model import Agreement
from clearing.agreements.service import look_up
from clearing.agreements.store import find_agreements
from clearing.disputes.store import credited_in
from clearing.log.service import Log
from clearing.parties.store import find_parties, remember
from clearing.rating.rate import Amounts, month_of
from clearing.rating.store import usage_in
from clearing.settlement.store import stated
from clearing.shares import store
from clearing.shares.booking import incomes, less_credits, plans_in
from clearing.shares.model import (
    Key,
    Plan,
    Product,
    Recorded,
    cycle_in,
    flow,
    in_force,
    integer_weights,
    is_less_than_demanded,
    party_shares,
)
from clearing.shares.store import PlanDocument, StoredPlan
from databank.kit.db import UnitOfWork
from schemas.bank import AgreementStatus
from schemas.canonical import digest
from schemas.ids import AgreementId, DatasetId, ParticipantId
from schemas.participant import Participant
from schemas.policy.model import UnknownTermError
from schemas.policy.odrl import from_policy
from schemas.problem import ConflictError, InvalidRequestError, NotFoundError
from schemas.seal import SealKind
from schemas.shares import (
    PartyWeight,
    PlanEdge,
    PlanList,
    PlanView,
    PlanWeights,
    RoyaltyDemand,
    RoyaltyList,
    RoyaltyView,
    SealedPlan,
    ShownPolicy,
    SplitEdge,
    SplitPlanRequest,
)
from schemas.wire import Text


class PlanConflictError(ConflictError):
    """The same request id was used for another plan."""

    slug = "split-plan-conflict"
    title = Text(ko="같은 번호로 다른 분배 계획이 있습니다", en="This id stands for another plan")


class PlanRefusedError(InvalidRequestError):
    """A plan that may not be registered."""

    slug = "split-plan-refused"
    title = Text(ko="등록할 수 없는 분배 계획입니다", en="This split plan cannot be registered")


@dataclass(frozen=True, slots=True)
class Terms:
    """The operator's fees: on sales as new agreements have it, and on royalties."""

    sale_fee_bps: int
    royalty_fee_bps: int


def register(
    uow: UnitOfWork,
    request: SplitPlanRequest,
    curator: Participant,
    log: Log,
    terms: Terms,
    *,
    now: datetime,
) -> PlanView:
    """Register a split plan; the same request again returns the plan that it made.

    Raises:
        NotFoundError: An edge names an agreement that the curator takes no part in.
        PlanConflictError: The request id was used for another plan.
        PlanRefusedError: The plan begins too early, runs in a circle, gives away more than comes
            in, or less than an agreement asks for.
        LogBrokenError: The log does not continue what was signed.
    """
    remember(uow, curator)
    store.lock_plans(uow)
    request_sha256 = digest(request.to_json())
    made = store.plan_by_request(uow, curator.id, request.request_id)
    if made is not None:
        if made.request_sha256 != request_sha256:
            raise PlanConflictError(
                ko=f"{request.request_id}은(는) 이미 다른 계획에 썼습니다. 새 번호로 보내세요.",
                en=f"{request.request_id} was used for another plan. Use a new id.",
            )
        return _views(uow, [made], curator.id)[0]
    product = Product(curator.id, request.product_id)
    others = [each.plan for each in store.plans_until(uow)]
    _check_beginning(request, product, others, now)
    edges = _edges(uow, request, curator.id, log.make_nonce)
    _check_demands(uow, edges, terms)
    number = 1 + sum(plan.product == product for plan in others)
    plan = _plan(request, edges, curator.id, terms, number=number, now=now)
    weights = PlanWeights(salt=log.make_nonce(), weights=_weights(plan, others, terms))
    sealed = plan.sealed.model_copy(update={"weights_sha256": weights.sha256})
    seal = log.seal(uow, SealKind.SPLIT_PLAN, sealed.sha256, sealed.sha256)
    document = PlanDocument(sealed=sealed, edges=edges, weights=weights)
    stored = StoredPlan(document, seal, request.request_id, request_sha256)
    store.add_plan(uow, stored)
    return _views(uow, [stored], curator.id)[0]


def _check_beginning(
    request: SplitPlanRequest, product: Product, others: Iterable[Plan], now: datetime
) -> None:
    this_month = month_of(now)
    is_first = product not in in_force(others, this_month)
    if request.from_period < this_month or (request.from_period == this_month and not is_first):
        raise PlanRefusedError(
            ko=f"{this_month}에 판 것은 지금 계획으로 나눕니다. 다음 달부터의 계획을 등록하세요."
            if not is_first
            else f"지난 달의 계획은 등록할 수 없습니다. {this_month}부터 등록하세요.",
            en=f"What is sold in {this_month} is shared by the present plan. "
            "Register a plan from next month on."
            if not is_first
            else f"A plan cannot begin in the past. Register it from {this_month} on.",
            from_period=request.from_period,
        )


def _edges(
    uow: UnitOfWork,
    request: SplitPlanRequest,
    curator_id: ParticipantId,
    make_salt: Callable[[], str],
) -> tuple[PlanEdge, ...]:
    ids = {edge.agreement_id for edge in request.edges}
    found = find_agreements(uow, ids)
    for id_ in sorted(ids):
        agreement = look_up(uow, id_, curator_id)
        if agreement.record.consumer_id != curator_id:
            raise PlanRefusedError(
                ko=f"합의 {id_}에서 우리는 수요기업이 아닙니다. 원천 데이터의 합의를 적으세요.",
                en=f"In agreement {id_} we are not the buyer. Name the agreement under which the "
                "source is used.",
                agreement_id=id_,
            )
        if agreement.status is not AgreementStatus.ACTIVE:
            raise PlanRefusedError(
                ko=f"합의 {id_}을(를) 양쪽이 아직 알리지 않았습니다. 잠시 뒤 다시 등록하세요.",
                en=f"Both sides have not told agreement {id_} yet. Register again later.",
                agreement_id=id_,
            )
    return tuple(_edge(edge, found[edge.agreement_id], make_salt()) for edge in request.edges)


def _edge(edge: SplitEdge, agreement: Agreement, salt: str) -> PlanEdge:
    record = agreement.record
    return PlanEdge(
        **edge.model_dump(),
        party_id=record.provider_id,
        upstream_id=record.dataset_id,
        upstream_title=record.dataset_title,
        salt=salt,
    )


def _check_demands(uow: UnitOfWork, edges: Iterable[PlanEdge], terms: Terms) -> None:
    by_agreement: dict[AgreementId, list[PlanEdge]] = {}
    for edge in edges:
        by_agreement.setdefault(edge.agreement_id, []).append(edge)
    for id_, demand in sorted(store.demands_of(uow, by_agreement).items()):
        if demand.is_derivation_forbidden:
            raise PlanRefusedError(
                ko=f"합의 {id_}은(는) 2차 제작을 금지합니다. 공급기업과 다시 협상하세요.",
                en=f"Agreement {id_} forbids deriving. Negotiate with its supplier again.",
                agreement_id=id_,
            )
        percent = demand.royalty_percent
        if percent is not None and is_less_than_demanded(
            by_agreement[id_], royalty_percent=percent, sale_fee_bps=terms.sale_fee_bps
        ):
            raise PlanRefusedError(
                ko=f"합의 {id_}은(는) 판매액의 {percent} %를 요구합니다. 그 몫을 "
                f"gross={percent}%(pct_of_gross {percent * 10_000}) 이상으로, 최대 없이 적으세요.",
                en=f"Agreement {id_} asks for {percent} % of sales. Give at least "
                f"gross={percent}% (pct_of_gross {percent * 10_000}), without a cap.",
                agreement_id=id_,
                royalty_percent=percent,
            )


def _plan(
    request: SplitPlanRequest,
    edges: tuple[PlanEdge, ...],
    curator_id: ParticipantId,
    terms: Terms,
    *,
    number: int,
    now: datetime,
) -> Plan:
    sealed = SealedPlan(
        curator_id=curator_id,
        product_id=request.product_id,
        product_title=request.product_title,
        number=number,
        from_period=request.from_period,
        fee_bps=terms.royalty_fee_bps,
        registered_at=now,
        edges_sha256=tuple(edge.sha256 for edge in edges),
        weights_sha256="0" * 64,  # not known yet
    )
    return Plan(sealed, sealed.sha256, edges)


def _weights(plan: Plan, others: Iterable[Plan], terms: Terms) -> tuple[PartyWeight, ...]:
    """Check that shares run in no circle and leave something, and return all weights."""
    from_period = plan.sealed.from_period
    rest = [each for each in others if each.product != plan.product]
    coming = [each for each in rest if each.sealed.from_period > from_period]
    present = in_force(rest, from_period)
    if way := cycle_in([plan, *present.values(), *coming]):
        names = " → ".join(each.dataset_id for each in way)
        raise PlanRefusedError(
            ko=f"분배가 제자리로 돌아옵니다: {names}. 원천 데이터를 다시 확인하세요.",
            en=f"Shares run in a circle: {names}. Check the sources.",
            datasets=[each.dataset_id for each in way],
        )
    fee_bps = max(terms.sale_fee_bps, terms.royalty_fee_bps)
    alone = party_shares(plan.product, {plan.product: plan}, sale_fee_bps=fee_bps)
    shares = party_shares(
        plan.product, {**present, plan.product: plan}, sale_fee_bps=terms.sale_fee_bps
    )
    if min(*alone.values(), *shares.values()) < 0:
        raise PlanRefusedError(
            ko="비율을 더하면 수수료를 뗀 판매액보다 많습니다. 비율을 줄이세요.",
            en="The percentages are more than sales leave after the fee. Lower them.",
        )
    weights = integer_weights(shares)
    return tuple(PartyWeight(participant_id=id_, weight=weights[id_]) for id_ in sorted(weights))


def plans_for(
    uow: UnitOfWork, party_id: ParticipantId, *, product_id: DatasetId | None = None
) -> PlanList:
    """Return the plans of a party's products and of products that owe or owed something to it."""
    found = store.plans_about(uow, party_id)
    return PlanList(
        plans=_views(
            uow,
            (p for p in found if product_id in (None, p.document.sealed.product_id)),
            party_id,
        )
    )


def all_plans(uow: UnitOfWork) -> PlanList:
    """Return all plans, whole."""
    return PlanList(plans=_views(uow, store.plans_until(uow), None))


def plan_for(uow: UnitOfWork, plan_sha256: str, party_id: ParticipantId) -> PlanView:
    """Return a plan to one of its parties.

    Raises:
        NotFoundError: There is none that concerns this party.
    """
    for view in plans_for(uow, party_id).plans:
        if view.plan_sha256 == plan_sha256:
            return view
    raise NotFoundError(
        ko=f"분배 계획 {plan_sha256}이(가) 없습니다. GET /shares/plans로 확인하세요.",
        en=f"There is no split plan {plan_sha256} of yours. See GET /shares/plans.",
    )


def _views(
    uow: UnitOfWork, plans: Iterable[StoredPlan], party_id: ParticipantId | None
) -> tuple[PlanView, ...]:
    found = list(plans)
    ids = {each.document.sealed.curator_id for each in found}
    ids |= {edge.party_id for each in found for edge in each.document.edges}
    names = {id_: party.name for id_, party in find_parties(uow, ids).items()}
    return tuple(_view(each, party_id, names) for each in found)


def _view(
    stored: StoredPlan, party_id: ParticipantId | None, names: Mapping[ParticipantId, str]
) -> PlanView:
    sealed, edges = stored.document.sealed, stored.document.edges
    is_whole = party_id in (None, sealed.curator_id)
    edges = tuple(edge for edge in edges if is_whole or edge.party_id == party_id)
    return PlanView(
        plan_sha256=sealed.sha256,
        plan=sealed,
        seal=stored.seal,
        curator_name=names[sealed.curator_id],
        edges=edges,
        party_names={edge.party_id: names[edge.party_id] for edge in edges},
        weights=tuple(
            each
            for each in stored.document.weights.weights
            if is_whole or each.participant_id == party_id
        ),
    )


def show_policy(
    uow: UnitOfWork, shown: ShownPolicy, party_id: ParticipantId, *, now: datetime
) -> RoyaltyDemand:
    """Take an agreement's policy from one of its parties, and return what it asks for.

    Raises:
        NotFoundError: There is no such agreement of this party.
        InvalidRequestError: It is not the policy that was agreed, or cannot be read.
    """
    agreement = look_up(uow, shown.agreement_id, party_id)
    try:
        is_agreed = digest(shown.policy) == agreement.record.policy_sha256
    except (rfc8785.CanonicalizationError, RecursionError):
        is_agreed = False
    if not is_agreed:
        raise InvalidRequestError(
            ko=f"합의 {shown.agreement_id}의 약관이 아닙니다. 합의에 들어 있는 policy를 그대로 "
            "보내세요.",
            en=f"Not the policy of agreement {shown.agreement_id}. Send the one that was agreed.",
        )
    try:
        terms, _ = from_policy(shown.policy)
    except UnknownTermError as error:
        raise InvalidRequestError(
            ko=f"읽을 수 없는 조건이 있습니다: {error}", en=f"A term cannot be read: {error}"
        ) from None
    demand = RoyaltyDemand(
        agreement_id=shown.agreement_id,
        is_derivation_forbidden=terms.derivation_forbidden,
        royalty_percent=terms.derivation_royalty_percent,
    )
    store.put_demand(uow, demand, shown, shown_by=party_id, now=now)
    return demand


def royalties_in(
    uow: UnitOfWork, period: str, *, party_id: ParticipantId | None = None
) -> RoyaltyList:
    """Return what a month makes due so far, and what statements have said of it.

    Args:
        uow: The transaction.
        period: The month.
        party_id: Only what this participant gets or owes.
    """
    plans = plans_in(uow, period)
    usage = usage_in(uow, period)
    used = {each.agreement_id: (each.counts, each.amounts) for each in usage}
    credited = credited_in(uow, period, is_told=False)
    sold = less_credits(used, stated(uow, used, period=period), credited)
    found = flow(plans, incomes(uow, sold)) if plans else None
    keys = [
        key
        for key in (found.royalties if found is not None else {})
        if party_id in (None, key.product.owner_id, key.upstream.owner_id)
    ]
    said = store.recorded(uow, period=period) if keys else {}
    names = _names(uow, keys)
    return RoyaltyList(
        period=period,
        royalties=tuple(
            _royalty(
                period,
                key,
                plans[key.product],
                found.royalties[key],  # type: ignore[union-attr]  # there are keys
                said=said.get(key, Recorded()).won,
                names=names,
            )
            for key in sorted(keys)
        ),
    )


def _names(uow: UnitOfWork, keys: Iterable[Key]) -> dict[ParticipantId, str]:
    ids = {owner for key in keys for owner in (key.product.owner_id, key.upstream.owner_id)}
    return {id_: party.name for id_, party in find_parties(uow, ids).items()}


def _royalty(
    period: str,
    key: Key,
    plan: Plan,
    due: Amounts,
    *,
    said: Amounts,
    names: Mapping[ParticipantId, str],
) -> RoyaltyView:
    return RoyaltyView(
        period=period,
        plan_sha256=plan.sha256,
        product_id=key.product.dataset_id,
        product_title=plan.sealed.product_title,
        curator_id=key.product.owner_id,
        curator_name=names[key.product.owner_id],
        upstream_id=key.upstream.dataset_id,
        upstream_title=plan.upstream[key][0].upstream_title,
        party_id=key.upstream.owner_id,
        party_name=names[key.upstream.owner_id],
        role=key.role,
        due_micro=due.supply,
        due_vat_micro=due.vat,
        stated_won=said.supply,
        stated_vat_won=said.vat,
    )
