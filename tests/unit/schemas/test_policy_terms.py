"""A term that is called enforced is enforced by something, and the page on policies says so."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest

from connector.policy.entitlement import Entitlement, compile_policy
from databank.cli.terms_option import READERS
from schemas.ids import ParticipantId
from schemas.price import PricePlan
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
    "epsilon_budget_milli": (PRIVATE, 4000),
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
