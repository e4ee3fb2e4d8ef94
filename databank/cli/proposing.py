"""Options that change terms and price of a proposal, as values."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

if TYPE_CHECKING:
    from schemas.proposal import Proposal
    from schemas.terms import Terms

NONE: Final = "none"  # takes a limit away
Price = Annotated[
    list[str] | None,
    typer.Option(
        help="요금을 이렇게 바꿈: query=80 row=0.5 free (price instead, in won, repeatable)"
    ),
]
Days = Annotated[str | None, typer.Option(help="계약일부터 며칠, none은 제한 없음 (days)")]
Until = Annotated[
    str | None, typer.Option(help="언제까지: 2027-03-31, none은 제한 없음 (last day)")
]
Purpose = Annotated[
    list[str] | None, typer.Option(help="이용 목적, none은 제한 없음 (purpose, repeatable)")
]
Queries = Annotated[str | None, typer.Option(help="질의 한도, none은 제한 없음 (queries)")]
Rows = Annotated[str | None, typer.Option(help="행 한도, none은 제한 없음 (rows)")]
Other = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help='그 밖의 조건: 필드=JSON, 예: modes=["read"] (any other term: FIELD=JSON)',
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the command line said of a proposal, unread; None leaves it as it is."""

    price: list[str] | None = None
    days: str | None = None
    until: str | None = None
    purpose: list[str] | None = None
    queries: str | None = None
    rows: str | None = None
    other: list[str] | None = None

    def are_none(self) -> bool:
        """Whether nothing is to be other than it is."""
        return not any(getattr(self, field.name) for field in fields(self))


def apply(wishes: Wishes, proposal: Proposal) -> Proposal:
    """Return the proposal with what is wished.

    Raises:
        BadAnswerError: A value is none that the field takes.
    """
    from databank.cli.questions import parse_price
    from schemas.proposal import Proposal

    changes: dict[str, Any] = {}
    for field, said in (
        ("valid_days", wishes.days),
        ("queries_max", wishes.queries),
        ("rows_max", wishes.rows),
    ):
        if said is not None:
            changes[field] = None if said == NONE else said.replace(",", "")
    if wishes.until is not None:
        changes["valid_until"] = None if wishes.until == NONE else _end_of_day(wishes.until)
    if wishes.purpose is not None:
        changes["purposes"] = [] if wishes.purpose == [NONE] else wishes.purpose
    for said in wishes.other or ():
        name, value = _read_other(said)
        changes[name] = value
    plan = parse_price(" ".join(wishes.price)) if wishes.price else proposal.plan
    return Proposal(terms=_read_terms(proposal.terms.to_json(), changes), plan=plan)


def _end_of_day(text: str) -> str:
    """Return the last moment of a day in Korea, or the given moment."""
    if len(text) != len("2027-03-31"):
        return text
    return f"{text}T23:59:59+09:00"


def _read_other(said: str) -> tuple[str, Any]:
    from databank.cli.questions import BadAnswerError
    from schemas.terms import Terms

    name, equals, value = said.partition("=")
    name = name.strip()
    if not equals or name not in Terms.model_fields:
        known = ", ".join(Terms.model_fields)
        raise BadAnswerError(
            ko=f"--set {said!r}: 필드=값 꼴로 적으세요. 필드: {known}.",
            en=f"--set {said!r}: write FIELD=VALUE. Fields: {known}.",
        )
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value.strip()  # a text without its quotes


def _read_terms(terms: dict[str, Any], changes: dict[str, Any]) -> Terms:
    from pydantic import ValidationError

    from databank.cli.questions import BadAnswerError
    from schemas.terms import Terms

    merged = {name: value for name, value in {**terms, **changes}.items() if value is not None}
    try:
        return Terms.model_validate(merged)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        field, why = ".".join(map(str, first["loc"])), str(first["msg"])
        raise BadAnswerError(
            ko=f"{field}: 쓸 수 없는 값입니다 ({why}). 예: --days 30, --until 2027-03-31, "
            "--queries 500.",
            en=f"{field}: {why}. Examples: --days 30, --until 2027-03-31, --queries 500.",
        ) from None
