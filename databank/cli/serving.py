"""Commands that start services, and one that asks whether one runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from databank.cli.failures import UNAVAILABLE
from databank.cli.surface import surface_of

if TYPE_CHECKING:
    from databank.up import Bank

FirstPort = Annotated[
    int | None,
    typer.Option(
        help="첫 포트, 나머지는 그다음; 0: 빈 포트 (first port, others follow; 0: free ones)",
        min=0,
        max=65_000,
    ),
]
Host = Annotated[str | None, typer.Option(help="듣는 주소 (address to listen on)")]
Port = Annotated[int | None, typer.Option(help="포트 (port)", min=1, max=65_535)]
DataDir = Annotated[Path | None, typer.Option(help="데이터 폴더 (data folder)")]
PublicUrl = Annotated[str | None, typer.Option(help="밖에서 보는 주소 (URL for others)")]
CHECK_SECONDS = 0.5


def register(app: typer.Typer, say: Callable[[str, str], str]) -> None:
    """Add the commands."""
    words = {
        "connector": say(
            "기업 쪽 커넥터를 시작합니다", "Start a connector, a company's side of the bank"
        ),
        "broker": say(
            "브로커(참여자 등록, 수집)를 시작합니다", "Start the broker: registry and crawler"
        ),
        "catalog": say("카탈로그(검색, 포털)를 시작합니다", "Start the catalog: search and portal"),
        "clearing": say(
            "청산소(계량, 원장, 명세서)를 시작합니다", "Start clearing: metering, ledger"
        ),
    }
    for service, help_ in words.items():
        app.command(service, help=help_)(_command(service))
    app.command("up", help=say("모두 한 프로세스로 시작합니다", "Start everything in one process"))(
        up
    )
    app.command("health", help=say("서비스가 응답하는지 봅니다", "Ask whether a service answers"))(
        health
    )


def _command(service: str) -> Callable[..., None]:
    def serve(
        host: Host = None,
        port: Port = None,
        data_dir: DataDir = None,
        public_url: PublicUrl = None,
    ) -> None:
        given = {"host": host, "port": port, "data_dir": data_dir, "public_url": public_url}
        _serve(service, {key: value for key, value in given.items() if value is not None})

    return serve


def _serve(service: str, overrides: dict[str, Any]) -> None:
    import structlog
    import uvicorn

    from databank.kit.logs import configure_logs
    from databank.up import build_app, listen, load_settings, server_config

    settings = load_settings(service, overrides)
    configure_logs(settings.log_format)
    listener = listen(settings.host, settings.port)
    app = build_app(service, settings)
    log = structlog.get_logger()
    log.info(
        "service_starting",
        service=service,
        url=settings.url,
        participant_id=settings.did,
        listens_on=f"{settings.host}:{settings.port}",
        data_dir=str(settings.data_dir),
        env=settings.env.value,
    )
    uvicorn.Server(server_config(app, settings)).run(sockets=[listener])


def up(
    context: typer.Context,
    data_dir: Annotated[Path, typer.Option(help="데이터 폴더 (data folder)")] = Path("var"),
    connectors: Annotated[
        int, typer.Option(help="커넥터 수 (number of connectors)", min=1, max=20)
    ] = 2,
    first_port: FirstPort = None,
) -> None:
    """Start all services and run until Ctrl-C."""
    from databank.kit.logs import configure_logs
    from databank.up import Bank

    surface = surface_of(context)
    configure_logs("auto", level="WARNING")
    names = [f"connector-{number}" for number in range(1, connectors + 1)]
    with Bank(data_dir, names, first_port=first_port) as bank:
        members = list(bank.members.values())
        surface.table(
            [{"name": m.name, "url": m.url, "token_file": str(m.token_path)} for m in members],
            (
                surface.say("서비스", "service"),
                surface.say("주소", "URL"),
                surface.say("관리 토큰", "admin token"),
            ),
            [(m.name, m.url, str(m.token_path)) for m in members],
        )
        surface.note(
            surface.say(
                f"포털 {bank.members['catalog'].url} · 끝내려면 Ctrl-C",
                f"Portal {bank.members['catalog'].url} · Ctrl-C stops everything",
            )
        )
        wait_for_interrupt(bank)
    surface.note(surface.say("모두 멈췄습니다", "Everything has stopped"))


def wait_for_interrupt(bank: Bank) -> None:
    """Wait for Ctrl-C or SIGTERM, or until a service ends by itself."""
    import signal

    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    try:
        while not stopping.wait(CHECK_SECONDS):
            if not bank.is_running():
                raise RuntimeError("서비스 하나가 멈췄습니다 (a service has ended)")
    except KeyboardInterrupt:
        return


def health(context: typer.Context, url: str) -> None:
    """Print whether a service answers; exit 5 if not."""
    from databank.kit.healthcheck import is_healthy

    surface = surface_of(context)
    base = url.rstrip("/")
    is_ready = is_healthy(f"{base}/readyz")
    said = surface.say("정상", "healthy") if is_ready else surface.say("응답 없음", "no answer")
    surface.result({"url": base, "is_healthy": is_ready}, f"{base}: {said}")
    if not is_ready:
        raise typer.Exit(UNAVAILABLE)
