"""The operator's payouts (송금): draft, look, approve as an officer, take back; bank reports."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from databank.cli.operator_api import DataDir, Var, Where, open_service
from databank.cli.surface import Surface, surface_of
from schemas.money import in_won

if TYPE_CHECKING:
    from schemas.payout import BankMovement, BankReport, PayoutPayment, PayoutView
    from schemas.signature import SigningKey

Id = Annotated[str, typer.Argument(help="송금 번호, 예: P000001 (payout)")]
KeyFile = Annotated[Path, typer.Option("--key", help="승인권자의 열쇠 파일 (officer's key file)")]
RECENT = timedelta(hours=48)
_STATUS = {
    "drafted": ("승인 대기", "waits for approval"),
    "half_approved": ("한 사람 승인", "approved by one"),
    "released": ("송금 중", "released"),
    "void": ("무효", "void"),
    "in_transit": ("송금 중", "in transit"),
    "paid": ("지급됨", "paid"),
    "returned": ("반송됨", "returned"),
    "rejected": ("거절됨", "rejected"),
}
_BEARERS = {
    "payee": ("받는 쪽 부담", "the payee bears it"),
    "operator": ("운영기관 부담", "the operator bears it"),
}
_REASONS = {  # ISO 20022 external return and status reasons that are common
    "AC01": ("계좌번호 틀림", "incorrect account number"),
    "AC04": ("해지된 계좌", "closed account"),
    "AC06": ("정지된 계좌", "blocked account"),
    "AG01": ("거래 금지", "transaction forbidden"),
    "AM02": ("한도 초과", "amount over the limit"),
    "AM04": ("출금 잔액 부족", "insufficient funds"),
    "BE01": ("예금주 불일치", "holder does not match"),
    "MS03": ("이유를 밝히지 않음", "reason not specified"),
    "RC01": ("은행 코드 틀림", "incorrect bank code"),
}
_LEFT_OUT = {
    "no-account": ("받을 계좌 없음", "no account told"),
    "account-changed": ("계좌를 바꾼 지 얼마 되지 않음", "bank account changed lately"),
    "excluded": ("빼라고 함", "excluded"),
    "returned": ("같은 계좌에서 반송·거절됨 (다시: --again)", "came back before (again: --again)"),
    "return-fee": (
        "반송 수수료를 누가 부담할지 정하지 않음",
        "nobody said who bears a return's fee",
    ),
    "owes": ("미수금 있음", "owes money itself"),
    "refunded": ("송금된 뒤 환불되어 앞으로 벌 돈에서 상계", "refunded after it was paid: set off"),
    "buyer-owes": ("사는 쪽이 아직 내지 않음", "the other side has not paid"),
}
_OUTCOMES = {
    "paid": ("지급됨", "paid"),
    "returned": ("반송됨", "returned"),
    "rejected": ("거절됨", "rejected"),
    "deposited": ("입금으로 적음", "booked as deposit"),
    "duplicate": ("이미 적음", "booked before"),
    "unknown": ("누구인지 확실하지 않음", "not certain whose"),
    "wrong_amount": ("금액이 다름", "another amount"),
    "unexpected": ("올 수 없는 거래", "not expected"),
    "conflict": ("같은 번호의 다른 거래", "reference stands for another"),
    "pending": ("은행 처리 중", "not booked by the bank"),
    "not_taken": ("camt.054로 받아야 함", "taken from camt.054 only"),
}


def register(group: typer.Typer, say: Callable[[str, str], str]) -> None:
    """Add the commands to the operator's."""
    payouts = typer.Typer(
        help=say("송금: 두 승인권자가 승인해야 나갑니다", "Payouts: two officers must approve"),
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    commands: list[tuple[str, Callable[..., None], str]] = [
        ("draft", draft, say("송금 파일을 만듭니다", "Make a payout file")),
        ("list", list_, say("송금을 봅니다", "List payouts")),
        ("show", show, say("송금 하나를 봅니다", "Show one payout")),
        ("file", file, say("은행 파일(pain.001)을 받습니다", "Fetch the file for the bank")),
        ("approve", approve, say("승인권자로 승인합니다", "Approve as an officer")),
        ("void", void, say("두 번째 승인 전에 무릅니다", "Take it back before it is approved")),
        ("fee", fee, say("반송 수수료를 누가 부담할지 정합니다", "Say who bears a return's fee")),
    ]
    for name, command, help_ in commands:
        payouts.command(name, help=help_)(command)
    group.add_typer(payouts, name="payout")
    group.command("officer-key", help=say("승인권자의 열쇠를 만듭니다", "Make an officer's key"))(
        officer_key
    )
    group.command(
        "bank-report",
        help=say(
            "은행 파일(camt.054, pain.002)을 적습니다", "Book the bank's files (camt.054, pain.002)"
        ),
    )(bank_report)


def draft(
    context: typer.Context,
    exclude: Annotated[
        list[str] | None, typer.Option(help="뺄 참여자 id, 여러 번 (participant to leave out)")
    ] = None,
    again: Annotated[
        list[str] | None,
        typer.Option(
            help="반송되었지만 같은 계좌로 다시 보낼 참여자 id (pay again to this account)"
        ),
    ] = None,
    data_dir: DataDir = Var,
) -> None:
    """Make a file of all that may be paid now."""
    body = {"exclude": exclude or [], "again": again or []}
    _ask(Where(surface_of(context), data_dir), "POST", "/payouts", body)


def show(context: typer.Context, payout_id: Id, data_dir: DataDir = Var) -> None:
    """Show a payout and where each payment stands."""
    _ask(Where(surface_of(context), data_dir), "GET", f"/payouts/{payout_id}")


def void(
    context: typer.Context,
    payout_id: Id,
    reason: Annotated[str, typer.Option(prompt="이유 (reason)", help="이유 (reason)")],
    data_dir: DataDir = Var,
) -> None:
    """Take a payout back before its second approval."""
    where = Where(surface_of(context), data_dir)
    _ask(where, "POST", f"/payouts/{payout_id}/void", {"reason": reason})


def _ask(
    where: Where, method: str, path: str, body: Mapping[str, str | list[str]] | None = None
) -> None:
    from databank.kit.http import expect_json
    from schemas.payout import PayoutView

    with open_service(where, "clearing") as clearing:
        answer = expect_json(clearing.send(method, path, json=body))
    show_payout(PayoutView.model_validate(answer), where.surface)


def list_(context: typer.Context, data_dir: DataDir = Var) -> None:
    """List all payouts."""
    from schemas.payout import PayoutList

    where = Where(surface_of(context), data_dir)
    say = where.surface.say
    with open_service(where, "clearing") as clearing:
        found = PayoutList.model_validate(clearing.get("/payouts"))
    where.surface.table(
        found.to_json(),
        (
            say("번호", "number"),
            say("상태", "status"),
            say("금액", "amount"),
            say("건", "payments"),
        ),
        [
            (p.payout_id, say(*_STATUS[p.status]), in_won(p.total_won), f"{len(p.payments):,}")
            for p in found.payouts
        ],
        numbers=(2, 3),
    )


def show_payout(payout: PayoutView, surface: Surface) -> None:
    """Print a payout."""
    from schemas.billing import BANKS

    say = surface.say
    officers = ", ".join(payout.approved_by) or "–"
    surface.table(
        payout.to_json(),
        ("", say("받는 곳", "payee"), say("계좌", "bank account"), say("금액", "amount"), ""),
        [
            (
                each.end_to_end_id,
                each.participant_name,
                f"{BANKS[each.account.bank]} {each.account.number} {each.account.holder}",
                in_won(each.amount_won),
                say(*_STATUS[each.status]) + _came_back(each, say),
            )
            for each in payout.payments
        ],
        numbers=(3,),
        title=f"{payout.payout_id} · {in_won(payout.total_won)} · {say(*_STATUS[payout.status])} · "
        f"{say('승인', 'approved by')} {officers}",
    )
    if surface.is_json:
        return
    for each in payout.left_out:
        typer.echo(
            f"{say('빠진 곳', 'left out')}: {each.participant_name} {in_won(each.amount_won)} – "
            f"{say(*_LEFT_OUT[each.reason])}"
        )
    if payout.void_reason:
        typer.echo(f"{say('무효', 'void')}: {payout.void_reason}")
    typer.echo(f"SHA-256 {payout.sha256}")


def _came_back(payment: PayoutPayment, say: Callable[[str, str], str]) -> str:
    """Say why a payment came back, and what is known of its fee."""
    if (back := payment.came_back) is None:
        return ""
    words = [say(*_REASONS[back.reason]) if back.reason in _REASONS else "", back.reason]
    if back.fee_won:
        bearer = _BEARERS[back.bearer] if back.bearer else ("누가 부담할지 미정", "bearer open")
        said = ", ".join(f"{who}: {say(*_BEARERS[each])}" for who, each in back.said.items())
        words += [f"{say('수수료', 'fee')} {in_won(back.fee_won)}", say(*bearer), said]
    return f" ({' · '.join(word for word in words if word)})" if any(words) else ""


def fee(  # noqa: PLR0917 - options of a command
    context: typer.Context,
    end_to_end_id: Annotated[str, typer.Argument(help="지급 번호, 예: P000001-0001 (payment)")],
    bearer: Annotated[str, typer.Argument(help="payee(받는 쪽) | operator(운영기관)")],
    officer: Annotated[str, typer.Option(help="승인권자 이름 (officer)")],
    key: KeyFile,
    yes: Annotated[bool, typer.Option("--yes", help="묻지 않음 (do not ask)")] = False,
    data_dir: DataDir = Var,
) -> None:
    """Sign who bears what the bank kept of a payment that came back; two officers decide it."""
    from databank.cli.bad_answer import BadAnswerError
    from schemas.payout import FeeBearer, PayoutView, sign_fee_decision

    where = Where(surface_of(context), data_dir)
    say = where.surface.say
    if bearer not in _BEARERS:
        raise BadAnswerError(
            ko=f"{bearer}: payee(받는 쪽)나 operator(운영기관)여야 합니다.",
            en=f"{bearer}: must be payee or operator.",
        )
    signing, payout_id = _read_key(officer, key), end_to_end_id.partition("-")[0]
    with open_service(where, "clearing") as clearing:
        view = PayoutView.model_validate(clearing.get(f"/payouts/{payout_id}"))
    backs = {each.end_to_end_id: each.came_back for each in view.payments}
    if (back := backs.get(end_to_end_id)) is None or not back.fee_won:
        raise BadAnswerError(
            ko=f"{end_to_end_id}: 수수료를 떼고 반송된 지급이 아닙니다. 서명하지 않았습니다.",
            en=f"{end_to_end_id}: did not come back less a fee. Nothing was signed.",
        )
    typer.echo(f"{end_to_end_id}  {in_won(back.fee_won)}  {say(*_BEARERS[bearer])}", err=True)
    if not yes and not typer.confirm(say("이대로 서명할까요?", "Sign exactly this?"), err=True):
        raise typer.Exit(1)
    told = FeeBearer(bearer)
    word = sign_fee_decision(end_to_end_id, back.fee_won, told, signing)
    body = {"officer": officer, "bearer": bearer, "approval": word}
    _ask(where, "POST", f"/payments/{end_to_end_id}/fee-decisions", body)


def file(
    context: typer.Context,
    payout_id: Id,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="쓸 파일 (file to write)", dir_okay=False)
    ] = None,
    data_dir: DataDir = Var,
) -> None:
    """Fetch the pain.001 file; it may go to the bank once two officers have approved."""
    from databank.cli.account import write_files

    where = Where(surface_of(context), data_dir)
    write_files({output or Path(f"{payout_id}.xml"): _file(where, payout_id)}, where.surface)


