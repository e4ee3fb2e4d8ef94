"""Every route, drawn from its own description: no error of ours, and no refusal changes a thing.

``DATABANK_LONG_TESTS=1`` draws hundreds for each; else a bounded part. Most are sent by
somebody who may call the route: a company that is registered, the operator, or a person who is
signed in at the desk.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from sqlalchemy import Engine

from broker.app import create_app as create_broker
from broker.registry import store as participants
from broker.settings import BrokerSettings
from catalog.app import create_app as create_catalog
from catalog.settings import CatalogSettings
from clearing.app import create_app as create_clearing
from clearing.settings import ClearingSettings
from connector.app import create_app as create_connector
from connector.desk.frame import cookie_name
from connector.desk.session import Sessions
from connector.settings import ConnectorSettings, IdentityCheck
from databank.kit.app import Context
from databank.kit.clock import new_secret, system_clock
from schemas.ids import ParticipantId
from schemas.participant import Participant
from schemas.token import issue
from schemas.usage import MEDIA_TYPE
from tests.support.bank import Company, company
from tests.support.desk import DESK, FORM_TYPE
from tests.support.hostile import Attack, as_content, send, tally
from tests.support.serve import serve
from tests.support.shared import ROOT

ADMIN: Final = "admin-token-of-the-tests"
NOBODY: Final = "http://localhost:9"
LONG: Final = bool(os.environ.get("DATABANK_LONG_TESTS"))
EXAMPLES: Final = 100 if LONG else 20
ROUNDS: Final = 5 if LONG else 1  # one long round spends its time on looking for what is new
SLOW_EXAMPLES: Final = 8 if LONG else 5  # each of these starts a process
KNOWN: Final = (True,) * 9 + (False,)
DOOR: Final = {401, 403}  # of whoever is not known
SLOW: Final = {"POST /management/uploads"}
SERVICES: Final = ("broker", "catalog", "clearing", "connector")
NO_HEADER: Final = {"content-length", "transfer-encoding", "host", "connection", "authorization"}


schemathesis.serializer.alias(MEDIA_TYPE, "application/octet-stream")


@dataclass
class Running:
    """A service without any other service, and a company that it knows."""

    url: str
    app: FastAPI
    caller: Company

    @property
    def context(self) -> Context:
        context: Context = self.app.state.context
        return context

    @property
    def engine(self) -> Engine:
        return self.context.database.engine

    def headers(self, path: str, *, is_known: bool, is_admin: bool = False) -> dict[str, str]:
        if not is_known:
            return {"Authorization": "Bearer nobody"}
        if path.startswith(DESK):
            return {"Cookie": f"{cookie_name(self.context.did)}={self._session()}"}
        if is_admin:
            return {"Authorization": f"Bearer {ADMIN}"}
        token = issue(
            key=self.caller.key,
            issuer=self.caller.id,
            audience=self.context.did,
            now=system_clock(),
            jti=new_secret(),
        )
        return {"Authorization": f"Bearer {token}"}

    def opens_to_admin(self, method: str, path: str) -> bool:
        """Whether a route takes the token of the operator, or of the company's own people."""
        headers = {"Authorization": f"Bearer {ADMIN}"}
        answer = httpx.request(method, f"{self.url}{path}", headers=headers, timeout=30)
        return answer.status_code not in DOOR

    def _session(self) -> str:
        sessions: Sessions = self.app.state.desk_sessions
        return sessions.open()  # the last request may have signed out

    def in_form(self, headers: dict[str, Any], content: bytes) -> bytes:
        """Return a form of the desk with the secret that each of its pages carries."""
        if "Cookie" not in headers:
            return content
        sessions: Sessions = self.app.state.desk_sessions
        session = sessions.find(headers["Cookie"].partition("=")[2])
        assert session is not None
        return content + f"&csrf_token={quote(session.csrf_token)}".encode()


