"""What this service's routes need besides the kit's context."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request

from databank.kit.clock import IdMaker
from schemas.ids import ParticipantId
from schemas.signature import SigningKey


@dataclass(frozen=True, slots=True)
class Clearing:
    """The service's key and terms; stands in ``app.state.clearing``."""

    signing_key: SigningKey
    make_nonce: IdMaker
    broker_did: ParticipantId
    fee_bps: int
    grant_life: timedelta


def get_clearing(request: Request) -> Clearing:
    """Return the service's key and terms."""
    clearing: Clearing = request.app.state.clearing
    return clearing


ClearingDep = Annotated[Clearing, Depends(get_clearing)]
