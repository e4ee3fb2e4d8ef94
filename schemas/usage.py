"""Usage records: one metered act each, and how a batch of them travels and is signed.

A connector's meter is a stream: ``(provider, epoch, seq)`` with contiguous ``seq`` from 1.
A batch is an Arrow IPC stream of records beside a JWS over its header; one signature
covers all records, and the receiver's watermark makes delivery exactly once.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from schemas.ids import AgreementId, DatasetId, ParticipantId, ProcessId
from schemas.money import MicroWon
from schemas.signature import PublicKey, SigningKey, sign, verify
from schemas.wire import OwnWire, Sha256, Time

BATCH_TYPE: Final = "usage-batch+jws"
ACKNOWLEDGEMENT_TYPE: Final = "usage-acknowledgement+jws"  # a consumer's batch of what it received
RECEIPT_TYPE: Final = "usage-receipt+jws"
MEDIA_TYPE: Final = "application/vnd.apache.arrow.stream"
HEADER: Final = "Databank-Batch"  # the HTTP header that carries the JWS
BATCH_RECORDS_MAX: Final = 8_192
BODY_BYTES_MAX: Final = 8 * 2**20
QUANTITY_MAX: Final = 2**62
FIRST_PREVIOUS_SHA256: Final = "0" * 64  # what the first batch of a stream follows


class Act(StrEnum):
    """What was metered."""

    QUERY = "query"
    READ = "read"


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """One metered act.

    ``act_id`` names the query or the read range that caused it; ``rows_count`` and
    ``bytes_count`` are what was delivered, bytes being uncompressed Arrow IPC bodies.
    ``compute_ms`` is the processor time that it took the supplier, in whole milliseconds cut off
    below one; zero where the agreement's price is not by it.
    """

    seq: int
    act_id: str
    act: Act
    agreement_id: AgreementId
    process_id: ProcessId
    consumer_id: ParticipantId
    dataset_id: DatasetId
    rows_count: int
    bytes_count: int
    queries_count: int
    result_sha256: str
    occurred_at: datetime
    compute_ms: int = 0


ARROW_SCHEMA: Final = pa.schema(
    [
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("act_id", pa.string(), nullable=False),
        pa.field("act", pa.string(), nullable=False),
        pa.field("agreement_id", pa.string(), nullable=False),
        pa.field("process_id", pa.string(), nullable=False),
        pa.field("consumer_id", pa.string(), nullable=False),
        pa.field("dataset_id", pa.string(), nullable=False),
        pa.field("rows_count", pa.int64(), nullable=False),
        pa.field("bytes_count", pa.int64(), nullable=False),
        pa.field("queries_count", pa.int64(), nullable=False),
        pa.field("result_sha256", pa.string(), nullable=False),
        pa.field("occurred_at", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("compute_ms", pa.int64(), nullable=False),
    ]
)
COMPUTE: Final = ARROW_SCHEMA.get_field_index("compute_ms")
PLAIN_SCHEMA: Final = ARROW_SCHEMA.remove(COMPUTE)  # of batches in which nothing computes


_MOMENT_MIN: Final = -62_135_596_800 * 10**6  # year 1 in microseconds since 1970
_MOMENT_MAX: Final = 253_402_300_799 * 10**6  # the end of year 9999
_COLUMNS: Final = tuple(ARROW_SCHEMA.names)  # the fields of UsageRecord, in their order
_ACT: Final = _COLUMNS.index("act")
_ACTS: Final = {act.value: act for act in Act}


class BadBatchError(ValueError):
    """The batch is not what its signature, or the format, says."""


class BatchHeader(OwnWire):
    """What a connector signs for a batch; ``provider_id`` is whose stream it is.

    ``previous_sha256`` is the body hash of the batch before it in the stream, zeros for the
    first. ``slices_root`` is the Merkle root over the batch's slices, one for each agreement
    (`schemas.slices`), so that one agreement's records can be shown without the others'.
    """

    provider_id: ParticipantId
    epoch: int = Field(ge=1, le=QUANTITY_MAX)
    first_seq: int = Field(ge=1, le=QUANTITY_MAX)
    records_count: int = Field(ge=1, le=BATCH_RECORDS_MAX)
    body_sha256: Sha256
    previous_sha256: Sha256
    slices_root: Sha256
    slices_count: int = Field(ge=1, le=BATCH_RECORDS_MAX)


class Receipt(OwnWire):
    """What clearing signs for a batch that it has booked; itself leaf ``log_index`` of its log.

    ``entries_sha256`` is over the ids of its ledger entries, sorted and joined by newlines.
    ``header_sha256`` is over the batch's signed header as it came, ``signer`` the RFC 7638
    thumbprint of the key that it verified under.
    """

    provider_id: ParticipantId
    epoch: int
    first_seq: int
    next_seq: int
    body_sha256: Sha256
    charged_micro: MicroWon  # without VAT
    entries_count: int
    entries_sha256: Sha256
    header_sha256: Sha256
    signer: str
    log_origin: str
    log_index: int = Field(ge=0)
    nonce: str


class ReceiptAnswer(OwnWire):
    """The answer to a batch: ``receipt`` is a JWS over a ``Receipt``."""

    receipt: str


class StreamPosition(OwnWire):
    """Where a stream stands: what is due next, and the body hash that it must follow."""

    epoch: int
    next_seq: int
    last_body_sha256: Sha256


class RecordView(OwnWire):
    """One booked usage record, as its parties read it back."""

    provider_id: ParticipantId
    epoch: int
    seq: int
    act_id: str
    act: Act
    agreement_id: AgreementId
    process_id: ProcessId
    consumer_id: ParticipantId
    dataset_id: DatasetId
    rows_count: int
    bytes_count: int
    queries_count: int
    result_sha256: str
    occurred_at: Time
    compute_ms: int | None = None  # none where the price is not by it


class RecordList(OwnWire):
    """One page of an agreement's records, oldest first."""

    records: tuple[RecordView, ...]
    next_cursor: str | None = None


