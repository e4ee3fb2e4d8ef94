"""Commands of a supplier: join, publish, withdraw, replace the key."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from databank.cli.publish_options import (
    AllowPersonal,
    ApprovalKind,
    Description,
    DomainName,
    DryRun,
    File,
    Generated,
    IndustryName,
    Keywords,
    Name,
    Prices,
    SampleRows,
    Sensitivities,
    SkipBadRows,
    Template,
    TermTexts,
    Title,
    TitleEn,
    Types,
    Units,
    Yes,
)
from databank.cli.surface import Surface, surface_of

if TYPE_CHECKING:
    from databank.cli.questions import Options
    from databank.client.api import Api
    from schemas.management import Publication, UploadReport

BAD_CELLS_SHOWN = 10


_APPROVALS = {
    "automatic": ("요청에는 규칙으로 답합니다", "Requests are answered by rule"),
    "negotiable": (
        "등록된 조건이면 바로 합의하고, 다른 조건은 `databank inbox`에서 기다립니다",
        "The listed terms are agreed to at once; others wait in `databank inbox`",
    ),
    "manual": (
        "모든 요청이 `databank inbox`에서 기다립니다",
        "Every request waits in `databank inbox`",
    ),
}


def register(app: typer.Typer, say: Callable[[str, str], str]) -> None:
    """Add the commands."""
    app.command("login", help=say("커넥터 주소와 토큰을 저장합니다", "Store connector and token"))(
        login
    )
    app.command("join", help=say("참여자로 등록합니다", "Register as a participant"))(join)
    app.command(
        "rotate-key",
        help=say(
            "커넥터의 서명 키를 바꿉니다. 하던 일은 끊기지 않고 옛 키는 몇 분 뒤 끝납니다",
            "Replace the connector's signing key; nothing breaks, the old key ends in minutes",
        ),
    )(rotate_key)
    app.command(
        "publish",
        help=say(
            "파일(CSV, Excel, Parquet, Arrow)을 데이터셋으로 공개합니다",
            "Publish a file (CSV, Excel, Parquet, Arrow) as a dataset",
        ),
    )(publish)
    app.command("publications", help=say("공개한 데이터셋을 봅니다", "List own datasets"))(
        publications
    )
    app.command(
        "revise",
        help=say(
            "공개한 데이터셋의 제목, 조건, 요금을 고칩니다",
            "Change title, terms or price of a dataset",
        ),
    )(revise)
    app.command("unpublish", help=say("공개를 거둡니다", "Withdraw a dataset"))(unpublish)
    app.command("restore", help=say("거둔 공개를 되돌립니다", "Offer a withdrawn dataset again"))(
        restore
    )


def login(
    context: typer.Context,
    url: str,
    token_file: Annotated[
        Path | None, typer.Option(help="관리 토큰 파일 (file with the admin token)")
    ] = None,
) -> None:
    """Check a connector and its token, and store both in the profile."""
    from databank.client.api import Api, open_http
    from databank.client.profile import Profile, store_profile

    surface = surface_of(context)
    if token_file is not None:
        token = token_file.read_text(encoding="utf-8").strip()
    else:
        token = surface.token or typer.prompt(surface.say("토큰", "Token"), hide_input=True)
    profile = Profile(url, token)
    with open_http() as http:
        Api(url.rstrip("/"), token, http).get("/management/services")
    path = store_profile(profile, environment=surface.environment)
    surface.result(
        {"url": url, "profile": str(path)},
        surface.say(f"{url} 연결을 {path}에 저장했습니다", f"Stored {url} in {path}"),
    )


def join(
    context: typer.Context,
    brn: Annotated[str, typer.Option(prompt="사업자등록번호", help="사업자등록번호 (10 digits)")],
    name: Annotated[str, typer.Option(prompt="회사 이름", help="회사 이름 (company name)")],
    handle: Annotated[
        str, typer.Option(prompt="SQL에 쓸 짧은 이름(영문)", help="SQL에 쓸 이름 (name in SQL)")
    ],
) -> None:
    """Register this connector's company at the broker."""
    from schemas.ids import format_brn, parse_brn
    from schemas.participant import Participant

    surface = surface_of(context)
    digits = parse_brn(brn)
    with surface.session() as session:
        body = {"handle": handle, "name": name, "brn": digits}
        answer = session.management.post("/management/join", body)
    participant = Participant.model_validate(answer)
    status = {"active": ("참여 중", "active"), "pending": ("승인 대기", "waiting for approval")}
    said = surface.say(*status.get(participant.status.value, (participant.status.value,) * 2))
    surface.result(
        participant.to_json(),
        f"{participant.name} ({participant.handle}) · {format_brn(digits)} · {said}\n"
        f"{participant.id}",
    )


