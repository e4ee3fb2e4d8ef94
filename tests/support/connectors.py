"""Connectors for tests: real applications on real ports, with a registry that is a dict."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from connector.app import create_app
from connector.offering import store as offerings
from connector.offering.model import Published
from connector.runtime import Deciders, Runtime
from connector.settings import ConnectorSettings
from databank.kit.clock import Clock, new_urn, system_clock
from schemas.dataset import Column, ColumnType, Dataset, DatasetSchema, Domain, Industry
from schemas.ids import DatasetId, OfferId, ParticipantId
from schemas.participant import Jwk, Participant, Role, Status
from schemas.price import PricePlan
from schemas.terms import Terms
from schemas.wire import Text
from tests.support.migrated import with_tables
from tests.support.serve import serve

NOW = datetime(2026, 11, 24, 5, 0, tzinfo=UTC)


@dataclass
class MovedClock:
    """The time, moved forward by hand."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return system_clock() + self.ahead


@dataclass
class Registry:
    """Who is registered; tests change it at will."""

    participants: dict[ParticipantId, Participant] = field(default_factory=dict)

    def find(self, participant_id: ParticipantId) -> Participant | None:
        return self.participants.get(participant_id)

    def add(self, runtime: Runtime, handle: str) -> None:
        self.participants[runtime.did] = Participant(
            id=runtime.did,
            handle=handle,
            name=handle,
            brn="1208147521",
            connector_url=runtime.settings.url,
            jwk=Jwk.model_validate(runtime.identity.key.public.jwk),
            role=Role.COMPANY,
            status=Status.ACTIVE,
            registered_at=NOW,
        )

    def set_status(self, participant_id: ParticipantId, status: Status) -> None:
        found = self.participants[participant_id]
        self.participants[participant_id] = found.model_copy(update={"status": status})


@dataclass
class Running:
    """A connector that answers at ``url``."""

    url: str
    app: FastAPI
    http: httpx.Client

    @property
    def runtime(self) -> Runtime:
        runtime: Runtime = self.app.state.runtime
        return runtime

    def manage(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Call the management API as the company's own people."""
        token = self.app.state.context.admin_token
        headers = {"Authorization": f"Bearer {token}", **options.pop("headers", {})}
        return self.http.request(method, f"{self.url}/management{path}", headers=headers, **options)


@contextmanager
def connector(
    folder: Path,
    registry: Registry | None,
    handle: str,
    *,
    port: int = 0,
    http: httpx.Client | None = None,
    prepare: Callable[[FastAPI], None] | None = None,
    deciders: Deciders | None = None,
    clock: Clock = system_clock,
    **settings: Any,
) -> Iterator[Running]:
    """Run a connector whose data lie in ``folder``; ``port`` to have it again.

    It stands in ``registry``; without one it asks the broker of its settings and shows credentials.
    ``prepare`` sees the application before it is served.
    """
    calls = http
    apps: list[FastAPI] = []

    def make(port: int) -> FastAPI:
        kind = "dcp" if registry is None else "registry"
        values = {"registry_max_age_seconds": 0.0, "identity": kind, **settings}
        config = ConnectorSettings(
            data_dir=folder, port=port, public_url=f"http://localhost:{port}", **values
        )
        with_tables("connector", config.database())
        lookup = registry.find if registry else None
        app = create_app(config, clock=clock, lookup=lookup, http=calls, deciders=deciders)
        if registry is not None:
            registry.add(app.state.runtime, handle)
        if prepare is not None:
            prepare(app)
        apps.append(app)
        return app

    with ExitStack() as stack:
        url = stack.enter_context(serve(make, port=port))
        http = stack.enter_context(httpx.Client(timeout=30, trust_env=False))
        yield Running(url, apps[0], http)


def publish(
    runtime: Runtime,
    name: str,
    *,
    terms: Terms | None = None,
    plan: PricePlan | None = None,
    sha256: str = "0" * 64,
    dataset_id: DatasetId | None = None,
    offer_id: OfferId | None = None,
    rows_count: int = 0,
    file_bytes: int = 0,
) -> Published:
    """Store a listing with one column; its file is the caller's business."""
    column = Column(name="kwh", type=ColumnType.NUMBER, label=Text(ko="전력", en="power"))
    dataset = Dataset(
        id=dataset_id or DatasetId(new_urn()),
        name=name,
        title=Text(ko="전력 사용량", en="Electricity use"),
        description=Text(ko="시험", en="test"),
        domain=Domain.PROCESS,
        industry=Industry.STEEL_ALUMINIUM,
        schema_=DatasetSchema(columns=(column,)),
        rows_count=rows_count,
        file_bytes=file_bytes,
        data_sha256=sha256,
        issued_at=NOW,
        modified_at=NOW,
    )
    published = Published(
        dataset=dataset,
        offer_id=offer_id or OfferId(new_urn()),
        terms=terms or Terms(),
        plan=plan or PricePlan(),
        file_name=f"{sha256}.arrow",
    )
    with runtime.database.unit_of_work() as uow:
        offerings.put(uow, published)
    return published
