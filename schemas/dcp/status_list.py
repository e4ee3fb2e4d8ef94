"""Lists of revoked credentials: one bit each, StatusList2021 and BitstringStatusList.

Index 0 is the first, most significant bit of the first byte. Both forms compress with gzip;
BitstringStatusList writes the multibase prefix ``u``. Expanding is bounded: a short text can
stand for gigabytes.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from schemas.dcp.error import DcpError
from schemas.dcp.jose import JoseError, decode_base64url, encode_base64url

BITS_MIN: Final = 131_072  # both specifications: 16 KiB, for the holders' privacy
BYTES_MAX: Final = 2 * 2**20
BITS_OF_BYTE: Final = 8
_TO_BASE64URL: Final = str.maketrans("+/", "-_")  # some issuers of StatusList2021 write base64
_GZIP_WINDOW: Final = 31  # zlib: expect a gzip header


class StatusListKind(StrEnum):
    """The two forms; the value is the type of the list itself."""

    SL2021 = "StatusList2021"
    BITSTRING = "BitstringStatusList"


class StatusListError(DcpError):
    """Not a list of bits, or too short for the index."""


def encode_list(revoked: Iterable[int], *, kind: StatusListKind, bits: int = BITS_MIN) -> str:
    """Return a list with the bits at ``revoked`` set.

    Raises:
        StatusListError: An index is outside the list.
    """
    content = bytearray(bits // BITS_OF_BYTE)
    for index in revoked:
        if not 0 <= index < bits:
            raise StatusListError(f"index {index} is outside {bits} bits")
        content[index // BITS_OF_BYTE] |= 0x80 >> (index % BITS_OF_BYTE)
    text = encode_base64url(gzip.compress(bytes(content), mtime=0))
    return f"u{text}" if kind is StatusListKind.BITSTRING else text


def decode_list(text: str, *, kind: StatusListKind) -> bytes:
    """Return the bits of an encoded list.

    Raises:
        StatusListError: Not base64url of gzip, or longer than we hold.
    """
    if kind is StatusListKind.BITSTRING:
        if not text.startswith("u"):
            raise StatusListError("a bitstring list begins with the multibase prefix u")
        text = text[1:]
    try:
        packed = decode_base64url(text.rstrip("=").translate(_TO_BASE64URL))
        machine = zlib.decompressobj(_GZIP_WINDOW)
        content = machine.decompress(packed, BYTES_MAX + 1)
    except (JoseError, zlib.error) as error:
        raise StatusListError(f"not a compressed list: {error}") from None
    if len(content) > BYTES_MAX:
        raise StatusListError(f"a list of over {BYTES_MAX} bytes")
    if not machine.eof:
        raise StatusListError("a list that breaks off")
    return content


def is_set(content: bytes, index: int) -> bool:
    """Return whether the bit at ``index`` is set.

    Raises:
        StatusListError: The list is shorter.
    """
    if not 0 <= index < len(content) * BITS_OF_BYTE:
        raise StatusListError(f"index {index} is outside {len(content) * BITS_OF_BYTE} bits")
    return bool(content[index // BITS_OF_BYTE] & (0x80 >> (index % BITS_OF_BYTE)))
