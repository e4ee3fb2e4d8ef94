"""Each term in Korean and English, one sentence a field, with its mark: enforced or contractual.

Two offers are compared field by field: ``title_of`` names a field, ``field_sentences`` says it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from schemas.policy.model import Mode, Terms
from schemas.price import PricePlan, price_sentence
from schemas.wire import Text, format_time


class Sentence(NamedTuple):
    """One term in words, and whether the connector enforces it."""

    text: Text
    is_enforced: bool


class _Field(NamedTuple):
    title: Text
    is_enforced: bool
    say: Callable[[Any], tuple[str, str]]


_MODE_WORDS: Final = {
    frozenset({Mode.QUERY}): (
        "질의만 할 수 있습니다. 원본 데이터는 공급기업 밖으로 나가지 않습니다",
        "Queries only: the data itself never leaves the supplier",
    ),
    frozenset({Mode.READ}): ("데이터를 내려받을 수 있습니다", "The data may be read in full"),
    frozenset({Mode.QUERY, Mode.READ}): (
        "질의하고 내려받을 수 있습니다",
        "Queries and reading in full are allowed",
    ),
}
UNLIMITED: Final = Text(ko="제한 없음", en="not limited")


def _field(
    ko: str, en: str, say: Callable[[Any], tuple[str, str]], *, is_enforced: bool = True
) -> _Field:
    return _Field(Text(ko=ko, en=en), is_enforced, say)


# Every field of Terms stands here, enforced ones first: a term without a sentence cannot be.
_FIELDS: Final[dict[str, _Field]] = {
    "modes": _field("이용 방법", "ways of use", lambda modes: _MODE_WORDS[frozenset(modes)]),
    "valid_until": _field(
        "종료일",
        "end",
        lambda end: (f"{format_time(end)}까지 쓸 수 있습니다", f"Valid until {format_time(end)}"),
    ),
    "valid_days": _field(
        "이용 기간", "period", lambda days: (f"계약일부터 {days}일 동안", f"For {days} days")
    ),
    "recipients": _field(
        "이용 대상",
        "recipients",
        lambda who: (f"지정된 참여자만: {', '.join(who)}", f"Only for: {', '.join(who)}"),
    ),
    "queries_max": _field(
        "질의 한도",
        "queries",
        lambda most: (f"질의 {most:,}건까지", f"At most {most:,} queries"),
    ),
    "rows_max": _field(
        "행 한도",
        "rows",
        lambda most: (f"모두 {most:,}행까지", f"At most {most:,} rows in all"),
    ),
    "purposes": _field(
        "이용 목적",
        "purpose",
        lambda what: (f"이용 목적: {', '.join(what)}", f"Purpose: {', '.join(what)}"),
        is_enforced=False,
    ),
    "redistribution_forbidden": _field(
        "재제공",
        "redistribution",
        lambda _: ("제3자에게 다시 제공할 수 없습니다", "No redistribution to third parties"),
        is_enforced=False,
    ),
}


def title_of(field: str) -> Text:
    """Return the name of a field of ``Terms``, for a table of differences."""
    return _FIELDS[field].title


def field_sentences(terms: Terms) -> dict[str, Sentence]:
    """Return the sentence of each field that says something; fields not limited are left out."""
    values = ((name, getattr(terms, name), field) for name, field in _FIELDS.items())
    said = ((name, field.say(value), field) for name, value, field in values if value)
    return {name: Sentence(Text(ko=ko, en=en), field.is_enforced) for name, (ko, en), field in said}


def sentences(terms: Terms, plan: PricePlan) -> list[Sentence]:
    """Say each term and the price in Korean and English, enforced terms first."""
    said = list(field_sentences(terms).values())
    if plan.components:
        price = price_sentence(plan)
        text = Text(ko=f"대가: {price.ko}", en=f"Price: {price.en}")
        said.append(Sentence(text, is_enforced=True))
    return sorted(said, key=lambda sentence: not sentence.is_enforced)
