"""Terms about rows and columns: masks and row conditions, as values and as texts in ODRL.

A mask is written ``column method`` or ``column method argument``; a condition is written
``column operator ["value", …]`` with the operators of ODRL. Values stay texts here: only the
dataset's columns say what they mean.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import Field, StringConstraints, model_validator

from schemas.ids import COLUMN_NAME
from schemas.wire import OwnWire

VALUES_MAX: Final = 1000
VALUE_CHARS_MAX: Final = 200
PREFIX_CHARS_MAX: Final = 50
_STEP: Final = re.compile(r"^\d{1,12}(\.\d{1,9})?$", re.ASCII)
_BOUND: Final = re.compile(r"^-?\d{1,12}(\.\d{1,9})?$", re.ASCII)

ColumnName = Annotated[str, StringConstraints(pattern=COLUMN_NAME.pattern)]


class MaskMethod(StrEnum):
    """What is done to the values of a column before anybody gets them."""

    BLANK = "blank"  # no value at all
    HASH = "hash"  # a keyed pseudonym: the same value is the same text in this dataset only
    ROUND = "round"  # to the nearest multiple of the argument
    PREFIX = "prefix"  # as many first characters as the argument says
    DAY = "day"  # times to their day (UTC)
    MONTH = "month"
    YEAR = "year"


class Mask(OwnWire):
    """A column whose values are masked; ``argument`` is there for ``round`` and ``prefix``."""

    column: ColumnName
    method: MaskMethod
    argument: str | None = None

    @model_validator(mode="after")
    def _check_argument(self) -> Self:
        match self.method:
            case MaskMethod.ROUND:
                if not _is_step(self.argument):
                    raise ValueError("round needs a positive number: round 10")
            case MaskMethod.PREFIX:
                given = self.argument or ""
                is_count = given.isascii() and given.isdigit() and not given.startswith("0")
                if not is_count or int(given) > PREFIX_CHARS_MAX:
                    raise ValueError(f"prefix needs a count from 1 to {PREFIX_CHARS_MAX}: prefix 2")
            case _:
                if self.argument is not None:
                    raise ValueError(f"{self.method.value} takes no argument")
        return self

    @property
    def said(self) -> str:
        """Return method and argument, as a listing shows them: ``round 10``."""
        return " ".join(filter(None, (self.method.value, self.argument)))

    def to_text(self) -> str:
        """Return the mask as the policy holds it."""
        return f"{self.column} {self.said}"

    @classmethod
    def from_text(cls, text: str) -> Mask:
        """Read a mask.

        Raises:
            ValueError: Not one.
        """
        column, method, *rest = text.split(" ")
        if len(rest) > 1:
            raise ValueError(f"not a mask: {text!r}")
        return cls(column=column, method=MaskMethod(method), argument=rest[0] if rest else None)


class Bound(OwnWire):
    """Between what one entity's total of a column is kept, where noise covers one entity.

    ``lower`` and ``upper`` are decimals in the column's unit; they are published, so they must
    not be read off the data.
    """

    column: ColumnName
    lower: str
    upper: str

    @model_validator(mode="after")
    def _check_limits(self) -> Self:
        if not (_BOUND.match(self.lower) and _BOUND.match(self.upper)):
            raise ValueError("a bound is a column, a lower and an upper number: kwh 0 1000")
        if Decimal(self.lower) >= Decimal(self.upper):
            raise ValueError(f"the lower bound of {self.column} is not below the upper one")
        return self

    @property
    def magnitude(self) -> Decimal:
        """The most that one entity can change a sum by; never zero."""
        return max(abs(Decimal(self.lower)), abs(Decimal(self.upper)))

    def to_text(self) -> str:
        """Return the bound as the policy holds it."""
        return f"{self.column} {self.lower} {self.upper}"

    @classmethod
    def from_text(cls, text: str) -> Bound:
        """Read a bound.

        Raises:
            ValueError: Not one.
        """
        column, lower, upper = text.split(" ")
        return cls(column=column, lower=lower, upper=upper)


def _is_step(text: str | None) -> bool:
    try:
        return text is not None and bool(_STEP.match(text)) and Decimal(text) > 0
    except InvalidOperation:
        return False


class Operator(StrEnum):
    """How a column is compared; a row without a value never fits."""

    EQ = "eq"
    NEQ = "neq"
    LT = "lt"
    LTEQ = "lteq"
    GT = "gt"
    GTEQ = "gteq"
    ANY_OF = "isAnyOf"
    NONE_OF = "isNoneOf"


LIST_OPERATORS: Final = frozenset({Operator.ANY_OF, Operator.NONE_OF})
_Value = Annotated[str, StringConstraints(max_length=VALUE_CHARS_MAX)]


class RowCondition(OwnWire):
    """One condition that every licensed row fulfils; several hold together."""

    column: ColumnName
    operator: Operator
    values: tuple[_Value, ...] = Field(min_length=1, max_length=VALUES_MAX)

    @model_validator(mode="after")
    def _check_values(self) -> Self:
        if len(self.values) > 1 and self.operator not in LIST_OPERATORS:
            raise ValueError(f"{self.operator.value} compares with one value")
        return self

    def to_text(self) -> str:
        """Return the condition as the policy holds it."""
        values = json.dumps(list(self.values), ensure_ascii=False)
        return f"{self.column} {self.operator.value} {values}"

    @classmethod
    def from_text(cls, text: str) -> RowCondition:
        """Read a condition.

        Raises:
            ValueError: Not one.
        """
        column, operator, rest = text.split(" ", 2)
        values = json.loads(rest)
        if not isinstance(values, list):
            raise ValueError(f"not a condition: {text!r}")  # noqa: TRY004 - one error for all
        return cls(column=column, operator=Operator(operator), values=tuple(values))
