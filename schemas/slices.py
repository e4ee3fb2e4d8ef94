"""Slices: the records of one agreement in a batch, so that they can be shown alone.

A supplier's batch holds records of many agreements. Its header signs the root of a Merkle tree
(RFC 6962) over the batch's slices in the order of their agreements' ids, so a slice with its
audit path proves what the supplier signed about one agreement and tells nothing of the others.

A slice's bytes are unique: a mark, the number of records, then column after column as in
``ARROW_SCHEMA``, the last only under the second mark, which is used where it is not all zeros;
integers (times are microseconds since 1970) as eight bytes each, texts as their lengths of four
bytes each and then their UTF-8; all little endian.
"""

from __future__ import annotations

import hashlib
import struct
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from schemas.ids import AgreementId, ParticipantId
from schemas.merkle import leaf_hash, nodes_over, prove_inclusion, root_of
from schemas.signature import SigningKey
from schemas.usage import (
    ARROW_SCHEMA,
    COMPUTE,
    PLAIN_SCHEMA,
    Act,
    BadBatchError,
    BatchHeader,
    UsageRecord,
    encode_table,
    sign_header,
    table_of,
)

assert sys.byteorder == "little", "slices are the bytes of Arrow's columns"
MARK: Final = b"databank usage slice v1\n"
COMPUTE_MARK: Final = b"databank usage slice v2\n"  # with the column ``compute_ms``
_COUNT: Final = struct.Struct("<I")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TEXTS: Final = frozenset(f.name for f in ARROW_SCHEMA if f.type == pa.string())
_BY_AGREEMENT: Final = [("agreement_id", "ascending"), ("seq", "ascending")]


@dataclass(frozen=True)
class Slice:
    """One agreement's records in a batch: rows by ``seq``, columns as in ``ARROW_SCHEMA``."""

    agreement_id: AgreementId
    rows: pa.RecordBatch
    content: bytes

    @cached_property
    def leaf(self) -> bytes:
        """The leaf hash over the slice's bytes."""
        return leaf_hash(self.content)


class _Layout:
    """The buffers of a batch's columns, from which slices are cut without a copy for each."""

    def __init__(self, rows: pa.RecordBatch) -> None:
        self._columns: list[tuple[memoryview, memoryview | None, memoryview]] = []
        for field, column in zip(ARROW_SCHEMA, rows.columns, strict=True):
            if field.name not in _TEXTS:
                self._columns.append((_fixed(column, 8), None, memoryview(b"")))
                continue
            lengths = _fixed(pc.binary_length(column), 4)
            _, ends, data = column.buffers()
            offsets = memoryview(ends).cast("i")[column.offset : column.offset + len(column) + 1]
            self._columns.append((lengths, offsets, memoryview(data or b"")))

    def cut(self, start: int, end: int) -> bytes:
        """Return the bytes of the slice of rows ``start`` to ``end - 1``."""
        compute = self._columns[COMPUTE][0][start * 8 : end * 8]
        is_plain = bytes(compute) == bytes(len(compute))  # views are compared item by item
        columns = self._columns[:COMPUTE] if is_plain else self._columns
        mark = MARK if is_plain else COMPUTE_MARK
        parts: list[bytes | memoryview] = [mark, _COUNT.pack(end - start)]
        for fixed, offsets, data in columns:
            if offsets is None:
                parts.append(fixed[start * 8 : end * 8])
            else:
                parts.append(fixed[start * 4 : end * 4])
                parts.append(data[offsets[start] : offsets[end]])
        return b"".join(parts)


def _fixed(column: Any, width: int) -> memoryview:  # noqa: ANN401 - pyarrow ships no types
    start = column.offset * width
    return memoryview(column.buffers()[1])[start : start + len(column) * width]


