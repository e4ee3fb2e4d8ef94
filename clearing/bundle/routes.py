"""The route for bundles."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Path, Query, Request, Response

from clearing.bundle import service
from clearing.context import ClearingDep
from databank.kit.app import CallerDep, get_context
from schemas.bundle import BUNDLE_TYPE, Bundle

router: Final = APIRouter(tags=["settlement"])
PeriodPath = Annotated[str, Path(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]
Number = Annotated[int | None, Query(ge=1, le=2**31)]


@router.get("/statements/{period}/bundle", response_model=Bundle)
def get_bundle(
    period: PeriodPath,
    request: Request,
    caller: CallerDep,
    clearing: ClearingDep,
    number: Number = None,
) -> Response:
    """The caller's statement with all that it follows from, for `databank verify`."""
    content = service.make(
        caller.uow,
        period,
        caller.participant.id,
        clearing.log,
        number=number,
        now=get_context(request).clock(),
    )
    return Response(content, media_type=BUNDLE_TYPE)
