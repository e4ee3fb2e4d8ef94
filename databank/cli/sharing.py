"""Commands of revenue share: split plans, and the royalties that follow from them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from databank.cli.surface import Surface, surface_of
from schemas.money import in_won

if TYPE_CHECKING:
    from schemas.shares import PlanEdge, PlanView, RoyaltyDemand, RoyaltyList

EdgeTexts = Annotated[
    list[str] | None,
    typer.Option(
        "--edge",
        help="'합의번호 net=30%/floor=1000/cap=50000/agent': gross·net은 비율, "
        "query·row·megabyte·month는 원 "
        "(one for each source: 'AGREEMENT gross=5%'; in won by query, row, megabyte, month)",
    ),
]
_SHARES: Final = {
    "gross": "pct_of_gross",
    "net": "pct_of_net",
    "month": "fixed_per_period",
    **dict.fromkeys(("query", "row", "megabyte"), "per_unit_royalty"),
}
_UNITS: Final = {
    "query": ("질의", "query"),
    "row": ("행", "row"),
    "megabyte": ("MB", "MB"),
}
_ROLES: Final = {"principal": ("본인", "principal"), "agent": ("대리", "agent")}
_PERCENT: Final = re.compile(r"^(\d{1,3})(?:\.(\d{1,4}))?%$")
_PERCENT_DIGITS: Final = 4


def register(app: typer.Typer, say: Callable[[str, str], str]) -> None:
    """Add the commands."""
    group = typer.Typer(
        help=say(
            "판 데이터셋의 수입을 원천 데이터와 나눕니다 (분배 계획, 로열티)",
            "Share what a derived dataset earns with its sources (split plans, royalties)",
        ),
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    commands: list[tuple[str, Callable[..., None], str]] = [
        (
            "register",
            register_plan,
            say(
                "분배 계획을 등록합니다. 등록한 계획은 바뀌지 않고, 새 계획은 다음 달부터입니다",
                "Register a split plan; it never changes, a further one begins next month",
            ),
        ),
        ("plans", plans, say("우리에 관한 분배 계획을 봅니다", "Show split plans about us")),
        (
            "royalties",
            royalties,
            say("한 달의 로열티를 봅니다", "Show a month's royalties, got and owed"),
        ),
        (
            "show-policy",
            show_policy,
            say(
                "합의의 약관을 청산소에 보여, 그보다 적은 계획을 막습니다",
                "Show clearing an agreement's policy, so that no plan gives less",
            ),
        ),
    ]
    for name, command, help_ in commands:
        group.command(name, help=help_)(command)
    app.add_typer(group, name="shares")


def register_plan(
    context: typer.Context,
    product_id: Annotated[str, typer.Argument(help="파는 데이터셋의 번호 (the dataset's id)")],
    title: Annotated[str, typer.Option(help="명세서에 적을 이름 (what statements call it)")],
    start: Annotated[str, typer.Option("--from", help="시작하는 달, 예: 2026-12 (first month)")],
    edge: EdgeTexts = None,
) -> None:
    """Register a split plan; without --edge nothing is owed from that month on."""
    from schemas.canonical import digest
    from schemas.shares import PlanView

    told: dict[str, Any] = {
        "product_id": product_id,
        "product_title": title,
        "from_period": start,
        "edges": [read_edge(text) for text in edge or ()],
    }
    told["request_id"] = digest(told)  # the same command again is the same request
    surface = surface_of(context)
    with surface.session() as session:
        answer = session.management.repeat("POST", "/management/shares/plans", json=told)
    _show_plan(PlanView.model_validate(answer), surface)


def read_edge(text: str) -> dict[str, Any]:
    """Return an edge of a plan as it is written on the command line.

    Raises:
        BadAnswerError: It is not one.
    """
    agreement_id, _, rest = text.strip().partition(" ")
    first, *further = rest.strip().split("/")
    name, _, value = first.partition("=")
    if name not in _SHARES or not value:
        raise _bad_edge(text)
    found: dict[str, Any] = {
        "agreement_id": agreement_id,
        "basis": _SHARES[name],
        "share": _read_percent(value, text) if name in ("gross", "net") else _micro(value, text),
    }
    if name in _UNITS:
        found["unit"] = name
    for part in further:
        key, _, amount = part.partition("=")
        if key in ("floor", "cap") and amount:
            found[f"{key}_micro"] = _micro(amount, text)
        elif part == "agent":
            found["role"] = "agent"
        else:
            raise _bad_edge(text)
    return found


def _read_percent(value: str, text: str) -> str:
    match = _PERCENT.match(value)
    if match is None:
        raise _bad_edge(text)
    return str(int(match[1] + (match[2] or "").ljust(_PERCENT_DIGITS, "0")))


def _micro(value: str, text: str) -> str:
    from schemas.money import parse_won

    try:
        return str(parse_won(value))
    except ValueError:
        raise _bad_edge(text) from None


def _bad_edge(text: str) -> Exception:
    from databank.cli.bad_answer import BadAnswerError

    return BadAnswerError(
        ko=f"--edge를 읽을 수 없습니다: {text!r}. 예: --edge 'urn:uuid:… net=30%/floor=1000'",
        en=f"--edge cannot be read: {text!r}. For example: --edge 'urn:uuid:… net=30%/floor=1000'",
    )


def plans(
    context: typer.Context,
    product: Annotated[
        str | None, typer.Option(help="이 데이터셋의 계획만 (only of this dataset)")
    ] = None,
) -> None:
    """Print the split plans of our products, and of those that owe us."""
    from schemas.shares import PlanList

    surface = surface_of(context)
    params = {} if product is None else {"product_id": product}
    with surface.session() as session:
        answer = session.management.get("/management/shares/plans", **params)
    found = PlanList.model_validate(answer)
    if surface.is_json:
        surface.result(found.to_json(), "")
        return
    for view in found.plans:
        _show_plan(view, surface)
    if not found.plans:
        surface.note(surface.say("우리에 관한 분배 계획이 없습니다.", "No split plan is about us."))


def _show_plan(view: PlanView, surface: Surface) -> None:
    say = surface.say
    weights = {each.participant_id: each.weight for each in view.weights}
    surface.table(
        view.to_json(),
        (
            say("원천 데이터셋", "source"),
            say("받는 곳", "paid to"),
            say("몫", "share"),
            say("월 최소 금액", "minimum"),
            say("월 최대 금액", "cap"),
            say("역할", "role"),
            say("비중", "weight"),
        ),
        [
            (
                edge.upstream_title,
                view.party_names.get(edge.party_id, edge.party_id),
                _share_said(edge, surface),
                _won(edge.floor_micro),
                _won(edge.cap_micro),
                say(*_ROLES[edge.role.value]),
                f"{weights.get(edge.party_id, 0) / 10**7:.4f} %",
            )
            for edge in view.edges
        ],
        numbers=(2, 3, 4, 6),
        title=f"{view.plan.product_title} · {view.curator_name} · "
        + say(
            f"{view.plan.number}호, {view.plan.from_period}부터",
            f"no. {view.plan.number}, from {view.plan.from_period} on",
        )
        + f" · {view.plan_sha256[:16]}…",
    )


def _share_said(edge: PlanEdge, surface: Surface) -> str:
    from schemas.money import format_won
    from schemas.shares import PERCENTAGES

    if edge.basis in PERCENTAGES:
        percent = f"{edge.share / 10**4:.4f}".rstrip("0").rstrip(".")
        of = {
            "pct_of_gross": surface.say("판매액의", "of gross"),
            "pct_of_net": surface.say("수수료를 뗀 판매액의", "of net"),
        }[edge.basis.value]
        return surface.say(f"{of} {percent} %", f"{percent} % {of}")
    amount = format_won(edge.share)
    if edge.unit is None:
        return surface.say(f"한 달 {amount}", f"{amount} a month")
    ko, en = _UNITS[edge.unit.value]
    return surface.say(f"1{ko}당 {amount}", f"{amount} a {en}")


def _won(amount_micro: int | None) -> str:
    from schemas.money import format_won

    return "" if amount_micro is None else format_won(amount_micro)


def royalties(
    context: typer.Context,
    period: Annotated[str, typer.Argument(help="달, 예: 2026-11 (month)")],
) -> None:
    """Print what we get and owe of a month so far."""
    from schemas.shares import RoyaltyList

    surface = surface_of(context)
    with surface.session() as session:
        answer = session.management.get("/management/shares/royalties", period=period)
        own = session.management.get("/management/participant")["id"]
    _show_royalties(RoyaltyList.model_validate(answer), own, surface)


def _show_royalties(found: RoyaltyList, own: str, surface: Surface) -> None:
    from schemas.money import format_won

    say = surface.say
    surface.table(
        found.to_json(),
        (
            "",
            say("판 데이터셋", "product sold"),
            say("원천 데이터셋", "source"),
            say("상대", "counterparty"),
            say("지금까지", "due so far"),
            say("세액", "VAT"),
            say("명세서에 적힘", "stated"),
        ),
        [
            (
                say("받음", "got") if each.party_id == own else say("냄", "owed"),
                each.product_title,
                each.upstream_title,
                each.curator_name if each.party_id == own else each.party_name,
                format_won(each.due_micro),
                format_won(each.due_vat_micro),
                in_won(each.stated_won),
            )
            for each in found.royalties
        ],
        numbers=(4, 5, 6),
        title=f"{found.period} " + say("로열티 (부가세 별도)", "royalties (without VAT)"),
    )


def show_policy(
    context: typer.Context,
    agreement_id: Annotated[str, typer.Argument(help="합의 번호 (the agreement's id)")],
) -> None:
    """Show clearing the policy of an agreement of ours."""
    from urllib.parse import quote

    from schemas.shares import RoyaltyDemand

    surface = surface_of(context)
    path = f"/management/shares/policies/{quote(agreement_id, safe='')}"
    with surface.session() as session:
        demand = RoyaltyDemand.model_validate(session.management.repeat("POST", path))
    surface.result(demand.to_json(), _demand_said(demand, surface))


def _demand_said(demand: RoyaltyDemand, surface: Surface) -> str:
    if demand.is_derivation_forbidden:
        return surface.say("2차 제작을 금지합니다.", "It forbids deriving.")
    if demand.royalty_percent is None:
        return surface.say("로열티를 요구하지 않습니다.", "It asks for no royalty.")
    return surface.say(
        f"판매액의 {demand.royalty_percent} %를 요구합니다. "
        "그보다 적은 분배 계획은 등록되지 않습니다.",
        f"It asks for {demand.royalty_percent} % of sales. No plan that gives less is registered.",
    )
