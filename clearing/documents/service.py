"""Reads what was issued and booked, and has it printed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from clearing.bundle.service import log_index
from clearing.ledger.passbook import LINES_MAX, passbook_of
from clearing.parties.store import find_parties
from clearing.rating.rate import span_of
from clearing.settlement.service import document_of
from databank.kit.db import Database
from schemas.bank import PassbookLine, Statement
from schemas.ids import ParticipantId
from schemas.issuer import Issuer
from schemas.problem import ConflictError
from schemas.proof_link import ProofLink
from schemas.wire import Text

PRINTED_MAX: Final = 1_000  # lines of a PDF: some 40 pages, and some 8 s of a processor
EXPORTED_MAX: Final = 200_000  # lines of a CSV: some 30 MB


class TooManyLinesError(ConflictError):
    """A passbook or a statement does not fit into one document."""

    slug = "too-many-lines"
    title = Text(ko="문서 하나에 들어가지 않습니다", en="Too many lines for one document")


def statement_document(
    database: Database,
    period: str,
    participant_id: ParticipantId,
    issuer: Issuer,
    *,
    number: int | None,
) -> bytes:
    """Return a participant's statement as PDF: the latest of the period, or by number.

    Raises:
        NotFoundError: There is none.
        TooManyLinesError: More than ``PRINTED_MAX`` lines.
    """
    from clearing.documents.statement import statement_pdf  # noqa: PLC0415 - fpdf2 loads slowly

    with database.unit_of_work() as uow:
        stored = document_of(uow, period, participant_id, number=number)
    document = Statement.model_validate_json(stored.json)
    check_size(document)
    link = None
    if stored.seal is not None:
        link = ProofLink(issuer.url, log_index(stored.seal), document.statement_id, stored.sha256)
    return statement_pdf(document, issuer, link)


def check_size(document: Statement) -> None:
    """Refuse to print a statement that is too long.

    Raises:
        TooManyLinesError: More than ``PRINTED_MAX`` lines.
    """
    lines = (*document.bought, *document.sold, *(document.credits or ()))
    count, period = len(lines), document.period
    if count > PRINTED_MAX:
        raise TooManyLinesError(
            ko=f"명세서가 {count:,}줄이라 PDF({PRINTED_MAX:,}줄까지)로 만들지 않습니다. "
            f"GET /statements/{period} 또는 CSV(GET /passbook/csv?period={period})로 받으세요.",
            en=f"The statement has {count:,} lines; a PDF holds {PRINTED_MAX:,}. Get "
            f"/statements/{period}, or the CSV: /passbook/csv?period={period}.",
            lines_max=PRINTED_MAX,
        )


def passbook_table(database: Database, participant_id: ParticipantId, period: str | None) -> bytes:
    """Return a participant's passbook as CSV, all of it or one month (Seoul).

    Raises:
        TooManyLinesError: More than ``EXPORTED_MAX`` lines.
    """
    from clearing.documents.passbook import passbook_csv  # noqa: PLC0415 - fpdf2 loads slowly

    return passbook_csv(lines_of(database, participant_id, period, lines_max=EXPORTED_MAX))


def passbook_document(
    database: Database,
    participant_id: ParticipantId,
    issuer: Issuer,
    period: str | None,
    *,
    now: datetime,
) -> bytes:
    """Return a participant's passbook as PDF, all of it or one month (Seoul).

    Raises:
        TooManyLinesError: More than ``PRINTED_MAX`` lines.
    """
    from clearing.documents.passbook import passbook_pdf  # noqa: PLC0415 - fpdf2 loads slowly

    with database.unit_of_work() as uow:
        owner = find_parties(uow, [participant_id])[participant_id].name
    lines = list(lines_of(database, participant_id, period, lines_max=PRINTED_MAX))
    return passbook_pdf(lines, owner=owner, now=now, issuer=issuer.name)


def lines_of(
    database: Database, participant_id: ParticipantId, period: str | None, *, lines_max: int
) -> Iterator[PassbookLine]:
    """Yield a passbook's lines, all of them or a month's, each page in its own transaction.

    Raises:
        TooManyLinesError: More than ``lines_max``.
    """
    within = None if period is None else span_of(period)
    cursor, count = None, 0
    while True:
        with database.unit_of_work() as uow:
            page = passbook_of(uow, participant_id, cursor=cursor, limit=LINES_MAX, within=within)
        count += len(page.lines)
        if count > lines_max:
            raise _too_many(lines_max)
        yield from page.lines
        if page.next_cursor is None:
            return
        cursor = page.next_cursor


def _too_many(lines_max: int) -> TooManyLinesError:
    return TooManyLinesError(
        ko=f"통장이 {lines_max:,}줄을 넘습니다. ?period=2026-11처럼 한 달만 받거나, PDF 대신 "
        "CSV(GET /passbook/csv)로 받으세요.",
        en=f"The passbook has more than {lines_max:,} lines. Ask for one month, such as "
        "?period=2026-11, or for CSV instead of PDF: GET /passbook/csv.",
        lines_max=lines_max,
    )
