"""Several services in one process, each on a port and in a thread of its own.

Services are built by the same ``create_app`` as when they run alone and speak HTTP to each
other over the loopback interface. They start broker first and stop in the reverse order.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Self

import uvicorn

from databank.kit.keys import ADMIN_TOKEN_FILE, load_or_make_admin_token
from databank.kit.settings import ServiceSettings

KEEP_ALIVE_SECONDS: Final = 75  # longer than any client keeps one, or calls meet closed ones
GRACEFUL_SECONDS: Final = 3
START_SECONDS_MAX: Final = 30.0
STOP_SECONDS_MAX: Final = 10.0
POLL_SECONDS: Final = 0.01
BACKLOG: Final = 512
CONNECTORS_MAX: Final = 20
FIRST_PORTS: Final = {"broker": 8100, "catalog": 8200, "clearing": 8300, "connector": 8401}
SETTINGS: Final = {
    "broker": "BrokerSettings",
    "catalog": "CatalogSettings",
    "clearing": "ClearingSettings",
    "connector": "ConnectorSettings",
}


class StartError(Exception):
    """A service did not start; the text says which and why."""


def load_settings(service: str, overrides: Mapping[str, Any]) -> ServiceSettings:
    """Return a service's settings: overrides, then environment, then defaults.

    Raises:
        pydantic.ValidationError: A value is wrong, or unsafe in production.
    """
    settings_class: type[ServiceSettings] = getattr(
        import_module(f"{service}.settings"), SETTINGS[service]
    )
    return settings_class(**overrides)


def build_app(service: str, settings: ServiceSettings) -> Any:  # noqa: ANN401 - an ASGI application
    """Return a service's application."""
    return import_module(f"{service}.app").create_app(settings)


def server_config(app: Any, settings: ServiceSettings) -> uvicorn.Config:  # noqa: ANN401
    """Return how every service is served."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http="h11",
        loop="auto",  # uvloop where there is one
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )


def listen(host: str, port: int, *, option: str = "--port") -> socket.socket:
    """Return a listening socket; port 0 takes a free one. ``option`` is how to name another.

    Raises:
        StartError: The port is taken.
    """
    # asyncio sets TCP_NODELAY only on a socket that names its protocol; without it, every answer
    # on an open connection waits 40 ms for the other side's delayed acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise StartError(
            f"{host}:{port} 포트를 쓸 수 없습니다. {option} 번호로 다른 포트를 고르세요 "
            f"(port not available, choose another with {option}): {error}"
        ) from None
    listener.listen(BACKLOG)
    return listener


@dataclass(frozen=True, slots=True)
class Member:
    """A running service."""

    name: str
    url: str
    admin_token: str
    data_dir: Path

    @property
    def token_path(self) -> Path:
        """Where the admin token lies."""
        return self.data_dir / ADMIN_TOKEN_FILE


class _ServiceThread:
    def __init__(self, name: str, config: uvicorn.Config, listener: socket.socket) -> None:
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name=name, daemon=True
        )

    def start(self) -> None:
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self._server.started:
            if not self._thread.is_alive() or time.monotonic() > deadline:
                raise StartError(f"{self._thread.name} 서비스가 뜨지 않습니다 (did not start)")
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(STOP_SECONDS_MAX)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()


class Bank:
    """Broker, catalog, clearing and some connectors, in this process.

    Args:
        folder: Each service gets a folder in it.
        connectors: Names of the connectors' folders.
        first_port: The broker's; the others take those that follow. 0 takes free ones, None
            the usual ones.
        overrides: Further settings, by kind of service.
    """

    def __init__(
        self,
        folder: Path,
        connectors: list[str],
        *,
        first_port: int | None,
        overrides: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self._folder = folder
        self._names = {name: name for name in ("broker", "catalog", "clearing")}
        self._names |= dict.fromkeys(connectors, "connector")
        self._first_port = first_port
        self._overrides = overrides or {}
        self._threads: list[_ServiceThread] = []
        self.members: dict[str, Member] = {}

    def __enter__(self) -> Self:
        """Start all; if one does not start, stop the others.

        Raises:
            StartError: One does not start.
        """
        listeners: dict[str, socket.socket] = {}
        try:
            for name, port in self._ports().items():
                listeners[name] = listen("127.0.0.1", port, option="--first-port")
        except StartError:
            for listener in listeners.values():
                listener.close()
            raise
        urls = {
            name: f"http://localhost:{listener.getsockname()[1]}"
            for name, listener in listeners.items()
        }
        try:
            for name, listener in listeners.items():
                self._start(name, listener, urls)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop all."""
        self.stop()

    def stop(self) -> None:
        """Stop all, the last started first."""
        while self._threads:
            self._threads.pop().stop()

    def is_running(self) -> bool:
        """Whether every service still runs."""
        return bool(self._threads) and all(thread.is_alive for thread in self._threads)

    def _ports(self) -> dict[str, int]:
        if self._first_port == 0:
            return dict.fromkeys(self._names, 0)
        if self._first_port is not None:
            return {name: self._first_port + n for n, name in enumerate(self._names)}
        ports, next_port = {}, dict(FIRST_PORTS)
        for name, service in self._names.items():
            ports[name] = next_port[service]
            next_port[service] += 1
        return ports

    def _start(self, name: str, listener: socket.socket, urls: Mapping[str, str]) -> None:
        service = self._names[name]
        overrides: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": listener.getsockname()[1],
            "public_url": urls[name],
            "data_dir": self._folder / name,
            "broker_url": urls["broker"],
        }
        if service == "clearing":
            overrides["witnesses"] = tuple(
                url for other, url in urls.items() if self._names[other] == "connector"
            )
        if service == "connector":
            overrides |= {"catalog_url": urls["catalog"], "clearing_url": urls["clearing"]}
        settings = load_settings(service, {**overrides, **self._overrides.get(service, {})})
        thread = _ServiceThread(
            name, server_config(build_app(service, settings), settings), listener
        )
        self._threads.append(thread)
        thread.start()
        token = load_or_make_admin_token(settings)
        self.members[name] = Member(name, urls[name], token, settings.data_dir)
