"""Commands of a buyer: search, quote, query, read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from databank.cli.surface import Surface, surface_of

if TYPE_CHECKING:
    import pyarrow as pa

    from databank.client.answer import Answer
    from databank.client.cost import Cost
    from databank.client.listings import Found
    from databank.client.session import Session
    from schemas.dataset import Column
    from schemas.management import AgreementView

ROWS_SHOWN = 40
Words = Annotated[list[str], typer.Argument(help="검색어 (words)")]
Budget = Annotated[
    int | None, typer.Option(help="이보다 비싸면 하지 않음, 원 (refuse above, won)", min=0)
]
AskAbove = Annotated[
    int | None,
    typer.Option(
        help="이보다 비싸면 먼저 물음, 원; 기본은 DATABANK_ASK_ABOVE_WON, 프로필의 ask_above_won, "
        "1000 (ask first above this, won; default: DATABANK_ASK_ABOVE_WON, the profile's "
        "ask_above_won, 1000)",
        min=0,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="묻지 않습니다 (ask nothing)")]
Force = Annotated[bool, typer.Option("--force", help="있는 파일을 덮어씀 (replace the file)")]
_TRANSFER = {
    "REQUESTED": ("시작하는 중", "requested"),
    "STARTED": ("이용 중", "started"),
    "SUSPENDED": ("멈춤", "suspended"),
    "COMPLETED": ("마침", "completed"),
    "TERMINATED": ("끝남", "terminated"),
}


def sql_help(say: Callable[[str, str], str]) -> str:
    """Return what `sql` does, what it costs, and how its times are meant."""
    return say(
        "공급기업에서 질의를 실행합니다\n\n"
        "데이터셋은 이름이나 회사.이름으로 적습니다. 한도(--ask-above)보다 비싸면 터미널에서는 "
        "견적을 보이고 묻습니다. 스크립트와 --json에서는 묻지 않고 종료 코드 3으로 거절하므로 "
        "--budget 원이나 --yes를 붙이세요.\n\n"
        "SQL 안의 시각은 UTC입니다. 한국 시각으로 바꾸려면: ts AT TIME ZONE 'Asia/Seoul'. "
        "표에는 +09:00으로, --json과 파일에는 UTC로 나옵니다. --json에서 NaN과 무한대는 "
        "문자열입니다.",
        "Run a query at the suppliers\n\n"
        "A dataset is called by its name or as handle.name. Above the limit (--ask-above) a "
        "terminal shows the quote and asks. Scripts and --json are not asked but refused with "
        "exit code 3: give them --budget WON or --yes.\n\n"
        "Times inside SQL are in UTC. For Korean time: ts AT TIME ZONE 'Asia/Seoul'. Tables "
        "show them with +09:00, --json and files in UTC. With --json NaN and infinities are "
        "strings.",
    )


def register(app: typer.Typer, say: Callable[[str, str], str]) -> None:
    """Add the commands."""
    commands: list[tuple[str, Callable[..., None], str]] = [
        ("search", search, say("데이터셋을 찾습니다", "Find datasets")),
        ("show", show, say("데이터셋 하나를 자세히 봅니다", "Show one dataset")),
        ("agreements", agreements, say("합의를 봅니다", "List agreements")),
        (
            "quote",
            quote,
            say("질의나 내려받기가 얼마일지 묻습니다 (무료)", "Ask what it would cost"),
        ),
        ("sql", sql, sql_help(say)),
        ("read", read, say("Arrow 파일을 내려받습니다 (이어받기)", "Read the Arrow file")),
    ]
    for name, command, help_ in commands:
        app.command(name, help=help_)(command)


def search(  # noqa: PLR0917 - options, all by name
    context: typer.Context,
    words: Words,
    domain: Annotated[str | None, typer.Option(help="분야 (domain)")] = None,
    industry: Annotated[str | None, typer.Option(help="업종 (industry)")] = None,
    provider: Annotated[str | None, typer.Option(help="공급기업 (supplier)")] = None,
    limit: Annotated[int, typer.Option(help="개수 (how many)", min=1, max=100)] = 20,
) -> None:
    """Print what the catalog finds."""
    surface = surface_of(context)
    say = surface.say
    with surface.session() as session:
        found = session.search(
            " ".join(words), domain=domain, industry=industry, provider=provider, limit=limit
        )
    surface.table(
        [{"ref": str(f.ref), "agreement_id": f.agreement_id, **f.listing.to_json()} for f in found],
        (
            say("이름", "name"),
            say("제목", "title"),
            say("공급기업", "supplier"),
            say("행", "rows"),
            say("요금", "price"),
            say("합의", "agreement"),
        ),
        [
            (
                str(f.ref),
                surface.text(f.listing.dataset.title),
                f.listing.provider_name,
                f"{f.listing.dataset.rows_count:,}",
                f.price(surface.language),
                say("있음", "yes") if f.agreement_id else "",
            )
            for f in found
        ],
        numbers=(3,),
    )
    if not found and not surface.is_json:
        surface.note(
            say(
                "찾은 것이 없습니다. 더 짧은 말로 찾아 보세요",
                "Nothing found. Try a shorter word",
            )
        )


def show(context: typer.Context, ref: str) -> None:
    """Print a dataset's columns, terms, price and sample."""
    from databank.cli.jsontext import cell_text

    surface = surface_of(context)
    say = surface.say
    with surface.session() as session:
        found = session.show(ref)
    dataset = found.listing.dataset
    if surface.is_json:
        value = {
            "ref": str(found.ref),
            "agreement_id": found.agreement_id,
            "is_listed": found.is_listed,
        }
        surface.result({**value, **found.listing.to_json()}, "")
        return
    console = surface.console()
    console.print(f"{found.ref}  {surface.text(dataset.title)}", markup=False, style="bold")
    console.print(surface.text(dataset.description), markup=False)
    generated = say(" · 생성한 데이터", " · generated data") if dataset.is_generated else ""
    console.print(
        f"{found.listing.provider_name} · {dataset.rows_count:,} {say('행', 'rows')} · "
        f"{dataset.file_bytes:,} {say('바이트', 'bytes')}{generated}",
        markup=False,
    )
    surface.table(
        None,
        (say("열", "column"), say("형식", "type"), say("단위", "unit"), say("이름", "label")),
        [(c.name, c.type.value, c.unit or "", _label(c, surface)) for c in dataset.schema_.columns],
    )
    for text, is_enforced in found.terms(surface.language):
        how = say("기술로 강제", "enforced") if is_enforced else say("계약으로만", "by contract")
        console.print(f"  - {text} [{how}]", markup=False)
    if dataset.sample:
        surface.table(
            None,
            dataset.sample_columns,
            [[cell_text(cell) for cell in row] for row in dataset.sample],
            title=say("표본", "Sample"),
        )
    _show_agreement(found, surface)


