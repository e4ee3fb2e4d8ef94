"""Proposals of a negotiation: terms and a price as one side wants them, and what changes.

A proposal is what an offer of our policy profile says, as values; two of them are compared
field by field, in the words of ``schemas.policy.sentences``.
"""

from __future__ import annotations

from typing import Any, Final

from schemas.price import PricePlan, price_sentence
from schemas.terms import UNLIMITED, Terms, field_sentences, from_policy, title_of, to_policy
from schemas.wire import OwnWire, Text

PRICE_FIELD: Final = "plan"
_PRICE_TITLE: Final = Text(ko="요금", en="price")


class Proposal(OwnWire):
    """Terms and price as one side wants them."""

    terms: Terms
    plan: PricePlan

    def policy(self) -> dict[str, Any]:
        """Return the rules of an ODRL offer."""
        return to_policy(self.terms, self.plan)


class TermChange(OwnWire):
    """One field that differs between two proposals, in words."""

    field: str
    title: Text
    before: Text
    after: Text


def read_proposal(policy: dict[str, Any]) -> Proposal:
    """Read an ODRL policy.

    Raises:
        UnknownTermError: Anything in it is outside the profile.
    """
    terms, plan = from_policy(policy)
    return Proposal(terms=terms, plan=plan)


def changes_between(before: Proposal, after: Proposal) -> tuple[TermChange, ...]:
    """Return what differs, the price first."""
    changes = []
    if before.plan.plan_sha256 != after.plan.plan_sha256:
        old, new = price_sentence(before.plan), price_sentence(after.plan)
        changes.append(TermChange(field=PRICE_FIELD, title=_PRICE_TITLE, before=old, after=new))
    said_before, said_after = field_sentences(before.terms), field_sentences(after.terms)
    for field in Terms.model_fields:
        if getattr(before.terms, field) == getattr(after.terms, field):
            continue
        old, new = (
            said[field].text if field in said else UNLIMITED for said in (said_before, said_after)
        )
        changes.append(TermChange(field=field, title=title_of(field), before=old, after=new))
    return tuple(changes)
