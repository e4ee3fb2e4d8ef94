"""The sample: first rows of the columns that may be shown, as JSON values."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


def sample_of(data: pa.Table, columns: list[str], rows_count: int) -> dict[str, Any]:
    """Return ``sample_columns`` and ``sample``; both empty if no row is to be shown."""
    shown = columns if rows_count else []
    first = data.select(shown).slice(0, rows_count)
    values = [_values(first.column(name)) for name in shown]
    return {"sample_columns": shown, "sample": [list(row) for row in zip(*values, strict=True)]}


def _values(column: pa.ChunkedArray) -> list[Any]:
    kind = column.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        return list(column.to_pylist())
    if pa.types.is_floating(kind):
        finite = pc.if_else(pc.is_finite(column), column, pa.scalar(None, pa.float64()))
        return list(finite.to_pylist())
    return [None if v is None else str(v) for v in column.cast(pa.string()).to_pylist()]
