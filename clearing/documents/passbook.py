"""통장 as CSV and PDF: every movement with the balance after it, oldest first."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Final

from clearing.documents.paper import Column, Paper, Sheet
from schemas.bank import PassbookLine
from schemas.money import MICRO_PER_WON, format_won
from schemas.passbook_words import ACCOUNTS, kind_words

SEOUL: Final = timezone(timedelta(hours=9), "KST")
COLUMNS: Final = (
    "기록 일시 recorded (KST)",
    "이용 일시 occurred (KST)",
    "계정 account",
    "내용 kind",
    "상대 counterparty",
    "적요 memo",
    "금액 amount (won)",
    "뗀 수수료 fee taken (won)",
    "계정 잔액 balance after (won)",
    "전표 entry",
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")  # spreadsheets run such a text (OWASP)


def passbook_csv(lines: Iterable[PassbookLine]) -> bytes:
    """Return the lines as CSV, UTF-8 with a byte order mark so that spreadsheets read Korean.

    Amounts are exact decimals in won, up to six places. Texts that a spreadsheet would run as a
    formula get an apostrophe in front.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for line in lines:
        writer.writerow(
            (
                _time(line.recorded_at),
                _time(line.occurred_at),
                _both(ACCOUNTS[line.account]),
                _both(kind_words(line.account, line.kind)),
                _text(line.counterparty),
                _text(line.memo),
                _won(line.amount_micro),
                _won(line.fee_micro),
                _won(line.balance_micro),
                line.entry_id,
            )
        )
    return out.getvalue().encode("utf-8-sig")


def passbook_pdf(lines: Iterable[PassbookLine], *, owner: str, now: datetime, issuer: str) -> bytes:
    """Return the lines as PDF, with the time at which they were read."""
    title = f"통장 {owner}"
    paper = Paper(title=title, made_at=now, foot=f"{issuer} · {title}")
    paper.heading("통장", "Passbook")
    paper.facts(
        [
            ("예금주", "Holder", owner),
            ("조회", "As of", f"{_time(now)} KST"),
        ]
    )
    paper.ln(3)
    paper.sheet(
        Sheet(
            columns=(
                Column("일시", "Time (KST)", 24),
                Column("계정", "Account", 16),
                Column("내용", "Kind", 20),
                Column("상대", "Counterparty", 26),
                Column("적요", "Memo", 34),
                Column("금액", "Amount", 24, "R"),
                Column("뗀 수수료", "Fee taken", 20, "R"),
                Column("계정 잔액", "Balance after", 26, "R"),
            ),
            rows=[
                (
                    _time(line.recorded_at),
                    _both(ACCOUNTS[line.account]),
                    _both(kind_words(line.account, line.kind)),
                    line.counterparty,
                    line.memo,
                    format_won(line.amount_micro),
                    format_won(line.fee_micro) if line.fee_micro else "",
                    format_won(line.balance_micro),
                )
                for line in lines
            ],
        )
    )
    return paper.content()


def _both(words: tuple[str, str]) -> str:
    ko, en = words
    return ko if ko == en else f"{ko} {en}"


def _time(value: datetime) -> str:
    return f"{value.astimezone(SEOUL):%Y-%m-%d %H:%M:%S}"


def _text(value: str) -> str:
    return f"'{value}" if value.startswith(_FORMULA) else value


def _won(micro: int) -> str:
    whole, rest = divmod(abs(micro), MICRO_PER_WON)
    fraction = f".{rest:06d}".rstrip("0") if rest else ""
    return f"{'-' if micro < 0 else ''}{whole}{fraction}"
