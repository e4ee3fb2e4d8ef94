"""What changed between two proposals: all of it, once, in both languages."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from schemas.proposal import PRICE_FIELD, Proposal, changes_between, plan_fault, read_proposal
from schemas.refusal import BY_PEOPLE, RefusalCode, refusal_text, said_in_both
from schemas.terms import Terms
from tests.property.test_terms import PLANS, TERMS

PROPOSALS = (
    st.tuples(TERMS, PLANS)
    .filter(lambda both: plan_fault(*both) is None)
    .map(lambda both: Proposal(terms=both[0], plan=both[1]))
)


@given(PROPOSALS, PROPOSALS)
def test_exactly_the_fields_that_differ_are_told(before: Proposal, after: Proposal) -> None:
    told = [change.field for change in changes_between(before, after)]
    fields = [f for f in Terms.model_fields if getattr(before.terms, f) != getattr(after.terms, f)]
    wanted = ([PRICE_FIELD] if before.plan != after.plan else []) + fields
    assert told == wanted
    back = changes_between(after, before)
    assert [(c.field, c.before, c.after) for c in back] == [
        (c.field, c.after, c.before) for c in changes_between(before, after)
    ]


@given(PROPOSALS)
def test_a_proposal_survives_the_way_through_odrl_and_differs_not_from_itself(
    proposal: Proposal,
) -> None:
    again = read_proposal(proposal.policy())
    assert again == proposal
    assert changes_between(proposal, again) == ()


@given(PROPOSALS, PROPOSALS)
def test_every_change_is_said_in_both_languages(before: Proposal, after: Proposal) -> None:
    for change in changes_between(before, after):
        for text in (change.title, change.before, change.after):
            assert text.ko
            assert text.en


def test_every_code_has_a_sentence_and_foreign_words_have_none() -> None:
    for code in RefusalCode:
        text = refusal_text(code.value)
        assert text is not None
        assert said_in_both(code) == f"{text.ko} ({text.en})"
    assert len(set(map(said_in_both, RefusalCode))) == len(RefusalCode)
    assert set(BY_PEOPLE) < set(RefusalCode)
    for foreign in ("CN_DECLINED", "", None):
        assert refusal_text(foreign) is None
