"""A running broker, and companies that speak to it with keys of their own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import httpx
from fastapi import FastAPI

from broker.app import create_app
from broker.settings import BrokerSettings
from databank.kit.clock import new_secret, system_clock
from databank.kit.http import Identity, ServiceClient
from schemas.ids import ParticipantId, did_web, parse_brn
from schemas.signature import SigningKey, generate_key
from tests.support.migrated import with_tables
from tests.support.serve import serve

ADMIN: Final = {"Authorization": "Bearer the-operator"}
WAIT_SECONDS_MAX: Final = 10.0


@contextmanager
def running_broker(folder: Path, **settings: Any) -> Iterator[str]:
    """Run a broker with its data in ``folder``; yield its URL."""

    def make(port: int) -> FastAPI:
        defaults: dict[str, Any] = {"data_dir": folder, "admin_token": "the-operator"}
        config = BrokerSettings(port=port, **(defaults | settings))
        with_tables("broker", config.database())
        return create_app(config)

    with serve(make) as url:
        yield url


def brn_of(handle: str) -> str:
    """Return a business number of its own for each handle."""
    stem = f"{crc32(handle.encode()) % 10**9:09d}"
    return next(stem + digit for digit in "0123456789" if _is_brn(stem + digit))


def _is_brn(text: str) -> bool:
    try:
        return bool(parse_brn(text))
    except ValueError:
        return False


@dataclass(frozen=True)
class Company:
    """A participant with its key; ``broker`` is the broker's URL."""

    broker: str
    handle: str
    url: str
    key: SigningKey = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", generate_key(self.id))

    @property
    def id(self) -> ParticipantId:
        return did_web(self.url)

    def client(self, http: httpx.Client) -> ServiceClient:
        identity = Identity(self.id, self.key)
        return ServiceClient(identity, clock=system_clock, make_jti=new_secret, http=http)

    def authorization(self, audience: str) -> dict[str, str]:
        with httpx.Client() as http:
            return self.client(http).authorization(audience)

    def request(self, **changes: Any) -> dict[str, Any]:
        jwk = self.key.public.jwk
        return {
            "handle": self.handle,
            "name": f"주식회사 {self.handle}",
            "brn": brn_of(self.handle),
            "connector_url": self.url,
            "jwk": jwk,
        } | changes

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        with httpx.Client(trust_env=False, timeout=10) as http:
            return self.client(http).call(method, self.broker + path, **options)

    def join(self, **changes: Any) -> httpx.Response:
        return self.call("POST", "/participants", json=self.request(**changes))

    def join_as_operator(self, **headers: str) -> httpx.Response:
        body = self.request(role="operator")
        return self.call("POST", "/participants", json=body, headers=headers)

    def join_as_seen_by(self, audience: str) -> httpx.Response:
        """Join a broker that is known under another name than the URL it is called at."""
        return self.call("POST", "/participants", json=self.request(), audience=audience)


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds, within a bound."""
    ends_at = time.monotonic() + WAIT_SECONDS_MAX
    while not is_so():
        assert time.monotonic() < ends_at, f"waited in vain: {what}"
        time.sleep(0.02)
