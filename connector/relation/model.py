"""The relation that terms license, and what it makes of a dataset's columns.

Rule 1: terms that do not fit the columns are refused when they are offered, never later.
Rule 2: two terms with the same relation share one file, so it is known by its hash.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from schemas.canonical import digest
from schemas.dataset import Column, ColumnType, DatasetSchema
from schemas.price import PricePlan
from schemas.problem import ProblemError
from schemas.proposal import plan_fault
from schemas.terms import Bound, Mask, MaskMethod, Operator, RowCondition, Terms
from schemas.wire import Text, parse_time


class TermsDoNotFitError(ProblemError):
    """Terms name columns that the dataset does not have, or ask of them what they cannot give."""

    slug = "terms-do-not-fit"
    title = Text(ko="이용 조건이 데이터에 맞지 않습니다", en="The terms do not fit the data")
    status = 422


def check_plan(terms: Terms, plan: PricePlan) -> None:
    """Require a price that fits the ways of use.

    Raises:
        TermsDoNotFitError: It is by compute seconds, and they permit what computes nothing.
    """
    if fault := plan_fault(terms, plan):
        raise TermsDoNotFitError(ko=fault.ko, en=fault.en)


_NUMBERS: Final = frozenset({ColumnType.INTEGER, ColumnType.NUMBER, ColumnType.DECIMAL})
_DATES: Final = frozenset({ColumnType.DATE, ColumnType.TIME})
_EVERY: Final = frozenset(ColumnType)
_METHOD_TYPES: Final[dict[MaskMethod, frozenset[ColumnType]]] = {
    MaskMethod.BLANK: _EVERY,
    MaskMethod.HASH: frozenset({ColumnType.TEXT, ColumnType.INTEGER, ColumnType.DATE}),
    MaskMethod.ROUND: _NUMBERS,
    MaskMethod.PREFIX: frozenset({ColumnType.TEXT}),
    MaskMethod.DAY: frozenset({ColumnType.TIME}),
    MaskMethod.MONTH: _DATES,
    MaskMethod.YEAR: _DATES,
}
_GROUP_TYPES: Final = frozenset(
    {ColumnType.TEXT, ColumnType.INTEGER, ColumnType.DATE, ColumnType.BOOLEAN}
)
_TEXTS: Final = frozenset({ColumnType.TEXT, ColumnType.BOOLEAN})
_BOOLEANS: Final = {"true": True, "false": False}
_LESS_OR_MORE: Final = frozenset({Operator.LT, Operator.LTEQ, Operator.GT, Operator.GTEQ})


@dataclass(frozen=True, slots=True)
class Relation:
    """What of a dataset is licensed; the default is all of it."""

    columns: tuple[str, ...] = ()
    masks: tuple[Mask, ...] = ()
    row_filter: tuple[RowCondition, ...] = ()

    @classmethod
    def of(cls, terms: Terms) -> Relation:
        """Return the relation of terms."""
        return cls(terms.columns, terms.masks, terms.row_filter)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left out or masked."""
        return not (self.columns or self.masks or self.row_filter)

    @property
    def sha256(self) -> str:
        """The relation's identity within a dataset."""
        return digest(
            {
                "columns": list(self.columns),
                "masks": [mask.to_text() for mask in self.masks],
                "row_filter": [condition.to_text() for condition in self.row_filter],
            }
        )

    def licensed(self, schema: DatasetSchema) -> DatasetSchema:
        """Return the columns of the relation; masked ones say so.

        Raises:
            TermsDoNotFitError: The terms do not fit the columns.
        """
        known = {column.name: column for column in schema.columns}
        for name in (*self.columns, *(m.column for m in self.masks)):
            _find(known, name)
        for condition in self.row_filter:
            constants(_find(known, condition.column), condition)
        masks = {mask.column: mask for mask in self.masks}
        wanted = set(self.columns) or set(known)
        return DatasetSchema(
            columns=tuple(
                _masked(column, masks.get(column.name))
                for column in schema.columns
                if column.name in wanted
            )
        )


def check_statistics(licensed: DatasetSchema, entity: str, groups: tuple[str, ...]) -> None:
    """Check that a relation has the columns that its statistics are made of.

    Raises:
        TermsDoNotFitError: One is missing, hidden, or of a type that makes no groups.
    """
    known = {column.name: column for column in licensed.columns}
    for name in (entity, *groups):
        column = _find(known, name)
        is_blank = column.mask == MaskMethod.BLANK.value
        if is_blank or column.type not in _GROUP_TYPES:
            raise TermsDoNotFitError(
                ko=f"열 '{name}'({column.type.value})은(는) 통계를 나누는 열이 될 수 없습니다. "
                "글, 정수, 날짜, 참거짓 열을 고르세요.",
                en=f"Column '{name}' ({column.type.value}) cannot group statistics. "
                "Choose a column of texts, whole numbers, dates or truth values.",
                column=name,
            )


