"""What a supplier agrees to before publishing: rows left out, personal data, the open sample."""

from __future__ import annotations

import typer

from databank.cli.surface import Surface
from schemas.dataset import Sensitivity
from schemas.management import PublishRequest, UploadReport
from schemas.problem import ConflictError
from schemas.wire import Text


class UndecidedRowsError(ConflictError):
    """The file holds rows that do not fit, and nobody said to leave them out."""

    slug = "undecided-rows"
    title = Text(ko="맞지 않는 행을 뺄지 정해야 합니다", en="Leave the bad rows out?")


class UndecidedPersonalDataError(ConflictError):
    """Columns look like personal data, and nobody answered for them; ``--yes`` does not."""

    slug = "undecided-personal-data"
    title = Text(ko="개인정보로 보이는 열이 있습니다", en="Columns look like personal data")


def agree_to_skip(report: UploadReport, surface: Surface, *, may_ask: bool) -> None:
    """Ask whether to publish without the bad rows.

    Raises:
        UndecidedRowsError: Nobody can be asked, or the answer is no.
    """
    good = report.rows_count - report.bad_rows_count
    question = surface.say(
        f"나머지 {good:,}행만 공개할까요?", f"Publish the other {good:,} rows only?"
    )
    if may_ask and typer.confirm(question, default=True):
        return
    raise UndecidedRowsError(
        ko=f"맞지 않는 행이 {report.bad_rows_count:,}개 있어 공개하지 않았습니다. 파일을 고치거나 "
        "--skip-bad-rows로 나머지만 공개하세요.",
        en=f"Not published: {report.bad_rows_count:,} rows do not fit. Correct the file, or "
        "publish the others with --skip-bad-rows.",
    )


def agree_to_personal(report: UploadReport, surface: Surface, *, may_ask: bool) -> None:
    """Ask whether columns that look like personal data may be published; the default is no.

    Raises:
        UndecidedPersonalDataError: Nobody can be asked, or the answer is no.
    """
    names = ", ".join(report.personal_columns)
    question = surface.say(
        f"개인정보로 보이는 열({names})도 공개할까요?",
        f"Publish the columns that look like personal data ({names}) too?",
    )
    if may_ask and typer.confirm(question, default=False):
        return
    raise UndecidedPersonalDataError(
        ko=f"개인정보로 보이는 열이 있어 공개하지 않았습니다: {names}. 파일에서 빼고 다시 "
        "올리세요. 공개해도 되는 값이면 --allow-personal을 붙이세요(--yes로는 되지 않습니다).",
        en=f"Not published: these columns look like personal data: {names}. Take them out of the "
        "file. If they may be published, add --allow-personal (--yes is not enough).",
    )


def sample_said(request: PublishRequest, report: UploadReport) -> Text:
    """Say which rows and columns everybody will see, before they are published."""
    wanted = {change.name: change.sensitivity for change in request.columns}
    shown = [
        column.name
        for column in report.columns
        if (wanted.get(column.name) or column.sensitivity) is Sensitivity.PUBLIC
        and column.name not in report.personal_columns
        and column.name in (request.terms.columns or {column.name})
    ]
    rows = min(request.sample_rows_count, report.rows_count - report.bad_rows_count)
    if not rows or not shown:
        return Text(ko="표본은 공개되지 않습니다", en="No sample is shown to anybody")
    names = ", ".join(shown)
    return Text(
        ko=f"표본 {rows}행(열 {names})이 누구에게나 공개됩니다",
        en=f"A sample of {rows} rows (columns {names}) is shown to everybody",
    )