def _file(where: Where, payout_id: str) -> bytes:
    from databank.client.api import expect_success

    with open_service(where, "clearing") as clearing:
        answer = clearing.send_repeatedly("GET", f"/payouts/{payout_id}/file")
    return expect_success(answer).content


def approve(  # noqa: PLR0917 - options of a command
    context: typer.Context,
    payout_id: Id,
    officer: Annotated[str, typer.Option(help="승인권자 이름 (officer)")],
    key: KeyFile,
    sha256: Annotated[
        str | None, typer.Option(help="검토한 파일의 SHA-256 (of the file you reviewed)")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="묻지 않음 (do not ask)")] = False,
    data_dir: DataDir = Var,
) -> None:
    """Show what the file pays, ask, and sign the hash of exactly these bytes."""
    from databank.cli.bad_answer import BadAnswerError
    from schemas.payout import sign_approval

    where = Where(surface_of(context), data_dir)
    signing = _read_key(officer, key)
    content = _file(where, payout_id)
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and sha256.strip().lower() != found:
        raise BadAnswerError(
            ko=f"검토한 파일이 아닙니다: 지금 파일의 SHA-256은 {found}입니다. 서명하지 않았습니다.",
            en=f"Not the file you reviewed: its SHA-256 is {found} now. Nothing was signed.",
        )
    _review(where, payout_id, content)
    question = where.surface.say("이대로 승인할까요?", "Approve exactly this?")
    if not yes and not typer.confirm(question, err=True):
        raise typer.Exit(1)
    body = {"officer": officer, "approval": sign_approval(payout_id, found, signing)}
    _ask(where, "POST", f"/payouts/{payout_id}/approvals", body)


