"""Decisions: never past the end, never over a quota, never on a term that is not understood."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connector.policy.entitlement import Entitlement, compile_policy
from connector.policy.evaluate import SKEW, Act, Code, Epsilon, evaluate
from schemas.attested import Attested
from schemas.ids import ParticipantId
from schemas.price import PricePlan, Usage
from schemas.terms import Mode, Terms, to_policy
from tests.property.test_terms import PLANS, TERMS, nodes

BUYER = ParticipantId("did:web:buyer.example")
AGREED = datetime(2026, 11, 24, tzinfo=UTC)
ACTS = st.builds(
    Act,
    mode=st.sampled_from(Mode),
    consumer_id=st.sampled_from([BUYER, ParticipantId("did:web:rival.example")]),
    queries=st.integers(0, 3),
    rows=st.none() | st.integers(0, 100),
    bytes=st.none() | st.integers(0, 100),
    is_agreement_terminated=st.booleans(),
    is_process_started=st.booleans(),
    attested=st.none()
    | st.builds(
        Attested,
        st.frozensets(st.sampled_from(["a", "c"])),
        st.frozensets(st.sampled_from(["x=1", "y=2", "x=2"])),
    ),
)
USAGES = st.builds(
    Usage, queries=st.integers(0, 60), rows=st.integers(0, 60), bytes=st.integers(0, 60)
)
MOMENTS = st.integers(-400, 400).map(lambda hours: AGREED + timedelta(hours=hours))
TIGHT = st.builds(
    Terms,
    modes=st.lists(st.sampled_from(Mode), min_size=1, unique=True).map(tuple),
    valid_days=st.none() | st.integers(1, 10),
    valid_from=st.none()
    | st.integers(-400, 400).map(lambda hours: AGREED + timedelta(hours=hours)),
    recipients=st.sampled_from([(), (BUYER,), (ParticipantId("did:web:other.example"),)]),
    recipient_groups=st.sampled_from([(), ("a",), ("a", "b")]),
    recipient_claims=st.sampled_from([(), ("x=1",), ("x=1", "y=2")]),
    queries_max=st.none() | st.integers(1, 50),
    rows_max=st.none() | st.integers(1, 50),
    bytes_max=st.none() | st.integers(1, 50),
)


def compiled(policy: dict[str, Any]) -> Entitlement:
    return compile_policy(policy, consumer_id=BUYER, agreed_at=AGREED)


@given(TIGHT, PLANS, ACTS, USAGES, MOMENTS)
def test_what_is_allowed_keeps_every_term(
    terms: Terms, plan: Any, act: Act, used: Usage, now: datetime
) -> None:
    decision = evaluate(compiled(to_policy(terms, plan)), act, used, now)
    assert decision.is_allowed == (decision.code is Code.ALLOWED)
    assert decision.reason.ko
    assert decision.reason.en
    attested = act.attested or Attested()
    keeps = (
        not act.is_agreement_terminated
        and act.is_process_started
        and act.consumer_id == BUYER
        and (not terms.recipients or BUYER in terms.recipients)
        and act.mode in terms.modes
        and now >= AGREED - SKEW
        and (not (terms.recipient_groups or terms.recipient_claims) or act.attested is not None)
        and (
            not terms.recipient_groups
            or any(one in attested.groups for one in terms.recipient_groups)
        )
        and all(one in attested.claims for one in terms.recipient_claims)
        and (terms.valid_from is None or now >= terms.valid_from)
        and (terms.valid_days is None or now <= AGREED + timedelta(days=terms.valid_days))
        and (
            terms.queries_max is None
            or not act.queries
            or used.queries + act.queries <= terms.queries_max
        )
        and (terms.rows_max is None or _fits(terms.rows_max, used.rows, act.rows))
        and (terms.bytes_max is None or _fits(terms.bytes_max, used.bytes, act.bytes))
    )
    assert decision.is_allowed == keeps


LIMITS = st.integers(1, 50)
WANTED = st.none() | st.integers(0, 60)


@given(LIMITS, LIMITS, WANTED, WANTED, USAGES)
def test_a_quota_is_kept_before_the_result_is_known_and_after(
    rows_max: int, bytes_max: int, rows: int | None, bytes_: int | None, used: Usage
) -> None:
    terms = Terms(modes=(Mode.READ,), rows_max=rows_max, bytes_max=bytes_max)
    act = Act(Mode.READ, BUYER, rows=rows, bytes=bytes_)
    decision = evaluate(compiled(to_policy(terms, PricePlan())), act, used, AGREED)
    fits_rows, fits_bytes = (
        _fits(most, before, wanted)
        for most, before, wanted in ((rows_max, used.rows, rows), (bytes_max, used.bytes, bytes_))
    )
    assert decision.is_allowed == (fits_rows and fits_bytes)
    if not decision.is_allowed:
        assert decision.code is (Code.BYTE_QUOTA if fits_rows else Code.ROW_QUOTA)


MILLI = st.integers(0, 40)


@given(st.none() | st.integers(0, 3), MILLI, MILLI, MILLI)
def test_a_budget_is_kept_by_answers_of_any_number_of_cells(
    rows: int | None, wanted: int, spent: int, spent_agreement: int
) -> None:
    """Answers without a cell were not checked, and yet spent."""
    terms = Terms(
        modes=(Mode.QUERY,),
        statistics_entity="company",
        statistics_groups=("region",),
        epsilon_milli=10,
        epsilon_budget_milli=30,
        epsilon_agreement_milli=20,
        entity_rows_max=1,
    )
    epsilon = Epsilon(wanted, spent, spent_agreement)
    act = Act(Mode.QUERY, BUYER, rows=rows, epsilon=epsilon)
    decision = evaluate(compiled(to_policy(terms, PricePlan())), act, Usage(), AGREED)
    fits = wanted <= max(0, min(30 - spent, 20 - spent_agreement))
    assert decision.is_allowed == (rows is None or fits)
    assert decision.is_allowed or decision.code is Code.EPSILON_BUDGET


def _fits(rows_max: int, used: int, rows: int | None) -> bool:
    if rows is None:
        return used < rows_max
    return rows == 0 or used + rows <= rows_max


@given(TERMS, PLANS, st.data())
def test_a_changed_policy_means_the_same_or_permits_nothing(
    terms: Terms, plan: Any, data: st.DataObject
) -> None:
    policy = to_policy(terms, plan)
    changed = copy.deepcopy(policy)
    *path, last = data.draw(st.sampled_from(nodes(policy)[1:]))
    place: Any = changed
    for key in path:
        place = place[key]
    place[last] = data.draw(st.sampled_from([7, None, True, {"and": []}, [], {"action": "use"}]))
    entitlement = compiled(changed)
    if entitlement.unknown_term is None:  # only "no prohibition" and "free" may read as absent
        assert entitlement.modes == frozenset(terms.modes)
        assert last in {"prohibition", "obligation"}
        return
    for mode in Mode:
        assert evaluate(entitlement, Act(mode, BUYER), Usage(), AGREED).code is Code.UNKNOWN_TERM


@given(TERMS, PLANS, st.sampled_from(["duty", "and", "odrl:spatial", "remedy"]))
def test_an_unknown_term_permits_nothing(terms: Terms, plan: Any, name: str) -> None:
    for place in ("policy", "permission", "constraint"):
        policy = copy.deepcopy(to_policy(terms, plan))
        target: Any = policy
        if place != "policy":
            target = policy["permission"][0]
        if place == "constraint":
            target = target["constraint"][0]
        target[name] = [{"action": "inform"}]
        assert evaluate(compiled(policy), Act(Mode.QUERY, BUYER), Usage(), AGREED).code is (
            Code.UNKNOWN_TERM
        )
