"""Commands of both sides of a negotiation: ask, look what waits, answer, end an agreement."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from databank.cli import proposing
from databank.cli.suggesting import first_step
from databank.cli.surface import Surface, surface_of

if TYPE_CHECKING:
    from databank.client.haggling import Haggling
    from databank.client.session import Session
    from schemas.management import NegotiationAnswer, NegotiationView, Round
    from schemas.proposal import Proposal
    from schemas.refusal import RefusalCode

REASONS = "price, period, purpose, columns, quota, counterparty, breach, not-needed, other"
Pid = Annotated[str, typer.Argument(help="협상의 pid, 또는 그 끝 몇 글자 (pid, or its end)")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="묻지 않습니다 (ask nothing)")]
_STATES = {
    "REQUESTED": ("요청함", "requested"),
    "OFFERED": ("공급기업이 제안함", "offered"),
    "ACCEPTED": ("수락함", "accepted"),
    "AGREED": ("합의 확인 중", "agreed"),
    "VERIFIED": ("합의 확인 중", "agreed"),
    "FINALIZED": ("합의함", "finalized"),
    "TERMINATED": ("성립하지 않음", "terminated"),
}


def register(app: typer.Typer, say: Callable[[str, str], str]) -> None:
    """Add the commands."""
    commands: list[tuple[str, Callable[..., None], str]] = [
        (
            "negotiate",
            negotiate,
            say(
                "제안대로 합의하거나 다른 조건을 제안합니다", "Agree to an offer, or propose others"
            ),
        ),
        ("inbox", inbox, say("우리 답을 기다리는 제안을 봅니다", "List what waits for our answer")),
        ("negotiations", negotiations, say("협상을 봅니다", "List negotiations")),
        (
            "negotiation",
            negotiation,
            say("협상 하나의 제안과 바뀐 점을 봅니다", "Show a negotiation, round by round"),
        ),
        ("accept", accept, say("상대의 제안을 수락합니다", "Accept the counterparty's proposal")),
        ("counter", counter, say("다른 조건을 제안합니다", "Propose other terms")),
        (
            "refuse",
            refuse,
            say("제안을 거절하거나 협상을 그만둡니다", "Refuse, or leave a negotiation"),
        ),
        ("terminate", terminate, say("합의를 해지합니다", "End a running agreement")),
    ]
    for name, command, help_ in commands:
        app.command(name, help=help_)(command)


def negotiate(
    context: typer.Context,
    ref: str,
    price: proposing.Price = None,
    term: proposing.Term = None,
) -> None:
    """Take the offer of a dataset as it stands, or propose what the options say."""
    surface = surface_of(context)
    wishes = proposing.Wishes(price=price, term=term)
    with surface.session() as session:
        if not wishes.are_none():
            _propose(session, ref, wishes, surface)
            return
        agreement_id = session.agree(ref)
        ours = {one.agreement_id: one.policy for one in session.agreements()}
    next_ = first_step(ref, ours.get(agreement_id, {}))
    surface.result(
        {"ref": ref, "state": "FINALIZED", "agreement_id": agreement_id},
        surface.say(
            f"합의했습니다: {ref}\n{agreement_id}\n다음: {next_}",
            f"Agreed: {ref}\n{agreement_id}\nNext: {next_}",
        ),
    )


def _propose(session: Session, ref: str, wishes: proposing.Wishes, surface: Surface) -> None:
    from schemas.approval import Approval
    from schemas.problem import ConflictError
    from schemas.proposal import read_proposal

    found = session.show(ref)
    listed = read_proposal(found.listing.policy)
    proposal = proposing.apply(wishes, listed)
    if proposal == listed:
        raise ConflictError(
            ko=f"등록된 조건과 같습니다. 그대로 합의하려면: `databank negotiate {ref}`",
            en=f"These are the listed terms. To agree to them: `databank negotiate {ref}`",
        )
    if found.listing.approval is Approval.AUTOMATIC:
        raise ConflictError(
            ko=f"{ref}의 공급기업은 등록된 조건으로만 합의합니다. 그대로 좋으면: "
            f"`databank negotiate {ref}`",
            en=f"The supplier of {ref} agrees to the listed terms only. If they suit you: "
            f"`databank negotiate {ref}`",
        )
    _tell(session.propose(ref, proposal), surface)


def _counterparty(view: NegotiationView) -> str:
    return view.counterparty_name or view.counterparty_id


def _state(view: NegotiationView, surface: Surface) -> str:
    if view.awaits_us:
        return surface.say("우리 차례", "our turn")
    return surface.say(*_STATES.get(view.state, (view.state,) * 2))


def _why(view: NegotiationView, surface: Surface) -> str:
    from schemas.refusal import refusal_text

    said = refusal_text(view.reason_code)
    kind = surface.text(said) if said else view.reason_code
    words = view.reason if said is None or not (view.reason or "").startswith(said.ko) else None
    return ": ".join(part for part in (kind, words) if part)


def inbox(context: typer.Context) -> None:
    """Print what waits for our answer, longest waiting first."""
    surface = surface_of(context)
    with surface.session() as session:
        waiting = session.haggling.inbox()
    _print_list(waiting, surface)
    if waiting and not surface.is_json:
        short = _short(waiting[0].pid)
        surface.note(
            surface.say(
                f"다음: `databank negotiation {short}`로 보고 accept, counter, refuse로 답하세요",
                f"Next: look with `databank negotiation {short}`, then accept, counter or refuse",
            )
        )
    elif not surface.is_json:
        surface.note(
            surface.say("우리 답을 기다리는 제안이 없습니다", "Nothing waits for our answer")
        )


def negotiations(
    context: typer.Context,
    limit: Annotated[int, typer.Option(help="개수 (how many)", min=1, max=1000)] = 50,
) -> None:
    """Print negotiations on both sides, latest change first."""
    surface = surface_of(context)
    with surface.session() as session:
        _print_list(session.haggling.all(limit=limit), surface)


def _print_list(found: tuple[NegotiationView, ...], surface: Surface) -> None:
    say = surface.say
    surface.table(
        [view.to_json() for view in found],
        (
            say("협상", "negotiation"),
            say("역할", "role"),
            say("상대", "counterparty"),
            say("제목", "title"),
            say("상태", "state"),
            say("기한", "due"),
            say("이유", "reason"),
        ),
        [
            (
                _short(view.pid),
                say("수요", "consumer")
                if view.role.value == "consumer"
                else say("공급", "provider"),
                _counterparty(view),
                view.dataset_title or view.dataset_id,
                _state(view, surface),
                surface.time(view.expires_at) if view.expires_at else "",
                _why(view, surface),
            )
            for view in found
        ],
    )


def _short(pid: str) -> str:
    """Return the end of a pid, which names it at the command line."""
    return pid[-8:]


def negotiation(
    context: typer.Context,
    pid: Pid,
    wait: Annotated[
        float, typer.Option(help="상대의 답을 기다릴 초 (seconds to wait)", min=0, max=60)
    ] = 0,
) -> None:
    """Print every proposal of a negotiation and what it changed."""
    surface = surface_of(context)
    with surface.session() as session:
        _tell(session.haggling.get(pid, wait_seconds=wait), surface)


def _tell(view: NegotiationView, surface: Surface) -> None:
    if surface.is_json:
        surface.result(view.to_json(), "")
        return
    say, console = surface.say, surface.console()
    console.print(
        f"{view.dataset_title or view.dataset_id} · {_counterparty(view)} · "
        f"{_state(view, surface)}",
        markup=False,
        style="bold",
    )
    for number, each in enumerate(view.rounds):
        _tell_round(number, each, view, surface)
    if view.reason or view.reason_code:
        console.print(say("이유: ", "Reason: ") + _why(view, surface), markup=False)
    if view.agreement_id and view.state == "FINALIZED":
        console.print(say("합의: ", "Agreement: ") + view.agreement_id, markup=False)
    short = _short(view.pid)
    if view.awaits_us:
        due = surface.time(view.expires_at) if view.expires_at else "-"
        surface.note(
            say(
                f"{due}까지 답하세요: `databank accept {short}`, `databank counter {short} "
                f"--price … --term …`, `databank refuse {short} --code price`",
                f"Answer by {due}: `databank accept {short}`, `databank counter {short} "
                f"--price … --term …`, `databank refuse {short} --code price`",
            )
        )
    elif view.expires_at is not None:
        surface.note(
            say(
                f"상대의 답을 기다립니다: `databank negotiation {short} --wait 60`",
                f"Waiting for the counterparty: `databank negotiation {short} --wait 60`",
            )
        )


def _tell_round(number: int, each: Round, view: NegotiationView, surface: Surface) -> None:
    say, console = surface.say, surface.console()
    is_ours = each.by is view.role
    if number == 0:
        head = say("등록된 조건", "Listed terms")
    elif is_ours:
        head = say(f"{number}회차 · 우리 제안", f"Round {number} · our proposal")
    else:
        head = say(f"{number}회차 · 상대 제안", f"Round {number} · their proposal")
    console.print(f"{head} · {surface.time(each.at)}", markup=False)
    if each.unreadable is not None:
        console.print(
            say("  읽을 수 없는 조건: ", "  Not readable: ") + each.unreadable, markup=False
        )
    elif number == 0 and each.proposal is not None:
        for line in _sentences(each.proposal, surface):
            console.print(f"  - {line}", markup=False)
    elif each.changes:
        surface.table(
            None,
            (say("조건", "term"), say("전", "before"), say("후", "after")),
            [
                (surface.text(c.title), surface.text(c.before), surface.text(c.after))
                for c in each.changes
            ],
        )
    else:
        console.print(say("  바뀐 것 없음", "  Nothing changed"), markup=False)


def _sentences(proposal: Proposal, surface: Surface) -> list[str]:
    from schemas.terms import sentences

    return [surface.text(said.text) for said in sentences(proposal.terms, proposal.plan)]


def _answer(haggling: Haggling, view: NegotiationView, said: NegotiationAnswer) -> NegotiationView:
    answered = haggling.answer(view, said)
    return haggling.get(answered.pid, wait_seconds=3)


def accept(context: typer.Context, pid: Pid, yes: Yes = False) -> None:
    """Accept the counterparty's last proposal; both are bound by it."""
    from schemas.management import AnswerKind, NegotiationAnswer

    surface = surface_of(context)
    with surface.session() as session:
        view = session.haggling.get(pid)
        if view.awaits_us and not yes and sys.stdin.isatty() and not surface.is_json:
            last = view.rounds[-1].proposal if view.rounds else None
            for line in _sentences(last, surface) if last else []:
                typer.echo(f"  - {line}")
            typer.confirm(
                surface.say(
                    f"{_counterparty(view)}의 제안을 수락할까요? 합의는 취소되지 않고 "
                    "해지만 됩니다",
                    f"Accept the proposal of {_counterparty(view)}? An agreement can be ended, "
                    "not undone",
                ),
                abort=True,
            )
        _tell(_answer(session.haggling, view, NegotiationAnswer(kind=AnswerKind.ACCEPT)), surface)


