"""From texts to typed columns: which type a column has, and which cells do not fit it.

A column is typed when at least ``TYPED_SHARE`` of its non-empty cells parse; the rest are
bad cells, reported with row and column. Times have one format per column. Nothing is typed
in a way that loses what the file says: codes such as ``007`` or ``1E10`` stay text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from schemas.dataset import ARROW_TYPES, ColumnType
from schemas.wire import Text

TYPED_SHARE: Final = 0.98
AMBIGUOUS_SHARE_SAID: Final = 0.01
LOCAL_ZONE: Final = "Asia/Seoul"
EMPTY: Final = pa.array(
    ["", "-", "--", "n/a", "na", "nan", "null", "none", "#n/a", ".", "미상", "해당없음"]
)
_TRUE: Final = pa.array(["true", "예", "참"])
_FALSE: Final = pa.array(["false", "아니오", "거짓"])
_INTEGER: Final = r"^[+-]?([0-9]{1,18}|[1-9][0-9]{0,2}(,[0-9]{3}){1,5})$"
_NUMBER: Final = r"^[+-]?([0-9]{1,3}(,[0-9]{3})+|[0-9]+)?(\.[0-9]*)?([eE][+-]?[0-9]{1,3})?\s*%?$"
_DECIMAL: Final = r"^[+-]?([0-9]{1,20}|[1-9][0-9]{0,2}(,[0-9]{3}){1,6})(\.[0-9]{1,18})?$"
_HAS_DIGIT: Final = r"[0-9]"
_CODE: Final = r"^[+-]?0[0-9]+(\.[0-9]*)?$|^[0-9]+[eE][0-9]+$"  # 007 and 1E10 are identifiers
_BEYOND_INTEGER: Final = r"^[+-]?[0-9]{19,}$"
_BEYOND_NUMBER: Final = r"^[+-]?[0-9]{16,}(\.[0-9]*)?$"
_BEYOND_DECIMAL: Final = r"^[+-]?[0-9]{21,}(\.[0-9]*)?$"
NUMBER_DIGITS: Final = 17  # what a float64 can tell apart
YEAR_MIN: Final = 1000  # "%Y" also reads 26 as the year 26
_LEAP_SECOND: Final = r":6[01](Z|$)"
_FIRST, _SECOND, _THIRD = (rf"^(?:\D*\d+\D){{{n}}}\D*(\d+).*$" for n in range(3))
TIME_FORMATS: Final = (
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%Y.%m.%d %H:%M:%S",
    "%Y.%m.%d %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%y %H:%M",
    "%d/%m/%y %H:%M",
)
DATE_FORMATS: Final = (
    "%Y-%m-%d",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%m/%d/%y",
    "%d/%m/%y",
    "%d-%b-%y",
    "%d-%b-%Y",
)
_SWAPPED: Final = {"%d/%m": "%m/%d", "%m/%d": "%d/%m"}


@dataclass(frozen=True, slots=True)
class TypedColumn:
    """A column's values; ``bad`` holds the positions of cells that do not fit."""

    type: ColumnType
    values: pa.Array
    bad: list[int] = field(default_factory=list)
    unit: str | None = None
    warnings: list[Text] = field(default_factory=list)
    reason: Text | None = None


_REASONS: Final = {
    ColumnType.INTEGER: Text(ko="정수가 아닙니다", en="not a whole number"),
    ColumnType.NUMBER: Text(ko="숫자가 아닙니다", en="not a number"),
    ColumnType.DECIMAL: Text(ko="숫자가 아닙니다", en="not a number"),
    ColumnType.BOOLEAN: Text(ko="예/아니오 값이 아닙니다", en="not true or false"),
    ColumnType.DATE: Text(ko="이 열의 날짜 형식이 아닙니다", en="not a date as in this column"),
    ColumnType.TIME: Text(ko="이 열의 시각 형식이 아닙니다", en="not a time as in this column"),
}
_KEPT: Final = Text(
    ko="숫자로 바꾸면 달라지는 값(0으로 시작하는 번호, 1E10 같은 코드, 너무 긴 수)이 있어 "
    "글로 두었습니다.",
    en="Some values would change as numbers (leading zeros, codes such as 1E10, too many "
    "digits), so the column stays text.",
)


