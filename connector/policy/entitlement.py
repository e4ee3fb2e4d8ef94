"""What an agreement lets its consumer do, compiled once from the agreed policy.

Rule 1: what cannot be read completely permits nothing.
Rule 2: an entitlement holds no state; what was used comes from the meter.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from connector.relation.model import Relation
from connector.statistics.answer import basis_of
from connector.statistics.audit import Rules
from connector.statistics.private import PrivateRules, private_basis
from schemas.ids import ParticipantId
from schemas.price import PricePlan
from schemas.terms import Mode, Terms, UnknownTermError, from_policy

COMPILED_KEPT: Final = 1024


@dataclass(frozen=True, slots=True)
class StatisticsOnly:
    """Only statistics may leave: of which entities, by which groups, audited or noisy."""

    entity: str
    groups: tuple[str, ...]
    rules: Rules | PrivateRules
    basis_sha256: str


@dataclass(frozen=True, slots=True)
class Entitlement:
    """이용권: the enforced terms of one agreement; ``unknown_term`` set means: nothing at all.

    ``recipients`` always holds the agreement's consumer; a policy that names recipients
    without it permits nobody.
    """

    modes: frozenset[Mode]
    recipients: frozenset[ParticipantId]
    starts_at: datetime
    recipient_groups: frozenset[str] = frozenset()  # one of them must be attested
    recipient_claims: frozenset[str] = frozenset()  # all of them must be
    use_from: datetime | None = None  # by the supplier's clock alone
    ends_at: datetime | None = None
    queries_max: int | None = None
    rows_max: int | None = None
    bytes_max: int | None = None
    relation: Relation = field(default_factory=Relation)
    statistics: StatisticsOnly | None = None
    epsilon_budget_milli: int | None = None
    epsilon_agreement_milli: int | None = None
    plan: PricePlan = field(default_factory=PricePlan)
    unknown_term: str | None = None


def needs_attested(entitlement: Entitlement) -> bool:
    """Whether a decision needs to know what the operator attests of the consumer."""
    return bool(entitlement.recipient_groups or entitlement.recipient_claims)


def compile_policy(
    policy: dict[str, Any], *, consumer_id: ParticipantId, agreed_at: datetime
) -> Entitlement:
    """Return the entitlement of ``consumer_id`` under an agreed policy, compiled once."""
    return _compile(json.dumps(policy), consumer_id, agreed_at)


@lru_cache(maxsize=COMPILED_KEPT)
def _compile(policy: str, consumer_id: ParticipantId, agreed_at: datetime) -> Entitlement:
    try:
        terms, plan = from_policy(json.loads(policy))
        ends_at = terms.ends_at(agreed_at)
    except (UnknownTermError, OverflowError) as error:
        return Entitlement(frozenset(), frozenset(), agreed_at, unknown_term=str(error)[:300])
    is_listed = not terms.recipients or consumer_id in terms.recipients
    return Entitlement(
        modes=frozenset(terms.modes),
        recipients=frozenset({consumer_id} if is_listed else ()),
        starts_at=agreed_at,
        recipient_groups=frozenset(terms.recipient_groups),
        recipient_claims=frozenset(terms.recipient_claims),
        use_from=terms.valid_from,
        ends_at=ends_at,
        queries_max=terms.queries_max,
        rows_max=terms.rows_max,
        bytes_max=terms.bytes_max,
        relation=Relation.of(terms),
        statistics=_statistics(terms),
        epsilon_budget_milli=terms.epsilon_budget_milli,
        epsilon_agreement_milli=terms.epsilon_agreement_milli,
        plan=plan,
    )


def _statistics(terms: Terms) -> StatisticsOnly | None:
    if terms.statistics_entity is None:
        return None
    return StatisticsOnly(
        terms.statistics_entity, terms.statistics_groups, _rules(terms), statistics_basis(terms)
    )


def _rules(terms: Terms) -> Rules | PrivateRules:
    if terms.epsilon_milli is None:
        assert terms.entities_min is not None  # Terms refuses statistics without the one or other
        return Rules(terms.entities_min, terms.dominance_percent_max, terms.remainder_percent_min)
    assert terms.entity_rows_max is not None
    cells_max = terms.entity_cells_max or 1
    return PrivateRules(terms.epsilon_milli, terms.entity_rows_max, cells_max, terms.bounds)


def statistics_basis(terms: Terms) -> str:
    """Return what statistics under these terms are made from; those of another never mix."""
    assert terms.statistics_entity is not None
    if terms.epsilon_milli is not None:
        return private_basis(terms.statistics_entity)
    relation = Relation.of(terms).sha256
    return basis_of(relation, terms.statistics_entity, terms.statistics_groups)
