"""Connectors of a supplier and a buyer, and the operator's services, as processes of their own.

The supplier has published generated data for money; ``DataClient`` is the buyer's own program
at a data address of the supplier, signing as the buyer's connector does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa

from connector.settings import ConnectorSettings
from connector.transfer import store as transfers
from databank.client.publisher import publish, upload
from databank.client.suppliers import Suppliers
from databank.kit.clock import new_secret, new_urn, system_clock
from databank.kit.db import Database
from databank.kit.keys import load_or_make_key
from schemas.dataset import Domain, Industry, Listing
from schemas.ids import AgreementId, ParticipantId
from schemas.management import NegotiateRequest, PublishRequest
from schemas.signature import SigningKey
from schemas.terms import Mode, Terms
from schemas.token import issue
from schemas.wire import Text
from tests.support.bank import plan
from tests.support.processes import Town, wait_for

SENSORS: Final = ("kwh", "temp", "pressure", "vibration", "flow", "speed", "torque", "co2")
START: Final = datetime(2026, 1, 1, tzinfo=UTC)
DEPOSIT_WON: Final = 100_000_000
PLAN: Final = plan(per_query=1, per_megabyte=1)
TERMS: Final = Terms(
    modes=(Mode.QUERY, Mode.READ), valid_days=365, queries_max=10**9, rows_max=10**12
)


def machine_log(rows: int) -> pa.Table:
    """Return readings of 200 machines every ten seconds, the same at every call."""
    number = np.arange(rows)
    random = np.random.default_rng(7)
    at = np.datetime64(START.replace(tzinfo=None), "us") + number // 200 * np.timedelta64(10, "s")
    columns = {
        "ts": pa.array(at, pa.timestamp("us", "UTC")),
        "machine": pa.array(np.char.add("M-", (number % 200).astype(str))),
        "status": pa.array(
            np.array(["run", "idle", "alarm", "stop"])[random.integers(4, size=rows)]
        ),
        "lot": pa.array(np.char.add("L-", (number // 5000).astype(str))),
    }
    for name in SENSORS:
        columns[name] = pa.array(np.round(random.normal(50, 15, rows), 2))
    return pa.table(columns)


@dataclass(frozen=True)
class Address:
    """A data address as the buyer's connector holds it."""

    endpoint: str
    secret: str
    audience: ParticipantId


@dataclass
class DataClient:
    """A buyer's program on one connection that stays open."""

    address: Address
    did: ParticipantId
    key: SigningKey
    connection: HTTPConnection = field(init=False)

    def __post_init__(self) -> None:
        self.connection = connect(urlsplit(self.address.endpoint).port or 80)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def query(self, sql: str) -> pa.Table:
        """Run SQL at the supplier and return the result."""
        body = json.dumps({"query_id": new_urn(), "sql": sql})
        path = urlsplit(self.address.endpoint).path + "/query"
        headers = {**self.authorization(), "Content-Type": "application/json"}
        self.connection.request("POST", path, body, headers)
        response = self.connection.getresponse()
        content = response.read()
        assert response.status == 200, content
        return pa.ipc.open_stream(content).read_all()

    def open_file(self) -> HTTPResponse:
        """Ask for the whole file."""
        path = urlsplit(self.address.endpoint).path
        self.connection.request("GET", path, headers=self.authorization())
        return self.connection.getresponse()

    def authorization(self) -> dict[str, str]:
        """Return the header that identifies the buyer once."""
        token = issue(
            key=self.key,
            issuer=self.did,
            audience=self.address.audience,
            now=system_clock(),
            jti=new_secret(),
            access_token=self.address.secret,
        )
        return {"Authorization": f"Bearer {token}"}


def connect(port: int) -> HTTPConnection:
    """Open a connection to a server of this machine."""
    return HTTPConnection("127.0.0.1", port, timeout=60)


