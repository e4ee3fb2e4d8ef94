"""Publish, crawl, feed, search: a supplier's dataset becomes searchable within seconds."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Final

import httpx
from fastapi import FastAPI

from catalog.app import create_app
from catalog.settings import CatalogSettings
from schemas.dataset import Listing
from schemas.search import SearchAnswer
from tests.support.listings import make_dataset
from tests.support.registry import ADMIN, Company, running_broker, wait_until
from tests.support.serve import serve
from tests.support.supplier import running_supplier

SEARCHABLE_SECONDS_MAX: Final = 3.0


def search(catalog: str, **params: Any) -> SearchAnswer:
    answer = httpx.get(f"{catalog}/search", params=params)
    assert answer.status_code == 200, answer.text
    return SearchAnswer.model_validate(answer.json())


def test_what_is_published_is_searchable_within_three_seconds_and_gone_when_revoked(
    tmp_path: Path,
) -> None:
    def make(port: int) -> FastAPI:
        settings = CatalogSettings(port=port, data_dir=tmp_path / "catalog", broker_url=broker)
        return create_app(settings)

    with (
        running_supplier() as supplier,
        running_broker(tmp_path / "broker") as broker,
        serve(make) as catalog,
    ):
        hanbit = Company(broker, "hanbit", supplier.url)
        assert hanbit.join().status_code == 201
        wait_until(lambda: bool(supplier.requests), "the first crawl")

        dataset = make_dataset(1, "알루미늄 다이캐스팅 탄소배출")
        supplier.publish(dataset)
        begun = time.monotonic()
        assert hanbit.call("POST", "/crawls").status_code == 202
        wait_until(lambda: search(catalog, q="탄소").total_count == 1, "the dataset is found")
        assert time.monotonic() - begun < SEARCHABLE_SECONDS_MAX

        [hit] = search(catalog, q="aluminium").hits
        by_ref = httpx.get(f"{catalog}/datasets", params={"ref": "hanbit.dataset_1"}).json()
        by_id = httpx.get(f"{catalog}/datasets/{dataset.id}").json()
        assert by_ref == by_id
        assert Listing.model_validate(by_id) == hit
        assert Listing.model_validate(by_id).dataset == dataset
        assert httpx.get(f"{catalog}/datasets/nothing").status_code == 404

        body = {"participant_id": hanbit.id, "reason": "계약 위반"}
        assert httpx.post(f"{broker}/participants/revocation", json=body, headers=ADMIN).is_success
        wait_until(lambda: search(catalog, q="탄소").total_count == 0, "the listing leaves")
        httpx.post(f"{broker}/participants/approval", json=body, headers=ADMIN)
        wait_until(lambda: search(catalog, q="탄소").total_count == 1, "the listing comes back")