def type_column(texts: pa.ChunkedArray, wanted: ColumnType | None = None) -> TypedColumn:
    """Return the texts as a typed column; ``wanted`` decides the type if it is given."""
    trimmed = pc.utf8_trim_whitespace(pa.chunked_array(texts).combine_chunks())
    is_empty = pc.is_in(pc.utf8_lower(trimmed), EMPTY)
    filled = pc.if_else(is_empty, pa.scalar(None, pa.string()), trimmed)
    count = len(filled) - filled.null_count
    if wanted is ColumnType.TEXT or (wanted is None and count == 0):
        return _as_text(trimmed)
    refused = _losing(filled) if wanted is None else frozenset()
    readers = _READERS if wanted is None else {wanted: _READERS[wanted]}
    for kind, read in readers.items():
        found = None if kind in refused else read(filled)
        if found is None:
            continue
        values, unit, warnings = found
        bad = pc.and_(pc.is_valid(filled), pc.is_null(values))
        bad_count = pc.sum(bad).as_py() or 0
        if wanted is None and count - bad_count < TYPED_SHARE * count:
            continue
        positions = pc.indices_nonzero(bad).to_pylist()
        return TypedColumn(
            kind,
            values.cast(ARROW_TYPES[kind]),
            positions,
            unit,
            warnings,
            _REASONS.get(kind) if positions else None,
        )
    if wanted is not None:
        return _all_bad(filled, wanted)
    looks_like_numbers = _count(pc.match_substring_regex(filled, _NUMBER)) >= TYPED_SHARE * count
    return _as_text(trimmed, [_KEPT] if refused and looks_like_numbers else [])


def _as_text(trimmed: pa.Array, warnings: list[Text] | None = None) -> TypedColumn:
    is_blank = pc.equal(trimmed, "")
    values = pc.if_else(is_blank, pa.scalar(None, pa.string()), trimmed)
    return TypedColumn(ColumnType.TEXT, values, warnings=warnings or [])


def _count(mask: pa.Array) -> int:
    return int(pc.sum(mask).as_py() or 0)


def _losing(filled: pa.Array) -> frozenset[ColumnType]:
    """Return the types that would change what a cell says: zeros, letters or digits lost."""
    plain = pc.replace_substring(filled, ",", "")

    def holds(pattern: str) -> bool:
        return _count(pc.match_substring_regex(plain, pattern)) > 0

    if holds(_CODE) or holds(_BEYOND_DECIMAL):
        return frozenset({ColumnType.INTEGER, ColumnType.NUMBER, ColumnType.DECIMAL})
    if holds(_BEYOND_INTEGER):
        return frozenset({ColumnType.INTEGER, ColumnType.NUMBER})
    return frozenset({ColumnType.NUMBER}) if holds(_BEYOND_NUMBER) else frozenset()


def _all_bad(filled: pa.Array, wanted: ColumnType) -> TypedColumn:
    positions = pc.indices_nonzero(pc.is_valid(filled)).to_pylist()
    values = pa.nulls(len(filled), ARROW_TYPES[wanted])
    return TypedColumn(wanted, values, positions, reason=_REASONS[wanted])


_Found = tuple[pa.Array, str | None, list[Text]]


def _keep(texts: pa.Array, mask: pa.Array) -> pa.Array:
    return pc.if_else(pc.fill_null(mask, fill_value=False), texts, pa.scalar(None, pa.string()))


def _read_boolean(filled: pa.Array) -> _Found:
    lower = pc.utf8_lower(filled)
    is_true = pc.is_in(lower, _TRUE)
    known = pc.or_(is_true, pc.is_in(lower, _FALSE))
    return pc.if_else(known, is_true, pa.scalar(None, pa.bool_())), None, []


def _read_integer(filled: pa.Array) -> _Found:
    fits = _keep(filled, pc.match_substring_regex(filled, _INTEGER))
    return pc.replace_substring(fits, ",", "").cast(pa.int64()), None, []


def _read_number(filled: pa.Array) -> _Found:
    matches = pc.and_(
        pc.match_substring_regex(filled, _NUMBER), pc.match_substring_regex(filled, _HAS_DIGIT)
    )
    fits = _keep(filled, matches)
    percent = _count(pc.ends_with(fits, "%"))
    valid = len(fits) - fits.null_count
    if 0 < percent < valid:  # percentages beside plain numbers: nobody knows what those mean
        fits = _keep(fits, pc.invert(pc.ends_with(fits, "%")))
    plain = pc.utf8_rtrim(pc.replace_substring(fits, ",", ""), "% ")
    plain = pc.replace_substring_regex(plain, r"^\+", "")
    numbers = plain.cast(pa.float64())
    finite = pc.if_else(pc.is_finite(numbers), numbers, pa.scalar(None, pa.float64()))
    return finite, "%" if valid and percent == valid else None, _precision(plain)


