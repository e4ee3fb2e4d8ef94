"""Parquet and Arrow files made to harm: read in a child that may die, by types of a short list.

Each case is made here, beside files of the same libraries that must be taken.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.connectors import Registry, Running, connector

CHECK_SECONDS: Final = 60.0
MEMORY_BYTES: Final = 3 * 2**29
PARENT_BYTES_MAX: Final = 300 * 2**20  # what the connector itself may grow by, over all cases


def arrow_file(table: pa.Table, codec: str | None = None) -> bytes:
    sink = io.BytesIO()
    options = pa.ipc.IpcWriteOptions(compression=codec)
    with pa.ipc.new_file(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return sink.getvalue()


def arrow_stream(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def parquet(table: pa.Table, **options: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def of(column: pa.Array) -> pa.Table:
    return pa.table({"x": column})


def zeros(rows: int) -> pa.Table:
    return of(pa.array(memoryview(bytes(8 * rows)).cast("q"), pa.int64()))


def run_ends(rows: int) -> pa.Array:
    return pa.RunEndEncodedArray.from_arrays(
        pa.array([rows], pa.int64()), pa.array(["x"]), pa.run_end_encoded(pa.int64(), pa.string())
    )


def nested(depth: int) -> pa.Array:
    kind: pa.DataType = pa.int64()
    for _ in range(depth):
        kind = pa.list_(kind)
    return pa.array([None], kind)


def dictionary_bomb() -> pa.Array:
    indices = pa.array(memoryview(bytes(2**21)).cast("b"), pa.int8())
    return pa.DictionaryArray.from_arrays(indices, pa.array(["x" * 2**20]))


def broken_offsets() -> bytes:
    """Return a stream whose text column points outside of its data."""
    whole = bytearray(arrow_stream(of(pa.array(["aaaa", "bbbb"]))))
    at = whole.rindex(b"\x04\x00\x00\x00\x08\x00\x00\x00")
    whole[at : at + 4] = b"\x00\x00\x00\x7f"
    return bytes(whole)


HOSTILE: Final[dict[str, Callable[[], bytes]]] = {
    "null column of a billion rows": lambda: arrow_file(of(pa.nulls(10**9))),
    "run ends of two billion rows": lambda: arrow_file(of(run_ends(2 * 10**9))),
    "zstd, a gigabyte of zeros": lambda: arrow_file(zeros(2**27), "zstd"),
    "lz4, a gigabyte of zeros": lambda: arrow_file(zeros(2**27), "lz4"),
    "one long text, two million times": lambda: arrow_file(of(dictionary_bomb())),
    "text views": lambda: arrow_file(of(pa.array(["x" * 100], pa.string_view()))),
    "list views": lambda: arrow_file(of(pa.array([[1]], pa.list_view(pa.int64())))),
    "nested lists": lambda: arrow_file(of(nested(50))),
    "binary": lambda: arrow_file(of(pa.array([b"x"]))),
    "union": lambda: arrow_file(
        of(pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])]))
    ),
    "duration": lambda: arrow_file(of(pa.array([1], pa.duration("s")))),
    "map": lambda: arrow_file(of(pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())))),
    "offsets outside of the data": broken_offsets,
    "cut off": lambda: arrow_file(zeros(1000))[:-300],
    "Parquet, a gigabyte of zeros": lambda: parquet(zeros(2**27), compression="zstd"),
    "Parquet, Brotli": lambda: parquet(zeros(100), compression="brotli"),
    "Parquet, struct": lambda: parquet(of(pa.array([{"a": 1}]))),
    "Parquet, list": lambda: parquet(of(pa.array([[1]]))),
    "Parquet, cut off": lambda: parquet(zeros(1000))[:-9],
    "Parquet, a page of noise": lambda: _spoiled(parquet(of(pa.array(["abc"] * 1000)))),
}
GOOD: Final[dict[str, Callable[[], bytes]]] = {
    "Arrow file": lambda: arrow_file(zeros(1000)),
    "Arrow stream": lambda: arrow_stream(of(pa.array(["a", None]))),
    "Arrow, zstd": lambda: arrow_file(zeros(10_000), "zstd"),
    "dictionary": lambda: arrow_file(of(pa.array(["a", "b", "a"]).dictionary_encode())),
    "Parquet": lambda: parquet(of(pa.array([1.5, None]))),
    "Parquet, zstd": lambda: parquet(zeros(1000), compression="zstd"),
    "Parquet, gzip": lambda: parquet(zeros(1000), compression="gzip"),
}


def _spoiled(whole: bytes) -> bytes:
    return whole[:4] + b"\xff" * 24 + whole[28:]


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("company")
    with connector(
        folder,
        Registry(),
        "company",
        check_seconds_max=CHECK_SECONDS,
        check_memory_bytes=MEMORY_BYTES,
    ) as running:
        yield running


def send(company: Running, content: bytes, tmp_path: Path) -> int:
    path = {"filename": f"outside.{'parquet' if content[:4] == b'PAR1' else 'arrow'}"}
    status = company.manage("POST", "/uploads", params=path, content=content).status_code
    assert list(tmp_path.iterdir()) == []
    return status


@pytest.mark.parametrize("case", GOOD)
def test_a_good_file_is_taken(company: Running, tmp_path: Path, case: str) -> None:
    assert send(company, GOOD[case](), tmp_path) == 201


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_harms_nobody(company: Running, tmp_path: Path, case: str) -> None:
    content = HOSTILE[case]()
    before, began = psutil.Process().memory_info().rss, time.monotonic()
    assert send(company, content, tmp_path) == 422
    assert time.monotonic() - began < 2 * CHECK_SECONDS
    assert psutil.Process().memory_info().rss - before < PARENT_BYTES_MAX
    assert company.http.get(f"{company.url}/healthz").is_success
