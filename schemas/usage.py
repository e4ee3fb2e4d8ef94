"""Usage records: one metered act each, and how a batch of them travels and is signed.

A connector's meter is a stream: ``(provider, epoch, seq)`` with contiguous ``seq`` from 1.
A batch is an Arrow IPC stream of records beside a JWS over its header; one signature
covers all records, and the receiver's watermark makes delivery exactly once.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

import pyarrow as pa
from pydantic import Field

from schemas.ids import AgreementId, DatasetId, ParticipantId, ProcessId
from schemas.money import MicroWon
from schemas.signature import PublicKey, SigningKey, sign, verify
from schemas.wire import OwnWire, Sha256, Time

BATCH_TYPE: Final = "usage-batch+jws"
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
    ]
)


class BadBatchError(ValueError):
    """The batch is not what its signature, or the format, says."""


class BatchHeader(OwnWire):
    """What a connector signs for a batch.

    ``previous_sha256`` is the body hash of the batch before it in the stream, zeros for the
    first.
    """

    provider_id: ParticipantId
    epoch: int = Field(ge=1, le=QUANTITY_MAX)
    first_seq: int = Field(ge=1, le=QUANTITY_MAX)
    records_count: int = Field(ge=1, le=BATCH_RECORDS_MAX)
    body_sha256: Sha256
    previous_sha256: Sha256


class Receipt(OwnWire):
    """What clearing signs for a batch that it has booked.

    ``entries_sha256`` is over the ids of its ledger entries, sorted and joined by newlines.
    """

    provider_id: ParticipantId
    epoch: int
    first_seq: int
    next_seq: int
    body_sha256: Sha256
    charged_micro: MicroWon  # without VAT
    entries_count: int
    entries_sha256: Sha256
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


class RecordList(OwnWire):
    """One page of an agreement's records, oldest first."""

    records: tuple[RecordView, ...]
    next_cursor: str | None = None


def encode_batch(records: list[UsageRecord]) -> bytes:
    """Return records as one Arrow IPC stream."""
    table = pa.Table.from_pylist([asdict(r) | {"act": r.act.value} for r in records], ARROW_SCHEMA)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, ARROW_SCHEMA) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def decode_batch(body: bytes, header: BatchHeader) -> list[UsageRecord]:
    """Read a batch and check it against its header.

    Raises:
        BadBatchError: Other hash, schema, count or sequence than the header says, or a
            quantity out of range.
    """
    if len(body) > BODY_BYTES_MAX:
        raise BadBatchError(f"batch body over {BODY_BYTES_MAX} bytes")
    if hashlib.sha256(body).hexdigest() != header.body_sha256:
        raise BadBatchError("body_sha256 does not match the body")
    try:
        with pa.ipc.open_stream(body) as reader:
            if reader.schema != ARROW_SCHEMA:
                raise BadBatchError("not the schema of usage records")
            table = reader.read_all()
        if table.num_rows != header.records_count:
            raise BadBatchError("records_count does not match the body")
        table.validate(full=True)
        records = [UsageRecord(**{**row, "act": Act(row["act"])}) for row in table.to_pylist()]
    except (pa.ArrowException, OSError, OverflowError, TypeError, ValueError) as error:
        raise error if isinstance(error, BadBatchError) else BadBatchError(str(error)) from None
    for expected, record in enumerate(records, header.first_seq):
        _check_record(record, expected)
    return records


def _check_record(record: UsageRecord, expected_seq: int) -> None:
    if record.seq != expected_seq:
        raise BadBatchError(f"seq {record.seq} where {expected_seq} is due")
    for quantity in (record.rows_count, record.bytes_count, record.queries_count):
        if not 0 <= quantity <= QUANTITY_MAX:
            raise BadBatchError(f"quantity out of range in seq {record.seq}")


def sign_header(header: BatchHeader, key: SigningKey) -> str:
    """Return the batch header as a compact JWS."""
    return sign(json.dumps(header.to_json()).encode(), key=key, typ=BATCH_TYPE)


def verify_header(token: str, key: PublicKey) -> BatchHeader:
    """Return the signed batch header.

    Raises:
        BadSignatureError: The signature does not verify.
        BadBatchError: The payload is not a batch header.
    """
    payload = verify(token, key=key, typ=BATCH_TYPE)
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
