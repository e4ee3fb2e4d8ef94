"""Commands for proofs: fetch what a statement follows from, and check it without anybody."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from databank.cli.surface import Surface, surface_of
from schemas.money import in_won
from schemas.problem import ProblemError
from schemas.wire import Text, format_time

if TYPE_CHECKING:
    from clearing.bundle.verify import Proven


class NotProvenError(ProblemError):
    """A statement does not follow from its bundle."""

    slug = "not-proven"
    title = Text(ko="명세서가 증명되지 않습니다", en="The statement is not proven")
    status = 422


def register(app: typer.Typer, say: Callable[[str, str], str]) -> None:
    """Add the commands."""
    app.command(
        "bundle", help=say("명세서의 증빙 자료를 받습니다", "Fetch what a statement follows from")
    )(bundle)
    app.command(
        "verify",
        help=say(
            "증빙 자료로 명세서를 다시 계산합니다 (오프라인)",
            "Compute a statement anew from its bundle, offline",
        ),
    )(verify)


def bundle(
    context: typer.Context,
    period: str,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="쓸 파일 (file to write)", dir_okay=False)
    ] = None,
    number: Annotated[
        int | None, typer.Option(help="몇 번째 명세서; 없으면 마지막 (which statement)", min=1)
    ] = None,
) -> None:
    """Fetch the bundle of our statement of a month into a file."""
    surface = surface_of(context)
    with surface.session() as session:
        content = session.bundle(period, number=number)
    path = output or Path(f"{period}.bundle.json")
    path.write_bytes(content)
    surface.result(
        {"file": str(path), "bytes": len(content)},
        surface.say(
            f"{path}에 썼습니다 ({len(content):,}바이트). 확인: databank verify {path}",
            f"Written to {path} ({len(content):,} bytes). Check it: databank verify {path}",
        ),
    )


def verify(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    key: Annotated[
        str | None,
        typer.Option(help="운영기관이 알린 청산 기록 열쇠 (the log's key, from the operator)"),
    ] = None,
    paper: Annotated[
        str | None,
        typer.Option(help="명세서 PDF의 QR 내용 (what the QR code on the statement says)"),
    ] = None,
    witness: Annotated[
        list[str] | None,
        typer.Option(
            help="서명했어야 하는 증인의 열쇠, 여러 번 (key of a witness that has to have signed)"
        ),
    ] = None,
) -> None:
    """Check a bundle: no service, no network, no database."""
    from clearing.bundle.verify import BadBundleError, verify_bundle

    surface = surface_of(context)
    try:
        proven = verify_bundle(file.read_bytes(), log_key=key, witness_keys=witness or ())
    except BadBundleError as error:
        raise NotProvenError(ko=error.text.ko, en=error.text.en) from None
    if paper is not None:
        compare_with_paper(proven, paper)
    surface.result(_as_json(proven), _told(proven, surface))


def compare_with_paper(proven: Proven, paper: str) -> None:
    """Check that the proven statement is the one that was printed.

    Raises:
        NotProvenError: It is another, or the text is not that of a statement's QR code.
    """
    from schemas.canonical import digest
    from schemas.proof_link import parse_proof_link

    try:
        link = parse_proof_link(paper)
    except ValueError:
        raise NotProvenError(
            ko="명세서의 QR 내용이 아닙니다. QR을 읽은 글자 전체를 따옴표로 묶어 주세요.",
            en="Not what a statement's QR code says. Give the whole text, in quotes.",
        ) from None
    differing = [
        name
        for name, printed, found in (
            ("log", link.log_origin, proven.checkpoint.origin),
            ("statement", link.statement_id, proven.statement.statement_id),
            ("leaf", link.log_index, proven.log_index),
            ("sha256", link.sha256, digest(proven.statement.to_json())),
        )
        if printed != found
    ]
    if differing:
        raise NotProvenError(
            ko=f"인쇄된 명세서와 증빙 자료가 다릅니다: {', '.join(differing)}.",
            en=f"The printed statement is another than the proven one: {', '.join(differing)}.",
        )


def _as_json(proven: Proven) -> dict[str, object]:
    return {
        "is_proven": True,
        "statement": proven.statement.to_json(),
        "log_key": proven.log_key,
        "is_key_given": proven.is_key_given,
        "log_size": proven.checkpoint.size,
        "log_root": proven.checkpoint.root.hex(),
        "witnesses": [
            {
                "key": each.key,
                "cosigned_at": format_time(each.at),
                "is_key_given": each.is_key_given,
            }
            for each in proven.witnesses
        ],
        "batches_count": proven.batches_count,
        "records_count": proven.records_count,
    }


def _told(proven: Proven, surface: Surface) -> str:
    document, say = proven.statement, surface.say
    bought, sold = document.purchases_total_won, document.sales_total_won
    lines = [
        say(
            f"증명됨: {document.participant_name} {document.period} 명세서 {document.number}호",
            f"Proven: statement no. {document.number} of {document.participant_name}, "
            f"{document.period}",
        ),
        say(
            f"사용 기록 {proven.records_count:,}건(묶음 {proven.batches_count:,}개)에서 다시 "
            f"계산한 매입 {in_won(bought)} · 매출 실수령 {in_won(sold)}",
            f"Computed anew from {proven.records_count:,} usage records in "
            f"{proven.batches_count:,} batches: bought {in_won(bought)}, received for sales "
            f"{in_won(sold)}",
        ),
        say(
            f"청산 기록 {proven.checkpoint.size:,}개의 체크포인트에 들어 있습니다.",
            f"All of it is in the log under its checkpoint of {proven.checkpoint.size:,} leaves.",
        ),
    ]
    lines += [
        say(
            f"증인이 {surface.time(each.at)}에 함께 서명함"
            f"{'' if each.is_key_given else ' (열쇠를 확인하세요, --witness)'}: {each.key}",
            f"Cosigned by a witness at {surface.time(each.at)}"
            f"{'' if each.is_key_given else ' (compare its key, --witness)'}: {each.key}",
        )
        for each in proven.witnesses
    ]
    if not proven.is_key_given:
        lines.append(
            say(
                "이 열쇠가 운영기관의 것인지 확인하세요 (--key): ",
                "Compare this key with what the operator tells (--key): ",
            )
            + proven.log_key
        )
    return "\n".join(lines)
