"""Arrow IPC files: how a dataset is stored, and where its record batches lie.

The file is uncompressed, so that a record batch is a byte range that can be read, mapped
and metered without decoding. It gets its name, the SHA-256 of its bytes, only when it is
complete and on the disk: a crash leaves a ``.partial`` file that nobody looks at.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa

from schemas.dataset import BATCH_ROWS_MAX

MAGIC_BYTES: Final = 8  # "ARROW1" and two zeros before the first message
HASH_CHUNK_BYTES: Final = 4 * 2**20
PARTIAL_SUFFIX: Final = ".partial"


@dataclass(frozen=True, slots=True)
class BatchRange:
    """One record batch: bytes ``[start, end)`` of the file.

    ``body_bytes`` is the length of its uncompressed Arrow body, which is what is metered.
    """

    start: int
    end: int
    rows_count: int
    body_bytes: int


@dataclass(frozen=True, slots=True)
class FileIndex:
    """Where things lie in an Arrow IPC file; ``prefix_end`` ends schema and dictionaries."""

    file_bytes: int
    prefix_end: int
    batches: tuple[BatchRange, ...]

    @property
    def rows_count(self) -> int:
        """Rows of the whole file."""
        return sum(batch.rows_count for batch in self.batches)

    @property
    def body_bytes(self) -> int:
        """Metered bytes of the whole file."""
        return sum(batch.body_bytes for batch in self.batches)

    def touched(self, start: int, end: int) -> list[int]:
        """Return the numbers of the batches that bytes ``[start, end)`` overlap."""
        return [n for n, b in enumerate(self.batches) if b.start < end and start < b.end]


def read_index(path: Path) -> FileIndex:
    """Find the record batches of a file that ``write_partial`` has written."""
    batches, prefix_end = [], MAGIC_BYTES
    with pa.memory_map(str(path)) as source:
        source.seek(MAGIC_BYTES)
        reader = pa.ipc.open_file(str(path))
        for number in range(reader.num_record_batches):
            start, message = source.tell(), pa.ipc.read_message(source)
            while message.type != "record batch":
                prefix_end = source.tell()
                start, message = source.tell(), pa.ipc.read_message(source)
            rows = reader.get_batch(number).num_rows
            batches.append(BatchRange(start, source.tell(), rows, message.body.size))
        return FileIndex(source.size(), prefix_end, tuple(batches))


def write_partial(table: pa.Table, path: Path) -> None:
    """Write ``table`` as an Arrow IPC file in record batches of at most 64 Ki rows."""
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        for batch in table.combine_chunks().to_batches(max_chunksize=BATCH_ROWS_MAX):
            writer.write_batch(batch)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(HASH_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def make_durable(partial: Path, final: Path) -> None:
    """Put a complete file under its name, so that a crash shows all of it or nothing."""
    sync(partial)
    partial.rename(final)
    sync(final.parent)


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep_partials(folder: Path) -> int:
    """Remove what a crash left half-written; return how many files."""
    found = list(folder.glob(f"*{PARTIAL_SUFFIX}"))
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)
