"""Commands about our own money: 잔액, 통장, 명세서."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from databank.cli.surface import Surface, surface_of
from schemas.money import in_won
from schemas.passbook_words import ACCOUNTS, kind_words

if TYPE_CHECKING:
    from schemas.bank import Balance, PassbookLine, Statement
    from schemas.shares import RoyaltyLine


def register(app: typer.Typer, say: Callable[[str, str], str]) -> None:
    """Add the commands."""
    app.command("balance", help=say("잔액을 봅니다", "Show the balance"))(balance)
    app.command("passbook", help=say("통장을 봅니다", "Show the passbook"))(passbook)
    app.command("statement", help=say("명세서를 봅니다 (예: 2026-11)", "Show a statement"))(
        statement
    )


def show_balance(balance: Balance, surface: Surface) -> None:
    """Print a balance."""
    from databank.cli.crediting import credit_lines
    from schemas.money import format_won

    say = surface.say
    lines = [
        (say("잔액", "balance"), balance.deposit_micro),
        (say("그중 잡아 둔 돈", "of it held"), balance.held_micro),
        (say("쓸 수 있는 돈", "available"), balance.available_micro),
        (say("공급해서 번 돈", "earned"), balance.earned_micro),
    ]
    if balance.receivable_micro or balance.credit is not None:
        lines.append((say("미수금", "receivable"), balance.receivable_micro))
    said = [(name, format_won(amount)) for name, amount in lines]
    if balance.credit is not None:
        said += credit_lines(balance.credit, surface)
    surface.table(
        balance.to_json(),
        (say("계정", "account"), say("금액", "amount")),
        said,
        numbers=(1,),
        title=balance.participant_id,
    )


def balance(context: typer.Context) -> None:
    """Print our balance."""
    surface = surface_of(context)
    with surface.session() as session:
        own = session.balance()
    show_balance(own, surface)


def passbook(  # noqa: PLR0917 - options, all by name
    context: typer.Context,
    cursor: Annotated[str | None, typer.Option(help="이어 볼 곳 (where to go on)")] = None,
    limit: Annotated[int, typer.Option(help="줄 수 (lines)", min=1, max=500)] = 50,
    csv: Annotated[
        Path | None, typer.Option(help="CSV로 쓸 파일 (write all as CSV)", dir_okay=False)
    ] = None,
    pdf: Annotated[
        Path | None, typer.Option(help="PDF로 쓸 파일 (write all as PDF)", dir_okay=False)
    ] = None,
    period: Annotated[str | None, typer.Option(help="이 달만: 2026-11 (only this month)")] = None,
) -> None:
    """Print the movements of our deposit and our income, oldest first; or write them as files."""
    from schemas.money import format_won

    surface = surface_of(context)
    say = surface.say
    if csv or pdf:
        with surface.session() as session:
            files = {csv: session.passbook_file("csv", period=period)} if csv else {}
            if pdf:
                files[pdf] = session.passbook_file("pdf", period=period)
        write_files(files, surface)
        return
    with surface.session() as session:
        book = session.passbook(cursor=cursor, limit=limit, period=period)
    surface.table(
        book.to_json(),
        (
            say("일시", "time"),
            say("계정", "account"),
            say("내용", "kind"),
            say("상대", "counterparty"),
            say("적요", "memo"),
            say("금액", "amount"),
            say("뗀 수수료", "fee taken"),
            say("계정 잔액", "account's balance"),
        ),
        [
            (
                surface.time(line.occurred_at),
                *_account_and_kind(line, surface),
                line.counterparty,
                line.memo,
                format_won(line.amount_micro),
                format_won(line.fee_micro) if line.fee_micro else "",
                format_won(line.balance_micro),
            )
            for line in book.lines
        ],
        numbers=(5, 6, 7),
    )
    if book.next_cursor and not surface.is_json:
        surface.note(say("더 있습니다: --cursor ", "More: --cursor ") + book.next_cursor)


def write_files(files: Mapping[Path, bytes], surface: Surface) -> None:
    """Write documents, and say where they are."""
    for path, content in files.items():
        path.write_bytes(content)
    surface.result(
        {"files": [{"file": str(path), "bytes": len(c)} for path, c in files.items()]},
        "\n".join(
            surface.say(
                f"{path}에 썼습니다 ({len(content):,}바이트).",
                f"Written to {path} ({len(content):,} bytes).",
            )
            for path, content in files.items()
        ),
    )


def _account_and_kind(line: PassbookLine, surface: Surface) -> tuple[str, str]:
    account, kind = ACCOUNTS[line.account], kind_words(line.account, line.kind)
    return surface.say(*account), surface.say(*kind)


def statement(
    context: typer.Context,
    period: str,
    number: Annotated[
        int | None, typer.Option(help="몇 번째 명세서만 (only this number)", min=1)
    ] = None,
    pdf: Annotated[
        Path | None, typer.Option(help="PDF로 쓸 파일 (write it as PDF)", dir_okay=False)
    ] = None,
) -> None:
    """Print our statements of a month, and what they come to together; or write one as PDF."""
    surface = surface_of(context)
    with surface.session() as session:
        if pdf is not None:
            write_files({pdf: session.statement_pdf(period, number=number)}, surface)
            return
        if number is not None:
            show_statement(session.statement(period, number=number), surface)
            return
        documents = session.statements(period)
    if surface.is_json:
        surface.result(_statements_json(period, documents), "")
        return
    for document in documents:
        show_statement(document, surface)
    if len(documents) > 1:
        typer.echo(
            surface.say(
                f"{period} 명세서 {len(documents)}건 모두: ",
                f"All {len(documents)} statements of {period}: ",
            )
            + _totals(documents, surface)
        )


def _statements_json(period: str, documents: Sequence[Statement]) -> dict[str, object]:
    return {
        "period": period,
        "statements": [document.to_json() for document in documents],
        "purchases_total_won": str(sum(d.purchases_total_won for d in documents)),
        "sales_total_won": str(sum(d.sales_total_won for d in documents)),
    }


def _totals(documents: Sequence[Statement], surface: Surface) -> str:
    bought = sum(document.purchases_total_won for document in documents)
    sold = sum(document.sales_total_won for document in documents)
    return surface.say(
        f"매입 합계 {in_won(bought)} · 매출 실수령 {in_won(sold)}",
        f"Bought {in_won(bought)} · received for sales {in_won(sold)}",
    )


def show_statement(document: Statement, surface: Surface) -> None:
    """Print a statement: what we bought and sold, royalties, the totals."""
    from schemas.ids import format_brn

    say = surface.say
    surface.table(
        document.to_json(),
        (
            "",
            say("데이터셋", "dataset"),
            say("상대", "counterparty"),
            say("질의", "queries"),
            say("행", "rows"),
            say("공급가액", "supply"),
            say("세액", "VAT"),
            say("수수료", "fee"),
            say("실금액", "net amount"),
        ),
        _statement_rows(document, surface),
        numbers=(3, 4, 5, 6, 7, 8),
        title=f"{document.period} {_statement_name(document, surface)} · "
        f"{document.participant_name} ({format_brn(document.brn)}) · "
        f"{say('발행', 'issued')} {surface.time(document.issued_at)}",
    )
    if not surface.is_json:
        typer.echo(_totals([document], surface))


def _statement_rows(document: Statement, surface: Surface) -> list[tuple[str, ...]]:
    say = surface.say
    rows: list[tuple[str, ...]] = [
        (
            say("매입", "bought") if line in document.purchases else say("매출", "sold"),
            surface.text(line.title),
            line.counterparty_name,
            f"{line.queries_count:,}",
            f"{line.rows_count:,}",
            in_won(line.supply_won),
            in_won(line.vat_won),
            in_won(line.fee_won + line.fee_vat_won),
            in_won(line.net_won),
        )
        for line in (*document.purchases, *document.sales)
    ]
    rows += [
        (
            say("낸 로열티", "royalty paid")
            if line in (document.royalties_paid or ())
            else say("받은 로열티", "royalty received"),
            f"{line.product_title} ← {line.upstream_title}{_taken_back(line)}",
            line.counterparty_name,
            "",
            "",
            in_won(line.supply_won),
            in_won(line.vat_won),
            in_won(line.fee_won + line.fee_vat_won),
            in_won(line.net_won),
        )
        for line in (*(document.royalties_paid or ()), *(document.royalties_received or ()))
    ]
    rows += [
        (
            say("매출 감액", "credit on a sale")
            if each.is_sale
            else say("매입 감액", "credit on a purchase"),
            f"{each.dataset_title} ({each.original_statement_id})",
            each.counterparty_name,
            "",
            "",
            in_won(-each.supply_won),
            in_won(-each.vat_won),
            in_won(-(each.fee_won + each.fee_vat_won)),
            in_won(-each.net_won),
        )
        for each in document.credits or ()
    ]
    return rows


def _taken_back(line: RoyaltyLine) -> str:
    """Name what a refund takes back of, as credits do."""
    return f" ({line.original_statement_id})" if line.original_statement_id else ""


def _statement_name(document: Statement, surface: Surface) -> str:
    if document.number == 1:
        return surface.say("명세서 1호", "statement no. 1")
    number = document.number
    return surface.say(f"추가 명세서 {number}호", f"supplement, statement no. {number}")