def _review(where: Where, payout_id: str, content: bytes) -> None:
    """Print, beside the answer, what the file itself pays, and whose profile changed lately."""
    from clearing.payout.pain import BadPainError, read_payout
    from databank.cli.bad_answer import BadAnswerError
    from databank.kit.clock import system_clock
    from schemas.payout import PayoutView

    say = where.surface.say
    try:
        lines = read_payout(content)
    except BadPainError as error:
        raise BadAnswerError(
            ko=f"{payout_id}: 송금 파일이 이상합니다 ({error}). 서명하지 않았습니다.",
            en=f"{payout_id}: not a proper payout file ({error}). Nothing was signed.",
        ) from None
    with open_service(where, "clearing") as clearing:
        view = PayoutView.model_validate(clearing.get(f"/payouts/{payout_id}"))
    since = system_clock() - RECENT
    recent = {
        p.end_to_end_id for p in view.payments if p.profile_told_at and p.profile_told_at > since
    }
    for each in lines:
        words = f"{each.end_to_end_id}  {each.name}  {each.bank} {each.number} {each.holder}"
        mark = say("  ! 48시간 안에 바뀜", "  ! changed within 48 hours")
        text = f"{words}  {in_won(each.amount_won)}{mark if each.end_to_end_id in recent else ''}"
        typer.echo("".join(c if c.isprintable() else "?" for c in text), err=True)
    total = sum(each.amount_won for each in lines)
    typer.echo(f"{say('합계', 'total')} {in_won(total)} · {len(lines):,}", err=True)
    typer.echo(f"SHA-256 {hashlib.sha256(content).hexdigest()}", err=True)


