"""The form of a counter-offer: what is left alone stays, what is typed is read or explained."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.desk import form
from connector.desk.form import CounterForm, FormField, Kind
from schemas.price import PriceComponent, PriceKind, PricePlan
from schemas.proposal import Proposal, plan_fault
from schemas.terms import Mode, Terms
from tests.property.test_terms import PLANS, TERMS

PROPOSALS = (
    st.tuples(TERMS, PLANS)
    .filter(lambda both: plan_fault(*both) is None)
    .map(lambda both: Proposal(terms=both[0], plan=both[1]))
)
TEXTS = st.lists(st.text(max_size=12) | st.integers().map(str), min_size=1, max_size=3)
PLAIN = Proposal(terms=Terms(), plan=PricePlan())


def sent_from(shown: CounterForm) -> dict[str, list[str]]:
    """Return what a browser sends of a form that nobody has touched."""
    sent: dict[str, list[str]] = {}
    for field in (*shown.prices, *shown.terms):
        hidden = [""] if field.kind in {Kind.FLAG, Kind.ANY_OF} else []
        sent[field.name] = [*hidden, *map(as_browsers_send, field.texts)]
    return sent


def as_browsers_send(text: str) -> str:
    """Every break is a line feed on the page, also a lone carriage return, and sent as both."""
    return "\r\n".join(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))


def read(shown: Proposal, **changes: Any) -> tuple[Proposal | None, CounterForm]:
    named = {name.replace("__", "."): value for name, value in changes.items()}
    return form.read({**sent_from(form.filled(shown)), **named}, shown)


def faulty(read_form: CounterForm) -> list[str]:
    fields: list[FormField] = [*read_form.prices, *read_form.terms]
    return [field.name for field in fields if field.error]


@given(PROPOSALS)
def test_a_form_that_nobody_touched_says_what_was_on_the_table(proposal: Proposal) -> None:
    again, shown = read(proposal)
    assert again == proposal
    assert again.policy() == proposal.policy()
    assert not shown.is_faulty


@given(PROPOSALS, st.integers(1, 10**12))
def test_one_changed_field_changes_no_other(proposal: Proposal, queries: int) -> None:
    again, _ = read(proposal, terms__queries_max=[f"{queries:,}"])
    assert again is not None
    expected = proposal.terms.model_copy(update={"queries_max": queries})
    assert (again.terms, again.plan) == (expected, proposal.plan)


@given(PROPOSALS, st.dictionaries(st.sampled_from(sorted(sent_from(form.filled(PLAIN)))), TEXTS))
def test_whatever_is_typed_is_read_or_explained(
    proposal: Proposal, typed: dict[str, list[str]]
) -> None:
    again, shown = form.read({**sent_from(form.filled(proposal)), **typed}, proposal)
    assert (again is None) == shown.is_faulty
    for field in (*shown.prices, *shown.terms):
        if field.name in typed and field.kind in {Kind.NUMBER, Kind.MONEY, Kind.TIME}:
            assert field.text == form._as_sent(typed[field.name][0])


@pytest.mark.parametrize(
    ("field", "typed", "wanted"),
    [
        ("terms.valid_days", "1,000", 1000),
        ("terms.valid_days", "", None),
        ("terms.valid_until", "2027-01-31T18:00", datetime(2027, 1, 31, 9, tzinfo=UTC)),
        ("terms.purposes", "탄소 신고\r\n\r\n  품질 \r\n", ("탄소 신고", "품질")),
        ("terms.purposes", "", ()),
        ("terms.recipients", "did:web:a.example", ("did:web:a.example",)),
    ],
)
def test_a_term_is_read_as_people_write_it(field: str, typed: str, wanted: object) -> None:
    before = Proposal(terms=Terms(valid_days=30, purposes=("x",)), plan=PricePlan())
    again, shown = read(before, **{field: [typed]})
    assert again is not None, faulty(shown)
    assert getattr(again.terms, field.partition(".")[2]) == wanted


def test_boxes_are_read_by_what_is_ticked() -> None:
    both, _ = read(PLAIN, terms__modes=["", "query", "read"])
    free, _ = read(PLAIN, terms__redistribution_forbidden=[""])
    assert both is not None
    assert free is not None
    assert both.terms.modes == (Mode.QUERY, Mode.READ)
    assert not free.terms.redistribution_forbidden


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("terms.valid_days", "0"),
        ("terms.valid_days", "한 달"),
        ("terms.valid_days", "9" * 5000),
        ("terms.valid_until", "내일"),
        ("terms.modes", ""),
        ("terms.purposes", "\n".join("abcdefghijklmnopqrstuvwxyz")),
        ("price.per_query", "-1"),
        ("price.per_query", "1e3"),
        ("price.per_row", "0.0000001"),
        ("price.one_off", "1000000001"),
    ],
)
def test_what_cannot_be_read_is_explained_at_its_field(field: str, typed: str) -> None:
    again, shown = read(PLAIN, **{field: [typed]})
    assert again is None
    assert faulty(shown) == [field]


def test_a_field_that_was_not_sent_never_lifts_a_limit() -> None:
    limited = Proposal(
        terms=Terms(queries_max=5, purposes=("탄소 신고",)),
        plan=PricePlan(components=(PriceComponent(kind=PriceKind.PER_ROW, amount_micro=7),)),
    )
    again, _ = form.read({}, limited)
    assert again == limited


def test_prices_keep_their_order_and_new_ones_follow() -> None:
    plan = PricePlan(
        components=(
            PriceComponent(kind=PriceKind.PER_ROW, amount_micro=500_000),
            PriceComponent(kind=PriceKind.ONE_OFF, amount_micro=1_000_000),
        )
    )
    again, _ = read(Proposal(terms=Terms(), plan=plan), price__monthly=["2,000"])
    assert again is not None
    assert [c.kind for c in again.plan.components] == ["per_row", "one_off", "monthly"]
    free, _ = read(Proposal(terms=Terms(), plan=plan), price__per_row=[""], price__one_off=["0"])
    assert free is not None
    assert free.plan.is_free
    emptied = {"price__per_row": [""], "price__one_off": [""]}
    nothing, shown = read(Proposal(terms=Terms(), plan=plan), **emptied)
    assert nothing is None  # a slip would give data away
    assert shown.error is not None
