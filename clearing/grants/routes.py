"""The route for grants."""

from __future__ import annotations

from typing import Final

from fastapi import Request

from clearing.context import ClearingDep
from clearing.grants import service
from databank.kit.app import CallerDep, get_context
from databank.kit.routes import Router
from schemas.bank import Grant, GrantRequest

router: Final = Router(tags=["grants"])


@router.post("/grants")
def ask_for_grant(
    wish: GrantRequest, request: Request, caller: CallerDep, clearing: ClearingDep
) -> Grant:
    """Hold money of the consumer for deliveries, before they are made.

    Not while usage cannot be booked: holds would expire, and be given again, unpaid for.
    """
    clearing.log.check_addable()
    return service.ask(
        caller.uow,
        wish,
        caller.participant.id,
        life=clearing.grant_life,
        now=get_context(request).clock(),
    )
