"""Counting an Arrow stream as it passes: the same as reading it, however it comes in pieces."""

from __future__ import annotations

import hashlib

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from schemas.arrow_count import ArrowCount, Received

BATCHES = st.lists(
    st.lists(st.tuples(st.integers(-(2**60), 2**60), st.none() | st.text(max_size=9)), max_size=20),
    max_size=5,
)
CUTS = st.lists(st.integers(1, 400), min_size=1, max_size=60)


def stream_of(batches: list[list[tuple[int, str | None]]]) -> tuple[bytes, int]:
    """Return a stream, and the bytes of its bodies as Arrow's own reader sees them."""
    schema = pa.schema([("n", pa.int64()), ("글", pa.string())])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        for rows in batches:
            arrays = [pa.array([r[0] for r in rows], pa.int64()), pa.array([r[1] for r in rows])]
            arrays[1] = arrays[1].cast(pa.string())
            writer.write_batch(pa.record_batch(arrays, schema=schema))
    content = bytes(sink.getvalue())
    messages = list(pa.ipc.MessageReader.open_stream(content))
    return content, sum(m.body.size for m in messages if m.type == "record batch")


def counted(content: bytes, cuts: list[int]) -> Received | None:
    count, place = ArrowCount(), 0
    while place < len(content):
        size = cuts[place % len(cuts)]
        count.feed(content[place : place + size])
        place += size
    return count.received


@given(BATCHES, CUTS)
def test_a_stream_is_counted_however_it_is_cut(
    batches: list[list[tuple[int, str | None]]], cuts: list[int]
) -> None:
    content, body_bytes = stream_of(batches)
    rows = sum(map(len, batches))
    due = Received(rows, body_bytes, hashlib.sha256(content).hexdigest())
    assert counted(content, cuts) == due
    assert counted(content, [len(content)]) == due


@given(BATCHES, CUTS, st.data())
def test_what_is_no_whole_stream_is_not_counted(
    batches: list[list[tuple[int, str | None]]], cuts: list[int], data: st.DataObject
) -> None:
    content, _ = stream_of(batches)
    end = data.draw(st.integers(0, len(content) - 1))
    assert counted(content[:end], cuts) is None
    assert counted(content + b"\0", cuts) is None


@given(st.binary(max_size=300), CUTS)
def test_any_bytes_are_taken_without_harm(content: bytes, cuts: list[int]) -> None:
    received = counted(content, cuts)
    assert received is None or received.bytes_count >= 0