def counter(
    context: typer.Context,
    pid: Pid,
    price: proposing.Price = None,
    term: proposing.Term = None,
) -> None:
    """Propose other terms than those on the table."""
    from schemas.management import AnswerKind, NegotiationAnswer
    from schemas.problem import ConflictError

    surface = surface_of(context)
    wishes = proposing.Wishes(price=price, term=term)
    with surface.session() as session:
        view = session.haggling.get(pid)
        last = next((each.proposal for each in reversed(view.rounds) if each.proposal), None)
        if last is None:
            raise ConflictError(
                ko="읽을 수 있는 제안이 없어 고칠 수 없습니다. 거절하세요.",
                en="There is no readable proposal to change. Refuse it.",
            )
        proposal = proposing.apply(wishes, last)
        said = NegotiationAnswer(kind=AnswerKind.COUNTER, proposal=proposal)
        _tell(_answer(session.haggling, view, said), surface)


def _read_code(code: str) -> RefusalCode:
    from databank.cli.bad_answer import BadAnswerError
    from schemas.refusal import BY_PEOPLE, RefusalCode

    if code not in {known.value for known in BY_PEOPLE}:
        raise BadAnswerError(
            ko=f"--code {code!r}: {REASONS} 가운데 고르세요.",
            en=f"--code {code!r}: choose one of {REASONS}.",
        )
    return RefusalCode(code)


