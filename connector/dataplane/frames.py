"""Frames between the connector and its SQL worker."""

from __future__ import annotations

import struct
from enum import Enum
from typing import IO, Final

_HEAD: Final = struct.Struct(">cQ")
FRAME_BYTES_MAX: Final = 2**31


class Kind(Enum):
    """What a frame holds."""

    JOB = b"J"  # JSON, to the worker
    READY = b"Y"
    SCHEMA = b"S"  # an Arrow IPC message
    BATCH = b"B"  # an Arrow IPC message
    END = b"Z"  # processor milliseconds, then the number of an engine copy passed over or 0
    REFUSED = b"R"  # the construct that the gate does not allow
    COPY_FAILED = b"C"  # the number of the engine copy that could not be read
    FAILED = b"F"  # a code of a closed list, never the engine's words


def write_frame(
    sink: IO[bytes], kind: Kind, payload: object = b"", *, is_last: bool = True
) -> None:
    """Write one frame; ``payload`` is anything with the buffer protocol.

    What is not the last of an answer may wait in the sink's buffer for what follows: the
    reader is woken once for a short answer.
    """
    view = memoryview(payload).cast("B")  # type: ignore[arg-type]
    sink.write(_HEAD.pack(kind.value, view.nbytes))
    sink.write(view)
    if is_last:
        sink.flush()


def read_frame(source: IO[bytes]) -> tuple[Kind, bytes]:
    """Read one frame.

    Raises:
        EOFError: The other side is gone.
        ValueError: Not a frame.
    """
    kind, length = _HEAD.unpack(_read(source, _HEAD.size))
    if length > FRAME_BYTES_MAX:
        raise ValueError("too large a frame")
    return Kind(kind), _read(source, length)


def _read(source: IO[bytes], length: int) -> bytes:
    data = source.read(length)
    if len(data) != length:
        raise EOFError
    return data