def _show_agreement(found: Found, surface: Surface) -> None:
    """Say whether we may use a dataset, and if not, how it comes to an agreement."""
    say = surface.say
    if not found.is_listed:
        surface.note(
            say(
                "카탈로그에 지금 없습니다. 맺은 합의는 계속되며, 합의한 내용을 보입니다",
                "Not in the catalog now. The agreement goes on; this is what was agreed",
            )
        )
    approval = {
        "automatic": say("합의: 등록된 조건으로 바로", "Agreement: at once, to the listed terms"),
        "negotiable": say(
            "합의: 등록된 조건이면 바로, 다른 조건도 제안할 수 있음",
            "Agreement: at once to the listed terms; others may be proposed",
        ),
        "manual": say("합의: 공급기업이 승인해야 함", "Agreement: the supplier approves"),
    }
    if found.agreement_id is None:
        surface.console().print(approval[found.listing.approval.value], markup=False)
    surface.console().print(
        say(f"합의: {found.agreement_id}", f"Agreement: {found.agreement_id}")
        if found.agreement_id
        else say(
            f"합의 없음. `databank negotiate {found.ref}`",
            f"No agreement. `databank negotiate {found.ref}`",
        ),
        markup=False,
    )


def _label(column: Column, surface: Surface) -> str:
    """Say what a column is, and how its values are masked."""
    from schemas.terms import mask_words

    label = surface.text(column.label)
    return f"{label} ({surface.text(mask_words(column.mask))})" if column.mask else label


