"""Usage batches: what is signed is what is read, and nothing else is."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from schemas.ids import AgreementId, DatasetId, ParticipantId, ProcessId
from schemas.signature import BadSignatureError, generate_key
from schemas.slices import records_in, split
from schemas.usage import (
    ARROW_SCHEMA,
    BATCH_RECORDS_MAX,
    BODY_BYTES_MAX,
    COMPUTE,
    FIRST_PREVIOUS_SHA256,
    PLAIN_SCHEMA,
    QUANTITY_MAX,
    Act,
    BadBatchError,
    BatchHeader,
    Receipt,
    UsageRecord,
    decode_batch,
    encode_batch,
    read_columns,
    sign_header,
    sign_receipt,
    verify_header,
    verify_receipt,
)

PROVIDER = ParticipantId("did:web:steel.example")


def record(seq: int) -> UsageRecord:
    return UsageRecord(
        seq=seq,
        act_id=f"act-{seq}",
        act=Act.READ if seq % 2 else Act.QUERY,
        agreement_id=AgreementId("a"),
        process_id=ProcessId("p"),
        consumer_id=ParticipantId("did:web:buyer.example"),
        dataset_id=DatasetId("d"),
        rows_count=seq * 10,
        bytes_count=QUANTITY_MAX,
        queries_count=1,
        result_sha256="f" * 64,
        occurred_at=datetime(2026, 11, 24, 1, 2, 3, 456789, tzinfo=UTC),
    )


RECORDS = [record(seq) for seq in range(5, 12)]


def header_of(body: bytes, **changes: Any) -> BatchHeader:
    fields: dict[str, Any] = {
        "provider_id": PROVIDER,
        "epoch": 1,
        "first_seq": 5,
        "records_count": len(RECORDS),
        "body_sha256": hashlib.sha256(body).hexdigest(),
        "previous_sha256": FIRST_PREVIOUS_SHA256,
        "slices_root": "0" * 64,
        "slices_count": 1,
    }
    return BatchHeader(**{**fields, **changes})


def rows() -> list[dict[str, Any]]:
    table = pa.ipc.open_stream(encode_batch(RECORDS)).read_all()
    return list(table.to_pylist())


def written(table: pa.Table, *, compression: str | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def test_a_batch_is_read_as_it_was_written() -> None:
    body = encode_batch(RECORDS)
    assert decode_batch(body, header_of(body)) == RECORDS


def test_a_batch_may_be_written_in_several_pieces() -> None:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, PLAIN_SCHEMA) as writer:
        writer.write_table(pa.Table.from_pylist(rows(), PLAIN_SCHEMA), max_chunksize=2)
    body = bytes(sink.getvalue())
    assert decode_batch(body, header_of(body)) == RECORDS


@pytest.mark.parametrize("change", [{"records_count": 6}, {"first_seq": 4}, {"first_seq": 6}])
def test_a_batch_must_be_what_its_header_says(change: dict[str, Any]) -> None:
    body = encode_batch(RECORDS)
    with pytest.raises(BadBatchError):
        decode_batch(body, header_of(body, **change))


def test_a_changed_byte_is_noticed() -> None:
    body = encode_batch(RECORDS)
    for place in range(0, len(body), 97):
        changed = bytearray(body)
        changed[place] ^= 1
        with pytest.raises(BadBatchError, match="body_sha256"):
            decode_batch(bytes(changed), header_of(body))


def test_a_body_of_noise_or_a_torn_one_is_refused_and_never_crashes() -> None:
    body = encode_batch(RECORDS)
    torn = [body[:end] for end in range(0, len(body), 61)]
    flipped = []
    for place in range(0, len(body), 13):
        changed = bytearray(body)
        changed[place] ^= 0x81
        flipped.append(bytes(changed))
    for bad in [b"", b"x" * 100, *torn, *flipped]:
        try:
            decode_batch(bad, header_of(bad))
        except BadBatchError:
            continue
        assert bad in flipped  # a flip of a value or of padding can be a valid batch of its own


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rows_count", -1),
        ("bytes_count", QUANTITY_MAX + 1),
        ("queries_count", -(2**63)),
        ("act", "steal"),
        ("rows_count", None),
        ("agreement_id", None),
        ("occurred_at", None),
    ],
)
def test_values_out_of_range_or_missing_are_refused(field: str, value: Any) -> None:
    changed = rows()
    changed[3][field] = value
    body = written(pa.Table.from_pylist(changed, PLAIN_SCHEMA))
    with pytest.raises(BadBatchError):
        decode_batch(body, header_of(body))


def test_times_that_python_cannot_hold_are_refused() -> None:
    table = pa.Table.from_pylist(rows(), PLAIN_SCHEMA)
    ages = pa.array([2**62] * len(RECORDS), pa.int64()).cast(pa.timestamp("us", "UTC"))
    index = PLAIN_SCHEMA.get_field_index("occurred_at")
    body = written(table.set_column(index, PLAIN_SCHEMA.field(index), ages))
    with pytest.raises(BadBatchError):
        decode_batch(body, header_of(body))


def test_another_schema_is_refused() -> None:
    table = pa.Table.from_pylist(rows(), PLAIN_SCHEMA)
    for other in (table.drop_columns(["act"]), table.append_column("more", [[1] * 7])):
        body = written(other)
        with pytest.raises(BadBatchError, match="schema"):
            decode_batch(body, header_of(body))


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
def test_a_compressed_body_is_refused_before_it_is_unpacked(codec: str) -> None:
    bomb = rows()
    bomb[0]["act_id"] = "x" * 2**24
    body = written(pa.Table.from_pylist(bomb, PLAIN_SCHEMA), compression=codec)
    assert len(body) < BODY_BYTES_MAX
    with pytest.raises(BadBatchError, match="compressed"):
        decode_batch(body, header_of(body))


def test_a_body_that_is_too_large_is_refused() -> None:
    body = encode_batch([replace(record(5), act_id="x" * BODY_BYTES_MAX)])
    with pytest.raises(BadBatchError, match="over"):
        decode_batch(body, header_of(body))


def test_headers_and_receipts_are_signed_and_never_taken_for_each_other() -> None:
    key = generate_key(PROVIDER)
    body = encode_batch(RECORDS)
    header = header_of(body)
    receipt = Receipt(
        provider_id=PROVIDER,
        epoch=1,
        first_seq=5,
        next_seq=12,
        body_sha256=header.body_sha256,
        charged_micro=2**70,
        entries_count=1,
        entries_sha256="0" * 64,
        header_sha256="0" * 64,
        signer="thumbprint",
        log_origin="clearing.example/log",
        log_index=0,
        nonce="n",
    )
    assert verify_header(sign_header(header, key), key.public) == header
    assert verify_receipt(sign_receipt(receipt, key), key.public) == receipt
    with pytest.raises(BadSignatureError):
        verify_header(sign_receipt(receipt, key), key.public)
    with pytest.raises(BadSignatureError):
        verify_receipt(sign_header(header, key), key.public)
    with pytest.raises(BadSignatureError):
        verify_header(sign_header(header, key), generate_key(PROVIDER).public)


def test_batches_without_processor_time_are_what_they_were_before_there_was_any() -> None:
    body = encode_batch(RECORDS)
    assert hashlib.sha256(body).hexdigest() == (
        "d2c33c663956baf16a8cba0144b8353ab58decd1faf51b0c7b2591ff6b6ce1dc"
    )
    assert split(read_columns(body, header_of(body))).root.hex() == (
        "6d0a8e04364418717a125d65d631096d5c303863838343e34f9166e8b057166e"
    )
    assert "compute_ms" not in pa.ipc.open_stream(body).schema.names


def test_processor_time_travels_and_is_signed_for_the_agreement_that_pays_for_it() -> None:
    other = AgreementId("b")
    mixed = [replace(r, agreement_id=other, compute_ms=r.seq) if r.seq % 2 else r for r in RECORDS]
    body = encode_batch(mixed)
    assert decode_batch(body, header_of(body)) == mixed
    plain, computing = split(read_columns(body, header_of(body))).parts
    assert plain.content.startswith(b"databank usage slice v1\n")
    assert computing.content.startswith(b"databank usage slice v2\n")
    assert records_in(plain.content) == [r for r in mixed if r.agreement_id != other]
    assert records_in(computing.content) == [r for r in mixed if r.agreement_id == other]


@pytest.mark.parametrize("compute_ms", [-1, QUANTITY_MAX + 1, None])
def test_processor_time_out_of_range_is_refused(compute_ms: int | None) -> None:
    changed = [{**row, "compute_ms": 1} for row in rows()]
    changed[3]["compute_ms"] = compute_ms
    body = written(pa.Table.from_pylist(changed, ARROW_SCHEMA))
    with pytest.raises(BadBatchError, match=r"compute_ms|missing"):
        decode_batch(body, header_of(body))


def test_nothing_has_two_forms() -> None:
    table = pa.ipc.open_stream(encode_batch([replace(record(5), compute_ms=7)])).read_all()
    zeros = table.set_column(COMPUTE, ARROW_SCHEMA.field(COMPUTE), pa.array([0], pa.int64()))
    body = written(zeros)
    with pytest.raises(BadBatchError, match="nothing computes"):
        decode_batch(body, header_of(body, first_seq=5, records_count=1))
    content = split(table).parts[0].content
    assert records_in(content) == [replace(record(5), compute_ms=7)]
    with pytest.raises(BadBatchError, match="nothing computes"):
        records_in(content[:-8] + bytes(8))


def test_the_largest_batch_fits_its_bound() -> None:
    seqs = range(1, BATCH_RECORDS_MAX + 1)
    many = [replace(record(seq), act_id="x" * 64, compute_ms=seq) for seq in seqs]
    assert len(encode_batch(many)) < BODY_BYTES_MAX
