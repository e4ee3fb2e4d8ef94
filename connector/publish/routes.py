"""Publishing, for the company's own people and tools."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from connector.publish import service
from connector.publish.arrow_file import PARTIAL_SUFFIX
from connector.publish.templates import TEMPLATES
from connector.runtime import Runtime, get_runtime
from databank.kit.app import AdminDep
from schemas.ids import DatasetId
from schemas.management import (
    PolicyTemplateList,
    Publication,
    PublicationList,
    PublishRequest,
    ReviseRequest,
    UploadReport,
)
from schemas.problem import ProblemError
from schemas.wire import Text

router = APIRouter(prefix="/management", tags=["publishing"], dependencies=[AdminDep])
RuntimeDep = Annotated[Runtime, Depends(get_runtime)]
ROUTE_BYTES_MAX: Final = 2**42  # the setting upload_bytes_max is checked while the body arrives
WRITE_BYTES: Final = 4 * 2**20


class TooLargeError(ProblemError):
    """The body is larger than the connector takes, or than its disk has room for."""

    slug = "too-large"
    title = Text(ko="너무 큽니다", en="Too large")
    status = 413


@router.post("/uploads", status_code=201, max_body_size=ROUTE_BYTES_MAX)
async def upload(
    request: Request,
    runtime: RuntimeDep,
    filename: Annotated[str, Query(min_length=1, max_length=500)],
) -> UploadReport:
    """Take a file (the raw body) and say what is in it; nothing is published yet."""
    upload_id = runtime.make_id()
    partial = service.upload_path(runtime, upload_id, PARTIAL_SUFFIX)
    try:
        await _receive(request, runtime, partial)
        return await run_in_threadpool(service.finish_upload, runtime, upload_id, filename, partial)
    finally:
        partial.unlink(missing_ok=True)


async def _receive(request: Request, runtime: Runtime, partial: Path) -> None:
    limit = min(runtime.settings.upload_bytes_max, service.free_bytes(partial.parent))
    received, waiting = 0, bytearray()
    with partial.open("wb") as file:
        async for chunk in request.stream():
            received += len(chunk)
            if received > limit:
                raise TooLargeError(
                    ko=f"파일이 {limit:,}바이트보다 큽니다. 나누어 올리세요.",
                    en=f"The file is larger than {limit:,} bytes. Split it.",
                )
            waiting += chunk
            if len(waiting) >= WRITE_BYTES:
                await run_in_threadpool(file.write, bytes(waiting))
                waiting.clear()
        file.write(waiting)


@router.get("/uploads/{upload_id}")
def show_upload(upload_id: str, runtime: RuntimeDep) -> UploadReport:
    """Return an upload's report again."""
    return service.get_upload(runtime, upload_id)


@router.get("/uploads/{upload_id}/errors.csv")
def errors(upload_id: str, runtime: RuntimeDep) -> Response:
    """Return all bad cells of an upload as CSV."""
    service.get_upload(runtime, upload_id)
    content = service.upload_path(runtime, upload_id, ".csv").read_bytes()
    headers = {"Content-Disposition": 'attachment; filename="errors.csv"'}
    return Response(content, media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/policy-templates")
async def policy_templates() -> PolicyTemplateList:
    """Return the usual terms to start from."""
    return PolicyTemplateList(templates=TEMPLATES)


@router.post("/publications", status_code=201)
def publish(request: PublishRequest, runtime: RuntimeDep) -> Publication:
    """Publish an upload with terms and price."""
    return service.publish(runtime, request)


@router.get("/publications")
def publications(runtime: RuntimeDep) -> PublicationList:
    """Return our own datasets."""
    return service.publications(runtime)


@router.patch("/publications/{dataset_id}")
def revise(dataset_id: str, request: ReviseRequest, runtime: RuntimeDep) -> Publication:
    """Change title, terms or price for agreements to come; running agreements go on."""
    return service.revise(runtime, DatasetId(dataset_id), request)


@router.delete("/publications/{dataset_id}")
def withdraw(dataset_id: str, runtime: RuntimeDep) -> Publication:
    """Take a dataset off the catalog; running agreements go on."""
    return service.set_withdrawn(runtime, DatasetId(dataset_id), is_withdrawn=True)


@router.post("/publications/{dataset_id}/restoration")
def restore(dataset_id: str, runtime: RuntimeDep) -> Publication:
    """Put a withdrawn dataset back."""
    return service.set_withdrawn(runtime, DatasetId(dataset_id), is_withdrawn=False)