def check_bounds(licensed: DatasetSchema, entity: str, bounds: tuple[Bound, ...]) -> None:
    """Check that what noise is to cover can be bounded.

    Raises:
        TermsDoNotFitError: A bounded column is missing or no number, or entities are merged.
    """
    known = {column.name: column for column in licensed.columns}
    for bound in bounds:
        column = _find(known, bound.column)
        if column.type not in _NUMBERS or column.mask == MaskMethod.BLANK.value:
            raise TermsDoNotFitError(
                ko=f"열 '{column.name}'({column.type.value})은(는) 더할 수 있는 수가 아니라 범위를 "
                "정할 수 없습니다. 수 열을 고르세요.",
                en=f"Column '{column.name}' ({column.type.value}) is not summed, so it has no "
                "bounds. Choose a column of numbers.",
                column=column.name,
            )
    if known[entity].mask not in {None, MaskMethod.HASH.value}:
        raise TermsDoNotFitError(
            ko=f"열 '{entity}'을(를) 이렇게 가리면 여러 곳이 하나로 합쳐져 잡음의 크기가 맞지 "
            "않습니다. 가리지 않거나 hash로 가리세요.",
            en=f"Masked like this, several '{entity}' become one, and the noise would be too "
            "small. Leave the column unmasked, or mask it by hash.",
            column=entity,
        )


def _find(known: dict[str, Column], name: str) -> Column:
    if name in known:
        return known[name]
    raise TermsDoNotFitError(
        ko=f"이용 조건에 적힌 열 '{name}'이(가) 데이터에 없습니다. 있는 열: {', '.join(known)}",
        en=f"The terms name a column '{name}' that is not there. Columns: {', '.join(known)}",
        column=name,
    )


def _masked(column: Column, mask: Mask | None) -> Column:
    if mask is None:
        return column
    if column.type not in _METHOD_TYPES[mask.method]:
        raise TermsDoNotFitError(
            ko=f"열 '{column.name}'({column.type.value})은(는) '{mask.said}' 방식으로 가릴 수 "
            "없습니다. 다른 방식(blank, hash, round, prefix, day, month, year)을 고르세요.",
            en=f"Column '{column.name}' ({column.type.value}) cannot be masked by '{mask.said}'. "
            "Choose another method: blank, hash, round, prefix, day, month, year.",
            column=column.name,
        )
    changes: dict[str, Any] = {"mask": mask.said}
    if mask.method is MaskMethod.HASH:
        changes |= {"type": ColumnType.TEXT, "unit": None}
    return column.model_copy(update=changes)


def constants(column: Column, condition: RowCondition) -> list[Any]:
    """Return a condition's values as Python values of the column's type.

    Raises:
        TermsDoNotFitError: They are none, or the type has no order.
    """
    if column.type in _TEXTS and condition.operator in _LESS_OR_MORE:
        raise TermsDoNotFitError(
            ko=f"열 '{column.name}'({column.type.value})은(는) 크기로 비교할 수 없습니다.",
            en=f"Column '{column.name}' ({column.type.value}) has no order to compare by.",
            column=column.name,
        )
    try:
        return [_constant(column.type, value) for value in condition.values]
    except (ValueError, KeyError, InvalidOperation):
        raise TermsDoNotFitError(
            ko=f"행 조건의 값이 열 '{column.name}'의 형식({column.type.value})이 아닙니다: "
            f"{', '.join(condition.values)[:100]}",
            en=f"A value of the row condition is not of the type of '{column.name}' "
            f"({column.type.value}): {', '.join(condition.values)[:100]}",
            column=column.name,
        ) from None


def _constant(kind: ColumnType, text: str) -> Any:  # noqa: ANN401 - of the column's type
    match kind:
        case ColumnType.BOOLEAN:
            return _BOOLEANS[text]
        case ColumnType.INTEGER:
            return int(text)
        case ColumnType.NUMBER:
            return float(_finite(text))
        case ColumnType.DECIMAL:
            return _finite(text)
        case ColumnType.TEXT:
            return text
        case ColumnType.DATE:
            return date.fromisoformat(text)
        case ColumnType.TIME:
            return parse_time(text) if "T" in text else _midnight(text)


def _finite(text: str) -> Decimal:
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError(text)
    return number


def _midnight(text: str) -> datetime:
    return datetime.combine(date.fromisoformat(text), time(), UTC)