@dataclass(frozen=True)
class Slices:
    """A batch by agreement, in the order of the agreements' ids."""

    parts: tuple[Slice, ...]

    @cached_property
    def root(self) -> bytes:
        """The root that the batch's header signs."""
        return root_of(part.leaf for part in self.parts)

    def proof(self, index: int) -> list[bytes]:
        """Return the audit path of a slice."""
        leaves = [part.leaf for part in self.parts]
        return prove_inclusion(index, len(leaves), nodes_over(leaves))


def split(table: pa.Table) -> Slices:
    """Group the records of a batch by agreement."""
    ids = pc.unique(table.column("agreement_id"))
    if len(ids) > 1:
        table = table.take(pc.sort_indices(table, sort_keys=_BY_AGREEMENT))
    (rows,) = table.combine_chunks().to_batches()
    runs = pc.run_end_encode(rows.column("agreement_id"))
    layout, slices, start = _Layout(rows), [], 0
    for agreement_id, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
        part = rows.slice(start, end - start)
        slices.append(Slice(AgreementId(agreement_id), part, layout.cut(start, end)))
        start = end
    return Slices(tuple(slices))


def split_as(header: BatchHeader, table: pa.Table) -> Slices:
    """Group a batch by agreement, and check that its header signs just that.

    Raises:
        BadBatchError: It does not.
    """
    slices = split(table)
    if (slices.root.hex(), len(slices.parts)) != (header.slices_root, header.slices_count):
        raise BadBatchError("slices_root is not that of the body")
    return slices


def seal_batch(
    records: list[UsageRecord],
    *,
    provider_id: ParticipantId,
    epoch: int,
    previous_sha256: str,
) -> tuple[BatchHeader, bytes]:
    """Return the header and the body of a batch of consecutive records."""
    table = table_of(records)
    body = encode_table(table)
    slices = split(table)
    header = BatchHeader(
        provider_id=provider_id,
        epoch=epoch,
        first_seq=records[0].seq,
        records_count=len(records),
        body_sha256=hashlib.sha256(body).hexdigest(),
        previous_sha256=previous_sha256,
        slices_root=slices.root.hex(),
        slices_count=len(slices.parts),
    )
    return header, body


def sign_batch(
    records: list[UsageRecord], key: SigningKey, *, epoch: int, previous_sha256: str
) -> tuple[str, bytes]:
    """Return a batch ready to be sent: the signed header and the body."""
    owner = ParticipantId(key.kid.partition("#")[0])
    header, body = seal_batch(
        records, provider_id=owner, epoch=epoch, previous_sha256=previous_sha256
    )
    return sign_header(header, key), body


def records_in(content: bytes) -> list[UsageRecord]:
    """Return the records of a slice's bytes.

    Raises:
        BadBatchError: They are no slice.
    """
    try:
        return _read(content)
    except (struct.error, ValueError, OverflowError) as error:
        raise BadBatchError(f"not a slice: {error}") from None


def _read(content: bytes) -> list[UsageRecord]:
    is_plain = content.startswith(MARK)
    if not is_plain and not content.startswith(COMPUTE_MARK):
        raise BadBatchError("not a slice: another mark")
    (count,) = _COUNT.unpack_from(content, len(MARK))
    place = len(MARK) + _COUNT.size
    columns: dict[str, list[Any]] = {}
    for field in PLAIN_SCHEMA if is_plain else ARROW_SCHEMA:
        is_text = field.name in _TEXTS
        values = struct.unpack_from(f"<{count}{'I' if is_text else 'q'}", content, place)
        place += count * (4 if is_text else 8)
        if not is_text:
            columns[field.name] = list(values)
            continue
        texts = []
        for length in values:
            texts.append(content[place : place + length].decode())
            place += length
        columns[field.name] = texts
    if place != len(content):
        raise BadBatchError("not a slice: another length")
    if not is_plain and not any(columns["compute_ms"]):
        raise BadBatchError("not a slice: compute_ms stands where nothing computes")
    columns["act"] = [Act(act) for act in columns["act"]]
    columns["occurred_at"] = [_EPOCH + timedelta(microseconds=at) for at in columns["occurred_at"]]
    return [UsageRecord(*row) for row in zip(*columns.values(), strict=True)]