def _precision(plain: pa.Array) -> list[Text]:
    fixed = _keep(plain, pc.match_substring_regex(plain, r"^-?[0-9]*\.[0-9]+$"))
    digits = pc.utf8_trim(pc.replace_substring_regex(fixed, r"[^0-9]", ""), "0")
    count = _count(pc.greater(pc.utf8_length(digits), NUMBER_DIGITS))
    if not count:
        return []
    return [
        Text(
            ko=f"{NUMBER_DIGITS}자리보다 긴 수가 {count:,}개 있어 뒷자리가 반올림됩니다. "
            "그대로 두려면 형식을 decimal이나 text로 바꾸세요.",
            en=f"{count:,} numbers have more than {NUMBER_DIGITS} digits and are rounded. To keep "
            "all digits, make the type decimal or text.",
        )
    ]


def _parse(filled: pa.Array, form: str) -> pa.Array:
    """Read times of one format; a day that its month does not have is none (C rolls it over)."""
    parsed = pc.strptime(filled, format=form, unit="us", error_is_null=True)
    if parsed.null_count == len(parsed):
        return parsed
    day = {"%Y": _THIRD, "%d": _FIRST, "%m": _SECOND}[form[:2]]
    texts = _keep(filled, pc.is_valid(parsed))
    said = pc.replace_substring_regex(texts, day, r"\1").cast(pa.int64())
    is_real = pc.and_(pc.equal(pc.day(parsed), said), pc.greater_equal(pc.year(parsed), YEAR_MIN))
    is_real = pc.and_(is_real, pc.invert(pc.match_substring_regex(texts, _LEAP_SECOND)))
    return pc.if_else(is_real, parsed, pa.scalar(None, parsed.type))


def _best_format(filled: pa.Array, formats: tuple[str, ...]) -> tuple[str, pa.Array] | None:
    best: tuple[str, pa.Array] | None = None
    for form in formats:
        parsed = _parse(filled, form)
        if best is None or parsed.null_count < best[1].null_count:
            best = (form, parsed)
    if best is None or best[1].null_count == len(filled):
        return None
    return best


def _ambiguity(filled: pa.Array, form: str) -> list[Text]:
    head = form[:5]
    if head not in _SWAPPED:
        return []
    swapped = _parse(filled, _SWAPPED[head] + form[5:])
    count = len(filled) - filled.null_count
    share = (len(swapped) - swapped.null_count) / count
    if share < AMBIGUOUS_SHARE_SAID:
        return []
    read_as = "일/월/년" if head == "%d/%m" else "월/일/년"
    english = "day/month/year" if head == "%d/%m" else "month/day/year"
    return [
        Text(
            ko=f"날짜를 {read_as}로 읽었습니다. {share:.0%}는 반대로도 읽힙니다. 확인하세요.",
            en=f"Dates were read as {english}; {share:.0%} could be read the other way round.",
        )
    ]


def _read_date(filled: pa.Array) -> _Found | None:
    best = _best_format(filled, DATE_FORMATS)
    if best is None:
        return None
    return best[1].cast(pa.date32()), None, _ambiguity(filled, best[0])


def _read_time(filled: pa.Array) -> _Found | None:
    best = _best_format(filled, TIME_FORMATS)
    if best is None:
        return None
    form, parsed = best
    warnings = _ambiguity(filled, form)
    if form.endswith("Z"):
        return pc.assume_timezone(parsed, "UTC"), None, warnings
    local = pc.assume_timezone(parsed, LOCAL_ZONE, ambiguous="earliest", nonexistent="earliest")
    warnings.append(
        Text(
            ko="시간대가 없어 한국 시각(Asia/Seoul)으로 읽고 UTC로 저장합니다.",
            en="Times have no zone: read as Asia/Seoul and stored in UTC.",
        )
    )
    steps = pc.subtract(pc.cast(parsed, pa.int64())[1:], pc.cast(parsed, pa.int64())[:-1])
    backwards = pc.sum(pc.less(steps, 0)).as_py() or 0
    if backwards:
        warnings.append(
            Text(
                ko=f"시각이 {backwards:,}번 뒤로 갑니다(정렬 또는 자정 표기 확인).",
                en=f"Time goes backwards {backwards:,} times (check order and midnight stamps).",
            )
        )
    return local.cast(pa.timestamp("us", "UTC")), None, warnings


def _read_decimal(filled: pa.Array) -> _Found | None:
    fits = _keep(filled, pc.match_substring_regex(filled, _DECIMAL))
    return pc.replace_substring(fits, ",", "").cast(ARROW_TYPES[ColumnType.DECIMAL]), None, []


_READERS: Final = {
    ColumnType.BOOLEAN: _read_boolean,
    ColumnType.INTEGER: _read_integer,
    ColumnType.NUMBER: _read_number,
    ColumnType.DATE: _read_date,
    ColumnType.TIME: _read_time,
    ColumnType.DECIMAL: _read_decimal,
}
