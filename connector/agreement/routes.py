"""What another connector of the data bank says of an agreement that we hold with it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends

from connector.agreement import service
from connector.runtime import Runtime, get_runtime
from databank.kit.app import CallerDep
from databank.kit.routes import Router
from schemas.refusal import Termination

router = Router(tags=["agreement"])


@router.post("/agreements/terminations", status_code=204)
def hear_end(
    termination: Termination, caller: CallerDep, runtime: Annotated[Runtime, Depends(get_runtime)]
) -> None:
    """Take the counterparty's word that it ends an agreement."""
    service.hear_end(caller.uow, runtime, termination, caller.participant.id)