def agreements(context: typer.Context) -> None:
    """Print our agreements on both sides."""
    from schemas.management import AgreementList

    surface = surface_of(context)
    say = surface.say
    with surface.session() as session:
        answer = AgreementList.model_validate(session.management.get("/management/agreements"))
    surface.table(
        [a.to_json() for a in answer.agreements],
        (
            say("역할", "role"),
            say("상대", "counterparty"),
            say("데이터셋", "dataset"),
            say("제목", "title"),
            say("일시", "agreed"),
            say("상태", "state"),
            say("합의", "agreement"),
        ),
        [_agreement_row(view, surface) for view in answer.agreements],
    )


def _agreement_row(view: AgreementView, surface: Surface) -> tuple[str, ...]:
    say = surface.say
    is_bought = view.role.value == "consumer"
    if is_bought:
        counterparty = view.provider_name or view.provider_id
    else:
        counterparty = view.consumer_name or view.consumer_id
    name = view.dataset_name or view.dataset_id
    is_ref = view.provider_handle is not None and view.dataset_name is not None
    if view.end is not None:
        state = say("끝남: ", "ended: ") + _end_text(view, surface)
    elif view.is_over:
        state = say("끝남", "ended")
    elif view.transfer_state is None:
        state = say("이용 전", "not used yet")
    else:
        state = say(*_TRANSFER.get(view.transfer_state, (view.transfer_state,) * 2))
    return (
        say("수요", "consumer") if is_bought else say("공급", "provider"),
        counterparty,
        f"{view.provider_handle}.{name}" if is_ref else name,
        view.dataset_title,
        surface.time(view.agreed_at),
        state,
        view.agreement_id,
    )


def _end_text(view: AgreementView, surface: Surface) -> str:
    from schemas.refusal import refusal_text

    assert view.end is not None
    known = refusal_text(view.end.code)
    if known is not None and view.end.reason.startswith(known.ko):
        return surface.text(known)
    return view.end.reason


def _show_cost(cost: Cost, surface: Surface) -> None:
    from schemas.money import format_won

    say = surface.say
    kind = say("청구", "Charged") if cost.is_charged else say("견적", "Quote")
    surface.table(
        None,
        (
            say("데이터셋", "dataset"),
            say("공급기업", "supplier"),
            say("행", "rows"),
            say("바이트", "bytes"),
            say("공급가액", "supply"),
            say("세액", "VAT"),
        ),
        cost.rows(),
        numbers=(2, 3, 4, 5),
        title=f"{kind} {format_won(cost.total_micro)} ({say('부가세 포함', 'with VAT')})",
    )
    for text in cost.notes():
        surface.note(surface.text(text))


def _cost_json(cost: Cost) -> dict[str, Any]:
    return {
        "total_micro": str(cost.total_micro),
        "lines": [
            {
                "dataset": str(line.ref),
                "supplier": line.supplier,
                "rows_count": line.rows_count,
                "bytes_count": line.bytes_count,
                "charge_micro": str(line.charge_micro),
                "vat_micro": str(line.vat_micro),
                "is_paid_before": line.is_paid_before,
                **({} if line.compute_ms is None else {"compute_ms": line.compute_ms}),
                **(
                    {}
                    if line.total_most_micro is None
                    else {"total_most_micro": str(line.total_most_micro)}
                ),
            }
            for line in cost.lines
        ],
    }


def quote(
    context: typer.Context,
    ref: str,
    sql: Annotated[str | None, typer.Argument(help="SQL; 없으면 파일 전체 (none: all)")] = None,
) -> None:
    """Print what a query, or the whole file, would cost now."""
    surface = surface_of(context)
    with surface.session() as session:
        cost = session.quote(_whole_sql(ref, sql)) if sql else session.quote_read(ref)
    if surface.is_json:
        surface.result(_cost_json(cost), "")
    else:
        _show_cost(cost, surface)


