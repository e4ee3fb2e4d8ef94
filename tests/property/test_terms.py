"""Policies: what is written is read back; what is changed never reads as more than it says."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.ids import COLUMN_NAME, ParticipantId
from schemas.price import PricePlan
from schemas.terms import (
    Bound,
    Mask,
    MaskMethod,
    Mode,
    Operator,
    RowCondition,
    Terms,
    UnknownTermError,
    field_sentences,
    from_policy,
    sentences,
    title_of,
    to_policy,
)
from tests.support.plans import plans as plans_of

TIMES = st.datetimes(
    min_value=datetime(2020, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    timezones=st.just(UTC),
)
TEXTS = st.text(min_size=1, max_size=10)
NAMES = st.from_regex(COLUMN_NAME, fullmatch=True).filter(str.isidentifier)
COLUMNS = st.lists(NAMES, max_size=4, unique_by=str.casefold).map(tuple)
METHODS = st.sampled_from(
    [("blank", None), ("hash", None), ("round", "0.5"), ("prefix", "2"), ("month", None)]
)
CONDITIONS = st.builds(
    RowCondition,
    column=NAMES,
    operator=st.sampled_from(Operator),
    values=st.lists(st.text(max_size=5), min_size=1, max_size=1).map(tuple),
)


def _with_masks(terms: Terms, methods: list[tuple[str, str | None]]) -> Terms:
    """Mask the first of the licensed columns; without a list of them, columns of other names."""
    names = terms.columns or ("공정", "kwh", "worker")
    pairs = zip(names, methods, strict=False)
    masks = tuple(Mask(column=c, method=MaskMethod(m), argument=a) for c, (m, a) in pairs)
    return Terms.model_validate({**terms.model_dump(), "masks": masks})


PLAIN = st.builds(
    Terms,
    modes=st.lists(st.sampled_from(Mode), min_size=1, unique=True).map(tuple),
    valid_from=st.none() | st.just(datetime(2019, 12, 31, tzinfo=UTC)),
    valid_until=st.none() | TIMES,
    valid_days=st.none() | st.integers(1, 36_500),
    recipients=st.lists(TEXTS, max_size=3).map(tuple),
    recipient_groups=st.sampled_from([(), ("안전협의회",), ("a", "b.c")]),
    recipient_claims=st.sampled_from([(), ("industry=C24",), ("role=curator", "x=1 2")]),
    purposes=st.lists(TEXTS, max_size=3).map(tuple),
    queries_max=st.none() | st.integers(1, 10**12),
    rows_max=st.none() | st.integers(1, 10**15),
    bytes_max=st.none() | st.integers(1, 10**17),
    columns=COLUMNS,
    row_filter=st.lists(CONDITIONS, max_size=3).map(tuple),
    redistribution_forbidden=st.booleans(),
    deletion_days=st.none() | st.integers(1, 3650),
)
DERIVED = st.sampled_from([{}, {"derivation_forbidden": True}, {"derivation_royalty_percent": 5}])
STATISTICS = st.fixed_dictionaries(
    {
        "statistics_entity": st.just("company"),
        "statistics_groups": st.sampled_from([(), ("region",), ("region", "월")]),
        "entities_min": st.integers(3, 1000),
        "dominance_percent_max": st.none() | st.integers(1, 99),
        "remainder_percent_min": st.none() | st.integers(1, 99),
        "modes": st.just((Mode.QUERY,)),
        "columns": st.just(()),
    }
)
PRIVATE = st.fixed_dictionaries(
    {
        "statistics_entity": st.just("company"),
        "statistics_groups": st.sampled_from([(), ("region",)]),
        "epsilon_milli": st.integers(1, 1000),
        "epsilon_budget_milli": st.integers(1000, 1_000_000),
        "epsilon_agreement_milli": st.none() | st.just(1000),
        "bounds": st.sampled_from(
            [(), (Bound(column="kwh", lower="-0.5", upper="1000"),)],
        ),
        "entity_rows_max": st.integers(1, 10**9),
        "entity_cells_max": st.none() | st.integers(1, 1000),
        "modes": st.just((Mode.QUERY,)),
        "columns": st.just(()),
    }
)
TERMS = st.builds(
    lambda terms, methods, derived, statistics: _with_masks(
        terms.model_copy(update={**derived, **statistics}), methods
    ),
    PLAIN,
    st.lists(METHODS, max_size=3),
    DERIVED,
    st.just({}) | STATISTICS | PRIVATE,
)
PLANS = plans_of(st.integers(1, 10**15), st.integers(1, 10**12), components_max=3)


@given(TERMS, PLANS)
def test_terms_survive_the_way_through_odrl(terms: Terms, plan: PricePlan) -> None:
    assert from_policy(to_policy(terms, plan)) == (terms, plan)


@given(TERMS, PLANS)
def test_every_term_is_said_in_both_languages_enforced_ones_first(
    terms: Terms, plan: PricePlan
) -> None:
    said = sentences(terms, plan)
    assert all(s.text.ko and s.text.en for s in said)
    marks = [s.is_enforced for s in said]
    assert marks == sorted(marks, reverse=True)


def nodes(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    for key, child in items:
        found += nodes(child, (*path, key))
    return found


@given(TERMS, PLANS, st.data())
def test_a_foreign_value_anywhere_is_refused(
    terms: Terms, plan: PricePlan, data: st.DataObject
) -> None:
    policy = copy.deepcopy(to_policy(terms, plan))
    path = data.draw(st.sampled_from(nodes(policy)[1:]))
    foreign = data.draw(
        st.sampled_from([7, True, {"odrl:and": []}, [], "urn:other:term", {"action": "use"}])
    )
    # Inside lists of participants and purposes any text is a legal value.
    assume(not (isinstance(foreign, str) and path[-2:-1] == ("rightOperand",)))
    place = policy
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = foreign
    with pytest.raises(UnknownTermError):
        from_policy(policy)


@given(TERMS, PLANS)
def test_extra_rules_and_constraints_are_refused(terms: Terms, plan: PricePlan) -> None:
    policy = to_policy(terms, plan)
    for change in (
        {"duty": [{"action": "log"}]},
        {"permission": policy["permission"] * 2},
        {"prohibition": [{"action": "use"}]},
        {"obligation": [{"action": "delete", "constraint": []}]},
        {"profile": "urn:other"},
    ):
        with pytest.raises(UnknownTermError):
            from_policy({**policy, **change})
    extra = copy.deepcopy(policy)
    extra["permission"][0]["constraint"].append(
        {"leftOperand": "spatial", "operator": "eq", "rightOperand": "KR"}
    )
    with pytest.raises(UnknownTermError):
        from_policy(extra)


def test_every_field_of_the_terms_has_a_title_and_a_sentence() -> None:
    full = Terms(
        modes=(Mode.QUERY, Mode.READ),
        valid_from=datetime(2026, 12, 1, tzinfo=UTC),
        valid_until=datetime(2027, 1, 1, tzinfo=UTC),
        valid_days=30,
        recipients=(ParticipantId("did:web:buyer.example"),),
        recipient_groups=("안전협의회",),
        recipient_claims=("industry=C24",),
        purposes=("탄소 신고",),
        queries_max=1,
        rows_max=1,
        bytes_max=1,
        columns=("kwh",),
        masks=(Mask(column="kwh", method=MaskMethod.ROUND, argument="10"),),
        row_filter=(RowCondition(column="plant", operator=Operator.EQ, values=("p-1",)),),
        derivation_royalty_percent=5,
        deletion_days=30,
    )
    statistics = Terms(
        statistics_entity="company",
        statistics_groups=("region",),
        entities_min=5,
        dominance_percent_max=60,
        remainder_percent_min=10,
        derivation_forbidden=True,
    )
    private = Terms(
        statistics_entity="company",
        epsilon_milli=500,
        epsilon_budget_milli=5000,
        epsilon_agreement_milli=1000,
        bounds=(Bound(column="kwh", lower="0", upper="1000"),),
        entity_rows_max=12,
        entity_cells_max=2,
    )
    said = field_sentences(full) | field_sentences(statistics) | field_sentences(private)
    assert set(said) == set(Terms.model_fields)
    for name, sentence in said.items():
        assert title_of(name).ko
        assert title_of(name).en
        assert sentence.text.ko
    assert set(field_sentences(Terms())) == {"modes", "redistribution_forbidden"}
