"""Values as JSON text that every parser reads, and as people read them in a table."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final

SEOUL: Final = timezone(timedelta(hours=9), "KST")


def json_text(value: Any) -> str:  # noqa: ANN401 - any value
    """Return JSON; what JSON has no word for becomes a string."""
    return json.dumps(plain(value), ensure_ascii=False, allow_nan=False)


def plain(value: Any) -> Any:  # noqa: ANN401 - any value
    """Return a value of JSON: NaN and infinities as strings, times in UTC, bytes as hex."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, str | int | float | bool | None):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, datetime):
        return _iso(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return decimal_text(value)
    return value.hex() if isinstance(value, bytes) else str(value)


def _iso(value: datetime) -> str:
    if value.tzinfo is None:
        return value.isoformat()
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def decimal_text(value: Decimal) -> str:
    """Write a decimal in full, without zeros at its end."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def cell_text(value: Any) -> str:  # noqa: ANN401 - any cell
    """Write a cell of a table; times with an offset are shown in Korean time."""
    if value is None:
        return ""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return str(value.astimezone(SEOUL))
    if isinstance(value, Decimal) and value.is_finite():
        return decimal_text(value)
    return str(value)


def time_text(value: datetime, *, has_seconds: bool = False) -> str:
    """Write a time in Korean time, and say so."""
    form = "%Y-%m-%d %H:%M:%S KST" if has_seconds else "%Y-%m-%d %H:%M KST"
    return value.astimezone(SEOUL).strftime(form)