def sql(  # noqa: PLR0917 - options, all by name
    context: typer.Context,
    ref: str,
    sql: str,
    budget: Budget = None,
    ask_above: AskAbove = None,
    yes: Yes = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help=".arrow .parquet .csv")
    ] = None,
    force: Force = False,
) -> None:
    """Run a query; in it the dataset may be called by its name or as handle.name."""
    from databank.cli.export import SUFFIXES, check_output, save
    from databank.cli.spending import approver

    surface = surface_of(context)
    if output is not None:
        check_output(output, SUFFIXES, is_forced=force)
    approve = approver(surface, budget_won=budget, ask_above_won=ask_above, is_yes=yes)
    with surface.session() as session:
        answer = _answered(session, _whole_sql(ref, sql), budget, approve, surface)
        table = answer.to_arrow()
    if output is not None:
        save(table, output, environment=surface.environment)
    if surface.is_json:
        value = {
            "columns": table.column_names,
            "rows": [] if output is not None else table.to_pylist(),
            "cost": _cost_json(answer.cost),
        }
        surface.result(value, "")
        return
    if output is None:
        _show_rows(table, surface)
    _show_cost(answer.cost, surface)


def _answered(
    session: Session,
    sql: str,
    budget_won: int | None,
    approve: Callable[[Cost], None] | None,
    surface: Surface,
) -> Answer:
    """Run a query; if it fails over parts that are paid, leave these in files and say where."""
    from databank.cli.export import rescue
    from databank.client.answer import UnjoinedError

    try:
        return session.sql(sql, budget_won=budget_won, on_quote=approve)
    except UnjoinedError as error:
        for ref, table in error.parts.items():
            surface.note(f"{ref}: {rescue(table, surface.environment)}")
        raise


def _show_rows(table: pa.Table, surface: Surface) -> None:
    from databank.cli.jsontext import cell_text

    first = table.slice(0, ROWS_SHOWN)
    columns = [column.to_pylist() for column in first.columns]  # names may come twice
    surface.table(
        None,
        table.column_names,
        [[cell_text(cell) for cell in row] for row in zip(*columns, strict=True)],
    )
    if table.num_rows > ROWS_SHOWN:
        more = table.num_rows - ROWS_SHOWN
        surface.note(surface.say(f"… {more:,}행 더 있습니다 (-o 파일)", f"… {more:,} more rows"))


def _whole_sql(ref: str, sql: str) -> str:
    """Return SQL in which the bare name of the dataset is written in full."""
    from databank.client.plan import with_handle
    from databank.client.ref import Ref

    return with_handle(sql, Ref.parse(ref))


def read(  # noqa: PLR0917 - options, all by name
    context: typer.Context,
    ref: str,
    output: Annotated[Path, typer.Option("--output", "-o", help="파일, .arrow (file, .arrow)")],
    budget: Budget = None,
    ask_above: AskAbove = None,
    yes: Yes = False,
    force: Force = False,
) -> None:
    """Read the whole Arrow file; run it again to go on after an interruption."""
    from databank.cli.export import READ_SUFFIXES, check_output
    from databank.cli.spending import approver

    surface = surface_of(context)
    check_output(output, READ_SUFFIXES, is_forced=force)
    approve = approver(surface, budget_won=budget, ask_above_won=ask_above, is_yes=yes)
    with surface.session() as session, surface.byte_bar(ref) as on_bytes:
        session.read(ref, output, on_bytes=on_bytes, budget_won=budget, on_quote=approve)
    size = output.stat().st_size
    surface.result(
        {"ref": ref, "file": str(output), "bytes_count": size},
        surface.say(
            f"{output}: {size:,}바이트, 해시 확인함", f"{output}: {size:,} bytes, hash verified"
        ),
    )
