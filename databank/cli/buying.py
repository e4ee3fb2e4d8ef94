"""Commands of a buyer: search, agree, quote, query, read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from databank.cli.surface import Surface, surface_of

if TYPE_CHECKING:
    from databank.client.cost import Cost

ROWS_SHOWN = 40
Words = Annotated[list[str], typer.Argument(help="검색어 (words)")]


def register(app: typer.Typer, say: Callable[[str, str], str]) -> None:
    """Add the commands."""
    commands: list[tuple[str, Callable[..., None], str]] = [
        ("search", search, say("데이터셋을 찾습니다", "Find datasets")),
        ("show", show, say("데이터셋 하나를 자세히 봅니다", "Show one dataset")),
        ("negotiate", negotiate, say("제안대로 합의를 맺습니다", "Agree to an offer as it stands")),
        ("agreements", agreements, say("합의를 봅니다", "List agreements")),
        (
            "quote",
            quote,
            say("질의나 내려받기가 얼마일지 묻습니다 (무료)", "Ask what it would cost"),
        ),
        ("sql", sql, say("공급기업에서 질의를 실행합니다", "Run a query at the suppliers")),
        ("read", read, say("Arrow 파일을 내려받습니다 (이어받기)", "Read the Arrow file")),
        (
            "decisions",
            decisions,
            say("이용 허가·거절 기록을 봅니다", "List the policy's decisions"),
        ),
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
    surface = surface_of(context)
    say = surface.say
    with surface.session() as session:
        found = session.show(ref)
    dataset = found.listing.dataset
    if surface.is_json:
        value = {"ref": str(found.ref), "agreement_id": found.agreement_id}
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
        [
            (c.name, c.type.value, c.unit or "", surface.text(c.label))
            for c in dataset.schema_.columns
        ],
    )
    for text, is_enforced in found.terms(surface.language):
        how = say("기술로 강제", "enforced") if is_enforced else say("계약으로만", "by contract")
        console.print(f"  - {text} [{how}]", markup=False)
    if dataset.sample:
        surface.table(
            None,
            dataset.sample_columns,
            [[str(cell) for cell in row] for row in dataset.sample],
            title=say("표본", "Sample"),
        )
    console.print(
        say(f"합의: {found.agreement_id}", f"Agreement: {found.agreement_id}")
        if found.agreement_id
        else say(
            f"합의 없음. `databank negotiate {ref}`", f"No agreement. `databank negotiate {ref}`"
        ),
        markup=False,
    )


def negotiate(context: typer.Context, ref: str) -> None:
    """Take the offer of a dataset as it stands."""
    surface = surface_of(context)
    with surface.session() as session:
        agreement_id = session.agree(ref)
    next_ = f"databank sql {ref} 'FROM {ref} LIMIT 5'"
    surface.result(
        {"ref": ref, "agreement_id": agreement_id},
        surface.say(
            f"합의했습니다: {ref}\n{agreement_id}\n다음: {next_}",
            f"Agreed: {ref}\n{agreement_id}\nNext: {next_}",
        ),
    )


def agreements(context: typer.Context) -> None:
    """Print our agreements on both sides."""
    from schemas.management import AgreementList

    surface = surface_of(context)
    say = surface.say
    with surface.session() as session:
        answer = AgreementList.model_validate(session.management.get("/management/agreements"))
    role = {"consumer": say("수요", "consumer"), "provider": say("공급", "provider")}
    surface.table(
        [a.to_json() for a in answer.agreements],
        (
            say("합의", "agreement"),
            say("역할", "role"),
            say("상대", "counterparty"),
            say("데이터셋", "dataset"),
            say("일시", "agreed"),
            say("전송", "transfer"),
        ),
        [
            (
                a.agreement_id,
                role[a.role.value],
                a.provider_id if a.role.value == "consumer" else a.consumer_id,
                a.dataset_id,
                f"{a.agreed_at:%Y-%m-%d %H:%M}",
                a.transfer_state or "",
            )
            for a in answer.agreements
        ],
    )


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
            say("공급가액", "charge"),
            say("세액", "VAT"),
        ),
        cost.rows(),
        numbers=(2, 3, 4, 5),
        title=f"{kind} {format_won(cost.total_micro)} ({say('부가세 포함', 'with VAT')})",
    )


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


def sql(
    context: typer.Context,
    ref: str,
    sql: str,
    budget: Annotated[
        int | None, typer.Option(help="이보다 비싸면 하지 않음, 원 (refuse above, won)", min=0)
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help=".arrow .parquet .csv")
    ] = None,
) -> None:
    """Run a query; in it the dataset may be called by its name or as handle.name."""
    from databank.cli.export import write_table

    surface = surface_of(context)
    with surface.session() as session:
        answer = session.sql(_whole_sql(ref, sql), budget_won=budget)
        table = answer.to_arrow()
    if output is not None:
        write_table(table, output)
    if surface.is_json:
        rows = [] if output is not None else table.to_pylist()
        surface.result(
            {
                "columns": table.column_names,
                "rows": [{key: _plain(value) for key, value in row.items()} for row in rows],
                "cost": _cost_json(answer.cost),
            },
            "",
        )
        return
    if output is None:
        surface.table(
            None,
            table.column_names,
            [["" if c is None else str(c) for c in r.values()] for r in _first(table)],
        )
        if table.num_rows > ROWS_SHOWN:
            more = table.num_rows - ROWS_SHOWN
            surface.note(
                surface.say(f"… {more:,}행 더 있습니다 (-o 파일)", f"… {more:,} more rows")
            )
    _show_cost(answer.cost, surface)


def _first(table: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - pyarrow.Table
    rows: list[dict[str, Any]] = table.slice(0, ROWS_SHOWN).to_pylist()
    return rows


def _plain(value: Any) -> Any:  # noqa: ANN401 - any cell
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _whole_sql(ref: str, sql: str) -> str:
    """Return SQL in which the bare name of the dataset is written in full."""
    from databank.client.plan import with_handle
    from databank.client.ref import Ref

    return with_handle(sql, Ref.parse(ref))


def read(
    context: typer.Context,
    ref: str,
    output: Annotated[Path, typer.Option("--output", "-o", help="파일 (file)")],
) -> None:
    """Read the whole Arrow file; run it again to go on after an interruption."""
    surface = surface_of(context)
    with surface.session() as session, surface.byte_bar(ref) as on_bytes:
        session.read(ref, output, on_bytes=on_bytes)
    size = output.stat().st_size
    surface.result(
        {"ref": ref, "file": str(output), "bytes_count": size},
        surface.say(
            f"{output}: {size:,}바이트, 해시 확인함", f"{output}: {size:,} bytes, hash verified"
        ),
    )


def decisions(context: typer.Context, ref: str) -> None:
    """Print what the supplier's policy decided about our acts."""
    surface = surface_of(context)
    say = surface.say
    with surface.session() as session:
        decided = session.decisions(ref)
    surface.table(
        [d.to_json() for d in decided],
        (
            say("일시", "time"),
            say("이용", "use"),
            say("결정", "decision"),
            say("이유", "reason"),
        ),
        [
            (
                f"{d.decided_at:%Y-%m-%d %H:%M:%S}",
                d.mode,
                say("허가", "allowed") if d.is_allowed else say("거절", "denied"),
                surface.text(d.reason),
            )
            for d in decided
        ],
    )