def read_into(response: HTTPResponse, buffer: bytearray) -> int:
    """Read a body into a buffer that is used again and again; return its length."""
    assert response.status == 200, response.read()
    view, length = memoryview(buffer), 0
    while piece := response.readinto(view[length:]):
        length += piece
    return length


@dataclass
class Market:
    """Running companies and what is on offer, by dataset name."""

    town: Town
    folder: Path
    listings: dict[str, Listing]

    def request(self, name: str) -> NegotiateRequest:
        """Return a request for a dataset on the terms on offer."""
        listing = self.listings[name]
        return NegotiateRequest(
            provider_id=listing.provider_id,
            dataset_id=listing.dataset.id,
            offer_id=listing.offer_id,
            policy=listing.policy,
            dataset_title=listing.dataset.title.ko,
        )

    def agree(self, name: str) -> AgreementId:
        """Negotiate anew and wait until data may be used, at clearing too."""
        suppliers = Suppliers(self.town.api("buyer"), make_id=new_urn)
        agreement_id = suppliers.agree(self.listings[name])
        api = self.town.api("buyer")
        path = f"/management/agreements/{agreement_id}/query"
        body = {"query_id": new_urn(), "sql": f"SELECT 1 FROM {name} LIMIT 1"}
        wait_for(lambda: api.send("POST", path, json=body).is_success or None, what="a grant")
        return agreement_id

    def client(self, agreement_id: AgreementId) -> DataClient:
        """Return the buyer's own program at the agreement's data address."""
        service = self.town["buyer"]
        settings = ConnectorSettings(
            data_dir=self.folder / "buyer", port=service.port, public_url=service.url
        )
        database = Database(settings.database())
        with database.unit_of_work() as uow:
            [process] = transfers.running(uow, agreement_id)
        database.close()
        assert process.data_address is not None
        [secret] = [
            str(each["value"])
            for each in process.data_address["endpointProperties"]
            if each["name"] == "authorization"
        ]
        address = Address(process.data_address["endpoint"], secret, process.counterparty_id)
        return DataClient(address, settings.did, load_or_make_key(settings))

    def file(self, name: str) -> Path:
        """Return where the supplier keeps a dataset's file."""
        sha256 = self.listings[name].dataset.data_sha256
        return self.folder / "supplier" / "data" / f"{sha256}.arrow"


@contextmanager
def open_market(folder: Path, rows: dict[str, int]) -> Iterator[Market]:
    """Start everything and publish one dataset for each name, of so many rows."""
    with Town(folder, ["supplier", "buyer"]) as town:
        for name, brn in (("supplier", "1208147521"), ("buyer", "2208162517")):
            body = {"handle": name, "name": name, "brn": brn}
            town.api(name).post("/management/join", body)
        operator = ("operator", "deposit", "buyer", str(DEPOSIT_WON), "--reference", "bank-1")
        deposited = town.cli("buyer", *operator)
        assert deposited.returncode == 0, deposited.stderr
        for name, count in rows.items():
            _publish(town, folder, name, count)
        session = town.session("buyer")
        refs = {f"supplier.{name}" for name in rows}
        wait_for(
            lambda: refs <= {str(each.ref) for each in session.search()} or None, what="search"
        )
        listings = {name: session.show(f"supplier.{name}").listing for name in rows}
        yield Market(town, folder, listings)


def _publish(town: Town, folder: Path, name: str, rows: int) -> None:
    file = folder / f"{name}.arrow"
    table = machine_log(rows)
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    report = upload(town.api("supplier"), file)
    file.unlink()
    publish(
        town.api("supplier"),
        PublishRequest(
            upload_id=report.upload_id,
            name=name,
            title=Text(ko="설비 기록", en="Machine log"),
            description=Text(ko="성능 측정용 생성 데이터", en="Generated for benchmarks"),
            domain=Domain.PROCESS,
            industry=Industry.STEEL_ALUMINIUM,
            terms=TERMS,
            plan=PLAN,
            is_generated=True,
        ),
    )