def table_of(records: list[UsageRecord]) -> pa.Table:
    """Return records as a table."""
    columns = {name: [getattr(record, name) for record in records] for name in _COLUMNS}
    return pa.Table.from_pydict(columns, ARROW_SCHEMA)


def encode_batch(records: list[UsageRecord]) -> bytes:
    """Return records as one Arrow IPC stream."""
    return encode_table(table_of(records))


def encode_table(table: pa.Table) -> bytes:
    """Return a table of records as one Arrow IPC stream.

    Without processor time it has the columns of before there was any: one form for each batch.
    """
    if not has_compute(table):
        table = table.select(PLAIN_SCHEMA.names)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def has_compute(table: pa.Table | pa.RecordBatch) -> bool:
    """Whether any record of a table took processor time that is paid for."""
    return bool(pc.max(table.column(COMPUTE)).as_py())


def records_of(table: pa.Table) -> list[UsageRecord]:
    """Return the rows of a checked table as records."""
    columns = [column.to_pylist() for column in table.columns]
    columns[_ACT] = [_ACTS[act] for act in columns[_ACT]]
    return [UsageRecord(*row) for row in zip(*columns, strict=True)]


def read_columns(body: bytes, header: BatchHeader) -> pa.Table:
    """Read a batch and check it against its header, without an object for each record.

    Returns:
        One row for each record, columns as in ``ARROW_SCHEMA``, in the order of ``seq``.

    Raises:
        BadBatchError: Other hash, schema, count or sequence than the header says, or a
            quantity out of range.
    """
    if len(body) > BODY_BYTES_MAX:
        raise BadBatchError(f"batch body over {BODY_BYTES_MAX} bytes")
    if hashlib.sha256(body).hexdigest() != header.body_sha256:
        raise BadBatchError("body_sha256 does not match the body")
    try:
        table = _read_table(body).combine_chunks()
    except (pa.ArrowException, OSError, OverflowError, TypeError, ValueError) as error:
        raise error if isinstance(error, BadBatchError) else BadBatchError(str(error)) from None
    if table.num_rows != header.records_count:
        raise BadBatchError("records_count does not match the body")
    _check_columns(table, header.first_seq)
    return table


def decode_batch(body: bytes, header: BatchHeader) -> list[UsageRecord]:
    """Read a batch as records, checked as `read_columns` does."""
    return records_of(read_columns(body, header))


