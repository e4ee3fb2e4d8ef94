"""Each term in Korean and English, one sentence a field, with its mark: enforced or contractual.

Two offers are compared field by field: ``title_of`` names a field, ``field_sentences`` says it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final, NamedTuple

from schemas.policy.model import Mode, Terms
from schemas.policy.relation import (
    LIST_OPERATORS,
    Bound,
    Mask,
    MaskMethod,
    Operator,
    RowCondition,
)
from schemas.price import PricePlan, price_sentence
from schemas.shown import in_seoul
from schemas.wire import Text


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
_MASK_WORDS: Final = {
    MaskMethod.BLANK: ("값 없음", "no values"),
    MaskMethod.HASH: ("가명", "pseudonyms"),
    MaskMethod.ROUND: ("{} 단위로 반올림", "rounded to {}"),
    MaskMethod.PREFIX: ("앞 {}자만", "first {} characters"),
    MaskMethod.DAY: ("날짜까지만", "by day"),
    MaskMethod.MONTH: ("월까지만", "by month"),
    MaskMethod.YEAR: ("연도까지만", "by year"),
}
_OPERATOR_SIGNS: Final = {
    Operator.EQ: "=",
    Operator.NEQ: "≠",
    Operator.LT: "<",
    Operator.LTEQ: "≤",
    Operator.GT: ">",
    Operator.GTEQ: "≥",
    Operator.ANY_OF: "∈",
    Operator.NONE_OF: "∉",
}
UNLIMITED: Final = Text(ko="제한 없음", en="not limited")


def _field(
    ko: str, en: str, say: Callable[[Any], tuple[str, str]], *, is_enforced: bool = True
) -> _Field:
    return _Field(Text(ko=ko, en=en), is_enforced, say)


def _mask_ko(mask: Mask) -> str:
    return _MASK_WORDS[mask.method][0].format(mask.argument)


def _mask_en(mask: Mask) -> str:
    return _MASK_WORDS[mask.method][1].format(mask.argument)


def mask_words(said: str) -> Text:
    """Say the ``mask`` of a listed column, such as ``round 10``; an unknown one as it stands."""
    try:
        mask = Mask.from_text(f"x {said}")
    except ValueError:
        return Text(ko=said, en=said)
    return Text(ko=_mask_ko(mask), en=_mask_en(mask))


def _condition(condition: RowCondition) -> str:
    values = ", ".join(condition.values)
    if condition.operator in LIST_OPERATORS:
        values = f"{{{values}}}"
    return f"{condition.column} {_OPERATOR_SIGNS[condition.operator]} {values}"


def _bound(bound: Bound, to: str) -> str:
    return f"{bound.column} {bound.lower}{to}{bound.upper}"


def thousandths(milli: int) -> str:
    """Return a number of thousandths as a decimal: 500 is 0.5."""
    return f"{milli / 1000:.3f}".rstrip("0").rstrip(".")


def moment(time: datetime) -> str:
    """Return a time as people in Korea read it."""
    return f"{in_seoul(time):%Y-%m-%d %H:%M}"


# Every field of Terms stands here, enforced ones first: a term without a sentence cannot be.
_FIELDS: Final[dict[str, _Field]] = {
    "modes": _field("이용 방법", "ways of use", lambda modes: _MODE_WORDS[frozenset(modes)]),
    "valid_from": _field(
        "시작일",
        "start",
        lambda start: (
            f"{moment(start)} (한국 시각)부터 쓸 수 있습니다",
            f"Valid from {moment(start)} KST",
        ),
    ),
    "valid_until": _field(
        "종료일",
        "end",
        lambda end: (
            f"{moment(end)} (한국 시각)까지 쓸 수 있습니다",
            f"Valid until {moment(end)} KST",
        ),
    ),
    "valid_days": _field(
        "이용 기간", "period", lambda days: (f"계약일부터 {days}일 동안", f"For {days} days")
    ),
    "recipients": _field(
        "이용 대상",
        "recipients",
        lambda who: (f"지정된 참여자만: {', '.join(who)}", f"Only for: {', '.join(who)}"),
    ),
    "recipient_groups": _field(
        "이용 대상 그룹",
        "groups of recipients",
        lambda names: (
            f"운영기관이 증명하는 이 그룹의 참여자만: {', '.join(names)}",
            f"Only for participants in groups that the operator attests: {', '.join(names)}",
        ),
    ),
    "recipient_claims": _field(
        "이용 대상 자격",
        "claims of recipients",
        lambda claims: (
            f"운영기관이 모두 증명하는 참여자만: {', '.join(claims)}",
            f"Only for participants of whom the operator attests all of: {', '.join(claims)}",
        ),
    ),
    "columns": _field(
        "이용할 열",
        "columns",
        lambda names: (f"이 열만: {', '.join(names)}", f"Only these columns: {', '.join(names)}"),
    ),
    "masks": _field(
        "가린 열",
        "masks",
        lambda masks: (
            f"가린 열: {', '.join(f'{m.column}({_mask_ko(m)})' for m in masks)}",
            f"Masked columns: {', '.join(f'{m.column} ({_mask_en(m)})' for m in masks)}",
        ),
    ),
    "row_filter": _field(
        "이용할 행",
        "rows licensed",
        lambda conditions: (
            f"이 조건에 맞는 행만: {' 그리고 '.join(map(_condition, conditions))}",
            f"Only rows where {' and '.join(map(_condition, conditions))}",
        ),
    ),
    "statistics_entity": _field(
        "통계만",
        "statistics only",
        lambda entity: (
            f"통계만 볼 수 있습니다. '{entity}' 하나하나의 값은 나가지 않습니다",
            f"Statistics only: no value of a single '{entity}' leaves",
        ),
    ),
    "statistics_groups": _field(
        "통계 구분",
        "groups of statistics",
        lambda names: (
            f"통계는 이 열로만 나눕니다: {', '.join(names)}",
            f"Statistics are grouped by these columns only: {', '.join(names)}",
        ),
    ),
    "entities_min": _field(
        "최소 개체 수",
        "entities of a cell",
        lambda least: (
            f"{least}곳 미만이 드러나는 칸은, 다른 답과 합쳐서 드러나더라도 뺍니다",
            f"Cells that show fewer than {least}, alone or with other answers, are left out",
        ),
    ),
    "dominance_percent_max": _field(
        "최대 비중",
        "dominance",
        lambda most: (
            f"한 곳의 몫이 {most}%를 넘는 합계는 뺍니다",
            f"Sums of which one has more than {most} % are left out",
        ),
    ),
    "remainder_percent_min": _field(
        "나머지 비중",
        "remainder",
        lambda least: (
            f"가장 큰 두 곳을 뺀 나머지가 가장 큰 곳의 {least}%보다 적은 합계는 뺍니다",
            f"Sums are left out whose rest beside the two largest is under {least} % of the first",
        ),
    ),
    "epsilon_milli": _field(
        "차등정보보호 ε",
        "epsilon of an answer",
        lambda epsilon: (
            f"답마다 잡음을 더합니다(차등정보보호, 통계 하나에 ε={thousandths(epsilon)})",
            f"Noise in all answers (differential privacy, {thousandths(epsilon)} epsilon each)",
        ),
    ),
    "epsilon_budget_milli": _field(
        "ε 예산",
        "epsilon budget",
        lambda most: (
            f"모든 수요기업이 받은 답을 합쳐 ε={thousandths(most)}까지만 답합니다",
            f"Answers to all buyers together end at epsilon {thousandths(most)}",
        ),
    ),
    "epsilon_agreement_milli": _field(
        "합의의 ε 예산",
        "epsilon of an agreement",
        lambda most: (
            f"한 합의에는 ε={thousandths(most)}까지만 답합니다",
            f"Answers under one agreement end at epsilon {thousandths(most)}",
        ),
    ),
    "bounds": _field(
        "반영 범위",
        "bounds",
        lambda bounds: (
            f"한 곳의 합계는 이 범위까지만 반영합니다: {', '.join(_bound(b, '~') for b in bounds)}",
            f"One's total counts within bounds: {', '.join(_bound(b, ' to ') for b in bounds)}",
        ),
    ),
    "entity_rows_max": _field(
        "반영 행 수",
        "rows of an entity",
        lambda most: (
            f"한 곳의 행은 칸마다 {most:,}개까지만 셉니다",
            f"At most {most:,} rows of one are counted in a cell",
        ),
    ),
    "entity_cells_max": _field(
        "반영 칸 수",
        "cells of an entity",
        lambda most: (
            f"한 곳은 답 하나의 {most:,}칸에만 들어갑니다",
            f"One counts in at most {most:,} cells of an answer",
        ),
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
    "bytes_max": _field(
        "용량 한도",
        "bytes",
        lambda most: (f"모두 {most:,}바이트까지", f"At most {most:,} bytes in all"),
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
    "derivation_forbidden": _field(
        "파생 데이터",
        "derived data",
        lambda _: (
            "이 데이터로 다른 데이터 상품을 만들 수 없습니다",
            "No other data product may be derived from it",
        ),
        is_enforced=False,
    ),
    "derivation_royalty_percent": _field(
        "파생 로열티",
        "royalty on derived data",
        lambda percent: (
            f"이 데이터로 만든 상품 수입의 {percent}%를 공급기업에 냅니다",
            f"{percent} % of the income from data products derived from it go to the supplier",
        ),
        is_enforced=False,
    ),
    "deletion_days": _field(
        "삭제 의무",
        "deletion",
        lambda days: (
            f"계약이 끝나면 {days}일 안에 사본을 지웁니다",
            f"Copies are deleted within {days} days after the agreement ends",
        ),
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
