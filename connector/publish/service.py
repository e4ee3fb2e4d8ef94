"""Use cases of publishing: an upload is checked, then published in one transaction.

Files come first and are durable before any row names them; the row decides whether a
dataset exists. After a crash there is at most a file that nobody names.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from connector.offering import store as offerings
from connector.offering.model import Published
from connector.outbox.service import announce_catalog_change
from connector.publish import store
from connector.publish.arrow_file import (
    PARTIAL_SUFFIX,
    make_durable,
    sha256_of,
    sweep_partials,
)
from connector.publish.child import Job, run_check
from connector.publish.decode import UnreadableFileError
from connector.publish.licensing import (
    check_terms,
    keep,
    license_relation,
    mask_key,
    offered,
    whole_of,
)
from connector.relation.model import check_plan
from connector.relation.store import Licensed
from connector.runtime import Runtime
from databank.kit.db import IntegrityError, UnitOfWork
from schemas.dataset import RESERVED_NAMES, Dataset, DatasetSchema
from schemas.ids import DatasetId, OfferId
from schemas.management import (
    Publication,
    PublicationList,
    PublishRequest,
    ReviseRequest,
    UploadReport,
)
from schemas.problem import ConflictError, NotFoundError, ProblemError
from schemas.wire import Text

FILENAME_CHARS_MAX: Final = 200
PUBLICATIONS_MAX: Final = 1000
_ID: Final = re.compile(r"^urn:uuid:[0-9a-f-]{36}$")


class UnreadableUploadError(ProblemError):
    """The uploaded file cannot be read."""

    slug = "unreadable-file"
    title = Text(ko="파일을 읽을 수 없습니다", en="The file cannot be read")
    status = 422


class BadRowsError(ProblemError):
    """Rows do not fit their columns, and nobody said to leave them out."""

    slug = "bad-rows"
    title = Text(ko="맞지 않는 행이 있습니다", en="There are bad rows")
    status = 422


class ReservedNameError(ProblemError):
    """The name is a word of SQL: no query could name the dataset."""

    slug = "reserved-name"
    title = Text(ko="SQL의 낱말은 이름이 될 수 없습니다", en="A word of SQL cannot be the name")
    status = 422


class PersonalDataError(ProblemError):
    """Columns look like personal data, and nobody answered for publishing them."""

    slug = "personal-data"
    title = Text(ko="개인정보로 보이는 열이 있습니다", en="Columns look like personal data")
    status = 422


def upload_folder(runtime: Runtime) -> Path:
    """Return where uploads lie."""
    return runtime.settings.data_dir / "uploads"


def upload_path(runtime: Runtime, upload_id: str, suffix: str = ".raw") -> Path:
    """Return a file of an upload; ids are checked, so that none leads elsewhere.

    Raises:
        NotFoundError: Not an upload id.
    """
    if not _ID.match(upload_id):
        raise _no_upload(upload_id)
    return upload_folder(runtime) / f"{upload_id.rsplit(':', 1)[1]}{suffix}"


def _no_upload(upload_id: str) -> NotFoundError:
    return NotFoundError(
        ko=f"업로드 {upload_id}가 없거나 기한이 지났습니다. 파일을 다시 올리세요.",
        en=f"There is no upload {upload_id}, or it expired. Upload the file again.",
    )


def prepare_folders(runtime: Runtime) -> None:
    """Make the folders and remove what a crash left half-written or no longer needed."""
    for folder in (runtime.data_folder, upload_folder(runtime)):
        folder.mkdir(parents=True, exist_ok=True)
        sweep_partials(folder)
    mask_key(runtime)  # made before two can ask for it at once
    with runtime.database.unit_of_work() as uow:
        _expire(uow, runtime)
        waiting = store.waiting(uow)
    named = {upload_path(runtime, known, ".csv").name for known in waiting}
    named |= {
        upload_path(runtime, known).name
        for known, is_published in waiting.items()
        if not is_published
    }
    for path in upload_folder(runtime).iterdir():
        if path.name not in named:
            path.unlink(missing_ok=True)


def _expire(uow: UnitOfWork, runtime: Runtime) -> list[str]:
    before = runtime.clock() - timedelta(hours=runtime.settings.upload_hours)
    return store.remove_older(uow, before)


def finish_upload(runtime: Runtime, upload_id: str, filename: str, partial: Path) -> UploadReport:
    """Check a file that has arrived completely, and store its report.

    Raises:
        UnreadableUploadError: It cannot be read; the file is gone.
    """
    raw = upload_path(runtime, upload_id)
    make_durable(partial, raw)
    name = Path(filename.replace("\\", "/")).name[:FILENAME_CHARS_MAX] or "upload"
    job = Job(file=raw, filename=name, errors=upload_path(runtime, upload_id, ".csv"))
    try:
        values = run_check(job, runtime.settings)
    except UnreadableFileError as error:
        for path in (raw, job.errors):
            path.unlink(missing_ok=True)
        raise UnreadableUploadError(ko=error.said.ko, en=error.said.en, filename=name) from None
    report = UploadReport.model_validate({"upload_id": upload_id, "filename": name, **values})
    with runtime.database.unit_of_work() as uow:
        store.put(uow, report, uploaded_at=runtime.clock())
        expired = _expire(uow, runtime)
    for old in expired:
        for suffix in (".raw", ".csv"):
            upload_path(runtime, old, suffix).unlink(missing_ok=True)
    return report


def get_upload(runtime: Runtime, upload_id: str) -> UploadReport:
    """Return an upload's report.

    Raises:
        NotFoundError: There is none.
    """
    with runtime.database.unit_of_work() as uow:
        found = store.get(uow, upload_id)
    if found is None:
        raise _no_upload(upload_id)
    return found


def publish(runtime: Runtime, request: PublishRequest) -> Publication:
    """Publish an upload.

    Raises:
        NotFoundError: There is no such upload.
        ConflictError: The name is taken, or the upload is published already.
        ReservedNameError: The name is a word of SQL.
        BadRowsError: Bad rows, and ``skip_bad_rows`` is not set.
        PersonalDataError: Columns look personal, and ``allow_personal`` is not set.
        UnreadableUploadError: The column changes do not fit the file.
        TermsDoNotFitError: The terms do not fit the file.
    """
    _check_name(request.name)
    check_plan(request.terms, request.plan)
    with runtime.database.unit_of_work() as uow:
        _check_free(uow, request.name)
    upload = get_upload(runtime, request.upload_id)
    if upload.is_published:
        raise _published_already()
    dataset_id = DatasetId(runtime.make_id())
    partial = runtime.data_folder / f"{dataset_id.rsplit(':', 1)[1]}{PARTIAL_SUFFIX}"
    source = upload.filename
    report = _write(runtime, request, partial=partial, dataset_id=dataset_id, source=source)
    try:
        _check_consent(request, report)
        check_terms(request.terms, report["columns"])
    except ProblemError:
        partial.unlink(missing_ok=True)
        raise
    sha256 = sha256_of(partial)
    file_bytes = partial.stat().st_size
    file_name = f"{sha256}.arrow"
    make_durable(partial, runtime.data_folder / file_name)
    dataset = _dataset(
        runtime, request, report, dataset_id=dataset_id, sha256=sha256, file_bytes=file_bytes
    )
    whole = Licensed(dataset, file_name)
    licensed = license_relation(runtime, whole, request.terms)
    published = Published(
        dataset=licensed.dataset,
        offer_id=OfferId(runtime.make_id()),
        terms=request.terms,
        plan=request.plan,
        file_name=licensed.file_name,
        approval=request.approval,
        skipped_rows_count=report["bad_rows_count"],
    )
    try:
        with runtime.database.unit_of_work() as uow:
            offerings.put(uow, published)
            keep(uow, whole, licensed, request.terms)
            store.mark_published(uow, request.upload_id)
            uow.after_commit(runtime.copies.give)
            announce_catalog_change(uow, runtime)
    except IntegrityError:
        raise _name_taken(request.name) from None
    upload_path(runtime, request.upload_id).unlink(missing_ok=True)
    return view(published)


def _check_consent(request: PublishRequest, report: dict[str, Any]) -> None:
    if report["bad_rows_count"] and not request.skip_bad_rows:
        raise _bad_rows(report)
    personal = report["personal_columns"]
    if personal and not request.allow_personal:
        names = ", ".join(personal)
        raise PersonalDataError(
            ko=f"개인정보로 보이는 열이 있어 공개하지 않았습니다: {names}. 파일에서 빼고 다시 "
            "올리세요. 공개해도 되는 값이면 allow_personal(명령줄: --allow-personal)을 켜세요.",
            en=f"Not published: these columns look like personal data: {names}. Take them out of "
            "the file. If they may be published, set allow_personal (command: --allow-personal).",
            columns=personal,
        )


def _published_already() -> ConflictError:
    return ConflictError(
        ko="이미 공개한 업로드입니다. 다시 공개하려면 파일을 다시 올리세요.",
        en="This upload is published already. To publish again, upload the file again.",
    )


def _check_name(name: str) -> None:
    if name in RESERVED_NAMES:
        raise ReservedNameError(
            ko=f"'{name}'은(는) SQL의 낱말이라 질의에 쓸 수 없습니다. {name}_data처럼 다른 이름을 "
            "쓰세요.",
            en=f"'{name}' is a word of SQL, so no query could use it. Take another name, such as "
            f"{name}_data.",
            name=name,
        )


def _check_free(uow: UnitOfWork, name: str) -> None:
    found = offerings.get_by_name(uow, name)
    if found is None:
        return
    if not found.is_withdrawn:
        raise _name_taken(name)
    raise ConflictError(
        ko=f"'{name}'은(는) 공개를 거둔 데이터셋의 이름입니다. 다시 내려면 "
        f"`databank restore {name}`, 조건이나 제목을 고치려면 "
        f"`databank revise {name}`을 쓰고, 다른 데이터라면 {name}_2처럼 다른 이름을 쓰세요.",
        en=f"'{name}' is a withdrawn dataset. To offer it again: `databank restore {name}`; to "
        f"change its terms or title: `databank revise {name}`; for other data use another name, "
        f"such as {name}_2.",
        name=name,
    )


def _name_taken(name: str) -> ConflictError:
    return ConflictError(
        ko=f"'{name}'(이)라는 데이터셋이 이미 있습니다. 조건이나 제목은 "
        f"`databank revise {name}`으로 고치고, 다른 데이터라면 {name}_2처럼 다른 이름을 쓰세요.",
        en=f"There is a dataset called '{name}' already. To change its terms or title: `databank "
        f"revise {name}`; for other data use another name, such as {name}_2.",
        name=name,
    )


def _bad_rows(report: dict[str, Any]) -> BadRowsError:
    first = report["bad_cells"][0]
    where = f"행 {first['row']}, 열 {first['column'] or '-'}"
    return BadRowsError(
        ko=f"맞지 않는 행이 {report['bad_rows_count']:,}개 있습니다(첫째: {where}: "
        f"{first['reason']['ko']}). 고쳐서 다시 올리거나, 나머지만 올리려면 "
        "skip_bad_rows를 켜세요.",
        en=f"{report['bad_rows_count']:,} rows do not fit (first: row {first['row']}, column "
        f"{first['column'] or '-'}: {first['reason']['en']}). Correct them, or set "
        "skip_bad_rows to publish the others.",
        bad_rows_count=report["bad_rows_count"],
        bad_cells=report["bad_cells"],
    )


def _write(
    runtime: Runtime,
    request: PublishRequest,
    *,
    partial: Path,
    dataset_id: DatasetId,
    source: str,
) -> dict[str, Any]:
    job = Job(
        file=upload_path(runtime, request.upload_id),
        filename=source,
        errors=upload_path(runtime, request.upload_id, ".csv"),
        columns=tuple(change.to_json() for change in request.columns),
        arrow=partial,
        metadata={
            "idb.dataset": dataset_id,
            "idb.publisher": runtime.did,
            "idb.source": f"{source} sha256:{sha256_of(upload_path(runtime, request.upload_id))}",
            "idb.timezone": "UTC",
        },
        sample_rows=request.sample_rows_count,
    )
    try:
        return run_check(job, runtime.settings)
    except UnreadableFileError as error:
        partial.unlink(missing_ok=True)
        raise UnreadableUploadError(ko=error.said.ko, en=error.said.en) from None


def _dataset(
    runtime: Runtime,
    request: PublishRequest,
    report: dict[str, Any],
    *,
    dataset_id: DatasetId,
    sha256: str,
    file_bytes: int,
) -> Dataset:
    now = runtime.clock()
    return Dataset(
        id=dataset_id,
        name=request.name,
        title=request.title,
        description=request.description,
        domain=request.domain,
        industry=request.industry,
        keywords=request.keywords,
        schema_=DatasetSchema.model_validate({"columns": report["columns"]}),
        rows_count=report["published_rows_count"],
        file_bytes=file_bytes,
        data_sha256=sha256,
        issued_at=now,
        modified_at=now,
        is_generated=request.is_generated,
        sample_columns=tuple(report["sample_columns"]),
        sample=tuple(tuple(row) for row in report["sample"]),
    )


def view(published: Published) -> Publication:
    """Return a published dataset as its owner sees it."""
    return Publication(
        dataset=published.dataset,
        offer_id=published.offer_id,
        terms=published.terms,
        plan=published.plan,
        approval=published.approval,
        skipped_rows_count=published.skipped_rows_count,
        is_withdrawn=published.is_withdrawn,
    )


def publications(runtime: Runtime) -> PublicationList:
    """Return all published datasets, withdrawn ones included."""
    with runtime.database.unit_of_work() as uow:
        found = offerings.publications(uow, limit=PUBLICATIONS_MAX)
    return PublicationList(publications=tuple(view(published) for published in found))


def _known(uow: UnitOfWork, dataset_id: DatasetId) -> Published:
    published = offerings.get(uow, dataset_id)
    if published is None:
        raise NotFoundError(
            ko=f"데이터셋 {dataset_id}가 없습니다.", en=f"There is no dataset {dataset_id}."
        )
    return published


def revise(runtime: Runtime, dataset_id: DatasetId, request: ReviseRequest) -> Publication:
    """Change title, description, terms or price of a dataset, for agreements made from now on.

    Raises:
        NotFoundError: There is no such dataset.
        TermsDoNotFitError: The terms do not fit the columns.
    """
    now = runtime.clock()
    texts = {
        name: value
        for name in ("title", "description", "keywords")
        if (value := getattr(request, name)) is not None
    }
    with runtime.database.unit_of_work() as uow:
        old = _known(uow, dataset_id)
        whole = whole_of(uow, old)
    licensed = license_relation(runtime, whole, request.terms or old.terms)
    with runtime.database.unit_of_work() as uow:
        old = _known(uow, dataset_id)
        terms = old.terms if request.terms is None else request.terms
        plan = old.plan if request.plan is None else request.plan
        check_plan(terms, plan)
        is_same_offer = (terms, plan) == (old.terms, old.plan)
        new = replace(
            old,
            dataset=offered(old.dataset, licensed).model_copy(update={**texts, "modified_at": now}),
            offer_id=old.offer_id if is_same_offer else OfferId(runtime.make_id()),
            terms=terms,
            plan=plan,
            file_name=licensed.file_name,
            approval=old.approval if request.approval is None else request.approval,
        )
        keep(uow, whole, licensed, terms)
        uow.after_commit(runtime.copies.give)
        offerings.replace(uow, new, now=now)
        announce_catalog_change(uow, runtime)
    return view(new)


def set_withdrawn(runtime: Runtime, dataset_id: DatasetId, *, is_withdrawn: bool) -> Publication:
    """Take a dataset off the catalog or put it back; running agreements go on.

    Raises:
        NotFoundError: There is no such dataset.
    """
    with runtime.database.unit_of_work() as uow:
        published = _known(uow, dataset_id)
        offerings.set_withdrawn(uow, dataset_id, is_withdrawn=is_withdrawn, now=runtime.clock())
        uow.after_commit(runtime.copies.give)
        announce_catalog_change(uow, runtime)
    return view(replace(published, is_withdrawn=is_withdrawn))


def free_bytes(folder: Path) -> int:
    """Return how many bytes the disk of ``folder`` has left."""
    return shutil.disk_usage(folder).free
