"""The desk's page about our own datasets: how requests for each are approved."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from connector.desk.frame import DeskRoute, FormDep, RuntimeDep, SessionDep, render, see
from connector.desk.view import DESK
from connector.publish import service as publishing
from schemas.approval import Approval
from schemas.ids import DatasetId
from schemas.management import ReviseRequest
from schemas.problem import InvalidRequestError

router = APIRouter(
    prefix=f"{DESK}/datasets",
    tags=["desk"],
    route_class=DeskRoute,
    default_response_class=HTMLResponse,
)


@router.get("", summary="The desk: our own datasets")
def datasets_page(request: Request, runtime: RuntimeDep, _: SessionDep) -> HTMLResponse:
    """Return our datasets with their approval."""
    found = publishing.publications(runtime).publications
    return render(request, "datasets.html", publications=found, approvals=list(Approval))


@router.post("/{dataset_id}/approval", summary="The desk: change who answers requests")
def change_approval(runtime: RuntimeDep, sent: FormDep, dataset_id: str) -> Response:
    """Change how requests for a dataset are approved, from now on."""
    chosen = next((each for each in Approval if each.value == sent.text("approval")), None)
    if chosen is None:
        raise InvalidRequestError(
            ko="승인 방식을 고르세요.", en="Choose how requests are approved."
        )
    publishing.revise(runtime, DatasetId(dataset_id), ReviseRequest(approval=chosen))
    return see(f"{DESK}/datasets", "approval")
