"""Registering this service at the broker, in the background, until it works."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog

from databank.kit.http import ServiceClient
from schemas.participant import JoinRequest

RETRY_SECONDS_MAX: Final = 30.0
OPERATOR_HEADER: Final = "Databank-Operator"
log = structlog.get_logger()


class Registration:
    """A thread that registers us once and then ends."""

    def __init__(self, register: Callable[[], None], *, retry_seconds: float) -> None:
        self._register = register
        self._retry_seconds = retry_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="clearing-registration", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Give up if still trying, and wait for the thread."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        pause = self._retry_seconds
        while not self._stop.is_set():
            try:
                self._register()
            except Exception as error:  # noqa: BLE001 - whatever it is, we try again
                log.warning("registration_failed", error=str(error), retry_seconds=pause)
                self._stop.wait(pause)
                pause = min(pause * 2, RETRY_SECONDS_MAX)
            else:
                log.info("registered_at_broker")
                return


def registering(
    client: ServiceClient, broker_url: str, join: JoinRequest, secret: str
) -> Callable[[], None]:
    """Return a function that registers us as an operator's service."""
    url = f"{broker_url.rstrip('/')}/participants"

    def register() -> None:
        headers = {OPERATOR_HEADER: secret}
        client.call_json("POST", url, json=join.to_json(), headers=headers)

    return register
