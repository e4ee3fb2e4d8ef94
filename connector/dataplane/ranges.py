"""Byte ranges of RFC 9110 section 14, one at a time."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_RANGE: Final = re.compile(r"^bytes=(\d{0,18})-(\d{0,18})$")


class UnsatisfiableRangeError(Exception):
    """The range lies outside the file."""


class ByteRange(NamedTuple):
    """Bytes ``[start, end)``."""

    start: int
    end: int


def parse_range(header: str | None, size: int) -> ByteRange | None:
    """Return the asked range; None for the whole file, as for what we do not understand.

    Raises:
        UnsatisfiableRangeError: It holds no byte of the file.
    """
    match = _RANGE.match((header or "").replace(" ", ""))
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        start, end = max(0, size - int(match[2])), size
    else:
        start = int(match[1])
        end = min(int(match[2]) + 1, size) if match[2] else size
        if match[2] and int(match[2]) < start:
            return None
    if start >= end:
        raise UnsatisfiableRangeError
    return ByteRange(start, end)