def _app(service: str, folder: Path, port: int, caller: Company) -> FastAPI:
    def lookup(participant_id: ParticipantId) -> Participant | None:
        return caller.participant if participant_id == caller.id else None

    common: dict[str, Any] = {"port": port, "data_dir": folder, "admin_token": ADMIN}
    elsewhere = {**common, "broker_url": NOBODY, "http_timeout_seconds": 2}
    match service:
        case "broker":
            return create_broker(BrokerSettings(**common))
        case "catalog":
            return create_catalog(CatalogSettings(**elsewhere))
        case "clearing":
            quiet = ClearingSettings(**elsewhere, checkpoint_seconds=3600)  # only requests write
            return create_clearing(quiet, lookup=lookup)
        case _:
            urls: dict[str, Any] = {"catalog_url": NOBODY, "clearing_url": NOBODY}
            settings = ConnectorSettings(**elsewhere, **urls, identity=IdentityCheck.REGISTRY)
            return create_connector(settings, lookup=lookup)


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Running]]:
    """Start a service when it is first asked for."""
    caller = company("stranger", "낯선 회사")

    @cache
    def started(service: str) -> Running:
        apps: list[FastAPI] = []

        def make(port: int) -> FastAPI:
            apps.append(_app(service, tmp_path_factory.mktemp(service), port, caller))
            return apps[0]

        url = stack.enter_context(serve(make))
        running = Running(url, apps[0], caller)
        if service == "broker":  # the others ask a registry of the test
            apps[0].state.parts.crawler.stop()  # only requests write
            with running.context.database.unit_of_work() as uow:
                participants.add(uow, caller.participant)
        if service == "connector":  # its stream begins when it is first looked at
            headers = running.headers("/management", is_known=True, is_admin=True)
            httpx.get(f"{url}/management/meter", headers=headers).raise_for_status()
        return running

    with ExitStack() as stack:
        yield started


def operations() -> list[Any]:
    found = []
    for service in SERVICES:
        path = ROOT / "docs" / "openapi" / f"{service}.json"
        schema = schemathesis.openapi.from_dict(json.loads(path.read_text(encoding="utf-8")))
        for result in schema.get_all_operations():
            assert isinstance(result, Ok), result
            operation = result.ok()
            label = f"{service} {operation.label}"
            found.append(pytest.param(service, operation, id=label))
    return found


def as_attack(case: Case[Any], target: Running, *, is_known: bool, is_admin: bool) -> Attack:
    sent = case.as_transport_kwargs(base_url=target.url)
    url = httpx.URL(sent["url"]).copy_merge_params(sent.get("params") or {})
    drawn = {k: v for k, v in (sent.get("headers") or {}).items() if k.lower() not in NO_HEADER}
    content = (
        sent["data"] if "data" in sent else as_content(sent["json"]) if "json" in sent else b""
    )
    headers = {**drawn, **target.headers(case.path, is_known=is_known, is_admin=is_admin)}
    raw = content if isinstance(content, bytes) else str(content).encode()
    if sent["method"] == "POST" and case.path.startswith(DESK):
        headers["Content-Type"] = FORM_TYPE
        raw = target.in_form(headers, raw)
    return Attack(sent["method"], str(url), headers, raw)


@pytest.mark.parametrize(("service", "operation"), operations())
def test_whatever_is_sent_is_answered_and_a_refusal_changes_nothing(
    start: Callable[[str], Running], service: str, operation: Any
) -> None:
    target = start(service)
    is_admin = target.opens_to_admin(operation.method.upper(), operation.path)
    modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
    cases = st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in modes))
    examples = SLOW_EXAMPLES if operation.label in SLOW else EXAMPLES
    every_health_check = list(HealthCheck)

    with httpx.Client(timeout=30, trust_env=False) as http:

        @settings(max_examples=examples, suppress_health_check=every_health_check, database=None)
        @given(case=cases, is_known=st.sampled_from(KNOWN))
        def attack(case: Case[Any], is_known: bool) -> None:  # noqa: FBT001 - hypothesis names them
            drawn = as_attack(case, target, is_known=is_known, is_admin=is_admin)
            answer = send(http, drawn, target)
            if answer is not None:
                answers[answer.status_code] += 1

        with tally(f"request {service} {operation.label}") as answers:
            for _ in range(ROUNDS):
                attack()
    assert set(answers) - DOOR, "no request came past the door"
