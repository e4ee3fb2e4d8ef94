"""What the broker tells the catalog."""

from __future__ import annotations

from fastapi import APIRouter, Request

from databank.kit.app import CallerDep, get_context
from schemas.participant import RevocationNotice, Role
from schemas.problem import ForbiddenError

router = APIRouter(tags=["registry"])


@router.post("/registry/notices", summary="A participant was revoked")
def notice(request: Request, caller: CallerDep, body: RevocationNotice) -> RevocationNotice:
    """Forget what is known of a participant; answers the notice."""
    if caller.participant.role is not Role.OPERATOR:
        raise ForbiddenError(
            ko="운영기관의 브로커만 알릴 수 있습니다.", en="Only the operator's broker may notify."
        )
    get_context(request).directory.forget(body.participant_id)
    return body