def rotate_key(context: typer.Context) -> None:
    """Replace the connector's signing key; run it again if it was interrupted."""
    from schemas.participant import Participant

    surface = surface_of(context)
    with surface.session() as session:
        answer = session.management.post("/management/key-rotation")
    participant = Participant.model_validate(answer)
    ends = participant.retiring.until.isoformat(timespec="seconds") if participant.retiring else "-"
    surface.result(
        participant.to_json(),
        surface.say(
            f"새 키 {participant.key.kid}\n지문 {participant.key.fingerprint}\n옛 키는 {ends}까지",
            f"New key {participant.key.kid}\nFingerprint {participant.key.fingerprint}\n"
            f"The old key verifies until {ends}",
        ),
    )


def publish(  # noqa: PLR0917 - options, all by name
    context: typer.Context,
    file: File,
    name: Name = None,
    title: Title = None,
    title_en: TitleEn = None,
    description: Description = None,
    domain: DomainName = None,
    industry: IndustryName = None,
    keyword: Keywords = None,
    template: Template = None,
    term: TermTexts = None,
    price: Prices = None,
    approval: ApprovalKind = None,
    type_: Types = None,
    unit: Units = None,
    sensitivity: Sensitivities = None,
    sample_rows: SampleRows = None,
    skip_bad_rows: SkipBadRows = False,
    allow_personal: AllowPersonal = False,
    is_generated: Generated = False,
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Check a file, show what is wrong in it, ask for terms and price, publish."""
    from databank.cli.questions import Options

    options = Options(
        name=name,
        title=title,
        title_en=title_en,
        description=description,
        domain=domain,
        industry=industry,
        keywords=keyword,
        template=template,
        terms=term,
        prices=price,
        approval=approval,
        types=type_,
        units=unit,
        sensitivities=sensitivity,
    )
    consent: dict[str, Any] = {
        "skip_bad_rows": skip_bad_rows,
        "allow_personal": allow_personal,
        "sample_rows": sample_rows,
        "is_generated": is_generated,
    }
    surface = surface_of(context)
    may_ask = sys.stdin.isatty() and not yes and not surface.is_json
    _publish(file, options, consent, surface, may_ask=may_ask, is_dry=dry_run)


def _publish(
    file: Path,
    options: Options,
    consent: dict[str, Any],
    surface: Surface,
    *,
    may_ask: bool,
    is_dry: bool,
) -> None:
    from databank.cli.consent import agree_to_personal, agree_to_skip, sample_said
    from databank.cli.questions import ask, open_desk, read_options
    from databank.client.publisher import pieces_of, upload
    from databank.client.publisher import publish as publish_upload

    with surface.session() as session:
        desk = open_desk(session.management)
        given = read_options(options, desk, file=file, may_ask=may_ask or is_dry)
        pieces = surface.progress(file.name, pieces_of(file), file.stat().st_size)
        report = upload(session.management, file, pieces)
        if not surface.is_json:
            show_report(report, surface)
        if is_dry:
            if surface.is_json:
                surface.result(report.to_json(), "")
            return
        if report.personal_columns and not consent["allow_personal"]:
            agree_to_personal(report, surface, may_ask=may_ask)
            consent["allow_personal"] = True
        if report.bad_rows_count and not consent["skip_bad_rows"]:
            agree_to_skip(report, surface, may_ask=may_ask)
            consent["skip_bad_rows"] = True
        request = ask(given, report, desk, surface, file=file, may_ask=may_ask)
        request = request.model_copy(update=consent)
        surface.note(surface.text(sample_said(request, report)))
        publication = publish_upload(session.management, request)
    said = publication.dataset
    headline = surface.say(
        f"공개했습니다: {said.name} – {said.title.ko}", f"Published: {said.name} – {said.title.en}"
    )
    _show_publication(publication, surface, headline)


def show_report(report: UploadReport, surface: Surface) -> None:
    """Print what an upload holds, and which cells do not fit."""
    say = surface.say
    encoding = f" · {report.encoding}" if report.encoding else ""
    if report.sheet:
        encoding = say(f" · 시트 '{report.sheet}'", f" · sheet '{report.sheet}'")
    surface.console().print(
        say(
            f"{report.filename}: {report.format}{encoding} · {report.rows_count:,}행 · "
            f"열 {len(report.columns)}개",
            f"{report.filename}: {report.format}{encoding} · {report.rows_count:,} rows · "
            f"{len(report.columns)} columns",
        ),
        markup=False,
    )
    surface.table(
        None,
        (say("열", "column"), say("형식", "type"), say("단위", "unit"), say("이름", "label")),
        [(c.name, c.type.value, c.unit or "", surface.text(c.label)) for c in report.columns],
    )
    for warning in report.warnings:
        surface.note(say("주의: ", "Note: ") + surface.text(warning))
    if not report.bad_rows_count:
        return
    for cell in report.bad_cells[:BAD_CELLS_SHOWN]:
        value = cell.value[:40]
        surface.note(
            say(
                f"  행 {cell.row} 열 {cell.column}: {value!r} – {cell.reason.ko}",
                f"  row {cell.row} column {cell.column}: {value!r} – {cell.reason.en}",
            )
        )
    surface.note(
        say(
            f"맞지 않는 행이 {report.bad_rows_count:,}개 있습니다",
            f"{report.bad_rows_count:,} rows do not fit",
        )
    )


def _show_publication(publication: Publication, surface: Surface, headline: str) -> None:
    from schemas.price import price_sentence
    from schemas.terms import sentences

    dataset = publication.dataset
    said = [
        headline,
        surface.say(
            f"  {dataset.rows_count:,}행 · {dataset.file_bytes:,}바이트 · "
            f"뺀 행 {publication.skipped_rows_count:,}개",
            f"  {dataset.rows_count:,} rows · {dataset.file_bytes:,} bytes · "
            f"{publication.skipped_rows_count:,} rows left out",
        ),
        f"  {surface.text(price_sentence(publication.plan))}",
        f"  {surface.say(*_APPROVALS[publication.approval.value])}",
    ]
    for sentence in sentences(publication.terms, publication.plan):
        how = (
            surface.say("기술로 강제", "enforced")
            if sentence.is_enforced
            else surface.say("계약으로만", "by contract only")
        )
        said.append(f"  - {surface.text(sentence.text)} [{how}]")
    surface.result(publication.to_json(), "\n".join([*said, f"  {dataset.id}"]))


def _find_own(management: Api, name: str) -> Publication:
    from databank.client.publisher import publications as own_publications
    from schemas.problem import NotFoundError

    for publication in own_publications(management):
        if name in {publication.dataset.name, publication.dataset.id}:
            return publication
    raise NotFoundError(
        ko=f"공개한 데이터셋 가운데 {name}이(가) 없습니다. `databank publications`로 확인하세요.",
        en=f"No own dataset is called {name}. See `databank publications`.",
    )


def publications(context: typer.Context) -> None:
    """Print our own datasets."""
    from databank.client.publisher import publications as own_publications
    from schemas.price import price_sentence

    surface = surface_of(context)
    say = surface.say
    with surface.session() as session:
        own = own_publications(session.management)
    state = {False: say("공개", "offered"), True: say("거둠", "withdrawn")}
    surface.table(
        [p.to_json() for p in own],
        (
            say("이름", "name"),
            say("제목", "title"),
            say("행", "rows"),
            say("요금", "price"),
            say("상태", "state"),
        ),
        [
            (
                p.dataset.name,
                surface.text(p.dataset.title),
                f"{p.dataset.rows_count:,}",
                surface.text(price_sentence(p.plan)),
                state[p.is_withdrawn],
            )
            for p in own
        ],
        numbers=(2,),
    )


def revise(  # noqa: PLR0917 - options, all by name
    context: typer.Context,
    name: str,
    title: Title = None,
    title_en: TitleEn = None,
    description: Description = None,
    keyword: Keywords = None,
    template: Template = None,
    term: TermTexts = None,
    price: Prices = None,
    approval: ApprovalKind = None,
) -> None:
    """Change a dataset for agreements to come; agreements made before keep their terms."""
    from databank.cli.questions import Options, read_revision
    from databank.client.publisher import revise as send_revision

    surface = surface_of(context)
    options = Options(
        title=title,
        title_en=title_en,
        description=description,
        keywords=keyword,
        template=template,
        terms=term,
        prices=price,
        approval=approval,
    )
    with surface.session() as session:
        old = _find_own(session.management, name)
        request = read_revision(options, old, session.management)
        new = send_revision(session.management, old.dataset.id, request)
    headline = surface.say(
        f"고쳤습니다: {new.dataset.name} – {new.dataset.title.ko}\n"
        "  이미 맺은 합의는 그때의 조건대로 계속됩니다",
        f"Changed: {new.dataset.name} – {new.dataset.title.en}\n"
        "  Agreements made before go on under their terms",
    )
    _show_publication(new, surface, headline)


def unpublish(context: typer.Context, name: str, yes: Yes = False) -> None:
    """Withdraw a dataset; running agreements go on."""
    surface = surface_of(context)
    with surface.session() as session:
        publication = _find_own(session.management, name)
        if not yes and sys.stdin.isatty() and not surface.is_json:
            typer.confirm(
                surface.say(
                    f"{name} 공개를 거둘까요? 이미 맺은 합의는 계속됩니다",
                    f"Withdraw {name}? Running agreements go on",
                ),
                abort=True,
            )
        response = session.management.send(
            "DELETE", f"/management/publications/{publication.dataset.id}"
        )
    _report_change(response, surface, surface.say(f"거두었습니다: {name}", f"Withdrawn: {name}"))


def restore(context: typer.Context, name: str) -> None:
    """Offer a withdrawn dataset again."""
    surface = surface_of(context)
    with surface.session() as session:
        publication = _find_own(session.management, name)
        path = f"/management/publications/{publication.dataset.id}/restoration"
        response = session.management.send("POST", path)
    _report_change(
        response, surface, surface.say(f"다시 공개했습니다: {name}", f"Offered again: {name}")
    )


def _report_change(response: Any, surface: Surface, said: str) -> None:  # noqa: ANN401 - httpx's, imported late
    from databank.client.api import expect_success

    content = expect_success(response).content
    surface.result(response.json() if content else {}, said)
