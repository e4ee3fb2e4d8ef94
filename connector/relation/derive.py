"""Making the licensed relation: a file of its own, with nothing in it that is not licensed.

It is made batch by batch in the order of the source; the source's record batches that hold
no licensed row leave none. Where a value is masked or absent, no byte of it is left behind.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from connector.relation.model import Relation, constants
from schemas.dataset import ARROW_TYPES, BATCH_ROWS_MAX, Column, DatasetSchema
from schemas.terms import Mask, MaskMethod, Operator, RowCondition

PSEUDONYM_CHARS: Final = 32  # of the hex of HMAC-SHA-256: 128 bits
_KEPT_METADATA: Final = frozenset({b"idb.dataset", b"idb.publisher", b"idb.timezone"})
_COMPARISONS: Final = {
    Operator.EQ: pc.equal,
    Operator.NEQ: pc.not_equal,
    Operator.LT: pc.less,
    Operator.LTEQ: pc.less_equal,
    Operator.GT: pc.greater,
    Operator.GTEQ: pc.greater_equal,
}


def derive(source: Path, target: Path, relation: Relation, *, key: bytes) -> DatasetSchema:
    """Write the licensed relation of the Arrow file ``source`` to ``target``.

    ``key`` makes pseudonyms: whoever lacks it cannot tell which value stands behind one.

    Raises:
        TermsDoNotFitError: The terms do not fit the columns.
    """
    with pa.memory_map(str(source)) as file:
        reader = pa.ipc.open_file(file)
        schema = DatasetSchema.from_arrow(reader.schema)
        licensed = relation.licensed(schema)
        # what the source was made of is not said: its hash would tell of hidden values
        metadata = {k: v for k, v in (reader.schema.metadata or {}).items() if k in _KEPT_METADATA}
        arrow = licensed.to_arrow().with_metadata(metadata)
        with pa.OSFile(str(target), "wb") as sink, pa.ipc.new_file(sink, arrow) as writer:
            for table in _regrouped(_parts(reader, schema, licensed, relation, key=key), arrow):
                writer.write_table(table, max_chunksize=BATCH_ROWS_MAX)
    return licensed


def _parts(
    reader: pa.RecordBatchFileReader,
    schema: DatasetSchema,
    licensed: DatasetSchema,
    relation: Relation,
    *,
    key: bytes,
) -> Iterator[pa.Table]:
    known = {column.name: column for column in schema.columns}
    masks = {mask.column: mask for mask in relation.masks}
    for number in range(reader.num_record_batches):
        batch = reader.get_batch(number)
        for condition in relation.row_filter:
            column = known[condition.column]
            batch = batch.filter(_fits(batch.column(column.name), column, condition))
        if not batch.num_rows:
            continue
        arrays = [
            _mask(batch.column(column.name), column, masks.get(column.name), key=key)
            for column in licensed.columns
        ]
        yield pa.Table.from_arrays(arrays, schema=licensed.to_arrow())


def _regrouped(parts: Iterator[pa.Table], schema: pa.Schema) -> Iterator[pa.Table]:
    """Join small parts, so that record batches of the result are not crumbs."""
    waiting: list[pa.Table] = []
    for part in parts:
        waiting.append(part.replace_schema_metadata(schema.metadata))
        if sum(table.num_rows for table in waiting) >= BATCH_ROWS_MAX:
            joined = pa.concat_tables(waiting).combine_chunks()
            whole = joined.num_rows - joined.num_rows % BATCH_ROWS_MAX
            yield joined.slice(0, whole)
            waiting = [joined.slice(whole)]
    if sum(table.num_rows for table in waiting):
        yield pa.concat_tables(waiting).combine_chunks()


def _fits(values: pa.Array, column: Column, condition: RowCondition) -> pa.Array:
    """Return which rows fulfil a condition; a row without a value does not."""
    kind = ARROW_TYPES[column.type]
    given = [pa.scalar(constant, kind) for constant in constants(column, condition)]
    if condition.operator in {Operator.ANY_OF, Operator.NONE_OF}:
        found = pc.is_in(values, value_set=pa.array([one.as_py() for one in given], kind))
        if condition.operator is Operator.NONE_OF:
            found = pc.invert(found)
        return pc.and_(found, pc.is_valid(values))
    return pc.fill_null(_COMPARISONS[condition.operator](values, given[0]), fill_value=False)


def _mask(values: pa.Array, column: Column, mask: Mask | None, *, key: bytes) -> pa.Array:
    kind = ARROW_TYPES[column.type]
    if mask is None:
        return values
    match mask.method:
        case MaskMethod.BLANK:
            return pa.nulls(len(values), kind)
        case MaskMethod.HASH:
            own = hmac.new(key, column.name.encode(), hashlib.sha256).digest()
            return _pseudonyms(values, own)
        case MaskMethod.PREFIX:
            return pc.utf8_slice_codeunits(values, 0, int(mask.argument or "0"))
        case MaskMethod.ROUND:
            step = Decimal(mask.argument or "1")
            masked = [None if v is None else _rounded(v, step) for v in values.to_pylist()]
            return pa.array(masked, kind)
        case _:
            return pc.floor_temporal(values, unit=mask.method.value).cast(kind)


def _pseudonyms(values: pa.Array, key: bytes) -> pa.Array:
    distinct = pc.unique(values)
    names = [
        None
        if value is None
        else hmac.new(key, str(value).encode(), hashlib.sha256).hexdigest()[:PSEUDONYM_CHARS]
        for value in distinct.to_pylist()
    ]
    return pa.array(names, pa.string()).take(pc.index_in(values, value_set=distinct))


def _rounded(value: Any, step: Decimal) -> Any:  # noqa: ANN401 - a number of the column's type
    if isinstance(value, float):
        number = Decimal(repr(value))
        return float((number / step).to_integral_value() * step) if number.is_finite() else None
    number = (Decimal(value) / step).to_integral_value() * step
    return int(number) if isinstance(value, int) else number
