"""Proposals of a negotiation: terms and a price as one side wants them, and what changes.

A proposal is what an offer of our policy profile says, as values; two of them are compared
field by field, in the words of ``schemas.policy.sentences``.
"""

from __future__ import annotations

from typing import Any, Final, Self

from pydantic import model_validator

from schemas.price import PriceKind, PricePlan, price_sentence
from schemas.terms import (
    UNLIMITED,
    Mode,
    Terms,
    UnknownTermError,
    field_sentences,
    from_policy,
    title_of,
    to_policy,
)
from schemas.wire import OwnWire, Text

PRICE_FIELD: Final = "plan"
_OF_QUERIES: Final = frozenset({PriceKind.PER_QUERY, PriceKind.PER_COMPUTE_SECOND})
_PRICE_TITLE: Final = Text(ko="요금", en="price")


def plan_fault(terms: Terms, plan: PricePlan) -> Text | None:
    """Say why a price does not fit the ways of use, if it does not.

    Reading a file computes nothing: a price by compute seconds is for queries, and must not be all
    that is asked where the file can be read as well.
    """
    if not plan.has_compute:
        return None
    if Mode.QUERY not in terms.modes:
        return Text(
            ko="연산 초당 요금은 질의에만 있습니다. 내려받기만 허용한다면 once=, month=, row=, "
            "mb=로 정하세요.",
            en="A price per compute second is for queries. Where only reading the file is allowed, "
            "use once=, month=, row= or mb=.",
        )
    if Mode.READ in terms.modes and all(c.kind in _OF_QUERIES for c in plan.components):
        return Text(
            ko="파일을 내려받으면 연산이 없어 무료가 됩니다. 내려받기를 빼거나 once=, month=, "
            "row=, mb= 요금을 더하세요.",
            en="Reading the file computes nothing, so it would be free of charge. Allow queries "
            "only, or add once=, month=, row= or mb=.",
        )
    return None


class Proposal(OwnWire):
    """Terms and price as one side wants them."""

    terms: Terms
    plan: PricePlan

    @model_validator(mode="after")
    def _check(self) -> Self:
        if fault := plan_fault(self.terms, self.plan):
            raise ValueError(f"{fault.ko} ({fault.en})")
        return self

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
    if fault := plan_fault(terms, plan):
        raise UnknownTermError(fault.en)
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
