"""The broker tells us to look a participant up again."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request

from clearing.context import ClearingDep
from databank.kit.app import CallerDep, get_context
from schemas.participant import RevocationNotice
from schemas.problem import ForbiddenError

router: Final = APIRouter(tags=["registry"])


@router.post("/registry/notices", status_code=204)
def take_notice(
    notice: RevocationNotice, request: Request, caller: CallerDep, clearing: ClearingDep
) -> None:
    """The broker revoked a participant."""
    if caller.participant.id != clearing.broker_did:
        raise ForbiddenError(
            ko="중개소만 등록 변경을 알릴 수 있습니다.", en="Only the broker sends notices."
        )
    get_context(request).directory.forget(notice.participant_id)
