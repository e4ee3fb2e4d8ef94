"""The command that plays the whole story."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from databank.cli.serving import FirstPort
from databank.cli.surface import surface_of


def register(app: typer.Typer, say: Callable[[str, str], str]) -> None:
    """Add the command."""
    app.command("demo", help=say("처음부터 끝까지 보여 줍니다", "Play the whole story"))(demo)


def demo(  # noqa: PLR0917 - options, all by name
    context: typer.Context,
    data: Annotated[
        Path | None,
        typer.Option(
            help="실제 데이터 폴더; 없으면 생성 (real data)", exists=True, file_okay=False
        ),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="끝난 뒤 포털을 켜 둡니다 (leave the portal running)")
    ] = False,
    first_port: FirstPort = None,
    files: Annotated[
        Path | None,
        typer.Option(help="명세서, 통장, 송금 파일을 쓸 폴더 (keep documents)", file_okay=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="생성 데이터의 씨앗 (seed)", min=0)] = 1,
) -> None:
    """Four companies join, publish, find, agree, use, and pay."""
    from databank.demo.walk import play

    surface = surface_of(context)
    code = play(surface, data=data, seed=seed, is_kept=keep, first_port=first_port, files=files)
    raise typer.Exit(code)
