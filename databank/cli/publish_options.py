"""Options of publishing and revising a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Yes = Annotated[bool, typer.Option("--yes", "-y", help="묻지 않습니다 (ask nothing)")]
File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]
Name = Annotated[str | None, typer.Option(help="SQL에 쓸 이름 (name in SQL)")]
Title = Annotated[str | None, typer.Option(help="제목 (Korean title)")]
TitleEn = Annotated[str | None, typer.Option(help="영문 제목 (English title)")]
Description = Annotated[str | None, typer.Option(help="설명 (description)")]
DomainName = Annotated[
    str | None, typer.Option(help="분야: carbon, process, supply-chain (domain)")
]
IndustryName = Annotated[
    str | None,
    typer.Option(
        help="업종: battery, automotive-parts, home-appliances, steel-aluminium, "
        "textiles, other (industry)"
    ),
]
Keywords = Annotated[list[str] | None, typer.Option(help="검색어 (keyword, repeatable)")]
Template = Annotated[str | None, typer.Option(help="이용 조건 서식 (policy template)")]
TermTexts = Annotated[
    list[str] | None,
    typer.Option(
        "--term",
        help="조건 하나: columns=열,열  mask=열:hash,열:round:10  where='열=값 and 열>=값'  rows=  "
        "queries=  bytes=  days=  from=  until=  recipients=  "
        "recipient-groups=  recipient-claims=이름=값  purposes=  redistribution=no  "
        "derivation=no  royalty=%  delete-days=  modes=query,read  통계만: statistics-of=열  "
        "groups=열,열  entities=  dominance=%  remainder=%  잡음 통계: statistics-of=열  "
        "epsilon=0.5  epsilon-budget=5  epsilon-agreement=  bounds=열:0:1000  entity-rows=  "
        "entity-cells=  (one term, repeatable)",
    ),
]
ApprovalKind = Annotated[
    str | None,
    typer.Option(
        help="요청에 답하는 방식: automatic은 등록된 조건만 바로, negotiable은 다른 조건이면 "
        "inbox로, manual은 모두 inbox로 (who answers requests: a rule, or people)"
    ),
]
Prices = Annotated[
    list[str] | None,
    typer.Option(
        help="요금: free, once=원, month=원, query=원, row=원, mb=원, compute=원(질의의 연산 1초). "
        "무료 제공량 /free:1000, 구간 /over:10000:0.3 (대량 할인은 /volume도), 묶음 /block:100, "
        "달마다 세기 /monthly; 달의 한도 minimum=원 cap=원. 예: row=0.5/free:1000/monthly "
        "cap=100000 (price in won, repeatable)"
    ),
]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", help="열 형식을 고침: 열=text (type of a column, repeatable)"),
]
Units = Annotated[
    list[str] | None,
    typer.Option(help="열 단위를 고침: 열=kWh, 열= 은 없음 (unit of a column, repeatable)"),
]
Sensitivities = Annotated[
    list[str] | None,
    typer.Option(
        help="열 민감도: 열=public|partner|confidential|trade-secret. public 열만 표본에 나옵니다 "
        "(sensitivity of a column, repeatable)"
    ),
]
SampleRows = Annotated[
    int | None,
    typer.Option(
        help="표본 행 수. 질의로만 파는 데이터는 0, 아니면 3이 기본 (rows in sample)", min=0, max=20
    ),
]
AllowPersonal = Annotated[
    bool,
    typer.Option(
        "--allow-personal", help="개인정보로 보이는 열도 공개 (publish what looks personal)"
    ),
]
SkipBadRows = Annotated[
    bool, typer.Option("--skip-bad-rows", help="틀린 행은 빼고 공개 (leave bad rows out)")
]
Generated = Annotated[
    bool, typer.Option("--generated", help="생성한 데이터라고 표시 (label as generated)")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="검사만 하고 공개하지 않음 (check only)")]
