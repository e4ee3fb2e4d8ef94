"""Services as real processes on real ports, started by the ``databank`` command."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from databank.cli.program import run
from databank.client.api import Api
from databank.client.profile import Profile
from databank.client.session import Session
from databank.kit.clock import new_secret
from tests.support.shared import ROOT

READY_SECONDS = 60.0
STOP_SECONDS = 10.0
CALL_SECONDS = 300.0  # publishing millions of rows on a busy machine
POLL_SECONDS = 0.05
COMMAND = [sys.executable, "-m", "databank"]
_Value = TypeVar("_Value")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(
    look: Callable[[], _Value | None], *, what: str, poll_seconds: float = POLL_SECONDS
) -> _Value:
    """Look until there is something to see, at most ``READY_SECONDS``."""
    deadline = time.monotonic() + READY_SECONDS
    while (seen := look()) is None:
        assert time.monotonic() < deadline, f"{what} did not come in {READY_SECONDS} s"
        time.sleep(poll_seconds)
    return seen


def plain_environment(**added: str) -> dict[str, str]:
    """Return the environment without any setting of ours, and with ``added``."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DATABANK_", "XDG_"))}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)  # seven processes start faster from bytecode
    return {**kept, "PYTHONPATH": str(ROOT), "LANG": "ko_KR.UTF-8", "LC_ALL": "", **added}


def run_command(
    *arguments: str, environment: Mapping[str, str] | None = None, timeout_seconds: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Run one ``databank`` command to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=dict(environment or plain_environment()),
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        stdin=subprocess.DEVNULL,
        check=False,
    )


@dataclass
class Service:
    """One process; may be killed and started again with the same data and address."""

    kind: str
    name: str
    folder: Path
    settings: Mapping[str, str]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def token(self) -> str:
        return (self.folder / "secrets" / f"{self.name}-token").read_text()

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    def start(self) -> None:
        """Start as a container does: settings from the environment, secrets from files."""
        secrets = self.folder / "secrets"
        secrets.mkdir(exist_ok=True)
        token_file = secrets / f"{self.name}-token"
        if not token_file.exists():
            token_file.write_text(new_secret())
        prefix = f"DATABANK_{self.kind.upper()}_"
        given = {
            "HOST": "127.0.0.1",
            "PORT": str(self.port),
            "PUBLIC_URL": self.url,
            "DATA_DIR": str(self.folder / self.name),
            "ADMIN_TOKEN_FILE": str(token_file),
            "LOG_FORMAT": "json",
            **self.settings,
        }
        environment = plain_environment(**{prefix + key: value for key, value in given.items()})
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*COMMAND, self.kind], env=environment, stdout=log, stderr=log
            )

    def wait_until_ready(self) -> None:
        """Wait until the service answers on /healthz."""

        def answers() -> bool | None:
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()[-3000:]
            try:
                with httpx.Client(trust_env=False, timeout=2) as http:
                    return http.get(f"{self.url}/healthz").is_success or None
            except httpx.HTTPError:
                return None

        wait_for(answers, what=self.name)

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def restart(self) -> None:
        """Start it again on what the disk holds."""
        self.start()
        self.wait_until_ready()

    def stop(self) -> int:
        """End it politely and return its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


class Town:
    """Broker, catalog, clearing and connectors as processes of their own."""

    def __init__(self, folder: Path, connectors: list[str]) -> None:
        secret = folder / "operator-secret"
        secret.write_text(new_secret())
        operator = {"OPERATOR_SECRET_FILE": str(secret)}
        broker = Service("broker", "broker", folder, operator)
        others = {**operator, "BROKER_URL": broker.url}
        catalog = Service("catalog", "catalog", folder, {**others, "FEED_SECONDS": "0.2"})
        clearing = Service("clearing", "clearing", folder, others)
        urls = {
            "BROKER_URL": broker.url,
            "CATALOG_URL": catalog.url,
            "CLEARING_URL": clearing.url,
        }
        made = [Service("connector", name, folder, urls) for name in connectors]
        self.services = {s.name: s for s in (broker, catalog, clearing, *made)}
        self.http = httpx.Client(trust_env=False, timeout=CALL_SECONDS)

    def __enter__(self) -> Self:
        try:
            self.services["broker"].start()
            self.services["broker"].wait_until_ready()
            for service in list(self.services.values())[1:]:
                service.start()
            for service in self.services.values():
                service.wait_until_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop all that still run, the last started first."""
        self.http.close()
        for service in reversed(self.services.values()):
            if service.process is not None:
                service.stop()

    def __getitem__(self, name: str) -> Service:
        return self.services[name]

    def api(self, name: str) -> Api:
        """Return a service's admin API."""
        return Api(self[name].url, self[name].token, self.http)

    def session(self, name: str) -> Session:
        """Return the SDK's session with a connector."""
        return Session(Profile(self[name].url, self[name].token), http=self.http)

    def cli(self, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command as the people of one company would, but in this process: it loads once."""
        environment = plain_environment(
            DATABANK_URL=self[name].url,
            DATABANK_TOKEN=self[name].token,
            DATABANK_BROKER_URL=self["broker"].url,
            DATABANK_BROKER_TOKEN=self["broker"].token,
            DATABANK_CLEARING_URL=self["clearing"].url,
            DATABANK_CLEARING_TOKEN=self["clearing"].token,
        )
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = run(arguments, environment)
        return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())

    def trial_balance(self) -> dict[str, Any]:
        """Return the sums of the books."""
        return self.api("clearing").get("/trial-balance")