def _read_key(officer: str, path: Path) -> SigningKey:
    from databank.cli.bad_answer import BadAnswerError
    from schemas.payout import officer_key_id
    from schemas.signature import SigningKey

    try:
        private = json.loads(path.read_text(encoding="utf-8"))
        return SigningKey(
            officer_key_id(officer), {n: private[n] for n in ("kty", "crv", "x", "d")}
        )
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadAnswerError(
            ko=f"{path}: 승인권자의 열쇠 파일이 아닙니다 ({error}). "
            "만들기: databank operator officer-key",
            en=f"{path}: not an officer's key ({error}). Make one: databank operator officer-key",
        ) from None


def officer_key(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="승인권자 이름 (officer)")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="쓸 파일 (file to write)", dir_okay=False)
    ],
) -> None:
    """Make a key that stays with the officer, and print what clearing must know of it."""
    import os

    from databank.cli.bad_answer import BadAnswerError
    from schemas.signature import generate_key

    surface = surface_of(context)
    made = generate_key(f"officer:{name}")
    try:
        handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise BadAnswerError(
            ko=f"{output}에 쓸 수 없습니다: {error}", en=f"Cannot write {output}: {error}"
        ) from None
    with os.fdopen(handle, "w", encoding="utf-8") as file_:
        file_.write(json.dumps(made.private_jwk))
    public = {name: made.public.jwk["x"]}
    surface.result(
        {"file": str(output), "officers": public},
        surface.say(
            f"{output}에 썼습니다. 청산소 설정 DATABANK_CLEARING_OFFICERS에 더하세요: ",
            f"Written to {output}. Add to clearing's DATABANK_CLEARING_OFFICERS: ",
        )
        + json.dumps(public, ensure_ascii=False),
    )


def bank_report(
    context: typer.Context,
    path: Annotated[
        Path | None,
        typer.Argument(
            help="camt.054·pain.002 파일; 없으면 볼 것만 (none: what waits)", dir_okay=False
        ),
    ] = None,
    data_dir: DataDir = Var,
) -> None:
    """Book a camt.054 or pain.002 file, as often as you like; without one, list what waits."""
    from databank.cli.bad_answer import BadAnswerError
    from databank.kit.http import expect_json
    from schemas.payout import BankReport

    where = Where(surface_of(context), data_dir)
    if path is not None and not path.exists():
        raise BadAnswerError(ko=f"파일이 없습니다: {path}", en=f"There is no file {path}.")
    with open_service(where, "clearing") as clearing:
        if path is None:
            answer = clearing.get("/bank/unresolved")
        else:
            sent = clearing.send_repeatedly("POST", "/bank/reports", content=path.read_bytes())
            answer = expect_json(sent)
    _show_report(BankReport.model_validate(answer), where.surface)


def _show_report(report: BankReport, surface: Surface) -> None:
    say = surface.say
    surface.table(
        report.to_json(),
        (
            say("은행 번호", "bank's reference"),
            say("방향", "direction"),
            say("금액", "amount"),
            "EndToEndId",
            say("적힌 말", "text"),
            say("결과", "outcome"),
            say("누구", "who"),
        ),
        [
            (
                each.reference,
                say("들어옴", "in") if each.is_credit else say("나감", "out"),
                each.amount,
                each.end_to_end_id or "",
                each.remittance[:40],
                say(*_OUTCOMES[each.outcome]),
                _who(each, say),
            )
            for each in report.movements
        ],
        numbers=(2,),
    )


def _who(movement: BankMovement, say: Callable[[str, str], str]) -> str:
    if movement.participant_id is None:
        return ""
    guess = say("추정: ", "perhaps ") if movement.outcome == "unknown" else ""
    return f"{guess}{movement.participant_id}"