def _read_table(body: bytes) -> pa.Table:
    for message in pa.ipc.MessageReader.open_stream(pa.py_buffer(body)):
        if _is_compressed(message.metadata.to_pybytes()):
            raise BadBatchError("compressed bodies are not read: they hide their size")
    with pa.ipc.open_stream(body) as reader:
        if reader.schema not in (ARROW_SCHEMA, PLAIN_SCHEMA):
            raise BadBatchError("not the schema of usage records")
        table = reader.read_all()
    table.validate(full=True)
    if any(column.null_count for column in table.columns):
        raise BadBatchError("a field is missing")
    if table.num_columns == len(_COLUMNS):
        if table.num_rows and not has_compute(table):
            raise BadBatchError("compute_ms stands where nothing computes")
        return table
    nothing = pa.repeat(pa.scalar(0, pa.int64()), table.num_rows)
    return table.append_column(ARROW_SCHEMA.field(COMPUTE), nothing)


_RECORD_BATCH: Final = 3  # MessageHeader.RecordBatch of Arrow's Message.fbs


def _is_compressed(message: bytes) -> bool:
    """Whether an IPC message is a record batch with ``BodyCompression`` (Arrow, Message.fbs)."""
    root = _unsigned(message, 0, 4)
    kind, header = _slot(message, root, 1), _slot(message, root, 2)
    if kind is None or header is None or message[kind] != _RECORD_BATCH:
        return False
    return _slot(message, header + _unsigned(message, header, 4), 3) is not None


def _slot(buffer: bytes, table: int, index: int) -> int | None:
    """Return where field ``index`` of a FlatBuffers table lies, if it is there."""
    vtable = table - int.from_bytes(buffer[table : table + 4], "little", signed=True)
    entry = vtable + 4 + 2 * index
    if entry >= vtable + _unsigned(buffer, vtable, 2):
        return None
    offset = _unsigned(buffer, entry, 2)
    return table + offset if offset else None


def _unsigned(buffer: bytes, start: int, size: int) -> int:
    return int.from_bytes(buffer[start : start + size], "little")


def _check_columns(table: pa.Table, first_seq: int) -> None:
    due = pa.array(range(first_seq, first_seq + table.num_rows), pa.int64())
    seqs = table.column("seq").chunk(0)
    if not seqs.equals(due):
        wrong = pc.index(pc.not_equal(seqs, due), True).as_py()
        raise BadBatchError(f"seq {seqs[wrong].as_py()} where {first_seq + wrong} is due")
    for name in ("rows_count", "bytes_count", "queries_count", "compute_ms"):
        span = pc.min_max(table.column(name)).as_py()
        if not 0 <= span["min"] <= span["max"] <= QUANTITY_MAX:
            raise BadBatchError(f"{name} out of range: {span['min']} to {span['max']}")
    acts = set(pc.unique(table.column("act")).to_pylist())
    if unknown := acts - set(_ACTS):
        raise BadBatchError(f"unknown act {min(unknown)!r}")
    moments = pc.min_max(table.column("occurred_at").cast(pa.int64())).as_py()
    if not _MOMENT_MIN <= moments["min"] <= moments["max"] <= _MOMENT_MAX:
        raise BadBatchError("occurred_at lies outside the calendar")


def sign_header(header: BatchHeader, key: SigningKey, *, typ: str = BATCH_TYPE) -> str:
    """Return the batch header as a compact JWS."""
    return sign(json.dumps(header.to_json()).encode(), key=key, typ=typ)


def verify_header(token: str, key: PublicKey, *, typ: str = BATCH_TYPE) -> BatchHeader:
    """Return the signed batch header.

    Raises:
        BadSignatureError: The signature does not verify.
        BadBatchError: The payload is not a batch header.
    """
    payload = verify(token, key=key, typ=typ)
    try:
        return BatchHeader.model_validate_json(payload)
    except ValueError as error:
        raise BadBatchError(str(error)) from None


def sign_receipt(receipt: Receipt, key: SigningKey) -> str:
    """Return the receipt as a compact JWS."""
    return sign(json.dumps(receipt.to_json()).encode(), key=key, typ=RECEIPT_TYPE)


def verify_receipt(token: str, key: PublicKey) -> Receipt:
    """Return the signed receipt.

    Raises:
        BadSignatureError: The signature does not verify.
        ValueError: The payload is not a receipt.
    """
    return Receipt.model_validate_json(verify(token, key=key, typ=RECEIPT_TYPE))
