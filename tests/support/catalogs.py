"""Connectors with many listings, and readers of their catalogs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import httpx

from connector.offering import store as offerings
from connector.offering.model import Published
from connector.runtime import Runtime
from databank.kit.clock import new_urn
from schemas.dataset import Column, ColumnType, Dataset, DatasetSchema, Domain, Industry
from schemas.ids import DatasetId, OfferId
from schemas.price import PricePlan
from schemas.terms import Terms
from schemas.wire import Text
from tests.support.connectors import NOW, Running
from tests.support.contracts import DSP, message

COLUMNS: Final = 20
TERMS: Final = 40  # different ones; a company offers most of its data on the same few


def publish_many(runtime: Runtime, count: int, *, terms: int = TERMS) -> None:
    """Store listings with columns, terms and prices, without their files."""
    columns = tuple(
        Column(name=f"c{n}", type=ColumnType.NUMBER, label=Text(ko=f"측정 {n}", en=f"value {n}"))
        for n in range(COLUMNS)
    )
    with runtime.database.unit_of_work() as uow:
        for number in range(count):
            dataset = Dataset(
                id=DatasetId(new_urn()),
                name=f"log_{number}",
                title=Text(ko=f"설비 기록 {number}", en=f"Machine log {number}"),
                description=Text(ko="시험 자료", en="for tests"),
                domain=Domain.PROCESS,
                industry=Industry.STEEL_ALUMINIUM,
                schema_=DatasetSchema(columns=columns),
                rows_count=number,
                file_bytes=1,
                data_sha256=f"{number:064x}",
                issued_at=NOW,
                modified_at=NOW,
            )
            offerings.put(
                uow,
                Published(
                    dataset=dataset,
                    offer_id=OfferId(new_urn()),
                    terms=Terms(valid_days=1 + number % terms),
                    plan=PricePlan(),
                    file_name=f"{number:064x}.arrow",
                ),
            )


@dataclass
class Reader:
    """A member that reads another's catalog on one connection."""

    own: Running
    of: Running
    http: httpx.Client

    def ask(self, url: str | None = None) -> httpx.Response:
        """Ask for the first page, or for the one at ``url``."""
        headers = self.own.runtime.client.authorization(self.of.runtime.did)
        url = url or f"{self.of.url}{DSP}/catalog/request"
        answer = self.http.post(url, json=message("CatalogRequestMessage"), headers=headers)
        assert answer.status_code == 200, answer.text
        return answer

    def pages(self) -> Iterator[dict[str, Any]]:
        """Return all pages, one after the other."""
        following: dict[str, str] | None = {}
        while following is not None:
            answer = self.ask(following.get("url"))
            following = answer.links.get("next")
            yield answer.json()
