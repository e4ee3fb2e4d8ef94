"""Options that change terms and price of a proposal, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from schemas.proposal import Proposal

Price = Annotated[
    list[str] | None,
    typer.Option(
        help="요금을 이렇게 바꿈: query=80 row=0.5/over:1000:0.3 cap=50000 free "
        "(price instead, in won, repeatable)"
    ),
]
Term = Annotated[
    list[str] | None,
    typer.Option(
        help="조건을 이렇게 바꿈, 빈 값은 제한 없음: days=30 until=2027-03-31 queries=500 rows= "
        "bytes= purposes=글,글 columns=열,열 mask=열:hash where='열=값' (term instead, repeatable)"
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the command line said of a proposal, unread; None leaves it as it is."""

    price: list[str] | None = None
    term: list[str] | None = None

    def are_none(self) -> bool:
        """Whether nothing is to be other than it is."""
        return not (self.price or self.term)


def apply(wishes: Wishes, proposal: Proposal) -> Proposal:
    """Return the proposal with what is wished.

    Raises:
        BadAnswerError: A value is none that the field takes.
    """
    from databank.cli.questions import parse_price
    from databank.cli.terms_option import apply_terms
    from schemas.proposal import Proposal

    plan = parse_price(" ".join(wishes.price)) if wishes.price else proposal.plan
    return Proposal(terms=apply_terms(proposal.terms, wishes.term or ()), plan=plan)
