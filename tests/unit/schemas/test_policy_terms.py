"""A term that is called enforced is enforced by something, and the page on policies says so."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from connector.policy.entitlement import Entitlement, compile_policy
from connector.policy.evaluate import Act, Code, Epsilon, evaluate
from databank.cli.terms_option import READERS
from schemas.ids import ParticipantId
from schemas.price import PricePlan, Usage
from schemas.terms import (
    Bound,
    Mask,
    MaskMethod,
    Mode,
    Operator,
    RowCondition,
    Terms,
    field_sentences,
    to_policy,
)

PAGE: Final = Path(__file__).parents[3] / "docs" / "policies.md"
BUYER: Final = ParticipantId("did:web:buyer.example")
NOW: Final = datetime(2026, 11, 24, tzinfo=UTC)
STATISTICS: Final = Terms(statistics_entity="company", entities_min=5)
PRIVATE: Final = Terms(
    statistics_entity="company", epsilon_milli=500, epsilon_budget_milli=5000, entity_rows_max=10
)
# field: the terms before, and its value after
EXAMPLES: Final[dict[str, tuple[Terms, Any]]] = {
    "modes": (Terms(), (Mode.READ,)),
    "valid_from": (Terms(), NOW),
    "valid_until": (Terms(), NOW),
    "valid_days": (Terms(), 1),
    "recipients": (Terms(), (ParticipantId("did:web:other.example"),)),
    "recipient_groups": (Terms(), ("안전협의회",)),
    "recipient_claims": (Terms(), ("industry=C24",)),
    "columns": (Terms(), ("kwh",)),
    "masks": (Terms(), (Mask(column="kwh", method=MaskMethod.BLANK),)),
    "row_filter": (Terms(), (RowCondition(column="n", operator=Operator.EQ, values=("1",)),)),
    "statistics_entity": (STATISTICS, "plant"),
    "statistics_groups": (STATISTICS, ("region",)),
    "entities_min": (STATISTICS, 6),
    "dominance_percent_max": (STATISTICS, 60),
    "remainder_percent_min": (STATISTICS, 10),
    "epsilon_milli": (PRIVATE, 400),
    "epsilon_budget_milli": (PRIVATE, 4000),  # of 5000
    "epsilon_agreement_milli": (PRIVATE, 1000),
    "bounds": (PRIVATE, (Bound(column="kwh", lower="0", upper="1000"),)),
    "entity_rows_max": (PRIVATE, 9),
    "entity_cells_max": (PRIVATE, 2),
    "queries_max": (Terms(), 1),
    "rows_max": (Terms(), 1),
    "bytes_max": (Terms(), 1),
    "purposes": (Terms(), ("탄소 신고",)),
    "redistribution_forbidden": (Terms(), False),
    "derivation_forbidden": (Terms(), True),
    "derivation_royalty_percent": (Terms(), 5),
    "deletion_days": (Terms(), 30),
}


def compiled(terms: Terms) -> Entitlement:
    return compile_policy(to_policy(terms, PricePlan()), consumer_id=BUYER, agreed_at=NOW)


@pytest.mark.parametrize("field", Terms.model_fields)
def test_an_enforced_term_changes_what_is_enforced_and_a_contractual_one_does_not(
    field: str,
) -> None:
    before, value = EXAMPLES[field]
    after = before.model_copy(update={field: value})
    said = {**field_sentences(before), **field_sentences(after)}[field]
    assert (compiled(before) != compiled(after)) == said.is_enforced


# enforced by the evaluator: an act that is allowed until the term says otherwise
ALLOWED: Final = Act(Mode.QUERY, BUYER, queries=2, rows=2, bytes=2)
SPENDS: Final = replace(ALLOWED, epsilon=Epsilon(500, 3600, 600))
DECIDED: Final[dict[str, tuple[Act, Code]]] = {
    "modes": (ALLOWED, Code.MODE_NOT_ALLOWED),
    "valid_from": (ALLOWED, Code.NOT_YET_VALID),
    "valid_until": (ALLOWED, Code.EXPIRED),
    "valid_days": (ALLOWED, Code.EXPIRED),
    "recipients": (ALLOWED, Code.RECIPIENT),
    "recipient_groups": (ALLOWED, Code.RECIPIENT_UNVERIFIED),
    "recipient_claims": (ALLOWED, Code.RECIPIENT_UNVERIFIED),
    "queries_max": (ALLOWED, Code.QUERY_QUOTA),
    "rows_max": (ALLOWED, Code.ROW_QUOTA),
    "bytes_max": (ALLOWED, Code.BYTE_QUOTA),
    "epsilon_budget_milli": (SPENDS, Code.EPSILON_BUDGET),
    "epsilon_agreement_milli": (SPENDS, Code.EPSILON_BUDGET),
}


def _named(made: Entitlement) -> object:
    return made.statistics and (made.statistics.entity, made.statistics.groups)


# enforced by what is made: the licensed relation, or what statistics are made of and how
MADE: Final[dict[str, Callable[[Entitlement], object]]] = {
    **dict.fromkeys(("columns", "masks", "row_filter"), lambda made: made.relation.sha256),
    **dict.fromkeys(("statistics_entity", "statistics_groups"), _named),
    **dict.fromkeys(
        (
            *("entities_min", "dominance_percent_max", "remainder_percent_min", "epsilon_milli"),
            *("bounds", "entity_rows_max", "entity_cells_max"),
        ),
        lambda made: made.statistics and made.statistics.rules,
    ),
}


def test_every_term_is_decided_or_made_or_is_contractual() -> None:
    enforced = {
        field
        for field, (before, value) in EXAMPLES.items()
        for said in [{**field_sentences(before), **field_sentences(_with(before, field, value))}]
        if said[field].is_enforced
    }
    assert DECIDED.keys() | MADE.keys() == enforced
    assert not DECIDED.keys() & MADE.keys()
    assert set(EXAMPLES) == set(Terms.model_fields)


def _with(terms: Terms, field: str, value: Any) -> Terms:
    return terms.model_copy(update={field: value})


@pytest.mark.parametrize("field", DECIDED)
def test_the_evaluator_denies_by_the_term_what_it_allows_without(field: str) -> None:
    before, value = EXAMPLES[field]
    act, code = DECIDED[field]
    now = NOW - timedelta(seconds=1) if field == "valid_from" else NOW + timedelta(days=2)
    allowed = evaluate(compiled(before), act, Usage(), now)
    denied = evaluate(compiled(_with(before, field, value)), act, Usage(), now)
    assert (allowed.code, denied.code) == (Code.ALLOWED, code)


@pytest.mark.parametrize("field", MADE)
def test_what_is_made_differs_by_the_term(field: str) -> None:
    before, value = EXAMPLES[field]
    made = MADE[field]
    assert made(compiled(before)) != made(compiled(_with(before, field, value)))


def test_without_what_a_term_needs_to_know_an_act_is_denied() -> None:
    for terms, code in (
        (PRIVATE, Code.MISSING_CONTEXT),
        (Terms(recipient_groups=("안전협의회",)), Code.RECIPIENT_UNVERIFIED),
        (Terms(recipient_claims=("industry=C24",)), Code.RECIPIENT_UNVERIFIED),
    ):
        assert evaluate(compiled(terms), ALLOWED, Usage(), NOW).code is code


def test_the_page_on_policies_has_every_term_as_it_is() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| `([\w-]+)` \| .* \| (enforced|contractual) \|",
        PAGE.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    said = {field: how for field, _, how in rows}
    assert set(said) == set(Terms.model_fields)
    for field, (before, value) in EXAMPLES.items():
        sentences = {
            **field_sentences(before),
            **field_sentences(before.model_copy(update={field: value})),
        }
        assert said[field] == ("enforced" if sentences[field].is_enforced else "contractual")
    assert {name: field for field, name, _ in rows} == {n: f for n, (f, _) in READERS.items()}