Code = Annotated[str, typer.Option(help=f"이유의 종류: {REASONS} (kind of reason)")]
Reason = Annotated[
    str | None, typer.Option(help="상대가 볼 이유 (reason, which the other side sees)")
]


def refuse(context: typer.Context, pid: Pid, code: Code = "other", reason: Reason = None) -> None:
    """Refuse the last proposal, or leave the negotiation while the other side is to speak."""
    from schemas.management import AnswerKind, EndRequest, NegotiationAnswer
    from schemas.refusal import said_in_both

    surface = surface_of(context)
    kind = _read_code(code)
    with surface.session() as session:
        view = session.haggling.get(pid)
        if view.awaits_us:
            said = NegotiationAnswer(kind=AnswerKind.REFUSE, code=kind, reason=reason)
            ended = session.haggling.answer(view, said)
        else:
            request = EndRequest(code=kind, reason=reason or said_in_both(kind))
            ended = session.haggling.terminate(view, request)
    _tell(ended, surface)


def terminate(
    context: typer.Context,
    agreement: Annotated[
        str, typer.Argument(help="회사.이름, 합의, 또는 그 끝 (handle.name, id, or its end)")
    ],
    code: Code = "other",
    reason: Reason = None,
    yes: Yes = False,
) -> None:
    """End a running agreement from our side; the other side is told why."""
    from schemas.refusal import said_in_both

    surface = surface_of(context)
    kind = _read_code(code)
    with surface.session() as session:
        held = session.haggling.agreement(agreement)
        if not yes and sys.stdin.isatty() and not surface.is_json:
            title = held.dataset_title or held.dataset_id
            typer.confirm(
                surface.say(
                    f"'{title}' 합의를 해지할까요? 다음 이용부터 막히고, 이미 쓴 요금은 남으며, "
                    "되돌리려면 다시 합의해야 합니다",
                    f"End the agreement on '{title}'? The next use is refused, what was used "
                    "stays owed, and only a new agreement brings it back",
                ),
                abort=True,
            )
        ended = session.haggling.end(held, kind, reason or said_in_both(kind))
    _report_end(ended.to_json(), surface)


def _report_end(ended: dict[str, Any], surface: Surface) -> None:
    surface.result(
        ended,
        surface.say(
            f"해지했습니다: {ended['agreement_id']}\n상대에게 이유를 알립니다",
            f"Ended: {ended['agreement_id']}\nThe other side is told why",
        ),
    )
