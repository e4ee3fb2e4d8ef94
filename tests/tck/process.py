"""The kit's connector in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from tests.support.processes import free_port, plain_environment, wait_for

STOP_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class UnderTest:
    """A connector under test; ``log`` is what its process prints."""

    url: str
    log: Path

    @property
    def dsp_url(self) -> str:
        """Where it speaks the protocol."""
        return f"{self.url}/dsp/2025-1"

    @property
    def did(self) -> str:
        """Its participant id."""
        with httpx.Client(trust_env=False, timeout=10) as http:
            return str(http.get(f"{self.url}/.well-known/did.json").json()["id"])


@contextmanager
def connector_under_test(
    folder: Path, *, peer_url: str, pause_seconds: float
) -> Iterator[UnderTest]:
    """Run the connector that talks to a counterparty at ``peer_url``."""
    port, log = free_port(), folder / "connector.log"
    command = [sys.executable, "-m", "tests.tck.connector"]
    given = {
        "--folder": str(folder / "connector"),
        "--port": str(port),
        "--peer-url": peer_url,
        "--pause-seconds": str(pause_seconds),
    }
    arguments = [*command, *(part for pair in given.items() for part in pair)]
    with log.open("wb") as out:
        process = subprocess.Popen(arguments, env=plain_environment(), stdout=out, stderr=out)
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool | None:
        assert process.poll() is None, log.read_text(encoding="utf-8")[-3000:]
        try:
            with httpx.Client(trust_env=False, timeout=2) as http:
                return http.get(f"{url}/healthz").is_success or None
        except httpx.HTTPError:
            return None

    try:
        wait_for(answers, what="the connector under test")
        yield UnderTest(url, log)
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
