"""The desk's page about our money at clearing: 잔액, and 통장 month by month, also as files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse

from connector.desk.frame import DeskRoute, RuntimeDep, SessionDep, render
from connector.desk.view import DESK
from connector.management.bank import ask_clearing, check_period, passbook_bytes, passbook_page
from databank.kit.app import get_context
from schemas.bank import Balance, Passbook, PassbookLine
from schemas.money import format_won
from schemas.passbook_words import ACCOUNTS, kind_words
from schemas.shown import in_seoul
from schemas.wire import Text

SHOWN: Final = 100
MONTHS_MAX: Final = 12 * 10_000
TYPES: Final = {"csv": "text/csv", "pdf": "application/pdf"}
router = APIRouter(
    prefix=f"{DESK}/passbook",
    tags=["desk"],
    route_class=DeskRoute,
    default_response_class=HTMLResponse,
)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the passbook, as it is shown."""

    at: datetime
    account: Text
    kind: Text
    counterparty: str
    memo: str
    amount: str
    is_out: bool
    fee: str
    balance: str


@router.get("", summary="The desk: our balance and passbook")
def passbook(
    request: Request,
    runtime: RuntimeDep,
    _: SessionDep,
    period: str = "",
    cursor: Annotated[str, Query(max_length=40)] = "",
) -> HTMLResponse:
    """Return a month of our passbook, oldest first, with the balance after each line."""
    this_month = f"{in_seoul(get_context(request).clock()):%Y-%m}"
    month = period or this_month
    found = Passbook.model_validate(
        passbook_page(runtime, cursor=cursor or None, limit=SHOWN, period=month)
    )
    return render(
        request,
        "passbook.html",
        balance=Balance.model_validate(ask_clearing(runtime, "/balance", {})),
        rows=[row_of(line) for line in found.lines],
        month=month,
        before=month_beside(month, -1),
        after=month_beside(month, 1) if month < this_month else None,
        next_cursor=found.next_cursor,
    )


@router.get("/{month}.{form}", summary="The desk: a month of our passbook as a file")
def passbook_file(
    runtime: RuntimeDep, _: SessionDep, month: str, form: Literal["csv", "pdf"]
) -> Response:
    """Return a month of our passbook as CSV or PDF, as clearing printed it."""
    content = passbook_bytes(runtime, form, month)
    name = f'attachment; filename="passbook-{month}.{form}"'
    return Response(content, media_type=TYPES[form], headers={"Content-Disposition": name})


def row_of(line: PassbookLine) -> Row:
    """Say a line in words and won."""
    account, kind = ACCOUNTS[line.account], kind_words(line.account, line.kind)
    return Row(
        at=line.recorded_at,
        account=Text(ko=account[0], en=account[1]),
        kind=Text(ko=kind[0], en=kind[1]),
        counterparty=line.counterparty,
        memo=line.memo,
        amount=format_won(line.amount_micro),
        is_out=line.amount_micro < 0,
        fee=format_won(line.fee_micro) if line.fee_micro else "",
        balance=format_won(line.balance_micro),
    )


def month_beside(month: str, step: int) -> str | None:
    """Return the month before (-1) or after (1) another, if there is one.

    Raises:
        InvalidRequestError: It is not written ``YYYY-MM``.
    """
    check_period(month)
    count = int(month[:4]) * 12 + int(month[5:]) - 1 + step
    return f"{count // 12:04}-{count % 12 + 1:02}" if 0 <= count < MONTHS_MAX else None
