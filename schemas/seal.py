"""What clearing signs and logs: seals of agreements and statements, and where a log is found.

Each signed object is one leaf of clearing's log. The leaf's entry is the SHA-256 of the object's
JWS, which holds a nonce: whoever sees the log learns nothing of the objects.
"""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from typing import Final

from pydantic import Field

from schemas.bank import AgreementRecord
from schemas.canonical import digest
from schemas.signature import PublicKey, SigningKey, sign, verify
from schemas.wire import OwnWire, Sha256

SEAL_TYPE: Final = "log-seal+jws"
LOG_PATH: Final = "/log"


class SealKind(StrEnum):
    """What a seal is of."""

    AGREEMENT = "agreement"
    STATEMENT = "statement"
    SPLIT_PLAN = "split_plan"
    INCOME = "income"
    DISPUTE = "dispute"  # one move of it


class SealedAgreement(OwnWire):
    """An agreement as charges are computed from it; its seal names the digest of this."""

    record: AgreementRecord
    fee_bps: int = Field(ge=0, le=10_000)

    @property
    def sha256(self) -> str:
        """SHA-256 over the RFC 8785 form."""
        return digest(self.to_json())


class Seal(OwnWire):
    """Clearing's signed word that it holds an object, as leaf ``log_index`` of its log."""

    kind: SealKind
    subject: str  # the object's id; of a dispute's move with its number
    sha256: Sha256  # over the object's RFC 8785 form
    log_origin: str
    log_index: int = Field(ge=0)
    nonce: str


def log_origin(url: str) -> str:
    """Return the name of the log of the clearing service at ``url`` (C2SP: a URL, no scheme)."""
    return url.rstrip("/").partition("://")[2] + LOG_PATH


def log_entry(jws: str) -> bytes:
    """Return the leaf's entry of a signed object."""
    return hashlib.sha256(jws.encode()).digest()


def sign_seal(seal: Seal, key: SigningKey) -> str:
    """Return the seal as a compact JWS."""
    return sign(json.dumps(seal.to_json()).encode(), key=key, typ=SEAL_TYPE)


def verify_seal(token: str, key: PublicKey) -> Seal:
    """Return the signed seal.

    Raises:
        BadSignatureError: The signature does not verify.
        ValueError: The payload is not a seal.
    """
    return Seal.model_validate_json(verify(token, key=key, typ=SEAL_TYPE))
