"""The feed of the federated catalog."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query

from broker.federation import store
from databank.kit.app import CallerDep
from schemas.participant import Feed

FEED_LIMIT_MAX: Final = 1_000
router = APIRouter(tags=["federation"])


@router.get("/feed", summary="Changes of the federated catalog", response_model_exclude_none=True)
def feed(
    caller: CallerDep,
    after: Annotated[int, Query(ge=0, le=2**62)] = 0,
    limit: Annotated[int, Query(ge=1, le=FEED_LIMIT_MAX)] = 200,
) -> Feed:
    """Return changes after a sequence number, oldest first; a participant may follow."""
    return store.read(caller.uow, after=after, limit=limit)
