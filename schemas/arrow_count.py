"""Rows and bytes of an Arrow IPC stream, counted as it passes by, without decoding a value.

What supplier and buyer each count of a delivery: ``rows`` are the logical rows of its record
batches, ``bytes`` the lengths of their bodies. Layout: Arrow Columnar Format, Encapsulated message
format, and Message.fbs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

CONTINUATION: Final = b"\xff\xff\xff\xff"
PREFIX_BYTES: Final = 8  # the continuation mark and the length of the metadata
METADATA_BYTES_MAX: Final = 16 * 2**20
_RECORD_BATCH: Final = 3  # MessageHeader.RecordBatch


@dataclass(frozen=True, slots=True)
class Received:
    """A delivery as its receiver counted it."""

    rows_count: int
    bytes_count: int
    sha256: str


class ArrowCount:
    """Counts one stream; what is no Arrow stream is never complete."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._skip = 0
        self._rows = 0
        self._bytes = 0
        self._digest = hashlib.sha256()
        self._is_ended = False
        self._is_broken = False

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of the stream."""
        self._digest.update(piece)
        view = memoryview(piece)
        while view and not self._is_broken:
            if self._is_ended:  # nothing may follow the end
                self._is_broken = True
            elif self._skip:
                passed = min(self._skip, len(view))
                self._skip -= passed
                view = view[passed:]
            else:
                taken = min(self._missing(), len(view))
                self._waiting += view[:taken]
                view = view[taken:]
                self._read()

    @property
    def received(self) -> Received | None:
        """What came, once the stream has ended as one should."""
        if self._is_broken or not self._is_ended:
            return None
        return Received(self._rows, self._bytes, self._digest.hexdigest())

    def _missing(self) -> int:
        if len(self._waiting) < PREFIX_BYTES:
            return PREFIX_BYTES - len(self._waiting)
        return PREFIX_BYTES + self._metadata_length() - len(self._waiting)

    def _metadata_length(self) -> int:
        return int.from_bytes(self._waiting[4:8], "little", signed=True)

    def _read(self) -> None:
        """Read the message whose metadata is there."""
        if len(self._waiting) < PREFIX_BYTES:
            return
        length = self._metadata_length()
        if self._waiting[:4] != CONTINUATION or not 0 <= length <= METADATA_BYTES_MAX:
            self._is_broken = True
        elif length == 0:
            self._is_ended = True
        elif len(self._waiting) == PREFIX_BYTES + length:
            self._take(bytes(self._waiting[PREFIX_BYTES:]))
            self._waiting.clear()

    def _take(self, message: bytes) -> None:
        root = _unsigned(message, 0, 4)
        kind, header = _slot(message, root, 1), _slot(message, root, 2)
        body = _slot(message, root, 3)
        self._skip = 0 if body is None else _unsigned(message, body, 8)
        if kind is None or header is None or message[kind : kind + 1] != bytes([_RECORD_BATCH]):
            return
        batch = header + _unsigned(message, header, 4)
        rows = _slot(message, batch, 0)
        self._rows += 0 if rows is None else _unsigned(message, rows, 8)
        self._bytes += self._skip


def _slot(buffer: bytes, table: int, index: int) -> int | None:
    """Return where field ``index`` of a FlatBuffers table lies, if it is there."""
    vtable = table - int.from_bytes(buffer[table : table + 4], "little", signed=True)
    entry = vtable + 4 + 2 * index
    if vtable < 0 or entry >= vtable + _unsigned(buffer, vtable, 2):
        return None
    offset = _unsigned(buffer, entry, 2)
    return table + offset if offset else None


def _unsigned(buffer: bytes, start: int, size: int) -> int:
    return int.from_bytes(buffer[start : start + size], "little")
