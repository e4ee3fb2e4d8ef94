"""What this service's routes need besides the kit's context."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request

from clearing.disputes.model import Terms
from clearing.log.service import Log
from clearing.log.witnessing import Witnesses
from clearing.metering.commit import Committer
from clearing.press import Press
from schemas.ids import ParticipantId
from schemas.invoice import Issuing
from schemas.issuer import Issuer


@dataclass(frozen=True, slots=True)
class Clearing:
    """The service's log and terms; stands in ``app.state.clearing``."""

    log: Log
    witnesses: Witnesses
    committer: Committer
    broker_did: ParticipantId
    fee_bps: int
    royalty_fee_bps: int
    grant_life: timedelta
    issuer: Issuer
    silence: timedelta
    dispute_terms: Terms
    invoice_issuing: Issuing
    officers: Mapping[str, str]  # name and public key of who may approve payouts
    account_wait: timedelta  # after a change of a bank account
    press: Press = field(default_factory=Press)


def get_clearing(request: Request) -> Clearing:
    """Return the service's log and terms."""
    clearing: Clearing = request.app.state.clearing
    return clearing


ClearingDep = Annotated[Clearing, Depends(get_clearing)]
