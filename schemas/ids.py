"""Identifiers: their types, how they are checked, and what follows from them."""

from __future__ import annotations

import re
from typing import Final, NewType
from urllib.parse import quote, unquote, urlsplit

from schemas.problem import InvalidRequestError
from schemas.wire import Text

ParticipantId = NewType("ParticipantId", str)  # a did:web
DatasetId = NewType("DatasetId", str)
OfferId = NewType("OfferId", str)
AgreementId = NewType("AgreementId", str)
ProcessId = NewType("ProcessId", str)  # consumerPid or providerPid of DSP

HANDLE: Final = re.compile(r"^[a-z][a-z0-9_]{1,30}$")
DATASET_NAME: Final = re.compile(r"^[a-z][a-z0-9_]{0,62}$")
COLUMN_NAME: Final = re.compile(r"^[^\W\d]\w{0,62}$")  # letters of any script: 전력량 is a name
_BRN_WEIGHTS: Final = (1, 3, 7, 1, 3, 7, 1, 3, 5)


class InvalidBrnError(InvalidRequestError, ValueError):
    """A 사업자등록번호 that cannot be one."""

    slug = "invalid-brn"
    title = Text(ko="사업자등록번호가 올바르지 않습니다", en="Not a business registration number")

    def __str__(self) -> str:
        return f"{self.detail.ko} ({self.detail.en})"  # as part of another message


def did_web(url: str) -> ParticipantId:
    """Return the did:web of a participant that is reached at ``url``.

    did:web method, section 3: a port's colon is percent-encoded, path segments become colons.

    Raises:
        ValueError: ``url`` is not an http(s) URL with a host.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"not an http(s) URL with a host: {url!r}")
    host = parts.hostname + (f"%3A{parts.port}" if parts.port else "")
    path = [quote(segment, safe="") for segment in parts.path.split("/") if segment]
    return ParticipantId(":".join(["did", "web", host, *path]))


def did_web_document_url(did: ParticipantId, *, scheme: str = "https") -> str:
    """Return where the DID document of ``did`` lies (did:web method, section 3.2).

    Raises:
        ValueError: ``did`` is not a did:web.
    """
    if not did.startswith("did:web:"):
        raise ValueError(f"not a did:web: {did!r}")
    host, *path = (unquote(part) for part in did.removeprefix("did:web:").split(":"))
    tail = "/".join([*path, "did.json"]) if path else ".well-known/did.json"
    return f"{scheme}://{host}/{tail}"


def parse_brn(text: str) -> str:
    """Return a 사업자등록번호 as ten digits.

    The check digit is ``(10 - s mod 10) mod 10`` where ``s`` is the weighted sum of the first
    nine digits plus the tens of five times the ninth.

    Raises:
        InvalidBrnError: Not ten digits, or the check digit is wrong.
    """
    digits = re.sub(r"[\s-]", "", text)
    if not re.fullmatch(r"[0-9]{10}", digits):
        raise InvalidBrnError(
            ko="사업자등록번호는 숫자 10자리입니다. 예: 120-81-47521",
            en="A business number has ten digits, for example 120-81-47521.",
        )
    numbers = [int(digit) for digit in digits]
    total = sum(n * w for n, w in zip(numbers, _BRN_WEIGHTS, strict=False)) + numbers[8] * 5 // 10
    if (10 - total % 10) % 10 != numbers[9]:
        raise InvalidBrnError(
            ko="사업자등록번호의 마지막 검증 숫자가 맞지 않습니다. 번호를 다시 확인하세요.",
            en="The business number's check digit is wrong. Look the number up again.",
        )
    return digits


def format_brn(digits: str) -> str:
    """Write a 사업자등록번호 as people do: ``NNN-NN-NNNNN``."""
    return f"{digits[:3]}-{digits[3:5]}-{digits[5:]}"
