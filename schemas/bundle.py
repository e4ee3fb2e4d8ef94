"""A bundle (증빙 자료): a statement with all that it follows from, to be checked offline.

It holds the statement and those before it about the same agreements, the agreements, their
records as slices of signed batches, and the ends of disputes that credit lines follow from; each
with the signed object that is its leaf of clearing's log, and its audit path under one signed
checkpoint. Where the statement tells royalties, it holds their split plans and income reports; and
of a product whose royalties the participant pays, all agreements with their records, which the
income reports follow from.

A bundle is the RFC 8785 form of this message, so there is one way only to write it.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from schemas.bank import Statement
from schemas.dispute import DisputeMove
from schemas.merkle import PROOF_HASHES_MAX
from schemas.note import SIGNATURES_MAX
from schemas.participant import Jwk
from schemas.seal import SealedAgreement
from schemas.shares import IncomeReport, PlanEdge, SealedPlan
from schemas.wire import OwnWire, Sha256

BUNDLE_BYTES_MAX: Final = 32 * 2**20  # what connectors take as one answer (kit.http)
BUNDLE_TYPE: Final = "application/vnd.databank.bundle+json"
Path = Annotated[tuple[Sha256, ...], Field(max_length=PROOF_HASHES_MAX)]
Base64 = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]*={0,2}$")]


class Leaf(OwnWire):
    """An object that clearing signed and logged: a JWS, and its audit path in the log."""

    jws: str
    proof: Path


class ProvenStatement(OwnWire):
    """A statement and its seal."""

    document: Statement
    seal: Leaf


class ProvenAgreement(OwnWire):
    """An agreement and its seal."""

    agreement: SealedAgreement
    seal: Leaf


class ProvenSlice(OwnWire):
    """One agreement's records in one batch.

    ``header`` is the supplier's JWS over the batch, ``signer`` its key; ``records`` the bytes of
    a slice (`schemas.slices`), number ``index`` in the batch, with its audit path there.
    """

    receipt: Leaf
    header: str
    signer: Jwk
    records: Base64
    index: int = Field(ge=0)
    proof: Path


class ProvenMove(OwnWire):
    """The move that ended a dispute, from which credit lines follow, and its seal."""

    document: DisputeMove
    seal: Leaf


class ProvenPlan(OwnWire):
    """A split plan, those of its edges that the statement's party may see, and its seal."""

    plan: SealedPlan
    edges: tuple[PlanEdge, ...]
    seal: Leaf


class ProvenIncome(OwnWire):
    """An income report that a royalty follows from, and its seal."""

    report: IncomeReport
    seal: Leaf


class Bundle(OwnWire):
    """A statement, the last of ``statements``, with all that it follows from.

    ``log_key`` is the log's vkey; only who knows it from elsewhere knows whose log it is.
    ``witness_keys`` are the vkeys of those who cosigned the checkpoint, in the order of their
    signatures after the log's.
    """

    log_key: str
    checkpoint: str
    witness_keys: tuple[str, ...] | None = Field(
        default=None, min_length=1, max_length=SIGNATURES_MAX - 1
    )
    statements: tuple[ProvenStatement, ...] = Field(min_length=1)
    agreements: tuple[ProvenAgreement, ...]
    slices: tuple[ProvenSlice, ...]
    decisions: tuple[ProvenMove, ...] | None = Field(default=None, min_length=1)
    plans: tuple[ProvenPlan, ...] | None = Field(default=None, min_length=1)
    incomes: tuple[ProvenIncome, ...] | None = Field(default=None, min_length=1)
