"""``--term NAME=VALUE``: single terms from the command line, on top of a template."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from pydantic import ValidationError

from databank.cli.bad_answer import BadAnswerError
from schemas.terms import Bound, Mask, Mode, Operator, RowCondition, Terms
from schemas.wire import parse_time

_SIGNS: Final = {
    "=": Operator.EQ,
    "!=": Operator.NEQ,
    "<": Operator.LT,
    "<=": Operator.LTEQ,
    ">": Operator.GT,
    ">=": Operator.GTEQ,
}
_CONDITION: Final = re.compile(r"^\s*(\w+)\s*(!=|<=|>=|=|<|>)\s*(.*?)\s*$")
_DAY: Final = re.compile(r"^\d{4}-\d\d-\d\d$")
_DECIMAL: Final = re.compile(r"^\d{1,6}(\.\d{1,3})?$", re.ASCII)
_YES: Final = {"yes": True, "no": False}


_EXAMPLES: Final = (
    "columns=plant,kwh  mask=worker:hash,price:round:10  where='plant=A|B and kwh>=10'  "
    "rows=1000  bytes=1000000  until=2027-03-31  derivation=no  royalty=5  delete-days=30"
)


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _modes(text: str) -> tuple[Mode, ...]:
    return tuple(Mode(word) for word in _list(text))


def _masks(text: str) -> tuple[Mask, ...]:
    return tuple(Mask.from_text(" ".join(one.split(":"))) for one in _list(text))


def _conditions(text: str) -> tuple[RowCondition, ...]:
    return tuple(_condition(one) for one in text.split(" and "))


def _condition(text: str) -> RowCondition:
    match = _CONDITION.match(text)
    if match is None:
        raise ValueError(text)
    column, sign, value = match.groups()
    operator, values = _SIGNS[sign], (value,)
    if "|" in value:
        values = tuple(value.split("|"))
        operator = {Operator.EQ: Operator.ANY_OF, Operator.NEQ: Operator.NONE_OF}[operator]
    return RowCondition(column=column, operator=operator, values=values)


def _bounds(text: str) -> tuple[Bound, ...]:
    return tuple(Bound.from_text(" ".join(one.split(":"))) for one in _list(text))


def _thousandths(text: str) -> int:
    """Read a decimal of at most three places as thousandths."""
    if not _DECIMAL.match(text):
        raise ValueError(text)
    return int(Decimal(text) * 1000)


def _from(text: str) -> datetime:
    """Read a moment, or a day, which begins with its first second in Korea."""
    return parse_time(f"{text}T00:00:00+09:00" if _DAY.match(text) else text)


def _until(text: str) -> datetime:
    """Read a moment, or a day, which ends with its last second in Korea."""
    if _DAY.match(text):
        return parse_time(f"{text}T23:59:59+09:00")
    return parse_time(text)


# name on the command line: field of Terms, how its value is read
READERS: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    "modes": ("modes", _modes),
    "from": ("valid_from", _from),
    "until": ("valid_until", _until),
    "days": ("valid_days", int),
    "recipients": ("recipients", _list),
    "recipient-groups": ("recipient_groups", _list),
    "recipient-claims": ("recipient_claims", _list),
    "columns": ("columns", _list),
    "mask": ("masks", _masks),
    "where": ("row_filter", _conditions),
    "statistics-of": ("statistics_entity", str),
    "groups": ("statistics_groups", _list),
    "entities": ("entities_min", int),
    "dominance": ("dominance_percent_max", int),
    "remainder": ("remainder_percent_min", int),
    "epsilon": ("epsilon_milli", _thousandths),
    "epsilon-budget": ("epsilon_budget_milli", _thousandths),
    "epsilon-agreement": ("epsilon_agreement_milli", _thousandths),
    "bounds": ("bounds", _bounds),
    "entity-rows": ("entity_rows_max", int),
    "entity-cells": ("entity_cells_max", int),
    "queries": ("queries_max", int),
    "rows": ("rows_max", int),
    "bytes": ("bytes_max", int),
    "purposes": ("purposes", _list),
    "redistribution": ("redistribution_forbidden", lambda text: not _YES[text]),
    "derivation": ("derivation_forbidden", lambda text: not _YES[text]),
    "royalty": ("derivation_royalty_percent", int),
    "delete-days": ("deletion_days", int),
}


def apply_terms(terms: Terms, said: Sequence[str]) -> Terms:
    """Return ``terms`` with what ``--term`` says in their place; an empty value lifts a limit.

    Raises:
        BadAnswerError: Not a term, or not a value of it.
    """
    changes: dict[str, Any] = {}
    for text in said:
        name, equals, value = text.partition("=")
        reader = READERS.get(name.strip())
        if reader is None or not equals:
            raise BadAnswerError(
                ko=f"--term {text!r}: 이름=값 꼴로, 이름은 {', '.join(READERS)} 가운데 고르세요.",
                en=f"--term {text!r}: write NAME=VALUE; NAME is one of {', '.join(READERS)}.",
            )
        field, read = reader
        try:
            changes[field] = read(value.strip()) if value.strip() else _unlimited(field)
        except (ValueError, KeyError):
            raise _unreadable(text) from None
    try:
        return Terms.model_validate({**terms.model_dump(), **changes})
    except ValidationError as error:
        raise _unreadable(str(error.errors()[0]["msg"])) from None


def _unlimited(field: str) -> Any:  # noqa: ANN401 - a default of Terms
    if field == "redistribution_forbidden":
        return False
    return Terms.model_fields[field].get_default()


def _unreadable(what: str) -> BadAnswerError:
    return BadAnswerError(
        ko=f"--term {what}: 읽을 수 없는 값입니다. 예: {_EXAMPLES}",
        en=f"--term {what}: cannot be read. Examples: {_EXAMPLES}",
    )
