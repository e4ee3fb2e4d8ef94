"""A supplier with a real file, a buyer with an agreement on it, and a real clearing service."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pyarrow as pa
from fastapi import FastAPI

from clearing.app import create_app
from clearing.settings import ClearingSettings
from connector.offering.model import Published
from connector.publish.arrow_file import sha256_of, write_partial
from databank.kit.clock import new_urn
from schemas.participant import Jwk, Participant, Role, Status
from schemas.price import PricePlan
from schemas.terms import Mode, Terms
from tests.support.connectors import NOW, Registry, Running, publish
from tests.support.migrated import with_tables
from tests.support.serve import serve

ADMIN: Final = "operator-of-the-tests"
ROWS: Final = 200_000
WAIT_SECONDS_MAX: Final = 15.0
BOTH: Final = (Mode.QUERY, Mode.READ)


@contextmanager
def clearing_service(folder: Path, registry: Registry) -> Iterator[str]:
    """Run a registered clearing service; yield its URL."""

    def make(port: int) -> FastAPI:
        settings = ClearingSettings(
            port=port, data_dir=folder, admin_token=ADMIN, registry_max_age_seconds=0
        )
        with_tables("clearing", settings.database())
        app = create_app(settings, lookup=registry.find)
        context = app.state.context
        registry.participants[context.did] = Participant(
            id=context.did,
            handle="clearing",
            name="clearing",
            brn="1208147521",
            connector_url=settings.url,
            jwk=Jwk.model_validate(context.key.jwk),
            role=Role.OPERATOR,
            status=Status.ACTIVE,
            registered_at=NOW,
        )
        return app

    with serve(make) as url:
        yield url


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds, within a bound."""
    ends_at = time.monotonic() + WAIT_SECONDS_MAX
    while not is_so():
        assert time.monotonic() < ends_at, f"waited in vain: {what}"
        time.sleep(0.05)


def put_file(
    supplier: Running, *, terms: Terms | None = None, plan: PricePlan | None = None
) -> Published:
    """Publish 200,000 rows in four record batches."""
    table = pa.table({"kwh": pa.array([float(n % 97) for n in range(ROWS)], pa.float64())})
    folder = supplier.runtime.data_folder
    partial = folder / "made.partial"
    write_partial(table, partial)
    sha256 = sha256_of(partial)
    path = partial.rename(folder / f"{sha256}.arrow")
    return publish(
        supplier.runtime,
        f"power_{new_urn()[-8:]}",
        terms=terms or Terms(modes=BOTH),
        plan=plan,
        sha256=sha256,
        rows_count=ROWS,
        file_bytes=path.stat().st_size,
    )


@dataclass(frozen=True)
class Contract:
    """A buyer's agreement with a supplier."""

    buyer: Running
    supplier: Running
    published: Published
    agreement_id: str

    def query(self, sql: str, query_id: str | None = None) -> httpx.Response:
        body = {"query_id": query_id or new_urn(), "sql": sql.replace("$data", self.name)}
        return self.buyer.manage("POST", f"/agreements/{self.agreement_id}/query", json=body)

    def quote(self, sql: str | None = None) -> httpx.Response:
        body = {} if sql is None else {"sql": sql.replace("$data", self.name)}
        return self.buyer.manage("POST", f"/agreements/{self.agreement_id}/quote", json=body)

    def read(self, **headers: str) -> httpx.Response:
        path = f"/agreements/{self.agreement_id}/data"
        return self.buyer.manage("GET", path, headers=headers)

    def decisions(self, who: Running) -> list[dict[str, Any]]:
        answer = who.manage("GET", f"/agreements/{self.agreement_id}/decisions")
        decisions: list[dict[str, Any]] = answer.json()["decisions"]
        return decisions

    @property
    def name(self) -> str:
        return self.published.dataset.name

    @property
    def recorded(self) -> int:
        return int(self.supplier.manage("GET", "/meter").json()["recorded"])


def contract(buyer: Running, supplier: Running, published: Published) -> Contract:
    """Negotiate until the agreement stands on both sides."""
    request = {
        "provider_id": supplier.runtime.did,
        "dataset_id": published.dataset.id,
        "offer_id": published.offer_id,
        "policy": published.offer(),
        "dataset_title": published.dataset.title.ko,
        "dataset": published.dataset.to_json(),
    }
    pid = buyer.manage("POST", "/negotiations", json=request).json()["pid"]
    path = f"/negotiations/{pid}?wait_seconds=20"
    negotiation = buyer.manage("GET", path).json()
    assert negotiation["state"] == "FINALIZED", negotiation
    return Contract(buyer, supplier, published, negotiation["agreement_id"])
