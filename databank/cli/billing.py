"""Commands for what invoices and payouts need to know, and for invoice drafts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from databank.cli.operator_api import DataDir, Var, Where, Who, find_participant, open_service
from databank.cli.surface import Surface, surface_of
from schemas.money import in_won

if TYPE_CHECKING:
    from databank.client.api import Api
    from schemas.billing import StoredProfile

Representative = Annotated[str | None, typer.Option(help="대표자 (representative)")]
Address = Annotated[str | None, typer.Option(help="사업장 주소 (address)")]
Type = Annotated[str | None, typer.Option("--type", help="업태 (type of business)")]
Item = Annotated[str | None, typer.Option(help="종목 (item of business)")]
Email = Annotated[str | None, typer.Option(help="전자우편 (e-mail)")]
BankCode = Annotated[str | None, typer.Option(help="은행 코드 세 자리, 예: 004 (bank code)")]
AccountNumber = Annotated[str | None, typer.Option(help="계좌번호 (account number)")]
Holder = Annotated[str | None, typer.Option(help="예금주 (account holder)")]
PATH: Final = "/billing-profile"


def register(app: typer.Typer, say: Callable[[str, str], str]) -> None:
    """Add the commands."""
    app.command(
        "billing",
        help=say(
            "청구 정보와 받을 계좌를 보거나 바꿉니다", "Show or tell billing data and account"
        ),
    )(billing)
    app.command("invoices", help=say("세금계산서 초안을 봅니다", "Show invoice drafts"))(invoices)


def billing(  # noqa: PLR0917 - options, all by name
    context: typer.Context,
    representative: Representative = None,
    address: Address = None,
    type_: Type = None,
    item: Item = None,
    email: Email = None,
    bank: BankCode = None,
    account: AccountNumber = None,
    holder: Holder = None,
) -> None:
    """Show our billing profile; with options, change what they name."""
    surface = surface_of(context)
    told = _told(representative, address, type_, item, email, (bank, account, holder))
    with surface.session() as session:
        _tell_and_show(session.management, f"/management{PATH}", {}, told, surface)


def operator_billing(  # noqa: PLR0917 - options, all by name
    context: typer.Context,
    who: Who,
    representative: Representative = None,
    address: Address = None,
    type_: Type = None,
    item: Item = None,
    email: Email = None,
    bank: BankCode = None,
    account: AccountNumber = None,
    holder: Holder = None,
    data_dir: DataDir = Var,
) -> None:
    """Show or change a participant's billing profile, or the operator's own: `clearing`."""
    where = Where(surface_of(context), data_dir)
    told = _told(representative, address, type_, item, email, (bank, account, holder))
    params = {"participant_id": str(find_participant(where, who).id)}
    with open_service(where, "clearing") as clearing:
        _tell_and_show(clearing, f"/admin{PATH}", params, told, where.surface)


def _told(  # noqa: PLR0917 - as the options stand
    representative: str | None,
    address: str | None,
    type_: str | None,
    item: str | None,
    email: str | None,
    account: tuple[str | None, str | None, str | None],
) -> dict[str, Any]:
    from databank.cli.bad_answer import BadAnswerError

    named = {
        "representative": representative,
        "address": address,
        "business_type": type_,
        "business_item": item,
        "email": email,
    }
    told: dict[str, Any] = {name: text for name, text in named.items() if text is not None}
    if any(account):
        if not all(account):
            raise BadAnswerError(
                ko="계좌는 --bank, --account, --holder를 함께 적으세요.",
                en="Give --bank, --account and --holder together.",
            )
        told["account"] = dict(zip(("bank", "number", "holder"), account, strict=True))
    return told


def _tell_and_show(
    api: Api, path: str, params: dict[str, str], told: dict[str, Any], surface: Surface
) -> None:
    from schemas.billing import StoredProfile

    stored = StoredProfile.model_validate(api.get(path, **params))
    if told:
        body = {**stored.profile.to_json(), **told}
        stored = StoredProfile.model_validate(api.repeat("POST", path, params=params, json=body))
    show_profile(stored, surface)


def show_profile(stored: StoredProfile, surface: Surface) -> None:
    """Print a billing profile; of the account number only the last digits."""
    from schemas.billing import BANKS

    say, profile = surface.say, stored.profile
    account = profile.account
    lines = [
        (say("대표자", "representative"), profile.representative),
        (say("사업장 주소", "address"), profile.address),
        (say("업태", "type of business"), profile.business_type),
        (say("종목", "item of business"), profile.business_item),
        (say("전자우편", "e-mail"), profile.email or ""),
        (
            say("받을 계좌", "paid to"),
            ""
            if account is None
            else f"{BANKS[account.bank]} …{account.number[-4:]} {account.holder}",
        ),
    ]
    surface.table(
        stored.to_json(),
        (say("항목", "field"), say("내용", "value")),
        [(name, text or say("(없음)", "(none)")) for name, text in lines],
        title=stored.participant_id,
    )


def invoices(
    context: typer.Context,
    period: str,
    ubl: Annotated[
        Path | None,
        typer.Option(help="UBL 파일을 쓸 폴더 (folder for UBL files)", file_okay=False),
    ] = None,
) -> None:
    """Print our invoice drafts of a month; with --ubl write each as UBL 2.1."""
    from databank.cli.account import write_files
    from schemas.invoice import InvoiceList

    surface = surface_of(context)
    say = surface.say
    with surface.session() as session:
        answer = session.management.get(f"/management/invoices/{period}")
        found = InvoiceList.model_validate(answer)
        if ubl is not None:
            ubl.mkdir(parents=True, exist_ok=True)
            files = {
                ubl / f"{each.invoice_id}.xml": session.invoice_ubl(period, each.invoice_id)
                for each in found.invoices
            }
            write_files(files, surface)
            return
    surface.table(
        found.to_json(),
        (
            say("번호", "number"),
            say("파는 쪽", "sold by"),
            say("사는 쪽", "bought by"),
            say("공급가액", "supply"),
            say("세액", "VAT"),
            say("합계", "total"),
            say("빠진 것", "missing"),
        ),
        [
            (
                each.invoice_id,
                each.seller.name,
                each.buyer.name,
                in_won(each.supply_won),
                in_won(each.vat_won),
                in_won(each.total_won),
                ", ".join(f"{m.participant_name}.{m.field}" for m in each.missing),
            )
            for each in found.invoices
        ],
        numbers=(3, 4, 5),
    )
